"""How fast a training's steps are."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Times the steps without the first, which compiles and allocates, and without evaluations and checkpoints."""

    def __init__(self, wait: Callable[[], None]) -> None:
        """`wait` returns when the device has done what it was given."""
        self._wait = wait
        self._steps = 0
        self._seconds = 0.0
        self._since: float | None = None

    def step(self) -> None:
        """To be called after each step."""
        if self._since is None:
            self.go_on()
        else:
            self._steps += 1

    def pause(self) -> None:
        """Before something that is no step."""
        if self._since is not None:
            self._wait()
            self._seconds += time.perf_counter() - self._since
            self._since = None

    def go_on(self) -> None:
        """After it."""
        self._wait()
        self._since = time.perf_counter()

    def steps_per_second(self) -> float:
        """Zero before the second step."""
        self.pause()
        self.go_on()
        return self._steps / self._seconds if self._steps else 0.0
