"""`metrics.json`."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

from contract import ContractError, write_metrics


class Metrics(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_numbers_are_written_and_nothing_else_stays(self) -> None:
        write_metrics(self.folder, {"loss": 0.5, "steps": 10})
        self.assertEqual(json.loads((self.folder / "metrics.json").read_text()), {"loss": 0.5, "steps": 10})
        self.assertEqual([entry.name for entry in self.folder.iterdir()], ["metrics.json"])

    def test_what_is_no_finite_number_is_refused_and_nothing_written(self) -> None:
        for value in (float("nan"), float("inf"), True, "0.5", None):
            with self.subTest(value), self.assertRaisesRegex(ContractError, "the metric loss"):
                write_metrics(self.folder, {"loss": value})
        self.assertEqual(list(self.folder.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
