"""`python -m ray-tune.train`: the best of many trainings -> a model folder, `metrics.json` last."""

from __future__ import annotations

import json
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from contract import ContractError, Environment, local_path
from contract.files import write_whole

from .arguments import parsed
from .search import search
from .trial import Program, Result, folder

METRICS = "metrics.json"

DATA = ("AIP_TRAINING_DATA_URI", "AIP_VALIDATION_DATA_URI", "AIP_TEST_DATA_URI")
"""Variables with URIs, which trials get as paths."""


def main(arguments: Sequence[str]) -> int:
    """Runs the recipe; the exit code."""
    options = parsed(arguments)
    try:
        train(options, os.environ)
    except ContractError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def train(options: Namespace, variables: Mapping[str, str]) -> None:
    """Runs the trials that are not done yet and writes the best one's model."""
    environment = Environment.from_variables(variables)
    if environment.checkpoint_dir is None:
        raise ContractError("AIP_CHECKPOINT_DIR is not set: it names the folder that the trials are kept in")
    data = {name: str(local_path(variables[name])) for name in DATA if variables.get(name)}
    program = Program(
        command=tuple(options.program),
        metric=options.metric,
        seconds=options.trial_seconds,
        variables=data,
        # Absolute: a worker has another working folder.
        trials=environment.checkpoint_dir.resolve() / "trials",
    )
    results = search(program, options.space, options, environment.checkpoint_dir.resolve() / "tune")
    best = best_of(results, options.metric, options.mode)
    print(f"best: trial {best.trial + 1}, {options.metric} {best.metrics[options.metric]:.6g}", flush=True)
    write_model(environment.model_dir, folder(program, best.trial, best.parameters) / "model", results, best)


def best_of(results: Sequence[Result], metric: str, mode: str) -> Result:
    """The best result that is no failure, of equal ones the first. Raises `ContractError` where every trial failed."""
    done = [result for result in results if result.error is None]
    if not done:
        reason = next((result.error for result in results), "no trial came to an end: see the log of Ray's workers")
        raise ContractError(f"every trial failed; the first: {reason}")
    sign = 1 if mode == "max" else -1
    return max(done, key=lambda result: sign * result.metrics[metric])


def write_model(target: Path, model: Path, results: Sequence[Result], best: Result) -> None:
    """The best trial's files and `trials.json`; last its `metrics.json`, which says that the model is complete."""
    shutil.copytree(model, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(METRICS))
    trials = {"best": best.trial, "trials": [asdict(result) for result in results]}
    write_whole(target / "trials.json", (json.dumps(trials, indent=2) + "\n").encode())
    write_whole(target / METRICS, (model / METRICS).read_bytes())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
