"""The recipe `gpt` on the CPU: what it learns, what it leaves, and what interruptions do to it."""

from __future__ import annotations

import base64
import csv
import json
import math
import signal
import unittest
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from gpt.model import Config, Gpt
from gpt.text import Text, spread_windows, windows
from support import Ended, RecipeCase, sentences

MODULE = "gpt.train"

SMALL = (
    *("--n-layer", "2", "--n-head", "2", "--n-embd", "32", "--block-size", "32", "--batch-size", "8", "--dropout", "0.1"),
    *("--steps", "60", "--warmup-steps", "5", "--learning-rate", "0.01", "--log-every", "10", "--checkpoint-every", "20"),
    *("--evaluate-every", "30", "--evaluation-windows", "16", "--sample-characters", "40", "--device", "cpu"),
)


class Characters(unittest.TestCase):
    def test_ids_are_places_in_the_sorted_vocabulary(self) -> None:
        text = Text.of("aébb\ud800c" * 10, 0.5, 4, torch.device("cpu"))
        self.assertEqual(text.vocabulary, "?abcé")
        self.assertEqual(text.training.tolist(), [1, 4, 2, 2, 0, 3] * 5)
        self.assertEqual(len(text.validation), 30)

    def test_more_than_256_characters_keep_their_ids(self) -> None:
        text = Text.of("".join(map(chr, range(1000, 2000))) * 2, 0.5, 4, torch.device("cpu"))
        self.assertEqual(text.training.tolist(), list(range(1000)))

    def test_targets_are_the_next_characters(self) -> None:
        inputs, targets = windows(torch.arange(10, dtype=torch.uint8), torch.tensor([0, 5]), 4)
        self.assertEqual(inputs.tolist(), [[0, 1, 2, 3], [5, 6, 7, 8]])
        self.assertEqual(targets.tolist(), [[1, 2, 3, 4], [6, 7, 8, 9]])
        spread, _ = spread_windows(torch.arange(13, dtype=torch.uint8), 100, 4)
        self.assertEqual(spread[:, 0].tolist(), [0, 4, 8])


