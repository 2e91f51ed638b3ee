"""The command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments; ends the process with a usage line for wrong ones."""
    parser = argparse.ArgumentParser(
        prog="gpt",
        description="Trains a character-level GPT on text.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    data = parser.add_argument_group("data")
    data.add_argument("--column", default="text", help="the column of the rows that holds the text")
    data.add_argument("--text", metavar="URI", help="a UTF-8 text file to read instead of rows")
    data.add_argument("--validation-share", type=_share, default=0.1, help="part of the text, its end, for validation")
    model = parser.add_argument_group("model")
    model.add_argument("--n-layer", type=_positive, default=6, help="blocks")
    model.add_argument("--n-head", type=_positive, default=6, help="heads of attention")
    model.add_argument("--n-embd", type=_positive, default=384, help="width, a multiple of the heads")
    model.add_argument("--block-size", type=_positive, default=256, help="characters that the model looks at")
    model.add_argument("--dropout", type=_share, default=0.2)
    training = parser.add_argument_group("training")
    training.add_argument("--batch-size", type=_positive, default=64, help="windows a step, of all processes together")
    training.add_argument("--steps", type=_positive, default=5000)
    training.add_argument("--learning-rate", type=float, default=1e-3, help="the highest; it decays to a tenth by a cosine")
    training.add_argument("--warmup-steps", type=int, default=100, help="steps in which the learning rate rises")
    training.add_argument("--weight-decay", type=float, default=0.1)
    training.add_argument("--clip", type=float, default=1.0, help="the longest gradient")
    training.add_argument("--seed", type=int, default=1)
    running = parser.add_argument_group("running")
    running.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    running.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="auto: bf16 on CUDA")
    running.add_argument("--compile", action="store_true", help="use torch.compile: a minute at the start, faster steps")
    running.add_argument("--checkpoint-every", type=_positive, default=500, help="steps")
    running.add_argument("--evaluate-every", type=_positive, default=500, help="steps")
    running.add_argument("--evaluation-windows", type=_positive, default=512, help="windows of each part to evaluate on")
    running.add_argument("--log-every", type=_positive, default=50, help="steps")
    running.add_argument("--sample-characters", type=_positive, default=500, help="length of sample.txt")
    running.add_argument("--temperature", type=float, default=0.8, help="of the sample; lower is tamer")
    chosen = parser.parse_args(arguments)
    if chosen.n_embd % chosen.n_head:
        parser.error(f"--n-embd {chosen.n_embd} is no multiple of --n-head {chosen.n_head}")
    if chosen.temperature <= 0:
        parser.error("--temperature must be above 0")
    return chosen


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError("must be from 0 to below 1")
    return number
