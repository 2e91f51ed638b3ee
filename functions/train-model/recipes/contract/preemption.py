"""A machine that is taken away says so with SIGTERM, half a minute before the end."""

from __future__ import annotations

import signal
from types import FrameType

EXIT_CODE = 128 + signal.SIGTERM
"""What a program ends with that was asked to stop: not 0, so that whoever started it tries again."""


class Preemption:
    """Remembers a SIGTERM; the training loop asks between steps, when its state is consistent."""

    def __init__(self) -> None:
        """Takes the signal over, in the main thread."""
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
