"""A URI as a path on this machine.

In: what the `AIP_*` variables hold: a plain path, a `file://` URI or a `gs://BUCKET/NAME` URI. Out: a path. Buckets are
mounted as the folders `/gcs/BUCKET` (gcsfuse), on Vertex AI by the service itself.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from .errors import ContractError

BUCKETS = Path("/gcs")
"""The folder that has a folder for each mounted bucket."""

STAR = "*"


def local_path(uri: str, buckets: Path = BUCKETS) -> Path:
    """`uri` as a path. `buckets` is the folder that holds the mounted buckets.

    Raises `ContractError` for another scheme, and for a bucket that is not mounted.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        if not uri:
            raise ContractError("an empty path: give a file, a folder or a URI")
        return Path(uri)
    if scheme == "file":
        if not rest.startswith("/"):
            raise ContractError(f"{uri}: a file URI has three slashes, as in file:///data/rows.csv")
        return Path(unquote(rest))
    if scheme == "gs":
        bucket, _, name = rest.partition("/")
        if not bucket or bucket in (".", "..") or ".." in name.split("/"):
            raise ContractError(f"{uri}: expected gs://BUCKET/NAME without '..'")
        if not (buckets / bucket).is_dir():
            raise ContractError(
                f"{uri}: the folder {buckets / bucket} is not there: mount the bucket {bucket} with gcsfuse, or give a path"
            )
        return buckets / bucket / name
    raise ContractError(f"{uri}: expected a path, file:// or gs://, not {scheme}://")


def data_files(uri: str, extension: str, buckets: Path = BUCKETS) -> list[Path]:
    """The files that `uri` names, sorted by name: one file, the folder's files that end in `.extension`, or those that fit
    a pattern such as `part-*.csv` in the last part of the name.

    Raises `ContractError` when there is none.
    """
    path = local_path(uri, buckets)
    if path.is_dir():
        folder, pattern = path, f"{STAR}.{extension}"
    elif STAR in path.name:
        folder, pattern = path.parent, path.name
    else:
        if not path.is_file():
            raise ContractError(f"{uri}: there is no such file or folder")
        return [path]
    if not folder.is_dir():
        raise ContractError(f"{uri}: there is no folder {folder}")
    files = sorted(entry for entry in folder.iterdir() if _fits(entry.name, pattern) and entry.is_file())
    if not files:
        raise ContractError(f"{uri}: no file in {folder} fits {pattern}")
    return files


def _fits(name: str, pattern: str) -> bool:
    """True when `name` fits `pattern`, whose stars stand for any characters. Hidden files only fit a pattern with a dot.

    Not `fnmatch`: in an object's name `[` and `?` are ordinary characters.
    """
    if name.startswith(".") and not pattern.startswith("."):
        return False
    first, *rest = pattern.split(STAR)
    if not rest:
        return name == pattern
    if not name.startswith(first):
        return False
    at, last = len(first), rest.pop()
    for part in rest:
        found = name.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return name.endswith(last) and len(name) - len(last) >= at
