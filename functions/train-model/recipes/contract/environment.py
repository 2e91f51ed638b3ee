"""What a training program is started with: Vertex AI's `AIP_*` variables.

| variable | meaning |
|---|---|
| `AIP_TRAINING_DATA_URI` | a file, a folder, or a pattern such as `part-*.csv` |
| `AIP_DATA_FORMAT` | `csv`, `jsonl` or `parquet` |
| `AIP_MODEL_DIR` | the folder that becomes the model |
| `AIP_CHECKPOINT_DIR` | a folder that the next attempt finds as this one left it |
| `AIP_TENSORBOARD_LOG_DIR` | a folder for TensorBoard's event files |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import ContractError
from .paths import BUCKETS, data_files, local_path

FORMATS = ("csv", "jsonl", "parquet")


@dataclass(frozen=True)
class Environment:
    """The variables, with URIs turned into paths."""

    data: list[Path]
    """The files with the rows, sorted by name; empty where the program is given no rows."""
    data_format: str | None
    """One of `FORMATS`; None only without rows."""
    model_dir: Path
    """Exists."""
    checkpoint_dir: Path | None
    """Exists, where it is set."""
    log_dir: Path | None
    """May not exist yet."""

    @classmethod
    def from_variables(cls, variables: Mapping[str, str], buckets: Path = BUCKETS) -> Environment:
        """Reads the variables; an empty one counts as absent. Makes the folders that are written to.

        Raises `ContractError` that names the variable.
        """

        def folder(name: str) -> Path | None:
            uri = variables.get(name)
            if not uri:
                return None
            try:
                return local_path(uri, buckets)
            except ContractError as error:
                raise ContractError(f"{name}: {error}") from None

        def made(name: str) -> Path | None:
            path = folder(name)
            if path is not None:
                try:
                    path.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise ContractError(f"{name}: cannot make the folder {path}: {error.strerror}") from None
            return path

        model_dir = made("AIP_MODEL_DIR")
        if model_dir is None:
            raise ContractError("AIP_MODEL_DIR is not set: it names the folder to write the model to")
        data, data_format = [], None
        if uri := variables.get("AIP_TRAINING_DATA_URI"):
            data_format = variables.get("AIP_DATA_FORMAT") or "parquet"
            if data_format not in FORMATS:
                raise ContractError(f"AIP_DATA_FORMAT: {data_format!r} cannot be read: expected one of {', '.join(FORMATS)}")
            try:
                data = data_files(uri, data_format, buckets)
            except ContractError as error:
                raise ContractError(f"AIP_TRAINING_DATA_URI: {error}") from None
        return cls(data, data_format, model_dir, made("AIP_CHECKPOINT_DIR"), folder("AIP_TENSORBOARD_LOG_DIR"))
