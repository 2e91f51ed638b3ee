"""SQL Server's protocol by pysqlbridge, over tables that a test changes while it runs.

pysqlbridge reads its sources once. Here each table is a file NAME.json in a folder, read anew by every statement:

    {"columns": [["id", "int"], ["name", "nvarchar(50)"]], "key": ["id"], "rows": [[1, "one"]]}

Bytes are written in hexadecimal, times in ISO 8601. The server's certificate goes to certificate.pem in the same folder.

pysqlbridge's tables have no keys. Those of the files are added to its catalogue views as SQL Server has them: a unique, clustered
index over columns that are never NULL.
"""

import argparse
import dataclasses
import datetime
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path

from pysqlbridge import information_schema
from pysqlbridge.catalog import Catalog
from pysqlbridge.certificate import self_signed
from pysqlbridge.logins import Login, LoginStore
from pysqlbridge.server import BridgeServer
from pysqlbridge.source import Table
from pysqlbridge.tds.result import Bit, Column, DateTime, Float, Integer, NVarChar, UniqueIdentifier, VarBinary

TYPES = {
    "bit": (Bit, bool),
    "tinyint": (lambda: Integer(1), int),
    "smallint": (lambda: Integer(2), int),
    "int": (lambda: Integer(4), int),
    "bigint": (lambda: Integer(8), int),
    "real": (lambda: Float(4), float),
    "float": (lambda: Float(8), float),
    "datetime": (DateTime, datetime.datetime.fromisoformat),
    "uniqueidentifier": (UniqueIdentifier, str),
    "nvarchar": (NVarChar, str),
    "varbinary": (VarBinary, bytes.fromhex),
}


def typed(written):
    """The type of a column, and what makes its values."""
    base, size = re.fullmatch(r"(\w+)(?:\((\w+)\))?", written).groups()
    make, convert = TYPES[base]
    if size is None:
        return make(), convert
    return make(None if size == "max" else int(size)), convert


@dataclasses.dataclass(frozen=True)
class KeyedTable(Table):
    """A table with the names of its key's columns."""

    key: tuple = ()


class FileSource:
    """A table as its file is now."""

    def __init__(self, path):
        self.path = path
        self.name = path.stem

    def load(self):
        written = json.loads(self.path.read_text(encoding="utf-8"))
        types = [typed(kind) for _, kind in written["columns"]]
        columns = [Column(name, kind) for (name, _), (kind, _) in zip(written["columns"], types)]
        rows = [
            [None if value is None else convert(value) for value, (_, convert) in zip(row, types)]
            for row in written["rows"]
        ]
        return KeyedTable(name=self.name, columns=columns, rows=rows, key=tuple(written.get("key", [])))

    schema = load

    def child_schemas(self):
        return {}


class Folder(Mapping):
    """The tables that there are now, by their names in lower case."""

    def __init__(self, path):
        self.path = path

    def _paths(self):
        return {path.stem.lower(): path for path in self.path.glob("*.json")}

    def __getitem__(self, name):
        return FileSource(self._paths()[name])

    def __iter__(self):
        return iter(self._paths())

    def __len__(self):
        return len(self._paths())


def with_keys(object_views):
    """The views that describe tables, with their keys."""

    def change(view, matches, **values):
        names = view.column_names
        for row in view.rows:
            if all(row[names.index(name)] == value for name, value in matches.items()):
                for name, value in values.items():
                    row[names.index(name)] = value

    def extended(tables, login=""):
        served = object_views(tables, login)
        parts = served["index_columns"]
        for table in (table for table in tables if getattr(table, "key", None)):
            number = information_schema.object_id(table.name)
            change(served["indexes"], {"object_id": number}, index_id=1, is_unique=True, is_primary_key=True, has_filter=False)
            for at, name in enumerate(table.key, start=1):
                column = table.column_names.index(name) + 1
                change(served["columns"], {"object_id": number, "column_id": column}, is_nullable=False)
                given = {"object_id": number, "index_id": 1, "index_column_id": at, "column_id": column, "key_ordinal": at}
                parts.rows.append([given.get(name, 0) for name in parts.column_names])
        return served

    return extended


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", required=True)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    information_schema.object_views = with_keys(information_schema.object_views)
    certificate = self_signed()
    (given.folder / "certificate.pem").write_bytes(certificate.cert_pem)
    logins = LoginStore([Login(user=given.user, secret=given.password, hashed=False, source="the test")])
    handler = Catalog(sources=Folder(given.folder)).answer
    with BridgeServer("127.0.0.1", given.port, certificate, handler, logins=logins) as server:
        server.serve_forever()


main()
