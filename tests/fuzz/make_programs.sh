#!/bin/sh
# Writes the program files of tests/fuzz/corpus from models that are in the repository:
#   sh tests/fuzz/make_programs.sh build/core/cli/quoin tests/fuzz/corpus/program
# Small ones only: every bit of them is flipped in tests.
set -eu
quoin=$1 out=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$out"
kernels="--set lower.order=[xnnpack]"  # a plugin that claims nothing
for model in "$root"/tests/fuzz/corpus/import_onnx/*.onnx; do
  "$quoin" quantize "$model" $kernels -q -o "$out/$(basename "$model" .onnx).quoin" >/dev/null
done
for name in static_per_channel dynamic_per_tensor affine_dynamic_int4_groups affine_embedding; do
  "$quoin" quantize "$root/tests/models/quantized/$name.pt2" $kernels -q -o "$out/$name.quoin" >/dev/null
done
# With a delegate and its original.
"$quoin" quantize "$root/tests/models/quantized/static_per_tensor.pt2" --set 'lower.order=[cpu]' -q -o "$out/delegate.quoin" >/dev/null
