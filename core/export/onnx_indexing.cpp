// Elements picked by index tensors.
#include <algorithm>

#include "export/onnx_ops.hpp"
#include "ops/shape.hpp"

namespace quoin::exporter {
namespace {

// Index operands of aten.index.Tensor that are present.
struct Indices {
  Shape dims;     // that they index, ascending
  Shape common;   // their broadcast shape
  bool together;  // the dims are neighbours: the result's own dims stand in their place, else in front
};

Result<Indices> read_indices(const Call& call) {
  Indices out;
  for (size_t i = 1; i < call.input_count(); ++i) {
    if (!call.has_in(i)) continue;
    out.dims.push_back(static_cast<int64_t>(i) - 1);
    QUOIN_TRY(out.common, broadcast(out.common, call.shape(i)));
  }
  out.together = !out.dims.empty() && out.dims.back() - out.dims.front() + 1 == static_cast<int64_t>(out.dims.size());
  return out;
}

// The indices side by side, one row of coordinates per picked element.
Result<std::string> coordinates(const Call& call, const Indices& indices) {
  Names columns;
  Shape column = indices.common;
  column.push_back(1);
  for (const int64_t dim : indices.dims) {
    const size_t slot = static_cast<size_t>(dim) + 1;
    QUOIN_TRY(std::string index, call.in_as(slot, DType::s64));
    if (call.shape(slot) != indices.common)
      index = call.step("Expand", {index, call.integers("common", indices.common)});
    QUOIN_TRY(columns.emplace_back(), call.reshape(index, column));
  }
  return call.step("Concat", columns, {{"axis", int64_t{-1}}});
}

// The indexed dims first, then the others.
Shape indexed_first(const Indices& indices, size_t rank) {
  Shape order = indices.dims;
  for (int64_t i = 0; i < static_cast<int64_t>(rank); ++i)
    if (std::ranges::find(indices.dims, i) == indices.dims.end()) order.push_back(i);
  return order;
}

}  // namespace

Status embedding(const Call& call) {
  QUOIN_TRY(const std::string weight, call.in(0));
  QUOIN_TRY(const std::string indices, call.in(1));
  return call.result("Gather", {weight, indices}, {{"axis", int64_t{0}}});
}

Status gather(const Call& call) {
  QUOIN_TRY(std::string x, call.in(0));
  QUOIN_TRY(const std::string indices, call.in(1));
  const int64_t axis = call.axis("dim", call.rank(0));
  // ONNX wants equal dims outside the axis, torch takes larger ones.
  for (size_t i = 0; i < call.rank(0); ++i) {
    if (static_cast<int64_t>(i) == axis || call.shape(1)[i] == call.shape(0)[i]) continue;
    x = call.step("Slice", {x, call.integers("starts", {0}), call.integers("ends", {call.shape(1)[i]}),
                            call.integers("axes", {static_cast<int64_t>(i)})});
  }
  return call.result("GatherElements", {x, indices}, {{"axis", axis}});
}

Status index_select(const Call& call) {
  QUOIN_TRY(const std::string x, call.in(0));
  QUOIN_TRY(const std::string indices, call.in(1));
  return call.result("Gather", {x, indices}, {{"axis", call.axis("dim", call.rank(0))}});
}

// numpy's advanced indexing: one index is a Gather; several are a GatherND over the indexed dims, brought to the front.
Status index(const Call& call) {
  QUOIN_TRY(std::string x, call.in(0));
  QUOIN_TRY(const Indices indices, read_indices(call));
  if (indices.dims.empty()) return call.result("Identity", {x});
  if (indices.dims.size() == 1) {
    QUOIN_TRY(const std::string only, call.in(static_cast<size_t>(indices.dims[0]) + 1));
    return call.result("Gather", {x, only}, {{"axis", indices.dims[0]}});
  }
  const bool leading = indices.together && indices.dims[0] == 0;
  QUOIN_TRY(const std::string where, coordinates(call, indices));
  if (leading) return call.result("GatherND", {x, where});
  x = call.step("Transpose", {x}, {{"perm", indexed_first(indices, call.rank(0))}});
  if (!indices.together) return call.result("GatherND", {x, where});
  // [common..., others...]: the others in front of the indexed dims go to the front again.
  const auto rank = static_cast<int64_t>(indices.common.size()), front = indices.dims[0];
  Shape order;
  for (int64_t i = 0; i < front; ++i) order.push_back(rank + i);
  for (int64_t i = 0; i < rank; ++i) order.push_back(i);
  for (int64_t i = rank + front; i < static_cast<int64_t>(call.out_type().shape.size()); ++i) order.push_back(i);
  return call.result("Transpose", {call.step("GatherND", {x, where})}, {{"perm", order}});
}

}  // namespace quoin::exporter
