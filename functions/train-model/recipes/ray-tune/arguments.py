"""The command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from ray.tune.search.sample import Domain

from .space import parameter

EXAMPLE = """\
example:
  python -m ray-tune.train --metric auc_pr --trials 20 \\
    --param trees=choice:50,100 --param learning-rate=loguniform:0.01,0.3 -- millstream recipe tabular --target is_fraud

kinds of parameters: choice:A,B,..  int:LOW,HIGH  logint:LOW,HIGH  uniform:LOW,HIGH  loguniform:LOW,HIGH
"""


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments; ends the process with a usage line for wrong ones."""
    parser = argparse.ArgumentParser(
        prog="ray-tune",
        usage="%(prog)s [options] --metric NAME --param NAME=KIND:VALUES [--param ..] [-- PROGRAM ARGUMENT ..]",
        description="Searches for the best arguments of a training program, on Ray.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    searched = parser.add_argument_group("search")
    searched.add_argument("--param", action="append", type=_parameter, required=True, help="what is searched; given once or more")
    searched.add_argument("--metric", required=True, help="the number in the program's metrics.json that counts")
    searched.add_argument("--mode", choices=("max", "min"), default="max", help="which is better (default: max)")
    searched.add_argument("--trials", type=_positive, default=20, help="how many choices are tried (default: 20)")
    searched.add_argument("--seed", type=int, default=1, help="the same seed draws the same choices (default: 1)")
    running = parser.add_argument_group("running")
    running.add_argument("--concurrent", type=_positive, help="trials at once (default: what the cluster has room for)")
    running.add_argument("--trial-cpus", type=_not_negative, default=1.0, help="CPUs of a trial (default: 1)")
    running.add_argument("--trial-gpus", type=_not_negative, default=0.0, help="GPUs of a trial (default: 0)")
    running.add_argument(
        "--trial-seconds", type=_not_negative, default=3600.0, help="the longest a trial may run (default: 3600)"
    )
    running.add_argument(
        "program",
        nargs="*",
        metavar="PROGRAM",
        help="what a trial runs, and its arguments; `--NAME=VALUE` follows for each parameter "
        "(default: recipe tabular of the program that MILLSTREAM names, or of millstream)",
    )
    options = parser.parse_args(arguments)
    names = [name for name, _ in options.param]
    if twice := {name for name in names if names.count(name) > 1}:
        parser.error(f"--param {min(twice)} is given twice")
    options.space = dict(options.param)
    options.program = options.program or [os.environ.get("MILLSTREAM") or "millstream", "recipe", "tabular"]
    return options


def _parameter(text: str) -> tuple[str, Domain]:
    try:
        return parameter(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _not_negative(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number
