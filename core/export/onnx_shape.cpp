// Elements move to other places: new shapes, permutations, slices, joins, padding; tensors made from attributes.
#include <algorithm>
#include <numeric>

#include "export/onnx_ops.hpp"

namespace quoin::exporter {

Status view(const Call& call) {
  QUOIN_TRY(const std::string x, call.in(0));
  const Shape& shape = call.out_type().shape;
  if (std::ranges::find(shape, 0) == shape.end()) return call.result("Reshape", {x, call.integers("shape", shape)});
  QUOIN_TRY(const std::string value, call.reshape(x, shape));
  return call.result("Identity", {value});
}

Status squeeze(const Call& call) {
  QUOIN_TRY(const std::string x, call.in(0));
  const Attr& dims = call.attrs().find("dim")->second;
  const bool single = std::holds_alternative<int64_t>(dims);
  Shape axes;
  for (int64_t axis : single ? Shape{std::get<int64_t>(dims)} : std::get<Shape>(dims)) {
    if (axis < 0) axis += static_cast<int64_t>(call.rank(0));
    if (axis < static_cast<int64_t>(call.rank(0)) && call.shape(0)[static_cast<size_t>(axis)] == 1)
      axes.push_back(axis);
  }
  if (axes.empty()) return call.result("Identity", {x});
  return call.result("Squeeze", {x, call.integers("axes", axes)});
}

Status unsqueeze(const Call& call) {
  QUOIN_TRY(const std::string x, call.in(0));
  return call.result("Unsqueeze", {x, call.integers("axes", {call.axis("dim", call.rank(0) + 1)})});
}

Status permute(const Call& call) {
  QUOIN_TRY(const std::string x, call.in(0));
  const size_t rank = call.rank(0);
  Shape order(rank);
  std::iota(order.begin(), order.end(), 0);
  if (has(call.attrs(), "dims")) {
    order = get_ints(call.attrs(), "dims");
    for (int64_t& dim : order) dim += dim < 0 ? static_cast<int64_t>(rank) : 0;
  } else if (has(call.attrs(), "dim0") && rank > 0) {
    std::swap(order[static_cast<size_t>(call.axis("dim0", rank))], order[static_cast<size_t>(call.axis("dim1", rank))]);
  } else {
    std::ranges::reverse(order);
  }
  return call.result("Transpose", {x}, {{"perm", order}});
}

Status expand(const Call& call) {
  QUOIN_TRY(const std::string x, call.in(0));
  return call.result("Expand", {x, call.integers("shape", call.out_type().shape)});
}

Status repeat(const Call& call) {
  QUOIN_TRY(std::string x, call.in(0));
  const Shape& repeats = get_ints(call.attrs(), "repeats");
  if (repeats.size() > call.rank(0)) {
    Shape shape(repeats.size() - call.rank(0), 1);
    shape.insert(shape.end(), call.shape(0).begin(), call.shape(0).end());
    QUOIN_TRY(x, call.reshape(x, shape));
  }
  return call.result("Tile", {x, call.integers("repeats", repeats)});
}

Status slice(const Call& call) {
  QUOIN_TRY(const std::string x, call.in(0));
  const int64_t axis = call.axis("dim", call.rank(0)), size = call.shape(0)[static_cast<size_t>(axis)];
  const auto position = [&](const char* name, int64_t missing) {
    if (!has(call.attrs(), name)) return missing;
    const int64_t value = get_int(call.attrs(), name);
    return std::clamp<int64_t>(value < 0 ? value + size : value, 0, size);
  };
  return call.result(
      "Slice", {x, call.integers("starts", {position("start", 0)}), call.integers("ends", {position("end", size)}),
                call.integers("axes", {axis}), call.integers("steps", {get_int(call.attrs(), "step")})});
}

Status select(const Call& call) {
  QUOIN_TRY(const std::string x, call.in(0));
  const int64_t axis = call.axis("dim", call.rank(0));
  const double index = static_cast<double>(get_int(call.attrs(), "index"));
  return call.result("Gather", {x, call.number("index", DType::s64, index)}, {{"axis", axis}});
}

Status cat(const Call& call) {
  Names parts;
  for (size_t i = 0; i < call.input_count(); ++i) {
    QUOIN_TRY(parts.emplace_back(), call.in_as(i, call.out_type().dtype));
  }
  return call.result("Concat", parts, {{"axis", call.axis("dim", call.rank(0))}});
}

Status stack(const Call& call) {
  const int64_t axis = call.axis("dim", call.rank(0) + 1);
  Names parts;
  for (size_t i = 0; i < call.input_count(); ++i) {
    QUOIN_TRY(const std::string part, call.in_as(i, call.out_type().dtype));
    parts.push_back(call.step("Unsqueeze", {part, call.integers("axes", {axis})}));
  }
  return call.result("Concat", parts, {{"axis", axis}});
}

// (before, after) from the last dim on -> all amounts in front, then all behind.
Status pad(const Call& call) {
  QUOIN_TRY(const std::string x, call.in(0));
  const Shape& amounts = get_ints(call.attrs(), "pad");
  const size_t rank = call.rank(0);
  Shape pads(2 * rank, 0);
  for (size_t i = 0; i < amounts.size(); ++i) pads[(i % 2 == 0 ? 0 : rank) + rank - 1 - i / 2] = amounts[i];
  return call.result(
      "Pad", {x, call.integers("pads", pads), call.number("value", call.dtype(0), get_number(call.attrs(), "value"))});
}

Status arange(const Call& call) {
  const DType dtype = call.out_type().dtype;
  Names inputs;
  for (const char* key : {"start", "end", "step"})
    inputs.push_back(call.number(key, dtype, get_number(call.attrs(), key)));
  return call.result("Range", inputs);
}

Status full(const Call& call) {
  const std::string value = call.number("value", call.out_type().dtype, get_number(call.attrs(), "fill_value"));
  return call.result("Expand", {value, call.integers("shape", call.out_type().shape)});
}

}  // namespace quoin::exporter
