"""Checkpoints that survive a kill at any moment.

One file a checkpoint, `step-0000000500.ckpt`: a mark, the SHA-256 of the content, the content. It is written beside and moved
into place, so a file with that name is whole; the sum finds what a disk or a copy did to it afterwards.
"""

from __future__ import annotations

import hashlib
import re
import sys
from contextlib import suppress
from pathlib import Path

from .files import write_whole

MARK = b"checkpoint 1\n"
DIGEST_BYTES = hashlib.sha256().digest_size
NAME = re.compile(r"step-(\d{10})\.ckpt")
LEFT_OVER = re.compile(r"\.step-\d{10}\.ckpt\.\d+\.tmp")


class Checkpoints:
    """The checkpoints of one training in its folder. Only one process of a training may write."""

    def __init__(self, folder: Path | None, keep: int = 2) -> None:
        """Without a folder nothing is kept and nothing is found. `keep` is how many of the newest stay."""
        self._folder = folder
        self._keep = keep

    def save(self, step: int, content: bytes) -> None:
        """Keeps `content` as the checkpoint of `step`, and removes what is too old."""
        if self._folder is None:
            return
        write_whole(self._folder / f"step-{step:010}.ckpt", MARK, hashlib.sha256(content).digest(), content)
        for _, old in self._files()[self._keep :]:
            with suppress(FileNotFoundError):
                old.unlink()
        for entry in self._folder.iterdir():
            if LEFT_OVER.fullmatch(entry.name):
                with suppress(FileNotFoundError):
                    entry.unlink()

    def newest(self) -> tuple[int, bytes] | None:
        """The step and content of the newest readable checkpoint; a damaged one is skipped with a warning."""
        for step, file in self._files():
            try:
                whole = file.read_bytes()
            except OSError as error:
                _warn(f"{file} cannot be read ({error.strerror}): taking an older checkpoint")
                continue
            content = whole[len(MARK) + DIGEST_BYTES :]
            if whole[: len(MARK) + DIGEST_BYTES] == MARK + hashlib.sha256(content).digest():
                return step, content
            _warn(f"{file} is damaged: taking an older checkpoint")
        return None

    def _files(self) -> list[tuple[int, Path]]:
        """Newest first."""
        if self._folder is None or not self._folder.is_dir():
            return []
        named = ((NAME.fullmatch(entry.name), entry) for entry in self._folder.iterdir())
        return sorted(((int(name[1]), entry) for name, entry in named if name), reverse=True)


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr, flush=True)
