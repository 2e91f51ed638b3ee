"""Scores rows with onnxruntime, for tests that compare another runtime with it.

Usage: onnx_predict.py MODEL.onnx < rows

In: one JSON array of rows of numbers on standard input, null for a missing value.
Out: one JSON object on standard output: each of the graph's outputs by name, as nested arrays.
"""

import json
import sys

import numpy
import onnxruntime


def main() -> None:
    rows = json.load(sys.stdin)
    matrix = numpy.array([[numpy.nan if value is None else value for value in row] for row in rows], dtype=numpy.float32)
    session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
    (features,) = session.get_inputs()
    names = [output.name for output in session.get_outputs()]
    outputs = session.run(names, {features.name: matrix})
    json.dump({name: output.tolist() for name, output in zip(names, outputs)}, sys.stdout)


if __name__ == "__main__":
    main()
