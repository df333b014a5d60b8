#!/usr/bin/env python3
"""Writes the models of this folder's `quantized/`: small networks that PyTorch's own tools have quantized.

Needs torch, torchao, executorch (for XNNPACKQuantizer) and safetensors; the tests only need the files. Beside each
CASE.pt2 stands CASE.safetensors with `input` and `output`, what torch computes for it. Deterministic on one machine;
last bits may differ between versions of torch. Written with torch 2.15, torchao 0.18, executorch 1.5.
"""
import argparse
import io
import pathlib
import re
import zipfile

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from safetensors.torch import save
from torch import nn
from torchao.quantization import (
    Int8DynamicActivationIntxWeightConfig,
    IntxWeightOnlyConfig,
    PerAxis,
    PerGroup,
    quantize_,
)
from torchao.quantization.pt2e import MinMaxObserver, PerChannelMinMaxObserver, move_exported_model_to_eval
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e, prepare_qat_pt2e
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationSpec, Quantizer

SEED = 11
BATCHES = 6  # of calibration


class Vision(nn.Module):
    """2 x 2 x 8 x 8 -> 2 x 5: convolutions, batch norm, clamps, a sum and a linear layer."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.clamp = nn.Hardtanh(0.0, 6.0)
        self.classifier = nn.Linear(8, 5)

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        x = x + self.clamp(self.depthwise(x))
        return self.classifier(x.mean((2, 3)))


class Dense(nn.Module):
    """3 x 64 -> 3 x 8."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 32)
        self.second = nn.Linear(32, 8, bias=False)

    def forward(self, x):
        return self.second(torch.nn.functional.gelu(self.first(x)))


