"""A text as ids of its characters, in two parts, cut into windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from contract import ContractError

UNICODE = 0x110000
"""How many characters there can be."""


@dataclass(frozen=True)
class Text:
    """The ids on the training's device, as small as the vocabulary allows."""

    vocabulary: str
    """The characters; a character's place is its id."""
    training: Tensor
    validation: Tensor

    @classmethod
    def of(cls, text: str, validation_share: float, block_size: int, device: torch.device) -> Text:
        """Splits `text`: its end is for validation. Raises `ContractError` where a part has no window."""
        # JSON may hold halves of characters, which no file can: they become question marks.
        codes = np.frombuffer(text.encode("utf-32-le", errors="replace"), dtype=np.uint32)
        present = np.zeros(UNICODE, dtype=bool)
        present[codes] = True
        known = np.flatnonzero(present)
        if len(known) < 2:
            raise ContractError(f"the text has {len(known)} different characters: there is nothing to learn")
        places = np.zeros(UNICODE, dtype=np.uint8 if len(known) <= 256 else np.int32)
        places[known] = np.arange(len(known))
        ids = torch.from_numpy(places[codes]).to(device)
        cut = len(ids) - int(len(ids) * validation_share)
        training, validation = ids[:cut], ids[cut:]
        for part, name in ((training, "training"), (validation, "validation")):
            if len(part) <= block_size:
                raise ContractError(
                    f"the text has {len(part)} characters for {name}; a block of {block_size} needs {block_size + 1}: "
                    "give more text or a smaller --block-size"
                )
        return cls("".join(map(chr, known)), training, validation)


def windows(ids: Tensor, starts: Tensor, block_size: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets `int64 [starts, block_size]`: the windows that begin at `starts`, and each one character later."""
    places = starts[:, None] + torch.arange(block_size + 1, device=starts.device)
    both = ids[places].long()
    return both[:, :-1], both[:, 1:]


def drawn_windows(
    ids: Tensor, count: int, share: slice, block_size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """This process's `share` of `count` windows that all processes draw alike."""
    starts = torch.randint(len(ids) - block_size, (count,), generator=generator)[share]
    return windows(ids, starts.to(ids.device), block_size)


def spread_windows(ids: Tensor, count: int, block_size: int) -> tuple[Tensor, Tensor]:
    """At most `count` windows spread evenly over the text, the same each time."""
    last = len(ids) - block_size - 1
    count = min(count, last // block_size + 1)
    starts = torch.linspace(0, last, count, dtype=torch.float64, device="cpu").long()
    return windows(ids, starts.to(ids.device), block_size)
