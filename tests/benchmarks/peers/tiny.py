"""Times Quoin's int8 and float MLPerf Tiny networks beside LiteRT's, in alternation, in one run per network.

    PYTHON tests/benchmarks/peers/tiny.py --quoin build/core/cli/quoin --programs FOLDER [--threads 1] [--rounds 5]

FOLDER holds one program per network: quoin quantize -c configs/recipes/NAME.yaml -o FOLDER/NAME.quoin. LiteRT runs its own
ready-made files of keyword spotting; those of the other networks are written here from the ONNX models (litert_model.py).
Our times include making int8 of float inputs and float of int8 results; LiteRT's int8 models take and give int8.

Needs Python packages ai-edge-litert, onnx, onnxruntime, safetensors and numpy, and the models beside the repository
(QUOIN_SHARED).
"""

import argparse
import os
from typing import Callable, Dict

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from safetensors.numpy import load_file

from alternate import SHARED, add_arguments, compare
from litert_model import convert

TINY = os.path.join(SHARED, "models", "tiny")
READY = {"kws_dscnn": "kws"}  # LiteRT's own files of a network
NAMES = ("kws_dscnn", "resnet8", "vww_mobilenetv1_025", "ad_autoencoder")


def content(name: str, integer: bool) -> bytes:
    if name in READY:
        path = os.path.join(SHARED, "peers", "models", f"{READY[name]}_{'int8' if integer else 'fp32'}.tflite")
        with open(path, "rb") as file:
            return file.read()
    samples = load_file(os.path.join(TINY, f"{name}_reference.safetensors"))["input"] if integer else None
    return convert(os.path.join(TINY, f"{name}.onnx"), samples)


def peers(name: str, threads: int) -> Dict[str, Callable[[], object]]:
    found: Dict[str, Callable[[], object]] = {}
    for label, integer in (("LiteRT float", False), ("LiteRT int8", True)):
        interpreter = Interpreter(model_content=content(name, integer), num_threads=threads)
        interpreter.allocate_tensors()
        entry = interpreter.get_input_details()[0]
        interpreter.set_tensor(entry["index"], np.zeros(entry["shape"], entry["dtype"]))
        found[label] = interpreter.invoke
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--only", choices=NAMES, action="append", help="of the networks; may be repeated")
    add_arguments(parser, runs=300)
    options = parser.parse_args()
    for name in options.only or NAMES:
        own = {"Quoin int8": os.path.join(options.programs, f"{name}.quoin"), "Quoin float": os.path.join(TINY, f"{name}.pt2")}
        compare(options, name, own, peers(name, options.threads))


if __name__ == "__main__":
    main()
