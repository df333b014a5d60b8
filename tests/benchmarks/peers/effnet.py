"""Times Quoin's int8 and float EfficientNet-Lite0 beside ONNX Runtime, OpenVINO and ExecuTorch, in alternation, in one run.

    PYTHON tests/benchmarks/peers/effnet.py --quoin build/core/cli/quoin --program effnet.quoin [--threads 1] [--rounds 5]

Needs Python packages onnxruntime, openvino, executorch (with torch) and numpy, and the models beside the repository
(QUOIN_SHARED). An engine that is not installed is named and left out.
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
EXECUTORCH_INT8 = os.path.join(SHARED, "peers", "models", "effnet_lite0_executorch_int8.pte")

Engines = Dict[str, Callable[[], object]]


def onnx_runtime(threads: int, image: np.ndarray) -> Engines:
    import onnxruntime
    found: Engines = {}
    for name, path in (("ONNX Runtime float", FLOAT), ("ONNX Runtime int8", ORT_INT8)):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: image}
        found[name] = lambda s=session, f=feed: s.run(None, f)
    return found


def openvino(threads: int, image: np.ndarray) -> Engines:
    import openvino as engine
    core = engine.Core()
    hints = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    found: Engines = {}
    # Where the machine has bf16 products OpenVINO computes a float model in bf16 unless it is told not to.
    for name, path, precision in (("OpenVINO float", FLOAT, "f32"), ("OpenVINO float as bf16", FLOAT, "bf16"),
                                  ("OpenVINO int8", OPENVINO_INT8, "f32")):
        settings = {**hints, "INFERENCE_PRECISION_HINT": precision}
        request = core.compile_model(core.read_model(path), "CPU", settings).create_infer_request()
        found[name] = lambda r=request: r.infer([image])
    return found


def executorch(threads: int, image: np.ndarray) -> Engines:
    import torch
    from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
    from executorch.runtime import Runtime
    _unsafe_reset_threadpool(threads)
    method = Runtime.get().load_program(EXECUTORCH_INT8).load_method("forward")
    inputs = [torch.from_numpy(image)]
    return {"ExecuTorch int8": lambda: method.execute(inputs)}


def peers(threads: int, image: np.ndarray) -> Engines:
    found: Engines = {}
    for engine in (onnx_runtime, openvino, executorch):
        try:
            found.update(engine(threads, image))
        except ImportError as error:
            print(f"{engine.__name__} is left out: {error}", file=sys.stderr)
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
