"""The loss network: what two images must have in common to count as alike.

VGG16's convolutions up to `relu4_3`. With weights learned on ImageNet it is the usual perceptual loss. Without, its filters are
drawn from a seed: such features carry texture too (Ustyuzhaninov et al. 2016, arXiv:1606.00021; He, Wang, Hopcroft 2016,
arXiv:1606.04801), less well than learned ones.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from contract import ContractError

CONVOLUTIONS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512))
"""Channels of each convolution, group by group; between groups the image is halved."""

CONTENT_GROUP = 1
"""The group whose last features (`relu2_2`) are the content."""

SMALLEST_IMAGE = 2 ** (len(CONVOLUTIONS) - 1)


class Features(nn.Module):
    """Images `[batch, 3, height, width]` from 0 to 1 -> the last features of each group. Not trained."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Path | None, seed: int) -> None:
        """`weights` is a PyTorch state dictionary with torchvision's names (`features.0.weight`); None for random filters."""
        super().__init__()
        groups = []
        generator = torch.Generator().manual_seed(seed)
        known = None if weights is None else _read(weights)
        inputs, at = 3, 0
        for channels in CONVOLUTIONS:
            group: list[nn.Module] = []
            for outputs in channels:
                layer = nn.Conv2d(inputs, outputs, 3, padding=1)
                with torch.no_grad():
                    for name, parameter in layer.named_parameters():
                        if known is not None:
                            parameter.copy_(_tensor(known, f"features.{at}.{name}", parameter.shape, weights))
                        elif name == "bias":
                            parameter.zero_()
                        else:
                            # He's rule keeps the features' size from layer to layer.
                            parameter.normal_(0, (2 / (inputs * 9)) ** 0.5, generator=generator)
                group += [layer, nn.ReLU()]
                inputs, at = outputs, at + 2
            groups.append(nn.Sequential(*group))
            at += 1
        self.groups = nn.ModuleList(groups)
        self.requires_grad_(False)
        # ImageNet's mean and deviation of red, green and blue: what the learned weights expect.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))

    def forward(self, images: Tensor) -> list[Tensor]:
        x = (images - self.mean) / self.deviation
        features: list[Tensor] = []
        for group in self.groups:
            x = group(x if not features else nn.functional.max_pool2d(x, 2))
            features.append(x)
        return features


def gram(features: Tensor) -> Tensor:
    """How often two channels are strong at the same place: `[batch, channels, channels]`, a mean over the places."""
    # Sums of many products: 16 bits would lose them.
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().flatten(2)
        return flat @ flat.transpose(1, 2) / flat.shape[2]


def _read(weights: Path) -> dict[str, Tensor]:
    try:
        known = torch.load(weights, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ContractError(f"--features {weights}: no PyTorch state dictionary: {error}") from None
    if not isinstance(known, dict):
        raise ContractError(f"--features {weights}: expected a state dictionary, found {type(known).__name__}")
    return known


def _tensor(known: dict[str, Tensor], name: str, shape: torch.Size, weights: Path | None) -> Tensor:
    found = known.get(name)
    if not isinstance(found, Tensor) or found.shape != shape:
        raise ContractError(f"--features {weights}: expected VGG16 with {name} of shape {list(shape)}")
    return found
