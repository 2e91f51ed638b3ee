"""The model of a folder behind a Python server: what serve-model is measured beside.

Usage: MODEL_DIR=FOLDER python -m uvicorn onnx_server:app --workers 2

In: `POST /predict` with `{"instances": [{FEATURE: NUMBER, ..}, ..]}`. Out: what serve-model answers, from onnxruntime. Each
worker scores on one thread, as there is one worker for each core.
"""

import json
import os

import numpy
import onnxruntime
import orjson
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

FOLDER = os.environ["MODEL_DIR"]

with open(os.path.join(FOLDER, "signature.json"), encoding="utf-8") as file:
    signature = json.load(file)
NAMES = [feature["name"] for feature in signature["features"]]
CLASSES = signature["classes"]

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(
    os.path.join(FOLDER, "model.onnx"), options, providers=["CPUExecutionProvider"]
)
INPUT = session.get_inputs()[0].name
(OUTPUT,) = [output.name for output in session.get_outputs() if output.type == "tensor(float)"]


async def predict(request):
    instances = orjson.loads(await request.body())["instances"]
    rows = numpy.array([[row.get(name, numpy.nan) for name in NAMES] for row in instances], dtype=numpy.float32)
    (scores,) = session.run([OUTPUT], {INPUT: rows})
    predictions = [
        {"label": CLASSES[int(row.argmax())], "probabilities": dict(zip(CLASSES, row.tolist()))} for row in scores
    ]
    return Response(orjson.dumps({"predictions": predictions}), media_type="application/json")


async def health(_):
    return PlainTextResponse("ok")


app = Starlette(routes=[Route("/predict", predict, methods=["POST"]), Route("/health", health)])
