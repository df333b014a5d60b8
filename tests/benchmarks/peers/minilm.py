"""Times Quoin's dynamic int8 and float MiniLM-L6 (sequence 128) beside ONNX Runtime's, in alternation, in one run.

    PYTHON tests/benchmarks/peers/minilm.py --quoin build/core/cli/quoin [--threads 1] [--rounds 5] [--accuracy]

Needs Python packages onnxruntime, onnx, numpy and safetensors, and the models beside the repository (QUOIN_SHARED). ONNX
Runtime's float model is the one that `quoin export` writes; its int8 model is made of that by onnxruntime.quantization's
quantize_dynamic. --accuracy compares the embeddings of 200 sentences with the float model's, by mean cosine.
"""

import argparse
import json
import os
import subprocess
import tempfile
from typing import Callable, Dict

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file

from alternate import ROOT, SHARED, add_arguments, compare

FOLDER = os.path.join(SHARED, "models", "minilm_l6")
MODEL = os.path.join(FOLDER, "minilm_l6.pt2")
RECIPE = os.path.join(ROOT, "configs", "recipes", "minilm_l6.yaml")


def help_onnxruntime(path: str) -> None:
    """ONNX Runtime knows a layer norm by the Pow in it, where the export has a product of a value with itself."""
    model = onnx.load(path)
    graph = model.graph
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(2, np.float32), "two"))
    for node in graph.node:
        if node.op_type == "Mul" and node.input[0] == node.input[1]:
            node.op_type, node.input[1] = "Pow", "two"
    onnx.save(model, path)


def make_models(command: str, folder: str) -> Dict[str, str]:
    paths = {name: os.path.join(folder, name) for name in ("int8.quoin", "float.yaml", "float.onnx", "int8.onnx")}
    with open(paths["float.yaml"], "w", encoding="utf-8") as file:
        file.write(f"model: {{path: {MODEL}}}\n")
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([command, "quantize", MODEL, "-c", RECIPE, "-o", paths["int8.quoin"]], **quiet)
    subprocess.run([command, "export", MODEL, "-c", paths["float.yaml"], "-o", paths["float.onnx"]], **quiet)
    help_onnxruntime(paths["float.onnx"])
    quantize_dynamic(paths["float.onnx"], paths["int8.onnx"], weight_type=QuantType.QInt8, per_channel=True)
    return paths


def session(path: str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def feed(engine: onnxruntime.InferenceSession, ids: np.ndarray, mask: np.ndarray) -> Dict[str, np.ndarray]:
    return dict(zip((value.name for value in engine.get_inputs()), (ids, mask)))


def peers(paths: Dict[str, str], threads: int) -> Dict[str, Callable[[], object]]:
    ones = np.ones((1, 128), np.int64)
    found = {}
    for name, file in (("ONNX Runtime int8", "int8.onnx"), ("ONNX Runtime float", "float.onnx")):
        engine = session(paths[file], threads)
        found[name] = lambda e=engine, f=feed(engine, ones, ones): e.run(None, f)
    return found


def mean_cosine(engine: onnxruntime.InferenceSession) -> float:
    data = load_file(os.path.join(FOLDER, "eval.safetensors"))
    cosines = []
    for ids, mask, expected in zip(data["input_ids"], data["attention_mask"], data["embedding"]):
        found = engine.run(None, feed(engine, ids.reshape(1, -1), mask.reshape(1, -1)))[0].ravel()
        cosines.append(found @ expected.ravel() / np.linalg.norm(found) / np.linalg.norm(expected))
    return float(np.mean(cosines))


def print_accuracy(command: str, paths: Dict[str, str]) -> None:
    arguments = [command, "eval", paths["int8.quoin"], "--data", os.path.join(FOLDER, "eval.safetensors"), "--metric", "cosine",
                 "--json"]
    ours = json.loads(subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=True).stdout)
    print(f"mean cosine to float: Quoin int8 {ours['cosine']:.4f}, "
          f"ONNX Runtime int8 {mean_cosine(session(paths['int8.onnx'], 0)):.4f}, "
          f"float {mean_cosine(session(paths['float.onnx'], 0)):.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accuracy", action="store_true")
    add_arguments(parser, runs=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = make_models(options.quoin, folder)
        compare(options, "MiniLM-L6, sequence 128", {"Quoin int8": paths["int8.quoin"], "Quoin float": MODEL},
                peers(paths, options.threads))
        if options.accuracy:
            print_accuracy(options.quoin, paths)


if __name__ == "__main__":
    main()
