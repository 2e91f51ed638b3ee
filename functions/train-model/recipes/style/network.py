"""The network that paints: one pass from an image to the image in the style.

The shape of Johnson, Alahi, Fei-Fei (2016), "Perceptual losses for real-time style transfer and super-resolution", with instance
norm (Ulyanov, Vedaldi, Lempitsky 2016) and upsampling before convolutions instead of transposed ones, which leave a checkerboard.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

SHRINKS = 4
"""The body works on images smaller by this factor; others are padded to a multiple of it."""


@dataclass(frozen=True)
class Config:
    """The network's shape; what `config.json` holds."""

    channels: int
    """Channels of the first layer; the body has four times as many."""
    blocks: int
    """Residual blocks of the body."""


class Convolution(nn.Module):
    """Padding by reflection, convolution, and instance norm where asked for."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, normalised: bool = True) -> None:
        super().__init__()
        self.padding = size // 2
        # A norm takes a bias away again.
        self.convolution = nn.Conv2d(inputs, outputs, size, stride, bias=not normalised)
        self.norm = nn.InstanceNorm2d(outputs, affine=True) if normalised else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.convolution(F.pad(x, (self.padding,) * 4, mode="reflect")))


class Residual(nn.Module):
    """Two convolutions, added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Convolution(channels, channels, 3)
        self.second = Convolution(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


class StyleNetwork(nn.Module):
    """Images `float32 [batch, 3, height, width]` from 0 to 1 -> the same shape and range. Height and width from 8 on."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        self.shrink = nn.ModuleList(
            [Convolution(3, width, 9), Convolution(width, 2 * width, 3, 2), Convolution(2 * width, 4 * width, 3, 2)]
        )
        self.body = nn.Sequential(*(Residual(4 * width) for _ in range(config.blocks)))
        self.grow = nn.ModuleList([Convolution(4 * width, 2 * width, 3), Convolution(2 * width, width, 3)])
        self.paint = Convolution(width, 3, 9, normalised=False)

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        x = F.pad(image * 2 - 1, (0, -width % SHRINKS, 0, -height % SHRINKS), mode="replicate")
        for layer in self.shrink:
            x = F.relu(layer(x))
        x = self.body(x)
        for layer in self.grow:
            x = F.relu(layer(F.interpolate(x, scale_factor=2.0, mode="nearest")))
        return self.paint(x).sigmoid()[..., :height, :width]
