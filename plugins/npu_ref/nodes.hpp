// Nodes of a graph in the terms of the device: shapes, exponents of scales, windows. Shared by the checks of the rules
// and by the compiler.
#pragma once

#include <quoin/plugin.hpp>

#include <optional>

#include "program.hpp"

namespace quoin::npu {

// [1, C], [1, C, H] or [1, C, H, W] within the device's limits.
std::optional<Shape> device_shape(std::span<const int64_t> dims);

// k of a scale 2^k; nothing for other scales.
std::optional<int32_t> exponent_of(float scale);

// That of a value whose scale is known to be a power of two.
int32_t exponent(const sdk::Value& value);

// Bytes of an element on the device; a float graph is judged as if it were int8.
uint32_t element_bytes(const sdk::Value& value);

// The integers a clamp leaves, or nothing for other nodes. `q`: of its result.
struct Bounds {
  int32_t low, high;
};
std::optional<Bounds> clamp_bounds(const sdk::Node& node, const sdk::QParams& q);

// Why a convolution, linear, pool or mean slides no window that the device has, or "". Tensors are checked already.
std::string check_geometry(const sdk::Graph& graph, const sdk::Node& node);
// Kind, shapes, window and element sizes of such a node. Call only when check_geometry() is "".
Command window_command(const sdk::Graph& graph, const sdk::Node& node);
bool is_window(const sdk::Node& node);

// Rows and columns that a pad node adds in front and behind: top, left, bottom, right; nothing unless it pads height
// and width with non-negative counts.
struct Padding {
  int32_t top = 0, left = 0, bottom = 0, right = 0;
};
std::optional<Padding> padding_of(const sdk::Node& node);

// Shifts that bring integers of exponent `from` to `to`: left or right, one of them zero.
struct Shifts {
  int32_t left, right;
};
Shifts shifts(int32_t from, int32_t to);

}  // namespace quoin::npu
