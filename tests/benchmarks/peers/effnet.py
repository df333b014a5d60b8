"""Times Quoin's int8 and float EfficientNet-Lite0 beside ONNX Runtime and OpenVINO, in alternation, in one run.

    PYTHON tests/benchmarks/peers/effnet.py --quoin build/core/cli/quoin --program effnet.quoin [--threads 1] [--rounds 5]

Needs Python packages onnxruntime, openvino and numpy, and the models beside the repository (QUOIN_SHARED).
"""

import argparse
import os
import sys
from typing import Callable, Dict

import numpy as np

from alternate import SHARED, add_arguments, compare

FLOAT = os.path.join(SHARED, "models", "effnet_lite0", "effnet_lite0.onnx")
ORT_INT8 = os.path.join(SHARED, "peers", "models", "effnet_lite0_ort_int8_qdq.onnx")
OPENVINO_INT8 = os.path.join(SHARED, "peers", "models", "effnet_lite0_openvino_int8.xml")


def peers(threads: int, image: np.ndarray) -> Dict[str, Callable[[], object]]:
    found: Dict[str, Callable[[], object]] = {}
    try:
        import onnxruntime
        for name, path in (("ONNX Runtime float", FLOAT), ("ONNX Runtime int8", ORT_INT8)):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            feed = {session.get_inputs()[0].name: image}
            found[name] = lambda s=session, f=feed: s.run(None, f)
    except ImportError:
        print("onnxruntime is not installed: left out", file=sys.stderr)
    try:
        import openvino
        core = openvino.Core()
        hints = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        for name, path in (("OpenVINO float", FLOAT), ("OpenVINO int8", OPENVINO_INT8)):
            request = core.compile_model(core.read_model(path), "CPU", hints).create_infer_request()
            found[name] = lambda r=request: r.infer([image])
    except ImportError:
        print("openvino is not installed: left out", file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    add_arguments(parser, runs=30)
    options = parser.parse_args()
    image = np.random.default_rng(0).standard_normal((1, 3, 224, 224), dtype=np.float32)
    compare(options, "EfficientNet-Lite0", {"Quoin int8": options.program, "Quoin float": FLOAT},
            peers(options.threads, image))


if __name__ == "__main__":
    main()
