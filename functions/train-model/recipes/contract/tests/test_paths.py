"""A URI as a path."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from contract import ContractError, data_files, local_path


class Paths(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def refused(self, uri: str, reason: str) -> None:
        with self.assertRaisesRegex(ContractError, reason):
            local_path(uri, self.folder)

    def test_a_path_and_a_file_uri_are_paths(self) -> None:
        self.assertEqual(local_path("data/rows.csv"), Path("data/rows.csv"))
        self.assertEqual(local_path("/data/rows.csv"), Path("/data/rows.csv"))
        self.assertEqual(local_path("file:///data/two%20words.csv"), Path("/data/two words.csv"))

    def test_a_bucket_is_its_mounted_folder(self) -> None:
        (self.folder / "lake").mkdir()
        self.assertEqual(local_path("gs://lake/a/b.csv", self.folder), self.folder / "lake/a/b.csv")
        self.assertEqual(local_path("gs://lake", self.folder), self.folder / "lake")

    def test_a_bucket_that_is_not_mounted_says_how_to_mount_it(self) -> None:
        self.refused("gs://lake/a.csv", "mount the bucket lake with gcsfuse")

    def test_what_leads_out_of_the_bucket_is_refused(self) -> None:
        (self.folder / "lake").mkdir()
        for uri in ("gs://lake/../other/a", "gs://../a", "gs://./a", "gs:///a"):
            self.refused(uri, "expected gs://BUCKET/NAME")

    def test_other_schemes_are_refused(self) -> None:
        self.refused("s3://lake/a", "expected a path, file:// or gs://")
        self.refused("file://host/a", "three slashes")
        self.refused("", "empty path")


class DataFiles(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name in ("part-2.csv", "part-1.csv", "other.csv", ".part-0.csv", "notes.txt", "part-[1].csv"):
            (self.folder / name).write_text("")
        (self.folder / "part-9.csv").mkdir()

    def names(self, uri: str) -> list[str]:
        return [file.name for file in data_files(uri, "csv")]

    def test_a_file_is_itself(self) -> None:
        self.assertEqual(self.names(f"file://{self.folder}/other.csv"), ["other.csv"])

    def test_a_folder_is_its_files_of_the_format(self) -> None:
        self.assertEqual(self.names(str(self.folder)), ["other.csv", "part-1.csv", "part-2.csv", "part-[1].csv"])

    def test_a_pattern_is_the_files_that_fit(self) -> None:
        self.assertEqual(self.names(f"{self.folder}/part-*.csv"), ["part-1.csv", "part-2.csv", "part-[1].csv"])
        self.assertEqual(self.names(f"{self.folder}/*"), ["notes.txt", "other.csv", "part-1.csv", "part-2.csv", "part-[1].csv"])
        self.assertEqual(self.names(f"{self.folder}/p*1*.csv"), ["part-1.csv", "part-[1].csv"])
        self.assertEqual(self.names(f"{self.folder}/part-[*.csv"), ["part-[1].csv"])

    def test_a_pattern_does_not_use_a_character_twice(self) -> None:
        with self.assertRaisesRegex(ContractError, "no file in"):
            self.names(f"{self.folder}/other.c*csv")

    def test_nothing_to_read_is_an_error(self) -> None:
        for uri in (f"{self.folder}/missing.csv", f"{self.folder}/missing/*.csv", f"{self.folder}/none-*.csv"):
            with self.assertRaises(ContractError):
                self.names(uri)


if __name__ == "__main__":
    unittest.main()
