"""Starts recipes as a platform does, for their tests.

They need what `tests/python/recipes.txt` lists, and the recipes on their path. Here:
`PYTHONPATH=../../recipes ../../../../target/venv-recipes/bin/python -m unittest`.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

RECIPES = Path(__file__).parents[2] / "recipes"

STEP = re.compile(r"step (\d+)/\d+: loss ([-\d.e+]+)")

LONGEST_SECONDS = 300


@dataclass(frozen=True)
class Ended:
    """A recipe's end."""

    code: int
    output: str
    """Standard output and standard error, in their order."""
    metrics: dict[str, float] | None
    """`metrics.json`, where it was written."""

    def losses(self) -> dict[int, float]:
        """The loss by step, of the progress lines."""
        return {int(step): float(loss) for step, loss in STEP.findall(self.output)}


class RecipeCase(unittest.TestCase):
    """A test with a folder of its own, in which recipes are started."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def start(self, module: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Starts `module` with these variables on top of a bare environment."""
        inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        # One thread: sums in one order, and a machine that is shared with other tests.
        bare = inherited | {"PYTHONPATH": str(RECIPES), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=bare | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ended(self, process: subprocess.Popen[str], model: Path, said: str = "") -> Ended:
        """Waits for the end. `said` is what was read of the output before."""
        try:
            output, _ = process.communicate(timeout=LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            self.fail(f"still running after {LONGEST_SECONDS} s:\n{said}{output}")
        file = model / "metrics.json"
        metrics = json.loads(file.read_text()) if file.exists() else None
        return Ended(process.returncode, said + output, metrics)

    def run_to_end(self, module: str, *arguments: str, **variables: str) -> Ended:
        """Runs a recipe to its end, whatever that is."""
        return self.ended(self.start(module, *arguments, **variables), Path(variables["AIP_MODEL_DIR"]))

    def trained(self, module: str, *arguments: str, **variables: str) -> Ended:
        """Runs a recipe that must succeed."""
        end = self.run_to_end(module, *arguments, **variables)
        self.assertEqual(end.code, 0, end.output)
        self.assertIsNotNone(end.metrics, end.output)
        for name, value in end.metrics.items():
            self.assertIsInstance(value, (int, float), name)
        return end

    def struck(self, number: signal.Signals, at: int, module: str, *arguments: str, **variables: str) -> Ended:
        """Runs a recipe and sends it a signal when it tells of step `at` or a later one."""
        process = self.start(module, *arguments, **variables)
        said = ""
        for line in process.stdout:
            said += line
            if (step := STEP.match(line)) and int(step[1]) >= at:
                process.send_signal(number)
                break
        return self.ended(process, Path(variables["AIP_MODEL_DIR"]), said)

    def free_port(self) -> str:
        """A port on loopback that nobody listens on."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            return str(listener.getsockname()[1])


def sentences(count: int) -> list[str]:
    """Sentences of a small grammar, the same ones each time."""
    chosen = random.Random(7)
    animals = ("the cat", "a dog", "the old owl")
    deeds = ("sleeps", "waits", "sings")
    places = ("here", "in the barn", "at night")
    return [f"{chosen.choice(animals)} {chosen.choice(deeds)} {chosen.choice(places)}." for _ in range(count)]
