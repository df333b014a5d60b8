// What both importers convert with: the graph under construction, and the imported node that new nodes stand for.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.hpp"

namespace quoin::import {

using ir::kNone;
using ir::ValueId;
using Values = std::vector<ValueId>;

class Builder {
 public:
  ir::Graph graph;

  // The nodes that follow stand for this imported node.
  void begin(std::string name, ir::Provenance provenance) {
    name_ = std::move(name);
    provenance_ = std::move(provenance);
  }
  const std::string& name() const { return name_; }

  // The node that computes the imported node's result; it takes its name. Errors: model, unsupported.
  Result<ValueId> emit(std::string_view op, Values inputs, Attrs attrs = {});
  // emit() as the results of a converter.
  Result<Values> result(std::string_view op, Values inputs, Attrs attrs = {});
  // A helper node on the way, named "<imported>.<operator>".
  Result<ValueId> step(std::string_view op, Values inputs, Attrs attrs = {});
  // A constant named "<imported>.<suffix>".
  ValueId constant(std::string_view suffix, Tensor tensor);

  const Shape& shape(ValueId value) const { return graph.value(value).type.shape; }
  DType dtype(ValueId value) const { return graph.value(value).type.dtype; }
  size_t rank(ValueId value) const { return shape(value).size(); }
  // The constant's tensor, or null.
  const Tensor* known(ValueId value) const {
    return graph.is_constant(value) ? &*graph.value(value).constant : nullptr;
  }

  // `dim` counted from the front. Errors (model): out of range.
  Result<int64_t> wrap(int64_t dim, size_t rank) const;
  // x padded by `value`: `before` and `after` belong to the last before.size() dims, in order. A step; x if all are 0.
  Result<ValueId> pad_last(ValueId x, const Shape& before, const Shape& after, double value);
  // Consecutive slices of `sizes` along `dim`; the first takes the imported node's name. Errors (model): they do not
  // add up to the dim.
  Result<Values> split(ValueId x, int64_t dim, const Shape& sizes);

 private:
  Result<ValueId> add(std::string_view op, Values inputs, Attrs attrs, const std::string& name);

  std::string name_;
  ir::Provenance provenance_;
};

// Every element as an integer; nullopt for float tensors and u64-like overflow cannot happen.
// Precondition: bool or integer dtype of at least 8 bits.
std::vector<int64_t> integers(const Tensor& tensor);
// Every element as a double. Precondition: at least 8 bits per element, not f16 or bf16.
std::vector<double> numbers(const Tensor& tensor);
// Whether numbers() reads this type.
bool has_numbers(DType dtype);
Tensor integer_tensor(Shape shape, const std::vector<int64_t>& values, DType dtype = DType::s64);

// Amounts on both sides so that a window of (kernel - 1) * dilation + 1 gives ceil(size / stride) results: "same"
// padding; the odd one goes behind (or in front, ONNX's SAME_LOWER).
struct Padding {
  Shape before, after;
  bool symmetric() const { return before == after; }
};
struct Windows {
  Shape size, kernel, stride, dilation;
};
Padding same_padding(const Windows& windows, bool lower);

}  // namespace quoin::import