class Words(nn.Module):
    """2 x 4 word numbers -> 2 x 4 x 16: an embedding and a linear layer."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(24, 64)
        self.project = nn.Linear(64, 16)

    def forward(self, words):
        return self.project(self.embedding(words))


class Buffers(nn.Module):
    """3 x 8 -> 3 x 6: integer weights in buffers, dequantized by hand, per channel and per tensor."""

    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.dtype = dtype
        self.register_buffer("weight", torch.randint(-127, 128, (6, 8), dtype=torch.int8))
        self.register_buffer("scales", torch.rand(6) * 0.02 + 0.005)
        self.register_buffer("zero_points", torch.zeros(6, dtype=torch.int64))
        self.register_buffer("shift", torch.randint(0, 256, (6,), dtype=torch.uint8))

    def forward(self, x):
        ops = torch.ops.quantized_decomposed
        weight = ops.dequantize_per_channel(
            self.weight, self.scales, self.zero_points, 0, -127, 127, torch.int8, out_dtype=self.dtype)
        shift = ops.dequantize_per_tensor(self.shift, 0.01, 128, 0, 255, torch.uint8, out_dtype=self.dtype)
        return torch.nn.functional.linear(x, weight, shift)


class Plain(Quantizer):
    """Every convolution, linear layer and sum with one activation type: how other backends than XNNPACK would ask."""

    PRODUCTS = (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default)
    SUMS = (torch.ops.aten.add.Tensor,)

    def __init__(self, dtype, low, high, scheme):
        self.activation = QuantizationSpec(
            dtype, MinMaxObserver.with_args(eps=2**-12), quant_min=low, quant_max=high, qscheme=scheme)
        self.weight = QuantizationSpec(
            torch.int8, PerChannelMinMaxObserver.with_args(eps=2**-12), quant_min=-127, quant_max=127,
            qscheme=torch.per_channel_symmetric, ch_axis=0)

    def annotate(self, model):
        for node in model.graph.nodes:
            if node.target not in self.PRODUCTS + self.SUMS:
                continue
            inputs = {node.args[0]: self.activation}
            inputs[node.args[1]] = self.weight if node.target in self.PRODUCTS else self.activation
            node.meta["quantization_annotation"] = QuantizationAnnotation(
                input_qspec_map=inputs, output_qspec=self.activation, _annotated=True)
        return model

    def validate(self, model):
        pass


def exported(model, example):
    return torch.export.export(model, (example,), strict=True).module()


def xnnpack(**arguments):
    return XNNPACKQuantizer().set_global(get_symmetric_quantization_config(**arguments))


def calibrated(quantizer, model, example):
    prepared = prepare_pt2e(exported(model.eval(), example), quantizer)
    for _ in range(BATCHES):
        prepared(torch.randn_like(example))
    return convert_pt2e(prepared)


def trained(quantizer, model, example):
    """A few steps of quantization-aware training towards random targets."""
    prepared = prepare_qat_pt2e(exported(model.train(), example), quantizer)
    optimizer = torch.optim.SGD(prepared.parameters(), lr=0.05)
    for _ in range(8):
        x = torch.randn_like(example)
        target = x.mean((1, 2, 3))[:, None] * torch.arange(5.0)
        loss = (prepared(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return move_exported_model_to_eval(convert_pt2e(prepared))


def source_quantized(model, *configs):
    for config, selects in configs:
        quantize_(model.eval(), config, selects)
    return model


def is_linear(module, _):
    return isinstance(module, nn.Linear)


def is_embedding(module, _):
    return isinstance(module, nn.Embedding)


IMAGE = (2, 2, 8, 8)
ROWS = (3, 64)
CASES = {
    "static_per_channel": (IMAGE, lambda x: calibrated(xnnpack(is_per_channel=True), Vision(), x)),
    "static_per_tensor": (IMAGE, lambda x: calibrated(xnnpack(), Vision(), x)),
    "static_uint8": (IMAGE, lambda x: calibrated(Plain(torch.uint8, 0, 255, torch.per_tensor_affine), Vision(), x)),
    "static_int16": (
        IMAGE, lambda x: calibrated(Plain(torch.int16, -32767, 32767, torch.per_tensor_symmetric), Vision(), x)),
    "trained_per_channel": (IMAGE, lambda x: trained(xnnpack(is_per_channel=True, is_qat=True), Vision(), x)),
    "trained_per_tensor": (IMAGE, lambda x: trained(xnnpack(is_qat=True), Vision(), x)),
    "dynamic_per_channel": (ROWS, lambda x: calibrated(xnnpack(is_per_channel=True, is_dynamic=True), Dense(), x)),
    "dynamic_per_tensor": (ROWS, lambda x: calibrated(xnnpack(is_dynamic=True), Dense(), x)),
    "buffers": ((3, 8), lambda x: Buffers()),
    "buffers_half": ((3, 8), lambda x: Buffers(torch.float16).half()),
    "buffers_bfloat16": ((3, 8), lambda x: Buffers(torch.bfloat16).bfloat16()),
    "affine_dynamic_int4_groups": (ROWS, lambda x: source_quantized(
        Dense(), (Int8DynamicActivationIntxWeightConfig(torch.int4, PerGroup(32)), is_linear))),
    "affine_dynamic_int8_channels": (ROWS, lambda x: source_quantized(
        Dense(), (Int8DynamicActivationIntxWeightConfig(torch.int8, PerAxis(0)), is_linear))),
    "affine_weights_int4_groups": (ROWS, lambda x: source_quantized(
        Dense(), (IntxWeightOnlyConfig(torch.int4, PerGroup(32)), is_linear))),
    "affine_weights_int8_channels": (ROWS, lambda x: source_quantized(
        Dense(), (IntxWeightOnlyConfig(torch.int8, PerAxis(0)), is_linear))),
    "affine_embedding": ("words", lambda x: source_quantized(
        Words(), (IntxWeightOnlyConfig(torch.int8, PerAxis(0)), is_embedding),
        (Int8DynamicActivationIntxWeightConfig(torch.int4, PerGroup(32)), is_linear))),
}


def packed(program):
    """The archive of torch.export.save, deflated: the texts in it shrink to a tenth. Stack traces lose the folders."""
    stored, out = io.BytesIO(), io.BytesIO()
    torch.export.save(program, stored)
    with zipfile.ZipFile(stored) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for name in source.namelist():
            if "sample_inputs" not in name:
                content = re.sub(rb'(File \\")[^"]*/', rb"\1", source.read(name))
                target.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def write(folder, name):
    shape, make = CASES[name]
    torch.manual_seed(SEED)
    example = torch.randint(0, 24, (2, 4)) if shape == "words" else torch.randn(shape)
    model = make(example)
    if name.startswith("buffers_"):
        example = example.to(model.dtype)
    # quantize_() leaves tensor subclasses behind; decomposing with an empty table turns them into plain tensors.
    program = torch.export.export(model, (example,), strict=True).run_decompositions({})
    with torch.no_grad():
        output = program.module()(example)
    (folder / f"{name}.pt2").write_bytes(packed(program))
    (folder / f"{name}.safetensors").write_bytes(save({"input": example, "output": output}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=list(CASES), help="all of them if none is named")
    folder = pathlib.Path(__file__).parent / "quantized"
    for name in parser.parse_args().cases:
        write(folder, name)


if __name__ == "__main__":
    main()
