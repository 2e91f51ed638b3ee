"""What a person sees of a training: lines on standard output, and TensorBoard's curves where a folder is set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class Progress:
    """Reports numbers by step. Only the first process of a training reports."""

    def __init__(self, log_dir: Path | None, first: bool) -> None:
        """With `log_dir`, TensorBoard's event files are written there, if the package is installed."""
        self._first = first
        self._board = None
        if log_dir is not None and first:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                self.say("the package tensorboard is not installed: no curves are written")
            else:
                self._board = SummaryWriter(str(log_dir))

    def say(self, text: str) -> None:
        """A line for the log."""
        if self._first:
            print(text, flush=True)

    def numbers(self, step: int, steps: int, values: Mapping[str, float]) -> None:
        """The values at `step` of `steps`."""
        self.say(f"step {step}/{steps}: " + ", ".join(f"{name} {value:.4g}" for name, value in values.items()))
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name.replace(" ", "_"), value, step)
            self._board.flush()

    def close(self) -> None:
        """Closes the event file: a mounted bucket has it only then."""
        if self._board is not None:
            self._board.close()
