"""Rows of csv, jsonl or parquet files, one dictionary a row with the wanted columns only.

csv: a header, UTF-8, values are text. jsonl: an object a line; a missing key is None. parquet: needs pyarrow; values as
Python has them (bytes are `bytes`; in csv and jsonl they are base64, as BigQuery exports them).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .errors import ContractError

LONGEST_FIELD = 64 * 1024 * 1024
"""Characters of one csv field: an image in base64 fits, a file with a lost quote is stopped."""


def read_rows(files: Iterable[Path], data_format: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of all files in order, read as they are asked for.

    Raises `ContractError` for a missing column and for what cannot be read, with the file and, in text, the line.
    """
    read = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}[data_format]
    for file in files:
        try:
            yield from read(file, columns)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ContractError(f"{file}: cannot be read as {data_format}: {error}") from None


def _csv(file: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(LONGEST_FIELD)
    with file.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.DictReader(text)
        _has(file, reader.fieldnames or [], columns)
        for row in reader:
            yield {column: row[column] for column in columns}


def _jsonl(file: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    rows = 0
    with file.open(encoding="utf-8") as text:
        for number, line in enumerate(text, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ContractError(f"{file}, line {number}: no JSON: {error}") from None
            if not isinstance(row, dict):
                raise ContractError(f"{file}, line {number}: expected an object")
            seen.update(row)
            rows += 1
            yield {column: row.get(column) for column in columns}
    if rows:
        _has(file, sorted(seen), columns)


def _parquet(file: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ContractError("parquet needs pyarrow: install it, or set AIP_DATA_FORMAT to csv or jsonl") from None
    try:
        with ParquetFile(file) as table:
            _has(file, table.schema_arrow.names, columns)
            for batch in table.iter_batches(batch_size=1024, columns=list(columns)):
                yield from batch.to_pylist()
    except ArrowException as error:
        raise ContractError(f"{file}: cannot be read as parquet: {error}") from None


def _has(file: Path, present: Sequence[str], columns: Sequence[str]) -> None:
    for column in columns:
        if column not in present:
            raise ContractError(f"{file}: there is no column {column!r}; it has {', '.join(present) or 'none'}")
