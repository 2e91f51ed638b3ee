"""One trial: the training program with one choice of arguments, in a folder of its own.

    {trials}/0007-1f0c9a3b/model        its AIP_MODEL_DIR
                          /checkpoints  its AIP_CHECKPOINT_DIR
                          /log.txt      what it said
                          /result.json  how it ended; written last, so that a trial with one is done

A trial with a result is not run again, neither in the same search nor when the job starts anew.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from contract.files import write_whole

LOG_TAIL = 2000
"""Bytes of a failed trial's log that its result repeats."""

FROM_OUTSIDE = (signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM)
"""Signals that say nothing of the program: its machine or its job is ending, or memory is short."""


class Stopped(Exception):
    """The program was ended from outside. It has no result, and may run again."""


@dataclass(frozen=True)
class Program:
    """What every trial runs."""

    command: tuple[str, ...]
    """The program and its first arguments; those of the trial come after them."""
    metric: str
    """The number in its `metrics.json` that counts."""
    seconds: float
    """The longest that a trial may run."""
    variables: Mapping[str, str]
    """Environment variables besides the worker's own."""
    trials: Path
    """The folder of the trials' folders, which every node sees."""


@dataclass(frozen=True)
class Result:
    """How a trial ended."""

    trial: int
    parameters: dict[str, Any]
    metrics: dict[str, float]
    """The numbers in its `metrics.json`; empty where it failed."""
    seconds: float
    error: str | None
    """Why it failed."""


def folder(program: Program, number: int, parameters: Mapping[str, Any]) -> Path:
    """A trial's folder: of its number, and of all that decides what it comes to."""
    identity = json.dumps([program.command, program.metric, dict(parameters)], sort_keys=True)
    return program.trials / f"{number:04}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def ensured(program: Program, number: int, parameters: Mapping[str, Any]) -> Result:
    """The result of a trial, run where there is none yet. Raises `Stopped`."""
    place = folder(program, number, parameters)
    try:
        return Result(**json.loads((place / "result.json").read_bytes()))
    except FileNotFoundError:
        result = _run(program, number, parameters, place)
    write_whole(place / "result.json", json.dumps(asdict(result)).encode())
    return result


def _run(program: Program, number: int, parameters: Mapping[str, Any], place: Path) -> Result:
    # What a trial left that did not come to its end; its checkpoints stay.
    shutil.rmtree(place / "model", ignore_errors=True)
    for part in ("model", "checkpoints"):
        (place / part).mkdir(parents=True, exist_ok=True)
    variables = os.environ | dict(program.variables)
    variables |= {
        "AIP_MODEL_DIR": str(place / "model"),
        "AIP_CHECKPOINT_DIR": str(place / "checkpoints"),
        "AIP_TENSORBOARD_LOG_DIR": str(place / "logs"),
    }
    arguments = [f"--{name}={value}" for name, value in parameters.items()]
    begun = time.monotonic()
    error = _error([*program.command, *arguments], variables, place / "log.txt", program.seconds)
    metrics: dict[str, float] = {}
    if error is None:
        metrics, error = _metrics(place / "model" / "metrics.json", program.metric)
    return Result(number, dict(parameters), metrics, time.monotonic() - begun, error)


def _error(command: list[str], variables: Mapping[str, str], log: Path, seconds: float) -> str | None:
    """Runs a program to its end; why it failed. Raises `Stopped`."""
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    except OSError as error:
        return f"{command[0]} cannot be started: {error.strerror}"
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"it ran longer than {seconds:g} s"
    if code == 0:
        return None
    # A program that catches SIGTERM, and a shell whose program was killed, end with 128 and the signal.
    if -code in FROM_OUTSIDE or code - 128 in FROM_OUTSIDE:
        raise Stopped(f"{command[0]} was ended from outside: {'exit code' if code > 0 else 'signal'} {abs(code)}")
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"{how}: {log.read_bytes()[-LOG_TAIL:].decode(errors='replace').strip()}"


def _metrics(file: Path, metric: str) -> tuple[dict[str, float], str | None]:
    """The numbers in a `metrics.json`, an object of them or one under `metrics`, or why they do not serve."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        return {}, f"metrics.json cannot be read: {error}"
    if isinstance(found, dict) and isinstance(found.get("metrics"), dict):
        found = found["metrics"]
    if not isinstance(found, dict):
        return {}, "metrics.json is no object of numbers"
    numbers = {name: value for name, value in found.items() if isinstance(value, (int, float)) and not isinstance(value, bool)}
    if metric not in numbers:
        return {}, f"metrics.json has no number {metric}; it has {', '.join(numbers) or 'none'}"
    if not math.isfinite(numbers[metric]):
        return {}, f"{metric} is {numbers[metric]}"
    return numbers, None
