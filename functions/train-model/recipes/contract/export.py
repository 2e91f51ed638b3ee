"""A PyTorch model as an ONNX file. Needs PyTorch, onnx and onnxscript."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

OPSET = 18


def export_onnx(
    model: nn.Module, file: Path, input_name: str, example: Tensor, free: Mapping[int, torch.export.Dim], output_name: str
) -> None:
    """Writes the graph of `model`, which has one input and one output, as one file with its weights inside.

    `model` is on the CPU in evaluation mode. `free` names the dimensions of the input that may differ from the example's.
    """
    # The exporter warns of packages that this model has no use for.
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model,
                (example,),
                file,
                dynamo=True,
                external_data=False,
                opset_version=OPSET,
                input_names=[input_name],
                output_names=[output_name],
                dynamic_shapes=(dict(free),),
                verbose=False,
            )
    finally:
        quiet.setLevel(level)
