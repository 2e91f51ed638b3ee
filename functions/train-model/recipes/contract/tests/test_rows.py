"""Rows of text files. Parquet is tested with the recipes: it needs pyarrow."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from contract import ContractError, read_rows


class Rows(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def rows(self, content: bytes, data_format: str, *columns: str) -> list[dict[str, object]]:
        file = self.folder / "rows"
        file.write_bytes(content)
        return list(read_rows([file], data_format, columns))

    def refused(self, content: bytes, data_format: str, reason: str) -> None:
        with self.assertRaisesRegex(ContractError, reason):
            self.rows(content, data_format, "text")

    def test_csv_keeps_quotes_and_line_ends_of_a_field(self) -> None:
        content = '\ufeffid,text\r\n1,"a ""b""\r\nc"\r\n2,\r\n'.encode()
        self.assertEqual(self.rows(content, "csv", "text"), [{"text": 'a "b"\r\nc'}, {"text": ""}])

    def test_csv_takes_fields_of_megabytes(self) -> None:
        (row,) = self.rows(b"text\n" + b"x" * 5_000_000 + b"\n", "csv", "text")
        self.assertEqual(len(row["text"]), 5_000_000)

    def test_jsonl_has_none_for_a_missing_key(self) -> None:
        content = b'{"text": "a", "more": 1}\n\n{"more": 2}\n'
        self.assertEqual(self.rows(content, "jsonl", "text"), [{"text": "a"}, {"text": None}])

    def test_files_follow_one_another(self) -> None:
        files = []
        for name in ("1", "2"):
            (self.folder / name).write_text(f"text\n{name}\n")
            files.append(self.folder / name)
        self.assertEqual([row["text"] for row in read_rows(files, "csv", ["text"])], ["1", "2"])

    def test_a_missing_column_names_those_there_are(self) -> None:
        self.refused(b"id,words\n1,a\n", "csv", "no column 'text'; it has id, words")
        self.refused(b'{"words": 1}\n', "jsonl", "no column 'text'; it has words")
        self.refused(b"", "csv", "it has none")

    def test_damaged_files_are_named_with_the_line(self) -> None:
        self.refused(b'{"text": "a"}\n{"text"\n', "jsonl", "rows, line 2: no JSON")
        self.refused(b"[1]\n", "jsonl", "rows, line 1: expected an object")
        self.refused(b"text\n\xff\xfe\n", "csv", "cannot be read as csv")


if __name__ == "__main__":
    unittest.main()
