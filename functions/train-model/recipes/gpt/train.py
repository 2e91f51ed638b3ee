"""`python -m gpt.train`: text under Vertex AI's training contract -> a model folder, `metrics.json` last."""

from __future__ import annotations

import json
import math
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contract import Checkpoints, ContractError, Environment, Preemption, Progress, local_path, read_rows, write_metrics
from contract.clock import Clock
from contract.export import export_onnx
from contract.parallel import Processes, packed, restored, seed_step
from contract.program import run

from .arguments import parsed
from .model import Config, Gpt
from .text import Text, drawn_windows, spread_windows

LOWEST_RATE = 0.1
"""The learning rate at the end, as a part of the highest."""


def main(arguments: Sequence[str]) -> int:
    """Runs the recipe; the exit code."""
    return run("gpt.train", arguments, parsed(arguments), train)


def train(options: Namespace, environment: Environment, processes: Processes, preemption: Preemption) -> bool:
    """Trains from the newest checkpoint to the end and writes the model. False when it was asked to stop before."""
    progress = Progress(environment.log_dir, processes.first)
    text = Text.of(read_text(options, environment), options.validation_share, options.block_size, processes.device)
    config = Config(
        vocabulary=len(text.vocabulary),
        block_size=options.block_size,
        n_layer=options.n_layer,
        n_head=options.n_head,
        n_embd=options.n_embd,
        dropout=options.dropout,
    )
    seed_step(options.seed, -1)
    model = Gpt(config).to(processes.device)
    optimizer = optimizer_of(model, options, processes.device)
    checkpoints = Checkpoints(environment.checkpoint_dir)
    identity = {"shape": asdict(config), "vocabulary": text.vocabulary}
    start, state = restored(checkpoints, processes, identity)
    if state:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    parameters = sum(parameter.numel() for parameter in model.parameters())
    progress.say(
        f"{len(text.training)} characters to learn from, {len(text.validation)} to validate on, "
        f"{config.vocabulary} different; {parameters} parameters; {processes.world_size} process(es) on {processes.device.type}"
    )
    if start:
        progress.say(f"going on after step {start}")

    def save(step: int) -> None:
        if processes.first and environment.checkpoint_dir is not None:
            state = {"identity": identity, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
            checkpoints.save(step, packed(state))

    trained = processes.wrapped(model, options.compile)
    share = processes.share(options.batch_size, "--batch-size")
    clock = Clock(processes.wait)
    step = start
    while step < options.steps:
        if processes.must_stop(preemption.asked, step):
            save(step)
            progress.say(f"asked to stop: checkpoint of step {step}")
            progress.close()
            return False
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(options, step)
        generator = seed_step(options.seed, step)
        inputs, targets = drawn_windows(text.training, options.batch_size, share, options.block_size, generator)
        # The same choice of windows everywhere, but dropout of its own in each process.
        if processes.rank:
            torch.manual_seed(torch.initial_seed() + processes.rank)
        model.train()
        with processes.autocast(options.precision):
            loss = cross_entropy(trained(inputs), targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), options.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        clock.step()
        if step % options.log_every == 0 or step == options.steps:
            mean = processes.mean(loss).item()
            if not math.isfinite(mean):
                raise ContractError(f"the loss is {mean} at step {step}: lower --learning-rate")
            rate = clock.steps_per_second() * options.batch_size * options.block_size
            progress.numbers(step, options.steps, {"loss": mean, "tokens per second": rate, "learning rate": group["lr"]})
        if step % options.evaluate_every == 0 or step % options.checkpoint_every == 0 or step == options.steps:
            clock.pause()
            if step % options.evaluate_every == 0 and processes.first:
                progress.numbers(step, options.steps, {"validation loss": evaluated(model, text.validation, options, processes)})
            if step % options.checkpoint_every == 0 or step == options.steps:
                save(step)
            clock.go_on()
    if processes.first:
        metrics = {
            "loss": evaluated(model, text.training, options, processes),
            "validation_loss": (validation := evaluated(model, text.validation, options, processes)),
            "perplexity": math.exp(min(validation, 700.0)),
            "bits_per_character": validation / math.log(2),
            "tokens_per_second": clock.steps_per_second() * options.batch_size * options.block_size,
            "steps": step,
            "parameters": parameters,
            "vocabulary": config.vocabulary,
            "training_characters": len(text.training),
            "validation_characters": len(text.validation),
            "processes": processes.world_size,
        } | processes.peak_memory()
        write_model(environment.model_dir, model, text.vocabulary, options, progress)
        write_metrics(environment.model_dir, metrics)
        progress.say("done: " + ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
    progress.close()
    return True


def read_text(options: Namespace, environment: Environment) -> str:
    """The text file of `--text`, or the rows' column, a line a row."""
    if options.text:
        file = local_path(options.text)
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ContractError(f"--text {options.text}: {error}") from None
    if not environment.data:
        raise ContractError("there is no text: set AIP_TRAINING_DATA_URI to rows, or give --text")
    rows = read_rows(environment.data, environment.data_format or "", [options.column])
    return "\n".join(str(row[options.column]) for row in rows if row[options.column] is not None)


def optimizer_of(model: Gpt, options: Namespace, device: torch.device) -> torch.optim.AdamW:
    """AdamW; matrices decay, the norms' weights do not."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
    others = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=options.learning_rate,
        betas=(0.9, 0.99),
        fused=device.type == "cuda",
    )


def learning_rate(options: Namespace, step: int) -> float:
    """Rises in a line for the warm-up, then falls by a cosine to `LOWEST_RATE` of the highest."""
    if step < options.warmup_steps:
        return options.learning_rate * (step + 1) / options.warmup_steps
    done = (step - options.warmup_steps) / max(options.steps - options.warmup_steps, 1)
    return options.learning_rate * (LOWEST_RATE + (1 - LOWEST_RATE) * (1 + math.cos(math.pi * done)) / 2)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean over all characters, in nats."""
    return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


@torch.no_grad()
def evaluated(model: Gpt, ids: Tensor, options: Namespace, processes: Processes) -> float:
    """The loss on windows spread over `ids`, without dropout."""
    model.eval()
    inputs, targets = spread_windows(ids, options.evaluation_windows, options.block_size)
    total = 0.0
    for batch, expected in zip(inputs.split(options.batch_size), targets.split(options.batch_size), strict=True):
        with processes.autocast(options.precision):
            total += cross_entropy(model(batch), expected).item() * len(batch)
    return total / len(inputs)


def write_model(folder: Path, model: Gpt, vocabulary: str, options: Namespace, progress: Progress) -> None:
    """Everything of the model's folder but the metrics."""
    model.eval()
    seed = torch.Generator(next(model.parameters()).device).manual_seed(options.seed)
    first = torch.tensor([max(vocabulary.find("\n"), 0)], device=next(model.parameters()).device)
    ids = model.continued(first, options.sample_characters, options.temperature, seed)[1:]
    sample = "".join(vocabulary[at] for at in ids.tolist())
    (folder / "sample.txt").write_text(sample, encoding="utf-8")
    progress.say(f"sample: {sample[:200]!r}")
    model = model.cpu().float()
    torch.save(model.state_dict(), folder / "model.pt")
    (folder / "config.json").write_text(json.dumps(asdict(model.config), indent=2) + "\n")
    (folder / "vocabulary.json").write_text(json.dumps(list(vocabulary), ensure_ascii=False) + "\n", encoding="utf-8")
    example = torch.zeros((2, max(model.config.block_size - 1, 1)), dtype=torch.long)
    free = {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("time", min=1, max=model.config.block_size)}
    export_onnx(model, folder / "model.onnx", "ids", example, free, "logits")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
