"""The recipe `style` on the CPU: what it learns, what it leaves, and what interruptions do to it."""

from __future__ import annotations

import base64
import csv
import io
import json
import signal
import unittest
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from style.features import CONVOLUTIONS
from style.network import Config, StyleNetwork
from support import RecipeCase

MODULE = "style.train"

SMALL = (
    *("--size", "32", "--style-size", "32", "--channels", "4", "--blocks", "1", "--batch-size", "2", "--steps", "12"),
    *("--learning-rate", "0.01", "--log-every", "3", "--checkpoint-every", "6", "--evaluation-images", "2", "--device", "cpu"),
)


def picture(seed: int) -> Image.Image:
    """Discs on a ground, of no particular shape."""
    chosen = np.random.default_rng(seed)
    height, width = (int(side) for side in chosen.integers(33, 70, 2))
    down, across = np.mgrid[0:height, 0:width]
    pixels = np.tile(chosen.random(3), (height, width, 1))
    for _ in range(5):
        y, x, radius = chosen.random(3) * (height, width, 20)
        pixels[(down - y) ** 2 + (across - x) ** 2 < radius**2] = chosen.random(3)
    return Image.fromarray((pixels * 255).astype(np.uint8))


def stripes() -> Image.Image:
    """A style."""
    down, across = np.mgrid[0:48, 0:48]
    pixels = np.stack([np.sin(across / 2), np.sin(down / 3), np.cos((down + across) / 4)], axis=-1)
    return Image.fromarray(((pixels + 1) * 127.5).astype(np.uint8))


class StyleCase(RecipeCase):
    def setUp(self) -> None:
        super().setUp()
        self.images = self.folder / "images"
        self.images.mkdir()
        for number in range(6):
            picture(number).save(self.images / f"{number}.png")
        stripes().save(self.folder / "style.png")
        self.arguments = (*SMALL, "--style-image", str(self.folder / "style.png"))
        self.from_folder = (*self.arguments, "--images", f"file://{self.images}")

    def variables(self, name: str, **more: str) -> dict[str, str]:
        return {"AIP_MODEL_DIR": str(self.folder / name)} | more


