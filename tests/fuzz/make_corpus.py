"""Writes the small seeds of tests/fuzz/corpus that are no programs. Needs numpy, onnx and Pillow:

    python tests/fuzz/make_corpus.py tests/fuzz/corpus

The seeds are kept in the repository, because other versions of these libraries write other bytes.
"""

import io
import json
import os
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

RANDOM = np.random.default_rng(7)


def floats(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def model(name, nodes, inputs, outputs, weights):
    """A checked ONNX model; inputs and outputs are (name, shape), weights name -> array."""
    def info(entry):
        return helper.make_tensor_value_info(entry[0], TensorProto.FLOAT, entry[1])
    graph = helper.make_graph(nodes, name, [info(i) for i in inputs], [info(o) for o in outputs],
                              [numpy_helper.from_array(array, key) for key, array in weights.items()])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    made.ir_version = 8
    onnx.checker.check_model(made)
    return made.SerializeToString()


def network():
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
             helper.make_node("Relu", ["c"], ["r"]),
             helper.make_node("MaxPool", ["r"], ["m"], kernel_shape=[2, 2], strides=[2, 2]),
             helper.make_node("GlobalAveragePool", ["m"], ["g"]),
             helper.make_node("Flatten", ["g"], ["f"]),
             helper.make_node("Gemm", ["f", "v"], ["l"], transB=1),
             helper.make_node("Softmax", ["l"], ["y"], axis=1)]
    return model("network", nodes, [("x", [1, 2, 8, 8])], [("y", [1, 3])],
                 {"w": floats(2, 2, 3, 3), "b": floats(2), "v": floats(3, 2)})


def attention():
    nodes = [helper.make_node("LayerNormalization", ["x", "s", "t"], ["n"], axis=-1, epsilon=1e-5),
             helper.make_node("MatMul", ["n", "w"], ["q"]),
             helper.make_node("Transpose", ["q"], ["k"], perm=[0, 2, 1]),
             helper.make_node("MatMul", ["q", "k"], ["a"]),
             helper.make_node("Softmax", ["a"], ["p"], axis=-1),
             helper.make_node("MatMul", ["p", "q"], ["o"]),
             helper.make_node("Add", ["o", "x"], ["y"])]
    return model("attention", nodes, [("x", [1, 3, 4])], [("y", [1, 3, 4])], {"s": floats(4), "t": floats(4), "w": floats(4, 4)})


def shapes():
    integers = lambda *values: np.array(values, np.int64)
    nodes = [helper.make_node("Shape", ["x"], ["d"]),
             helper.make_node("Gather", ["d", "zero"], ["n"]),
             helper.make_node("Concat", ["n", "rest"], ["to"], axis=0),
             helper.make_node("Reshape", ["x", "to"], ["r"]),
             helper.make_node("Slice", ["r", "one", "two", "one"], ["s"]),
             helper.make_node("Pad", ["s", "pads"], ["p"]),
             helper.make_node("Unsqueeze", ["p", "one"], ["u"]),
             helper.make_node("Expand", ["u", "wide"], ["y"])]
    return model("shapes", nodes, [("x", [2, 6])], [("y", [2, 2, 4])],
                 {"zero": integers(0), "rest": integers(-1), "one": integers(1), "two": integers(3),
                  "pads": integers(0, 1, 0, 1), "wide": integers(2, 2, 4)})


def quantized():
    nodes = [helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q"]),
             helper.make_node("DequantizeLinear", ["q", "xs", "xz"], ["d"]),
             helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["v"], axis=0),
             helper.make_node("Gemm", ["d", "v"], ["y"], transB=1)]
    return model("quantized", nodes, [("x", [1, 4])], [("y", [1, 3])],
                 {"xs": np.float32(0.05).reshape(()), "xz": np.uint8(3).reshape(()), "w": np.arange(12, dtype=np.int8).reshape(3, 4),
                  "ws": np.array([0.1, 0.2, 0.3], np.float32), "wz": np.zeros(3, np.int8)})


def safetensors(tensors, metadata=None):
    header, blob = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, array) in tensors.items():
        data = array.tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + blob


