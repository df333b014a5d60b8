"""Writes a small ONNX network as a LiteRT model, float or int8, so that LiteRT can be timed on the same network.

Knows what the MLPerf Tiny networks and EfficientNet-Lite need: Conv (whole or depthwise), Gemm, Add, AveragePool, the mean of
a whole map, Reshape, Softmax, and the Relu or Relu6 behind them. Int8 follows LiteRT's specification: activations affine per tensor from the least and greatest value of the
samples, weights symmetric per output channel, bias int32; input and output are int8 as well.
"""

from typing import Dict, List, Optional, Sequence, Tuple

import flatbuffers
import numpy as np
import onnx
import onnxruntime
from ai_edge_litert import schema_py_generated as schema

Op = schema.BuiltinOperator
Options = schema.BuiltinOptions
# Behind another operator. Every Clip of the networks is one from 0 to 6.
ACTIVATIONS = {"Relu": schema.ActivationFunctionType.RELU, "Clip": schema.ActivationFunctionType.RELU6}
# The first version of each operator that takes int8.
VERSIONS = {Op.CONV_2D: 3, Op.DEPTHWISE_CONV_2D: 3, Op.FULLY_CONNECTED: 4, Op.ADD: 2, Op.AVERAGE_POOL_2D: 2, Op.RESHAPE: 1,
            Op.SOFTMAX: 2}


