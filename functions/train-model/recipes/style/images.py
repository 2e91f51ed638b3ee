"""Images to learn from: of a folder, or of a column that holds their bytes or their paths."""

from __future__ import annotations

import base64
import binascii
import io
import sys
import warnings
from argparse import Namespace
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from contract import ContractError, Environment, local_path, read_rows

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")

MOST_PIXELS = 100_000_000
"""An image that claims more is taken for an attack on the memory."""

Source = bytes | Path

warnings.simplefilter("error", Image.DecompressionBombWarning)
Image.MAX_IMAGE_PIXELS = MOST_PIXELS


def sources(options: Namespace, environment: Environment) -> list[Source]:
    """The images in their order: the folder of `--images`, or the rows' column."""
    if options.images:
        folder = local_path(options.images)
        if not folder.is_dir():
            raise ContractError(f"--images {options.images}: there is no such folder")
        found: list[Source] = sorted(file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS)
        if not found:
            raise ContractError(f"--images {options.images}: no file there ends in {', '.join(ENDINGS)}")
        return found
    if not environment.data:
        raise ContractError("there are no images: set AIP_TRAINING_DATA_URI to rows, or give --images")
    rows = read_rows(environment.data, environment.data_format or "", [options.column])
    folder = environment.data[0].parent
    found = [_source(row[options.column], folder) for row in rows if row[options.column]]
    if not found:
        raise ContractError(f"the column {options.column!r} holds no image")
    return found


def _source(value: object, folder: Path) -> Source:
    """Bytes as they are; text is a path or URI where it looks like one, else base64."""
    if isinstance(value, bytes):
        return value
    text = str(value)
    if "://" in text or text.lower().endswith(ENDINGS):
        path = local_path(text)
        return path if path.is_absolute() else folder / path
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ContractError(
            f"{text[:60]!r} is no image: expected base64, or a path or URI that ends in {', '.join(ENDINGS)}"
        ) from None


def opened(source: Source) -> Image.Image:
    """The image as RGB. Raises `OSError` or `ValueError` for what is none."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return image.convert("RGB")
    except (Image.DecompressionBombWarning, Image.DecompressionBombError, SyntaxError, EOFError) as error:
        raise ValueError(str(error)) from None


def resized(image: Image.Image, shorter: int) -> Image.Image:
    """The image with its shorter side `shorter` pixels long."""
    scale = shorter / min(image.size)
    width, height = (max(shorter, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def tensor(image: Image.Image) -> Tensor:
    """`uint8 [3, height, width]`."""
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)


def as_floats(images: Tensor, device: torch.device) -> Tensor:
    """`uint8 [.., 3, height, width]` as numbers from 0 to 1 on the device."""
    return images.to(device, non_blocking=True).float() / 255


def as_image(pixels: Tensor) -> Image.Image:
    """`[3, height, width]` from 0 to 1 as an image."""
    levels = (pixels.detach().float().clamp(0, 1) * 255).round().byte()
    return Image.fromarray(levels.permute(1, 2, 0).cpu().numpy())


@dataclass(frozen=True)
class Crop:
    """Which square of which image."""

    image: int
    """Its number among the sources."""
    across: float
    """Where the square is, from 0 (left) to 1 (right) of the room there is."""
    down: float


@dataclass
class Loader:
    """Squares of images, decoded by threads while the device is at work."""

    sources: list[Source]
    size: int
    """Height and width of a square in pixels."""
    unreadable: set[int] = field(default_factory=set)
    """The images that turned out not to be images."""

    def square(self, crop: Crop) -> Tensor:
        """`uint8 [3, size, size]`. An image that cannot be read is warned of once and its successor taken instead."""
        for offset in range(len(self.sources)):
            at = (crop.image + offset) % len(self.sources)
            if at in self.unreadable:
                continue
            try:
                image = resized(opened(self.sources[at]), self.size)
            except (OSError, ValueError) as error:
                self.unreadable.add(at)
                source = self.sources[at]
                name = f"image {at}" if isinstance(source, bytes) else str(source)
                print(f"warning: {name} is left out: {error}", file=sys.stderr, flush=True)
                continue
            left, top = (round((side - self.size) * part) for side, part in zip(image.size, (crop.across, crop.down), strict=True))
            return tensor(image.crop((left, top, left + self.size, top + self.size)))
        raise ContractError("none of the images can be read")

    def batch(self, crops: list[Crop], pool: ThreadPoolExecutor) -> Callable[[], Tensor]:
        """Starts decoding; what is returned waits for `uint8 [crops, 3, size, size]`."""
        waiting: list[Future[Tensor]] = [pool.submit(self.square, crop) for crop in crops]
        return lambda: torch.stack([square.result() for square in waiting])


def drawn_crops(count: int, images: int, generator: torch.Generator) -> list[Crop]:
    """`count` squares, the same ones for the same generator."""
    chosen = torch.randint(images, (count,), generator=generator).tolist()
    places = torch.rand((count, 2), generator=generator).tolist()
    return [Crop(image, across, down) for image, (across, down) in zip(chosen, places, strict=True)]