def gguf():
    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()
    keys = [text("general.architecture") + struct.pack("<I", 8) + text("llama"),
            text("llama.block_count") + struct.pack("<II", 4, 2),
            text("general.alignment") + struct.pack("<II", 4, 32),
            text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bc"),
            text("scores") + struct.pack("<IIQ2f", 9, 6, 2, 1.0, 2.0)]
    half = np.float16(0.5).tobytes()
    blocks = [("f32", [2], 0, floats(2).tobytes()), ("f16", [4], 1, floats(4).astype(np.float16).tobytes()),
              ("q8", [32, 2], 8, (half + bytes(range(32))) * 2), ("q4", [32], 2, half + bytes(range(16))),
              ("q4k", [256], 12, half + half + bytes(12) + bytes(range(128))), ("q6k", [256], 14, bytes(range(208)) + half)]
    infos, data = b"", b""
    for name, dims, kind, content in blocks:
        infos += text(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", kind, len(data))
        data += content + bytes(-len(content) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(blocks), len(keys)) + b"".join(keys) + infos
    return head + bytes(-len(head) % 32) + data


def plugin():
    """The least of an ELF library that a manifest is read from: header, one load segment, one note."""
    manifest = json.dumps({"name": "seed", "version": "1.0.0", "vendor": "nobody", "abi": {"major": 1, "minor": 0, "minor_required": 0},
                           "roles": ["executor", "kernels"], "isa_required": ["avx2"]}).encode() + b"\0"
    note = struct.pack("<III", 4, len(manifest), 0x51420001) + b"QUN\0" + manifest + bytes(-len(manifest) % 4)
    start = 64 + 3 * 56
    dynamic = struct.pack("<QQ", 5, start) + struct.pack("<QQ", 10, 8) + struct.pack("<QQ", 0, 0)
    size = start + len(note) + len(dynamic)
    segment = lambda kind, offset, length, alignment=8: struct.pack("<IIQQQQQQ", kind, 4, offset, offset, offset, length, length, alignment)
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 3, 64, 0, 0)
    return header + segment(1, 0, size) + segment(4, start, len(note), 4) + segment(2, start + len(note), len(dynamic)) + note + dynamic


def image(kind, mode, **options):
    pixels = RANDOM.integers(0, 255, (12, 10, 4), np.uint8)
    made = Image.fromarray(pixels, "RGBA").convert(mode)
    out = io.BytesIO()
    made.save(out, kind, **options)
    return out.getvalue()


def array_file(save, *arrays, **named):
    out = io.BytesIO()
    save(out, *arrays, **named)
    return out.getvalue()


def seeds():
    yield "import_onnx/network.onnx", network()
    yield "import_onnx/attention.onnx", attention()
    yield "import_onnx/shapes.onnx", shapes()
    yield "import_onnx/quantized.onnx", quantized()
    tensors = {"v": ("F32", floats(2, 1)), "w": ("F16", floats(3).astype(np.float16)), "i": ("I64", np.arange(2))}
    yield "checkpoint/small.safetensors", safetensors(tensors, {"format": "pt"})
    yield "checkpoint/small.gguf", gguf()
    yield "manifest/seed.so", plugin()
    yield "data_file/small.safetensors", safetensors({"input": ("F32", floats(2, 3)), "label": ("I64", np.arange(2))})
    yield "data_file/floats.npy", array_file(np.save, floats(3, 2))
    yield "data_file/fortran.npy", array_file(np.save, np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)))
    yield "data_file/rgb.jpg", image("JPEG", "RGB", quality=60)
    yield "data_file/progressive.jpg", image("JPEG", "RGB", quality=60, progressive=True)
    yield "data_file/grey.jpg", image("JPEG", "L", quality=60)
    for mode in ("RGB", "RGBA", "L", "P", "1"):
        yield f"data_file/{mode.lower()}.png", image("PNG", mode)
    yield "data_zip/stored.npz", array_file(np.savez, x=floats(2, 2), y=np.arange(3))
    yield "data_zip/deflated.npz", array_file(np.savez_compressed, x=np.zeros((4, 4), np.float32))


def main():
    for name, content in seeds():
        path = os.path.join(sys.argv[1], name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


main()
