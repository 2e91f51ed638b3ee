"""`python -m style.train`: images under Vertex AI's training contract -> a model folder, `metrics.json` last."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from contract import Checkpoints, ContractError, Environment, Preemption, Progress, local_path, write_metrics
from contract.clock import Clock
from contract.export import export_onnx
from contract.parallel import Processes, packed, restored, seed_step
from contract.program import run

from .arguments import parsed
from .features import Features
from .images import Crop, Loader, as_floats, as_image, drawn_crops, opened, resized, sources, tensor
from .loss import Parts, PerceptualLoss
from .network import Config, StyleNetwork

THREADS = 8
"""Threads that decode images; Pillow lets go of Python's lock while it does."""

EXPORT_SIZE = 60
"""Side of the example image of the ONNX export: no multiple of anything that the graph depends on."""


def main(arguments: Sequence[str]) -> int:
    """Runs the recipe; the exit code."""
    return run("style.train", arguments, parsed(arguments), train)


def train(options: Namespace, environment: Environment, processes: Processes, preemption: Preemption) -> bool:
    """Trains from the newest checkpoint to the end and writes the model. False when it was asked to stop before."""
    progress = Progress(environment.log_dir, processes.first)
    style = style_image(options)
    loader = Loader(sources(options, environment), options.size)
    features = Features(local_path(options.features) if options.features else None, options.seed)
    criterion = PerceptualLoss(features.to(processes.device), as_floats(tensor(style)[None], processes.device))
    seed_step(options.seed, -1)
    model = StyleNetwork(Config(options.channels, options.blocks)).to(processes.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate)
    checkpoints = Checkpoints(environment.checkpoint_dir)
    identity = {"shape": asdict(model.config), "style": hashlib.sha256(style.tobytes()).hexdigest()}
    start, state = restored(checkpoints, processes, identity)
    if state:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    progress.say(
        f"{len(loader.sources)} images, {'learned' if options.features else 'random'} features, "
        f"{processes.world_size} process(es) on {processes.device.type}" + (f"; going on after step {start}" if start else "")
    )

    def save(step: int) -> None:
        if processes.first and environment.checkpoint_dir is not None:
            state = {"identity": identity, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
            checkpoints.save(step, packed(state))

    trained = processes.wrapped(model, options.compile)
    share = processes.share(options.batch_size, "--batch-size")
    clock = Clock(processes.wait)
    with ThreadPoolExecutor(THREADS) as pool:

        def batch_of(step: int) -> Callable[[], Tensor]:
            crops = drawn_crops(options.batch_size, len(loader.sources), seed_step(options.seed, step))
            return loader.batch(crops[share], pool)

        following = batch_of(start)
        for step in range(start + 1, options.steps + 1):
            if processes.must_stop(preemption.asked, step - 1):
                save(step - 1)
                progress.say(f"asked to stop: checkpoint of step {step - 1}")
                progress.close()
                return False
            content = as_floats(following(), processes.device)
            following = batch_of(step)
            model.train()
            with processes.autocast(options.precision):
                parts = criterion(trained(content), content)
            loss = weighted(parts, options)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            clock.step()
            if step % options.log_every == 0 or step == options.steps:
                numbers = {name: processes.mean(value).item() for name, value in named(parts, loss).items()}
                if not math.isfinite(numbers["loss"]):
                    raise ContractError(f"the loss is {numbers['loss']} at step {step}: lower --learning-rate")
                rate = clock.steps_per_second() * options.batch_size
                progress.numbers(step, options.steps, numbers | {"images_per_second": rate})
            if step % options.checkpoint_every == 0 or step == options.steps:
                clock.pause()
                save(step)
                clock.go_on()
    if processes.first:
        measured, example = evaluated(model, criterion, loader, options, processes)
        metrics = measured | {
            "images_per_second": clock.steps_per_second() * options.batch_size,
            "steps": max(start, options.steps),
            "images": len(loader.sources),
            "unreadable_images": len(loader.unreadable),
            "learned_features": int(bool(options.features)),
            "processes": processes.world_size,
        } | processes.peak_memory()
        write_model(environment.model_dir, model, example)
        write_metrics(environment.model_dir, metrics)
        progress.say("done: " + ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
    progress.close()
    return True


def style_image(options: Namespace) -> Image.Image:
    """The image whose style is learned, with `--style-size` as its shorter side."""
    path = local_path(options.style_image)
    try:
        return resized(opened(path), options.style_size)
    except (OSError, ValueError) as error:
        raise ContractError(f"--style-image {options.style_image}: {error}") from None


def weighted(parts: Parts, options: Namespace) -> Tensor:
    """What is minimised."""
    return parts.weighted(options.content_weight, options.style_weight, options.total_variation_weight)


def named(parts: Parts, loss: Tensor) -> dict[str, Tensor]:
    """The numbers by their names in `metrics.json`."""
    return {
        "loss": loss,
        "content_loss": parts.content,
        "style_loss": parts.style,
        "total_variation": parts.total_variation,
    }


@torch.no_grad()
def evaluated(
    model: StyleNetwork, criterion: PerceptualLoss, loader: Loader, options: Namespace, processes: Processes
) -> tuple[dict[str, float], Image.Image]:
    """The losses on the middle squares of images spread over all, and one of them: before and after, side by side."""
    model.eval()
    count = min(options.evaluation_images, len(loader.sources))
    totals: dict[str, float] = {}
    example = None
    for at in range(count):
        crop = Crop(at * len(loader.sources) // count, 0.5, 0.5)
        content = as_floats(loader.square(crop)[None], processes.device)
        with processes.autocast(options.precision):
            painted = model(content)
            parts = criterion(painted, content)
        for name, value in named(parts, weighted(parts, options)).items():
            totals[name] = totals.get(name, 0.0) + value.item() / count
        if example is None:
            example = as_image(torch.cat([content[0], painted[0].float()], dim=2))
    assert example is not None, "there is at least one image"
    return totals, example


def write_model(folder: Path, model: StyleNetwork, example: Image.Image) -> None:
    """Everything of the model's folder but the metrics."""
    model = model.cpu().float().eval()
    example.save(folder / "example.png")
    torch.save(model.state_dict(), folder / "model.pt")
    (folder / "config.json").write_text(json.dumps(asdict(model.config), indent=2) + "\n")
    free = {
        0: torch.export.Dim("batch", min=1),
        2: torch.export.Dim("height", min=8),
        3: torch.export.Dim("width", min=8),
    }
    image = torch.zeros((2, 3, EXPORT_SIZE + 1, EXPORT_SIZE + 2))
    export_onnx(model, folder / "model.onnx", "image", image, free, "painted")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