def to_nhwc(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if x.ndim == 4 else x


def ranges(model: onnx.ModelProto, samples: np.ndarray) -> Dict[str, Tuple[float, float]]:
    """Least and greatest value of every activation over the samples."""
    seen = onnx.ModelProto()
    seen.CopyFrom(model)
    del seen.graph.output[:]
    names = [name for node in seen.graph.node for name in node.output]
    seen.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    session = onnxruntime.InferenceSession(seen.SerializeToString(), providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0].name
    found = {entry: (float(samples.min()), float(samples.max()))}
    for sample in samples:
        for name, value in zip(names, session.run(names, {entry: sample})):
            low, high = found.get(name, (0.0, 0.0))
            found[name] = (min(low, float(value.min())), max(high, float(value.max())))
    return found


def same_padding(size: int, kernel: int, stride: int) -> Tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Writer:
    def __init__(self, model: onnx.ModelProto, samples: Optional[np.ndarray]):
        self.onnx = model
        self.ranges = ranges(model, samples) if samples is not None else None
        self.constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
        self.shapes: Dict[str, List[int]] = {}
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.index: Dict[str, int] = {}
        self.scale: Dict[str, float] = {}

    # -- tensors

    def tensor(self, name: str, shape: Sequence[int], kind: int, data: Optional[np.ndarray] = None,
               scale: Optional[np.ndarray] = None, zero: Optional[np.ndarray] = None, axis: int = 0) -> int:
        t = schema.TensorT()
        t.name, t.shape, t.type, t.buffer = name, list(shape), kind, 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            t.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if scale is not None:
            q = schema.QuantizationParametersT()
            q.scale, q.zeroPoint, q.quantizedDimension = scale.astype(np.float32), zero.astype(np.int64), axis
            t.quantization = q
        self.graph.tensors.append(t)
        return len(self.graph.tensors) - 1

    def activation(self, name: str, nchw: Sequence[int], fixed: Optional[Tuple[float, int]] = None) -> int:
        shape = list(nchw) if len(nchw) != 4 else [nchw[0], nchw[2], nchw[3], nchw[1]]
        self.shapes[name] = list(nchw)
        if self.ranges is None:
            self.index[name] = self.tensor(name, shape, schema.TensorType.FLOAT32)
            return self.index[name]
        low, high = self.ranges[name]
        scale, zero = fixed or (max((high - low) / 255, 1e-8), 0)
        if fixed is None:
            zero = int(np.clip(round(-128 - low / scale), -128, 127))
        self.scale[name] = scale
        self.index[name] = self.tensor(name, shape, schema.TensorType.INT8, None, np.array([scale]), np.array([zero]))
        return self.index[name]

    def weights(self, node: onnx.NodeProto, w: np.ndarray, axis: int) -> List[int]:
        """Weights with output channels along `axis`, and the bias."""
        bias = self.constants[node.input[2]]
        if self.ranges is None:
            kinds = schema.TensorType.FLOAT32
            return [self.tensor(node.name + "/w", w.shape, kinds, w), self.tensor(node.name + "/b", bias.shape, kinds, bias)]
        others = tuple(i for i in range(w.ndim) if i != axis)
        scale = np.maximum(np.abs(w).max(axis=others), 1e-8) / 127
        if node.op_type == "Gemm":  # per tensor, as older models of fully connected layers are
            scale = np.full(1, scale.max())
        spread = [1] * w.ndim
        spread[axis] = scale.size
        q = np.clip(np.round(w / scale.reshape(spread)), -127, 127).astype(np.int8)
        bias_scale = scale * self.scale[node.input[0]]
        limit = float(2**31 - 128)  # channels without weights have next to no scale
        b = np.clip(np.round(bias / bias_scale), -limit, limit).astype(np.int32)
        zeros = np.zeros(scale.size)
        return [self.tensor(node.name + "/w", w.shape, schema.TensorType.INT8, q, scale, zeros, axis),
                self.tensor(node.name + "/b", b.shape, schema.TensorType.INT32, b, bias_scale, zeros)]

    # -- operators

    def emit(self, code: int, inputs: List[int], output: int, kind: int, options: object) -> None:
        found = [i for i, c in enumerate(self.model.operatorCodes) if c.builtinCode == code]
        if not found:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), VERSIONS[code]
            self.model.operatorCodes.append(entry)
            found = [len(self.model.operatorCodes) - 1]
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = found[0], inputs, [output]
        op.builtinOptionsType, op.builtinOptions = kind, options
        self.graph.operators.append(op)

    def convolution(self, node: onnx.NodeProto, out: str, relu: int) -> None:
        at = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        w, shape = self.constants[node.input[1]], self.shapes[node.input[0]]
        stride, kernel, pads = at["strides"], at["kernel_shape"], at["pads"]
        same = [same_padding(shape[2 + d], kernel[d], stride[d]) for d in (0, 1)]
        padded = any(pads)
        if padded and [same[0][0], same[1][0], same[0][1], same[1][1]] != list(pads):
            raise ValueError(f"{node.name}: LiteRT has no padding {pads}")
        depthwise = at["group"] != 1
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        options.padding = schema.Padding.SAME if padded else schema.Padding.VALID
        options.strideH, options.strideW, options.fusedActivationFunction = stride[0], stride[1], relu
        if depthwise:
            options.depthMultiplier = 1
        order = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
        parameters = self.weights(node, np.ascontiguousarray(w.transpose(order)), 3 if depthwise else 0)
        size = [(shape[2 + d] + (sum(same[d]) if padded else 0) - kernel[d]) // stride[d] + 1 for d in (0, 1)]
        y = self.activation(out, [1, w.shape[0], *size])
        self.emit(Op.DEPTHWISE_CONV_2D if depthwise else Op.CONV_2D, [self.index[node.input[0]], *parameters], y,
                  Options.DepthwiseConv2DOptions if depthwise else Options.Conv2DOptions, options)

    def node(self, node: onnx.NodeProto, out: str, relu: int) -> None:
        x = node.input[0]
        if node.op_type == "Conv":
            self.convolution(node, out, relu)
        elif node.op_type == "Gemm":
            parameters = self.weights(node, self.constants[node.input[1]], 0)
            options = schema.FullyConnectedOptionsT()
            options.fusedActivationFunction = relu
            y = self.activation(out, [1, self.constants[node.input[1]].shape[0]])
            self.emit(Op.FULLY_CONNECTED, [self.index[x], *parameters], y, Options.FullyConnectedOptions, options)
        elif node.op_type == "Add":
            options = schema.AddOptionsT()
            options.fusedActivationFunction = relu
            y = self.activation(out, self.shapes[x])
            self.emit(Op.ADD, [self.index[i] for i in node.input], y, Options.AddOptions, options)
        elif node.op_type in ("AveragePool", "ReduceMean"):  # of a whole map
            shape = self.shapes[x]
            options = schema.Pool2DOptionsT()
            options.padding = schema.Padding.VALID
            options.strideH, options.strideW = options.filterHeight, options.filterWidth = shape[2], shape[3]
            fixed = (self.scale[x], int(self.graph.tensors[self.index[x]].quantization.zeroPoint[0])) if self.ranges else None
            y = self.activation(out, [1, shape[1], 1, 1], fixed)
            self.emit(Op.AVERAGE_POOL_2D, [self.index[x]], y, Options.Pool2DOptions, options)
        elif node.op_type == "Reshape":
            channels = self.shapes[x][1]
            options = schema.ReshapeOptionsT()
            options.newShape = [1, channels]
            target = self.tensor(out + "/shape", [2], schema.TensorType.INT32, np.array([1, channels], np.int32))
            fixed = (self.scale[x], int(self.graph.tensors[self.index[x]].quantization.zeroPoint[0])) if self.ranges else None
            y = self.activation(out, [1, channels], fixed)
            self.emit(Op.RESHAPE, [self.index[x], target], y, Options.ReshapeOptions, options)
        elif node.op_type == "Softmax":
            options = schema.SoftmaxOptionsT()
            options.beta = 1.0
            y = self.activation(out, self.shapes[x], (1 / 256, -128))
            self.emit(Op.SOFTMAX, [self.index[x]], y, Options.SoftmaxOptions, options)
        else:
            raise ValueError(f"{node.op_type} is not known here")

    def write(self) -> bytes:
        graph = self.onnx.graph
        entry = graph.input[0]
        x = self.activation(entry.name, [d.dim_value for d in entry.type.tensor_type.shape.dim])
        readers: Dict[str, List[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                readers.setdefault(name, []).append(node)
        fused = set()
        for node in graph.node:
            if node.output[0] in fused:
                continue
            out, relu = node.output[0], schema.ActivationFunctionType.NONE
            next_nodes = readers.get(out, [])
            if len(next_nodes) == 1 and next_nodes[0].op_type in ACTIVATIONS:
                out, relu = next_nodes[0].output[0], ACTIVATIONS[next_nodes[0].op_type]
                fused.add(out)
            self.node(node, out, relu)
        self.graph.inputs, self.graph.outputs = [x], [self.index[graph.output[0].name]]
        self.model.subgraphs = [self.graph]
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def convert(path: str, samples: Optional[np.ndarray] = None) -> bytes:
    """The ONNX model at `path` for LiteRT: float, or int8 where `samples` [n, *shape of its input] are given."""
    return Writer(onnx.load(path), samples).write()
