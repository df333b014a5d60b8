#include "quantize/pack.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "ops/integer_range.hpp"

namespace quoin::quantize {
namespace {

constexpr std::array<std::string_view, 5> kProducts{"aten.linear.default", "aten.conv1d.default", "aten.conv2d.default",
                                                    "aten.conv_transpose2d.input", "quoin.linear_dynamic.default"};

bool reads_packed(const ir::Graph& graph, const ir::Use& use) {
  const std::string& op = graph.node(use.node).op();
  if (op == "quoin.dequantize.default") return true;
  return use.slot == 1 && std::ranges::find(kProducts, op) != kProducts.end();
}

// Elements of one row from bytes to groups of 8 / kBits per byte; a last byte that is not full has zeros on top.
template <uint32_t kBits>
void pack_row(const uint8_t* from, uint8_t* to, size_t columns) {
  constexpr size_t kPerByte = 8 / kBits;
  constexpr uint32_t kMask = (1u << kBits) - 1;
  const size_t whole = columns / kPerByte;
  for (size_t i = 0; i < whole; ++i) {
    uint32_t byte = 0;
    for (size_t k = 0; k < kPerByte; ++k) byte |= (from[i * kPerByte + k] & kMask) << (k * kBits);
    to[i] = static_cast<uint8_t>(byte);
  }
  for (size_t i = whole * kPerByte; i < columns; ++i)
    to[whole] = static_cast<uint8_t>(to[whole] | (from[i] & kMask) << (i % kPerByte * kBits));
}

bool in_range(const Tensor& bytes, DType dtype) {
  const IntegerRange all = integer_range(dtype);
  const auto inside = [&]<class T>(std::span<const T> values) {
    int32_t low = 0, high = 0;
    for (const T value : values) {
      low = std::min<int32_t>(low, value);
      high = std::max<int32_t>(high, value);
    }
    return low >= all.low && high <= all.high;
  };
  return bytes.dtype() == DType::s8 ? inside(bytes.as<int8_t>()) : inside(bytes.as<uint8_t>());
}

}  // namespace

DType packed_type(const QParams& q) {
  if (q.dtype != DType::s8 && q.dtype != DType::u8) return q.dtype;
  for (const DType dtype : {DType::s2, DType::s4, DType::u4}) {
    const IntegerRange all = integer_range(dtype);
    const bool zeros_fit = std::ranges::all_of(q.zero_point, [&](int32_t z) { return z >= all.low && z <= all.high; });
    if (q.qmin >= all.low && q.qmax <= all.high && zeros_fit) return dtype;
  }
  return q.dtype;
}

std::optional<Tensor> packed(const Tensor& bytes, DType dtype) {
  if (!in_range(bytes, dtype)) return std::nullopt;
  Tensor out(dtype, bytes.shape());
  const auto columns = static_cast<size_t>(bytes.shape().empty() ? 1 : bytes.shape().back());
  const auto from = bytes.as<uint8_t>();
  const size_t rows = columns == 0 ? 0 : from.size() / columns, row_bytes = (columns * bits(dtype) + 7) / 8;
  uint8_t* to = out.as<uint8_t>().data();
  for (size_t row = 0; row < rows; ++row)
    (bits(dtype) == 4 ? pack_row<4> : pack_row<2>)(from.data() + row * columns, to + row * row_bytes, columns);
  return out;
}

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