class Learns(StyleCase):
    def test_the_loss_falls_and_the_folder_is_complete(self) -> None:
        end = self.trained(MODULE, *self.from_folder, "--steps", "40", **self.variables("model"))
        losses, metrics, folder = end.losses(), end.metrics, self.folder / "model"
        self.assertLess(losses[40], losses[3] * 0.9)
        weighted = metrics["content_loss"] + metrics["style_loss"] + metrics["total_variation"]
        self.assertAlmostEqual(metrics["loss"], weighted, places=5)
        self.assertGreater(metrics["images_per_second"], 0)
        self.assertEqual((metrics["images"], metrics["unreadable_images"], metrics["learned_features"]), (6, 0, 0))
        with Image.open(folder / "example.png") as example:
            self.assertEqual(example.size, (64, 32))
            before, after = np.split(np.asarray(example).astype(int), 2, axis=1)
            self.assertGreater(np.abs(before - after).mean(), 1)
        self.the_graph_answers_like_the_model(folder)

    def the_graph_answers_like_the_model(self, folder: Path) -> None:
        model = StyleNetwork(Config(**json.loads((folder / "config.json").read_text())))
        model.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
        model.eval()
        session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
        for batch, height, width in ((1, 32, 32), (3, 33, 70), (2, 101, 8)):
            images = torch.rand(batch, 3, height, width)
            (painted,) = session.run(["painted"], {"image": images.numpy()})
            self.assertEqual(painted.shape, tuple(images.shape))
            np.testing.assert_allclose(painted, model(images).detach().numpy(), atol=1e-4)

    def test_images_come_from_any_format_and_broken_ones_are_left_out(self) -> None:
        files = sorted(self.images.iterdir())
        encoded = [file.read_bytes() for file in files]
        with (self.folder / "rows.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["picture"])
            writer.writerows([f"images/{image.name}"] for image in files)
        with (self.folder / "rows.jsonl").open("w") as file:
            file.writelines(json.dumps({"picture": base64.b64encode(image).decode()}) + "\n" for image in encoded)
        pq.write_table(pa.table({"picture": encoded}), self.folder / "rows.parquet")
        expected = self.trained(MODULE, *self.from_folder, "--steps", "2", **self.variables("folder")).metrics
        rows = (*self.arguments, "--steps", "2", "--column", "picture")
        for data_format in ("csv", "jsonl", "parquet"):
            data = {"AIP_TRAINING_DATA_URI": str(self.folder / f"rows.{data_format}"), "AIP_DATA_FORMAT": data_format}
            with self.subTest(data_format):
                metrics = self.trained(MODULE, *rows, **self.variables(data_format, **data)).metrics
                self.assertEqual(metrics["loss"], expected["loss"])
        (self.images / "1.png").write_bytes(encoded[1][:100])
        broken = self.trained(MODULE, *self.from_folder, **self.variables("broken"))
        self.assertEqual(broken.metrics["unreadable_images"], 1)
        self.assertIn("1.png is left out", broken.output)

    def test_the_weights_of_a_loss_network_are_used(self) -> None:
        weights, inputs, at = {}, 3, 0
        generator = torch.Generator().manual_seed(5)
        for group in CONVOLUTIONS:
            for outputs in group:
                deviation = (2 / (inputs * 9)) ** 0.5
                weights[f"features.{at}.weight"] = torch.randn((outputs, inputs, 3, 3), generator=generator) * deviation
                weights[f"features.{at}.bias"] = torch.zeros(outputs)
                inputs, at = outputs, at + 2
            at += 1
        torch.save(weights, self.folder / "vgg16.pt")
        with_weights = (*self.from_folder, "--steps", "2", "--features", str(self.folder / "vgg16.pt"))
        metrics = self.trained(MODULE, *with_weights, **self.variables("model")).metrics
        self.assertEqual(metrics["learned_features"], 1)
        del weights["features.10.bias"]
        torch.save(weights, self.folder / "vgg16.pt")
        end = self.run_to_end(MODULE, *with_weights, **self.variables("other"))
        self.assertEqual((end.code, end.metrics), (1, None), end.output)
        self.assertIn("expected VGG16 with features.10.bias of shape [256]", end.output)


class Survives(StyleCase):
    def test_a_training_with_breaks_ends_as_one_without(self) -> None:
        whole = self.trained(MODULE, *self.from_folder, **self.variables("whole")).metrics
        broken = self.variables("broken", AIP_CHECKPOINT_DIR=str(self.folder / "checkpoints"))
        asked = self.struck(signal.SIGTERM, 3, MODULE, *self.from_folder, **broken)
        self.assertEqual((asked.code, asked.metrics), (128 + signal.SIGTERM, None), asked.output)
        killed = self.struck(signal.SIGKILL, 9, MODULE, *self.from_folder, **broken)
        self.assertEqual((killed.code, killed.metrics), (-signal.SIGKILL, None), killed.output)
        end = self.trained(MODULE, *self.from_folder, **broken)
        self.assertRegex(end.output, r"going on after step \d+")
        for name in ("loss", "content_loss", "style_loss"):
            self.assertAlmostEqual(end.metrics[name], whole[name], places=5)


class Together(StyleCase):
    def test_two_processes_of_torchrun_train_as_one(self) -> None:
        # Few and small steps: what rounding makes different grows from step to step.
        alike = (*self.from_folder, "--steps", "6", "--learning-rate", "0.001")
        alone = self.trained(MODULE, *alike, **self.variables("alone")).metrics
        topology = {"PET_NNODES": "1", "PET_NPROC_PER_NODE": "2", "PET_NODE_RANK": "0"}
        address = {"PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": self.free_port()}
        both = self.trained(MODULE, *alike, **self.variables("both", **topology, **address)).metrics
        self.assertEqual(both["processes"], 2)
        for name in ("loss", "content_loss", "style_loss"):
            self.assertAlmostEqual(both[name], alone[name], places=4)


class Refuses(StyleCase):
    def test_what_it_cannot_work_with_is_one_line(self) -> None:
        (self.folder / "text.png").write_text("no image")
        (self.folder / "empty").mkdir()
        bomb = io.BytesIO()
        Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
        (self.folder / "bomb.png").write_bytes(bomb.getvalue())
        for arguments, said in (
            (self.arguments, "there are no images"),
            ((*self.from_folder, "--images", str(self.folder / "empty")), "no file there ends in"),
            ((*self.from_folder, "--style-image", str(self.folder / "text.png")), "cannot identify image file"),
            ((*self.from_folder, "--style-image", str(self.folder / "bomb.png")), "exceeds limit"),
        ):
            with self.subTest(said):
                end = self.run_to_end(MODULE, *arguments, **self.variables("model"))
                self.assertEqual((end.code, end.metrics), (1, None), end.output)
                (line,) = (line for line in end.output.splitlines() if line.startswith("error: "))
                self.assertIn(said, line)


if __name__ == "__main__":
    unittest.main()
