"""compare.py MODEL FOLDER all|none: runs a model in ONNX Runtime on FOLDER/input_K.npy, with or without graph
optimizations, and compares its first output with FOLDER/output_0.npy. Prints one JSON object."""

import json
import os
import sys

import numpy
import onnxruntime


def main(model: str, folder: str, level: str) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if level == "all" else levels.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    inputs = [(spec.name, numpy.load(os.path.join(folder, f"input_{i}.npy"))) for i, spec in enumerate(session.get_inputs())]
    expected = numpy.load(os.path.join(folder, "output_0.npy"))
    count = len(expected)
    found = numpy.stack([session.run(None, {name: values[i] for name, values in inputs})[0] for i in range(count)])
    a, b = found.reshape(count, -1).astype(float), expected.reshape(count, -1).astype(float)
    cosine = (a * b).sum(1) / (numpy.linalg.norm(a, axis=1) * numpy.linalg.norm(b, axis=1))
    print(json.dumps({
        "samples": count,
        "same_top1": int((a.argmax(1) == b.argmax(1)).sum()),
        "equal": int((a == b).all(1).sum()),
        "largest_difference": float(abs(a - b).max()),
        "least_cosine": float(cosine.min()),
    }))


main(*sys.argv[1:])
