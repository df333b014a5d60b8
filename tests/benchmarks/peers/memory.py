"""Prints the memory that Quoin, LiteRT and ExecuTorch plan for the activations of EfficientNet-Lite0 and the tiny networks.

    PYTHON tests/benchmarks/peers/memory.py --quoin build/core/cli/quoin

Each engine on kernels of single operators, because a delegate keeps its memory to itself. Quoin: `arena_bytes` of
`quoin inspect`. LiteRT does not tell its arena, so it is the distance from the first byte of an activation to the last,
which has the scratch memory of convolutions in it where that lies between. ExecuTorch: the buffers that are planned in the
program that its own tools make of the float model.

Needs Python packages ai-edge-litert, onnx, onnxruntime, safetensors and numpy, the models beside the repository
(QUOIN_SHARED), and for ExecuTorch executorch and torch: without them its column is empty.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from typing import Dict, Optional

from ai_edge_litert.interpreter import Interpreter, OpResolverType

import tiny
from alternate import ROOT, SHARED
from litert_model import convert

EFFNET = os.path.join("effnet_lite0", "effnet_lite0")
MODELS: Dict[str, str] = {"effnet_lite0": EFFNET, **{name: os.path.join("tiny", name) for name in tiny.NAMES}}


def quoin(command: str, name: str, integer: bool, folder: str) -> int:
    model = os.path.join(SHARED, "models", MODELS[name] + ".pt2")
    recipe = os.path.join(ROOT, "configs", "recipes", name + ".yaml")
    if not integer:
        recipe = os.path.join(folder, "float.yaml")
        with open(recipe, "w", encoding="utf-8") as file:
            file.write(f"model: {{path: {model}}}\n")
    program = os.path.join(folder, name + ".quoin")
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([command, "quantize", model, "-c", recipe, "--set", "lower.order=[xnnpack]", "-o", program], **quiet)
    told = subprocess.run([command, "inspect", program, "--json"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(told)["methods"][0]["arena_bytes"]


def litert(name: str, integer: bool) -> Optional[int]:
    if name in tiny.NAMES:
        content = tiny.content(name, integer)
    elif integer:
        return None  # the samples that it would be calibrated with are photographs
    else:
        content = convert(os.path.join(SHARED, "models", MODELS[name] + ".onnx"))
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    activations = {entry["index"] for entry in interpreter.get_input_details()}
    for operator in interpreter._get_ops_details():
        activations.update(operator["outputs"])
    begins, ends = [], []
    for index in activations:
        values = interpreter.tensor(index)()
        begins.append(values.__array_interface__["data"][0])
        ends.append(begins[-1] + values.nbytes)
    return max(ends) - min(begins)


def executorch(name: str) -> Optional[int]:
    try:
        import torch
        from executorch.exir import to_edge
    except ImportError as error:
        print(f"ExecuTorch is left out: {error}", file=sys.stderr)
        return None
    exported = torch.export.load(os.path.join(SHARED, "models", MODELS[name] + ".pt2"))
    return sum(to_edge(exported).to_executorch().executorch_program.execution_plan[0].non_const_buffer_sizes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quoin", required=True, help="the quoin command")
    options = parser.parse_args()
    print(f"{'bytes':<28} {'Quoin':>10} {'LiteRT':>10} {'ExecuTorch':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for name in MODELS:
            for integer in (False, True):
                row = (quoin(options.quoin, name, integer, folder), litert(name, integer),
                       None if integer else executorch(name))
                cells = " ".join(f"{value:>10,}" if value else f"{'-':>10}" for value in row)
                print(f"{name + (' int8' if integer else ' float'):<28} {cells}", flush=True)


if __name__ == "__main__":
    main()
