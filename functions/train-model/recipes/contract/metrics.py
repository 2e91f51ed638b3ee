"""`metrics.json`, what a gate judges a model by."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from .errors import ContractError
from .files import write_whole


def write_metrics(model_dir: Path, metrics: Mapping[str, float]) -> None:
    """Writes `metrics.json` into the model's folder, whole or not at all. To be called last: it says that the model is
    complete.

    Raises `ContractError` for what is no finite number: JSON has none, and a gate would judge nonsense.
    """
    for name, value in metrics.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ContractError(f"the metric {name} is {value}, not a finite number: the training did not converge")
    write_whole(model_dir / "metrics.json", (json.dumps(dict(metrics), indent=2) + "\n").encode())
