"""`python -m ray-primes.train`: counts the primes below a number in tasks of a Ray cluster.

It trains nothing: it shows what a job on Ray has to do under the training contract, and that a cluster works.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence

import ray

from contract import ContractError, Environment, write_metrics
from contract.files import write_whole

from .sieve import primes_between, segments


@ray.remote
def counted(low: int, high: int) -> tuple[int, int]:
    """How many primes there are from `low` to below `high`, and the largest of them, or 0."""
    primes = primes_between(low, high)
    return len(primes), primes[-1] if primes else 0


def main(arguments: Sequence[str]) -> int:
    """Runs the recipe; the exit code."""
    options = parsed(arguments)
    try:
        count(options, Environment.from_variables(os.environ))
    except ContractError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def count(options: argparse.Namespace, environment: Environment) -> None:
    """Counts and writes `primes.json` and `metrics.json`."""
    begun = time.monotonic()
    # In a job this is the cluster that runs it; elsewhere one of its own on this machine.
    ray.init(log_to_driver=False)
    ranges = segments(options.limit, options.tasks)
    results = ray.get([counted.remote(low, high) for low, high in ranges])
    total, largest = sum(number for number, _ in results), max(largest for _, largest in results)
    print(f"{total} primes below {options.limit}, the largest {largest}, counted in {options.tasks} tasks", flush=True)
    rows = [{"low": low, "high": high, "primes": number} for (low, high), (number, _) in zip(ranges, results)]
    write_whole(environment.model_dir / "primes.json", (json.dumps(rows, indent=2) + "\n").encode())
    seconds = time.monotonic() - begun
    write_metrics(environment.model_dir, {"primes": total, "largest_prime": largest, "tasks": options.tasks, "seconds": seconds})


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments; ends the process with a usage line for wrong ones."""
    parser = argparse.ArgumentParser(
        prog="ray-primes",
        description="Counts the primes below a number in tasks of a Ray cluster.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--limit", type=_positive, default=10_000_000, help="count the primes below this")
    parser.add_argument("--tasks", type=_positive, default=16, help="tasks to count in; each takes a byte for a number")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
