"""The `AIP_*` variables."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from contract import ContractError, Environment


class Variables(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "rows.jsonl").write_text("{}")
        self.variables = {
            "AIP_TRAINING_DATA_URI": str(self.folder / "rows.jsonl"),
            "AIP_DATA_FORMAT": "jsonl",
            "AIP_MODEL_DIR": str(self.folder / "a/model"),
        }

    def read(self, **changed: str) -> Environment:
        return Environment.from_variables(self.variables | changed, self.folder / "gcs")

    def test_the_folders_that_are_written_to_are_made(self) -> None:
        environment = self.read(AIP_CHECKPOINT_DIR=f"file://{self.folder}/b/checkpoints")
        self.assertEqual(environment.data, [self.folder / "rows.jsonl"])
        self.assertEqual(environment.data_format, "jsonl")
        self.assertTrue(environment.model_dir.is_dir())
        self.assertTrue((self.folder / "b/checkpoints").is_dir())
        self.assertIsNone(environment.log_dir)

    def test_buckets_are_found_where_they_are_mounted(self) -> None:
        (self.folder / "gcs/models").mkdir(parents=True)
        environment = self.read(AIP_MODEL_DIR="gs://models/v1", AIP_TENSORBOARD_LOG_DIR="gs://models/v1-logs")
        self.assertEqual(environment.model_dir, self.folder / "gcs/models/v1")
        self.assertEqual(environment.log_dir, self.folder / "gcs/models/v1-logs")

    def test_no_rows_are_fine_for_who_needs_none(self) -> None:
        environment = self.read(AIP_TRAINING_DATA_URI="", AIP_DATA_FORMAT="")
        self.assertEqual((environment.data, environment.data_format), ([], None))

    def test_what_is_wrong_is_named(self) -> None:
        for changed, reason in (
            ({"AIP_MODEL_DIR": ""}, "AIP_MODEL_DIR is not set"),
            ({"AIP_MODEL_DIR": "gs://models/v1"}, "AIP_MODEL_DIR: .* mount the bucket models"),
            ({"AIP_MODEL_DIR": str(self.folder / "rows.jsonl/x")}, "AIP_MODEL_DIR: cannot make"),
            ({"AIP_DATA_FORMAT": "bigquery"}, "AIP_DATA_FORMAT: 'bigquery' .* csv, jsonl, parquet"),
            ({"AIP_TRAINING_DATA_URI": "nowhere.jsonl"}, "AIP_TRAINING_DATA_URI: nowhere.jsonl"),
            ({"AIP_CHECKPOINT_DIR": "ftp://x"}, "AIP_CHECKPOINT_DIR: ftp://x"),
        ):
            with self.subTest(changed), self.assertRaisesRegex(ContractError, reason):
                self.read(**changed)


if __name__ == "__main__":
    unittest.main()
