// Windows of convolutions and pools: ONNX's attributes with their defaults and automatic padding resolved.
#pragma once

#include "import/onnx_ops.hpp"

namespace quoin::import::onnx_format {

struct Window {
  Shape kernel, stride, dilation;
  Padding padding;
};

// `kernel` are the window's spatial sizes, x the operand it slides over (NCHW or NCL).
// Errors (model): lists of the wrong length, values out of range.
Result<Window> read_window(const Call& call, ValueId x, Shape kernel);

}  // namespace quoin::import::onnx_format
