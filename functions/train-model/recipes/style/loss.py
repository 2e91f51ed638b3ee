"""The perceptual loss.

Content and style are relative: a squared difference over the square of what it is measured against. So the weights mean the same
with learned and with random features, whose sizes differ by orders of magnitude. Each image is measured by itself, so a batch
may be shared by several processes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .features import CONTENT_GROUP, Features, gram

SMALL = 1e-8
"""Keeps a black image from dividing by zero."""


@dataclass(frozen=True)
class Parts:
    """The parts of the loss, each a number without weight."""

    content: Tensor
    """Difference of features from the content image's, relative."""
    style: Tensor
    """Difference of Gram matrices from the style image's, relative, the mean over the groups of layers."""
    total_variation: Tensor
    """Mean squared difference of neighbouring pixels."""

    def weighted(self, content: float, style: float, total_variation: float) -> Tensor:
        """The sum that is minimised."""
        return content * self.content + style * self.style + total_variation * self.total_variation


class PerceptualLoss(nn.Module):
    """Compares painted images with what they were painted from and with one style image."""

    def __init__(self, features: Features, style: Tensor) -> None:
        """`style` is `[1, 3, height, width]` on the device of `features`."""
        super().__init__()
        self.features = features
        with torch.no_grad():
            self.style_grams = [gram(layer) for layer in features(style)]

    def forward(self, painted: Tensor, content: Tensor) -> Parts:
        """Both `[batch, 3, height, width]` from 0 to 1."""
        with torch.no_grad():
            wanted = self.features(content)[CONTENT_GROUP].float()
        found = self.features(painted)
        differences = [_relative(gram(layer), target) for layer, target in zip(found, self.style_grams, strict=True)]
        pixels = painted.float()
        return Parts(
            content=_relative(found[CONTENT_GROUP].float(), wanted),
            style=torch.stack(differences).mean(),
            total_variation=(pixels.diff(dim=-1).square().mean() + pixels.diff(dim=-2).square().mean()),
        )


def _relative(found: Tensor, wanted: Tensor) -> Tensor:
    """The mean over the images of `found [batch, ..]`; `wanted` is as large or has one for all."""
    difference = (found - wanted).square().flatten(1).mean(dim=1)
    return (difference / (wanted.square().flatten(1).mean(dim=1) + SMALL)).mean()
