#include "quantize/pack.hpp"

#include <algorithm>
#include <array>

#include "ops/integer_range.hpp"

namespace quoin::quantize {
namespace {

constexpr std::array<std::string_view, 5> kProducts{"aten.linear.default", "aten.conv1d.default", "aten.conv2d.default",
                                                    "aten.conv_transpose2d.input", "quoin.linear_dynamic.default"};

// The smallest type that holds the range of a byte-wide constant; its own when there is none.
DType packed_type(const QParams& q) {
  if (q.dtype != DType::s8 && q.dtype != DType::u8) return q.dtype;
  for (const DType dtype : {DType::s2, DType::s4, DType::u4}) {
    const IntegerRange all = integer_range(dtype);
    const bool zeros_fit = std::ranges::all_of(q.zero_point, [&](int32_t z) { return z >= all.low && z <= all.high; });
    if (q.qmin >= all.low && q.qmax <= all.high && zeros_fit) return dtype;
  }
  return q.dtype;
}

bool reads_packed(const ir::Graph& graph, const ir::Use& use) {
  const std::string& op = graph.node(use.node).op();
  if (op == "quoin.dequantize.default") return true;
  return use.slot == 1 && std::ranges::find(kProducts, op) != kProducts.end();
}

// Element 0 of each row in the low bits of its first byte. Nothing if a value lies outside the range of the type: the
// constant of an imported graph need not keep the range that its node states.
std::optional<Tensor> packed(const Tensor& bytes, DType dtype) {
  Tensor out(dtype, bytes.shape());
  const auto columns = static_cast<size_t>(bytes.shape().empty() ? 1 : bytes.shape().back());
  const uint32_t width = bits(dtype), per_byte = 8 / width, mask = (1u << width) - 1;
  const size_t row_bytes = (columns + per_byte - 1) / per_byte;
  const IntegerRange all = integer_range(dtype);
  const auto from = bytes.as<uint8_t>();
  const auto to = out.as<uint8_t>();
  for (size_t i = 0; i < from.size(); ++i) {
    const int64_t value = bytes.dtype() == DType::s8 ? static_cast<int8_t>(from[i]) : from[i];
    if (value < all.low || value > all.high) return std::nullopt;
    const size_t column = i % columns;
    const uint32_t code = (static_cast<uint32_t>(value) & mask) << (column % per_byte * width);
    uint8_t& byte = to[i / columns * row_bytes + column / per_byte];
    byte = static_cast<uint8_t>(byte | code);
  }
  return out;
}

}  // namespace

void pack_constants(ir::Graph& graph) {
  for (ir::ValueId id = 0; id < graph.value_capacity(); ++id) {
    ir::Value& value = graph.value(id);
    if (!value.alive || !value.constant || !value.type.qparams || graph.is_graph_output(id)) continue;
    const DType dtype = packed_type(*value.type.qparams);
    if (dtype == value.type.dtype || value.users.empty()) continue;
    if (!std::ranges::all_of(value.users, [&](const ir::Use& use) { return reads_packed(graph, use); })) continue;
    auto tensor = packed(*value.constant, dtype);
    if (!tensor) continue;
    QParams q = *value.type.qparams;
    q.dtype = dtype;
    value.constant = *std::move(tensor);
    value.type.dtype = dtype;
    value.type.qparams = std::make_shared<const QParams>(std::move(q));
  }
}

}  // namespace quoin::quantize