class GptCase(RecipeCase):
    def setUp(self) -> None:
        super().setUp()
        self.sentences = sentences(400)
        with (self.folder / "rows.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "text"])
            writer.writerows(enumerate(self.sentences))

    def variables(self, name: str, **more: str) -> dict[str, str]:
        return {
            "AIP_TRAINING_DATA_URI": f"file://{self.folder}/rows.csv",
            "AIP_DATA_FORMAT": "csv",
            "AIP_MODEL_DIR": str(self.folder / name),
        } | more


class Learns(GptCase):
    def test_the_loss_falls_and_the_folder_is_complete(self) -> None:
        logs = self.folder / "logs"
        end = self.trained(MODULE, *SMALL, **self.variables("model", AIP_TENSORBOARD_LOG_DIR=str(logs)))
        losses, metrics, model = end.losses(), end.metrics, self.folder / "model"
        text = "\n".join(self.sentences)
        self.assertLess(losses[60], losses[10] * 0.8)
        # Better than knowing only how often each character is there.
        shares = np.unique(list(text), return_counts=True)[1] / len(text)
        self.assertLess(metrics["validation_loss"], -(shares * np.log(shares)).sum())
        self.assertAlmostEqual(metrics["perplexity"], math.exp(metrics["validation_loss"]))
        self.assertAlmostEqual(metrics["bits_per_character"], metrics["validation_loss"] / math.log(2))
        self.assertGreater(metrics["tokens_per_second"], 0)
        self.assertEqual(metrics["steps"], 60)
        self.assertEqual(metrics["training_characters"] + metrics["validation_characters"], len(text))
        vocabulary = json.loads((model / "vocabulary.json").read_text())
        self.assertEqual(vocabulary, sorted(set(text)))
        self.assertEqual(metrics["vocabulary"], len(vocabulary))
        sample = (model / "sample.txt").read_text()
        self.assertEqual(len(sample), 40)
        self.assertLessEqual(set(sample), set(vocabulary))
        (events,) = logs.iterdir()
        self.assertIn(b"validation_loss", events.read_bytes())
        self.the_graph_answers_like_the_model(model, text)

    def the_graph_answers_like_the_model(self, folder: Path, text: str) -> None:
        config = Config(**json.loads((folder / "config.json").read_text()))
        model = Gpt(config)
        model.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
        model.eval()
        session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
        for shape in ((1, 1), (1, config.block_size), (3, 7)):
            ids = torch.randint(config.vocabulary, shape)
            (logits,) = session.run(["logits"], {"ids": ids.numpy()})
            np.testing.assert_allclose(logits, model(ids).detach().numpy(), atol=1e-5, rtol=1e-4)
        vocabulary = json.loads((folder / "vocabulary.json").read_text())
        ids = np.array([[vocabulary.index(character) for character in text[-33:]]])
        (logits,) = session.run(["logits"], {"ids": ids[:, :-1]})
        right = (logits.argmax(axis=-1) == ids[:, 1:]).mean()
        self.assertGreater(right, 0.3, "the graph does not predict the text that it was trained on")

    def test_the_text_comes_from_any_format(self) -> None:
        expected = self.trained(MODULE, *SMALL, "--steps", "2", **self.variables("csv")).metrics
        with (self.folder / "rows.jsonl").open("w") as file:
            file.writelines(json.dumps({"words": text}) + "\n" for text in self.sentences)
        (self.folder / "parts").mkdir()
        for name, part in (("1", self.sentences[:100]), ("2", self.sentences[100:])):
            pq.write_table(pa.table({"text": part}), self.folder / f"parts/{name}.parquet")
        (self.folder / "all.txt").write_text("\n".join(self.sentences))
        for name, arguments, data in (
            ("jsonl", ("--column", "words"), {"AIP_TRAINING_DATA_URI": str(self.folder / "*.jsonl"), "AIP_DATA_FORMAT": "jsonl"}),
            ("parquet", (), {"AIP_TRAINING_DATA_URI": str(self.folder / "parts"), "AIP_DATA_FORMAT": "parquet"}),
            ("txt", ("--text", str(self.folder / "all.txt")), {"AIP_TRAINING_DATA_URI": "", "AIP_DATA_FORMAT": ""}),
        ):
            with self.subTest(name):
                metrics = self.trained(MODULE, *SMALL, "--steps", "2", *arguments, **self.variables(name) | data).metrics
                self.assertEqual(metrics["validation_loss"], expected["validation_loss"])

    def test_16_bits_learn_too(self) -> None:
        end = self.trained(MODULE, *SMALL, "--precision", "bf16", **self.variables("model"))
        self.assertLess(end.losses()[60], end.losses()[10] * 0.8)


class Survives(GptCase):
    def test_a_training_with_breaks_ends_as_one_without(self) -> None:
        whole = self.trained(MODULE, *SMALL, **self.variables("whole")).metrics
        checkpoints = self.folder / "checkpoints"
        broken = self.variables("broken", AIP_CHECKPOINT_DIR=str(checkpoints))
        asked = self.struck(signal.SIGTERM, 10, MODULE, *SMALL, **broken)
        self.assertEqual((asked.code, asked.metrics), (128 + signal.SIGTERM, None), asked.output)
        self.assertRegex(asked.output, r"asked to stop: checkpoint of step \d+")
        killed = self.struck(signal.SIGKILL, 40, MODULE, *SMALL, **broken)
        self.assertEqual((killed.code, killed.metrics), (-signal.SIGKILL, None), killed.output)
        self.assertRegex(killed.output, r"going on after step \d+")
        newest = max(checkpoints.glob("step-*.ckpt"))
        newest.write_bytes(newest.read_bytes()[:-100])
        end = self.trained(MODULE, *SMALL, **broken)
        self.assertIn(f"{newest.name} is damaged", end.output)
        self.assertRegex(end.output, r"going on after step \d+")
        for name in ("loss", "validation_loss"):
            self.assertAlmostEqual(end.metrics[name], whole[name], places=6)

    def test_a_finished_training_that_starts_again_only_writes_its_model(self) -> None:
        variables = self.variables("model", AIP_CHECKPOINT_DIR=str(self.folder / "checkpoints"))
        first = self.trained(MODULE, *SMALL, **variables)
        again = self.trained(MODULE, *SMALL, **variables)
        self.assertEqual(again.losses(), {})
        self.assertAlmostEqual(again.metrics["validation_loss"], first.metrics["validation_loss"], places=6)

    def test_checkpoints_of_another_training_are_not_taken(self) -> None:
        variables = self.variables("model", AIP_CHECKPOINT_DIR=str(self.folder / "checkpoints"))
        self.trained(MODULE, *SMALL, "--steps", "2", **variables)
        (self.folder / "model/metrics.json").unlink()
        end = self.run_to_end(MODULE, *SMALL, "--n-embd", "16", **variables)
        self.assertEqual((end.code, end.metrics), (1, None), end.output)
        self.assertIn("error: AIP_CHECKPOINT_DIR holds a training with another shape", end.output)


class Together(GptCase):
    ALIKE = (*SMALL, "--dropout", "0", "--steps", "20")

    def test_two_processes_of_a_pytorchjob_train_as_one(self) -> None:
        alone = self.trained(MODULE, *self.ALIKE, **self.variables("alone")).metrics
        group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": self.free_port()}
        checkpoints = {"AIP_CHECKPOINT_DIR": str(self.folder / "checkpoints")}
        started = [
            self.start(MODULE, *self.ALIKE, **self.variables("both", RANK=rank, **group, **checkpoints)) for rank in ("0", "1")
        ]
        ends = [self.ended(process, self.folder / "both") for process in started]
        for end in ends:
            self.assertEqual(end.code, 0, end.output)
        both = ends[0].metrics
        self.assertEqual(both["processes"], 2)
        self.assertAlmostEqual(both["validation_loss"], alone["validation_loss"], places=3)
        self.assertEqual(ends[1].losses(), {}, "only the first process reports")

    def test_a_batch_that_cannot_be_shared_is_refused(self) -> None:
        end = self.run_pet(*SMALL, "--batch-size", "7")
        self.assertNotEqual(end.code, 0)
        self.assertIsNone(end.metrics)
        self.assertIn("--batch-size is 7: it must be a multiple of the 2 processes", end.output)

    def test_kubeflow_trainer_asked_to_stop_goes_on_later(self) -> None:
        whole = self.run_pet(*self.ALIKE, name="whole")
        self.assertEqual((whole.code, whole.metrics["processes"]), (0, 2), whole.output)
        checkpoints = {"AIP_CHECKPOINT_DIR": str(self.folder / "checkpoints")}
        asked = self.struck(signal.SIGTERM, 1, MODULE, *self.ALIKE, "--log-every", "1", **self.pet("broken"), **checkpoints)
        self.assertNotEqual(asked.code, 0, asked.output)
        self.assertIsNone(asked.metrics)
        self.assertIn("asked to stop: checkpoint of step", asked.output)
        end = self.trained(MODULE, *self.ALIKE, **self.pet("broken"), **checkpoints)
        self.assertRegex(end.output, r"going on after step \d+")
        self.assertAlmostEqual(end.metrics["validation_loss"], whole.metrics["validation_loss"], places=6)

    def pet(self, name: str) -> dict[str, str]:
        topology = {"PET_NNODES": "1", "PET_NPROC_PER_NODE": "2", "PET_NODE_RANK": "0"}
        return self.variables(name, PET_MASTER_ADDR="127.0.0.1", PET_MASTER_PORT=self.free_port(), **topology)

    def run_pet(self, *arguments: str, name: str = "model") -> Ended:
        return self.run_to_end(MODULE, *arguments, **self.pet(name))


class Refuses(GptCase):
    def test_what_it_cannot_work_with_is_one_line(self) -> None:
        noise = base64.b64encode(bytes(range(256))).decode()
        (self.folder / "short.txt").write_text(noise[:40])
        for arguments, variables, said in (
            ((), {"AIP_TRAINING_DATA_URI": ""}, "there is no text"),
            (("--column", "words"), {}, "no column 'words'; it has id, text"),
            (("--text", str(self.folder / "short.txt")), {}, "give more text or a smaller --block-size"),
            (("--learning-rate", "1e30", "--clip", "1e30"), {}, "lower --learning-rate"),
        ):
            with self.subTest(said):
                end = self.run_to_end(MODULE, *SMALL, *arguments, **self.variables("model") | variables)
                self.assertEqual((end.code, end.metrics), (1, None), end.output)
                (line,) = (line for line in end.output.splitlines() if line.startswith("error: "))
                self.assertIn(said, line)


if __name__ == "__main__":
    unittest.main()
