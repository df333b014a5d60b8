"""Times Quoin's int8 and float EfficientNet-Lite0 beside ONNX Runtime and OpenVINO, in alternation, in one run.

    PYTHON tests/benchmarks/peers/effnet.py --quoin build/core/cli/quoin --program effnet.quoin [--threads 1] [--rounds 5]

Needs Python packages onnxruntime, openvino and numpy, and the models beside the repository (QUOIN_SHARED). A figure of one
engine means little on its own: the table gives every time as a ratio to Quoin's int8 program, by minimum and by median.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Callable, Dict, List

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
SHARED = os.environ.get("QUOIN_SHARED") or os.path.join(ROOT, "..", "shared")
FLOAT = os.path.join(SHARED, "models", "effnet_lite0", "effnet_lite0.onnx")
ORT_INT8 = os.path.join(SHARED, "peers", "models", "effnet_lite0_ort_int8_qdq.onnx")
OPENVINO_INT8 = os.path.join(SHARED, "peers", "models", "effnet_lite0_openvino_int8.xml")


def timed(call: Callable[[], object], runs: int) -> List[float]:
    for _ in range(3):
        call()
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        call()
        times.append((time.perf_counter() - begin) * 1e3)
    return times


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


def quoin(command: str, program: str, threads: int, runs: int) -> dict:
    arguments = [command, "bench", program, FLOAT, "--threads", str(threads), "--runs", str(runs), "--no-memory", "--json"]
    return json.loads(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quoin", required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    image = np.random.default_rng(0).standard_normal((1, 3, 224, 224), dtype=np.float32)
    engines = peers(options.threads, image)
    times: Dict[str, List[float]] = {}
    minima: Dict[str, float] = {}
    isa = ""
    for _ in range(options.rounds):
        ours = quoin(options.quoin, options.program, options.threads, options.runs)
        isa = ours["isa"]
        for name, row in zip(("Quoin int8", "Quoin float"), ours["programs"]):
            times.setdefault(name, []).append(row["ms_median"])
            minima[name] = min(minima.get(name, float("inf")), row["ms_min"])
        for name, call in engines.items():
            measured = timed(call, options.runs)
            times.setdefault(name, []).append(float(np.median(measured)))
            minima[name] = min(minima.get(name, float("inf")), min(measured))
    medians = {name: float(np.median(values)) for name, values in times.items()}
    rows = [{"engine": name, "min_ratio": minima[name] / minima["Quoin int8"], "median_ratio": medians[name] / medians["Quoin int8"]}
            for name in times]
    if options.json:
        print(json.dumps({"isa": isa, "threads": options.threads, "rounds": options.rounds, "engines": rows}, indent=2))
        return
    print(f"time relative to Quoin int8 ({isa}, {options.threads} thread(s), {options.rounds} rounds of {options.runs} runs)")
    for row in rows:
        print(f"  {row['engine']:<20} {row['min_ratio']:6.2f} (minimum) {row['median_ratio']:6.2f} (median)")


if __name__ == "__main__":
    main()
