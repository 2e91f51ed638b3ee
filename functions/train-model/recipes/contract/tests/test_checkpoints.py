"""Checkpoints, and processes that are killed while they write them."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from contract import EXIT_CODE, Checkpoints

RECIPES = Path(__file__).parents[2]

WRITER = """
import sys
from pathlib import Path
from contract import Checkpoints

checkpoints = Checkpoints(Path(sys.argv[1]))
step = 0
while True:
    step += 1
    checkpoints.save(step, step.to_bytes(4, "big") * 500_000)
    print(step, flush=True)
"""

STOPPED = """
import sys
from contract import EXIT_CODE, Preemption

preemption = Preemption()
print("ready", flush=True)
while not preemption.asked:
    pass
sys.exit(EXIT_CODE)
"""


class Kept(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.checkpoints = Checkpoints(self.folder)

    def newest(self) -> tuple[tuple[int, bytes] | None, str]:
        warnings = io.StringIO()
        with contextlib.redirect_stderr(warnings):
            return self.checkpoints.newest(), warnings.getvalue()

    def test_the_newest_is_found_and_old_ones_go(self) -> None:
        for step in (5, 100, 20_000):
            self.checkpoints.save(step, f"state {step}".encode())
        self.assertEqual(self.newest(), ((20_000, b"state 20000"), ""))
        self.assertEqual(len(list(self.folder.iterdir())), 2)

    def test_nothing_is_found_in_an_empty_or_missing_folder(self) -> None:
        self.assertIsNone(self.checkpoints.newest())
        self.assertIsNone(Checkpoints(self.folder / "missing").newest())
        nowhere = Checkpoints(None)
        nowhere.save(1, b"state")
        self.assertIsNone(nowhere.newest())

    def test_a_damaged_one_is_skipped_with_a_warning(self) -> None:
        def shortened(whole: bytes) -> bytes:
            return whole[:-1]

        def bent(whole: bytes) -> bytes:
            return whole[:-1] + bytes([whole[-1] ^ 1])

        def emptied(_: bytes) -> bytes:
            return b""

        def of_someone_else(whole: bytes) -> bytes:
            return b"x" + whole[1:]

        for damage in (shortened, bent, emptied, of_someone_else):
            with self.subTest(damage.__name__):
                self.checkpoints.save(1, b"older")
                self.checkpoints.save(2, b"newer")
                file = self.folder / "step-0000000002.ckpt"
                file.write_bytes(damage(file.read_bytes()))
                found, warnings = self.newest()
                self.assertEqual(found, (1, b"older"))
                self.assertIn("step-0000000002.ckpt is damaged", warnings)

    def test_a_process_killed_while_writing_leaves_a_whole_one(self) -> None:
        for kill_after in (1, 2, 7):
            with self.subTest(kill_after):
                command = [sys.executable, "-c", WRITER, str(self.folder)]
                with subprocess.Popen(command, cwd=RECIPES, stdout=subprocess.PIPE, text=True) as writer:
                    for line in writer.stdout:
                        if int(line) >= kill_after:
                            writer.kill()
                            break
                found, warnings = self.newest()
                self.assertEqual(warnings, "")
                step, content = found
                self.assertGreaterEqual(step, kill_after)
                self.assertEqual(content, step.to_bytes(4, "big") * 500_000)
                self.checkpoints.save(step + 1, b"the next attempt's")
                self.assertEqual([entry.name for entry in self.folder.iterdir() if entry.name.endswith(".tmp")], [])
                for file in self.folder.iterdir():
                    file.unlink()


class Asked(unittest.TestCase):
    def test_sigterm_is_remembered_and_ends_in_a_retry(self) -> None:
        with subprocess.Popen([sys.executable, "-c", STOPPED], cwd=RECIPES, stdout=subprocess.PIPE, text=True) as process:
            self.assertEqual(process.stdout.readline(), "ready\n")
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(timeout=60), EXIT_CODE)
        self.assertNotEqual(EXIT_CODE, 0)


if __name__ == "__main__":
    unittest.main()
