"""What is searched: `NAME=KIND:VALUES` as one of Ray Tune's domains.

| kind | values |
|---|---|
| `choice:50,100,200` | one of these, as text |
| `int:2,8` | a whole number from 2 to 8 |
| `logint:10,1000` | the same, each factor as likely |
| `uniform:0.5,1` | a number from 0.5 to below 1 |
| `loguniform:0.01,0.3` | the same, each factor as likely |
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ray import tune
from ray.tune.search.sample import Domain

NAME = re.compile(r"[a-z][a-z0-9_-]{0,60}")
"""It becomes the argument `--NAME=VALUE`."""

RANGES: dict[str, tuple[type, Callable[[float, float], Domain], bool]] = {
    "int": (int, lambda low, high: tune.randint(int(low), int(high) + 1), False),
    "logint": (int, lambda low, high: tune.lograndint(int(low), int(high) + 1), True),
    "uniform": (float, tune.uniform, False),
    "loguniform": (float, tune.loguniform, True),
}
"""By kind: what its ends are, its domain, and whether its ends must be above 0."""


def parameter(text: str) -> tuple[str, Domain]:
    """The name and the domain. Raises `ValueError` that says what is wrong."""
    name, equals, domain = text.partition("=")
    if not equals or not NAME.fullmatch(name):
        raise ValueError(f"{text!r}: expected NAME=KIND:VALUES, such as trees=choice:50,100")
    kind, colon, values = domain.partition(":")
    parts = values.split(",") if values else []
    if kind == "choice" and parts:
        return name, tune.choice(parts)
    if kind not in RANGES or not colon:
        raise ValueError(f"{text!r}: expected one of choice, {', '.join(RANGES)}, a colon and values")
    number, made, is_positive = RANGES[kind]
    try:
        low, high = (number(part) for part in parts)
    except ValueError:
        raise ValueError(f"{text!r}: {kind} takes two numbers, the lowest and the highest") from None
    if not low < high or (is_positive and low <= 0):
        raise ValueError(f"{text!r}: expected {'two numbers above 0, ' if is_positive else ''}the lower one first")
    return name, made(low, high)
