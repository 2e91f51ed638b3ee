"""The command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .features import SMALLEST_IMAGE


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments; ends the process with a usage line for wrong ones."""
    parser = argparse.ArgumentParser(
        prog="style",
        description="Trains a network that repaints images in the style of one.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    data = parser.add_argument_group("data")
    data.add_argument("--style-image", metavar="URI", required=True, help="the image whose style is learned")
    data.add_argument("--column", default="image", help="the column of the rows: bytes, base64, or a path or URI")
    data.add_argument("--images", metavar="URI", help="a folder of images to read instead of rows")
    data.add_argument("--features", metavar="URI", help="VGG16's weights, torchvision's names; without: random filters")
    data.add_argument("--size", type=_size, default=256, help="side of the squares to train on, in pixels")
    data.add_argument("--style-size", type=_size, default=512, help="shorter side of the style image, in pixels")
    model = parser.add_argument_group("model")
    model.add_argument("--channels", type=_positive, default=32, help="of the first layer")
    model.add_argument("--blocks", type=_positive, default=5, help="residual blocks")
    training = parser.add_argument_group("training")
    training.add_argument("--batch-size", type=_positive, default=8, help="images a step, of all processes together")
    training.add_argument("--steps", type=_positive, default=4000)
    training.add_argument("--learning-rate", type=float, default=1e-3)
    training.add_argument("--content-weight", type=float, default=1.0)
    training.add_argument("--style-weight", type=float, default=1.0)
    training.add_argument("--total-variation-weight", type=float, default=1.0)
    training.add_argument("--seed", type=int, default=1)
    running = parser.add_argument_group("running")
    running.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    running.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="auto: bf16 on CUDA")
    running.add_argument("--compile", action="store_true", help="use torch.compile: a minute at the start, faster steps")
    running.add_argument("--checkpoint-every", type=_positive, default=500, help="steps")
    running.add_argument("--evaluation-images", type=_positive, default=8, help="images that the metrics are of")
    running.add_argument("--log-every", type=_positive, default=50, help="steps")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _size(text: str) -> int:
    number = int(text)
    if number < SMALLEST_IMAGE * 4:
        raise argparse.ArgumentTypeError(f"must be {SMALLEST_IMAGE * 4} or more")
    return number
