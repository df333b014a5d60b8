// One node of a `.pt2` program on its way to the graph, and the table of conversions.
#pragma once

#include <functional>
#include <optional>

#include "import/builder.hpp"
#include "import/pt2_program.hpp"

namespace quoin::import::pt2 {

// Finds the graph value of a value of the file. Errors (model): not computed before.
using Resolve = std::function<Result<ValueId>(const std::string&)>;

// A node with its arguments by name. Accessors without `fallback` fail (model) if the argument is absent or None; all
// fail if its type is another.
class Call {
 public:
  // `resolve` must outlive the call.
  Call(Builder& into, const NodeRecord& from, Arguments values, const Resolve& resolve)
      : builder(into), node(from), arguments(std::move(values)), resolve_(resolve) {}

  Builder& builder;
  const NodeRecord& node;
  Arguments arguments;

  // Null if absent or None.
  const Argument* find(std::string_view name) const;
  bool is_tensor(std::string_view name) const;
  Result<ValueId> tensor(std::string_view name) const;
  Result<ValueId> tensor_or_none(std::string_view name) const;  // kNone
  Result<Values> tensors(std::string_view name) const;          // with kNone for gaps
  Result<int64_t> integer(std::string_view name, std::optional<int64_t> fallback = {}) const;
  Result<double> number(std::string_view name, std::optional<double> fallback = {}) const;
  Result<bool> flag(std::string_view name, std::optional<bool> fallback = {}) const;
  Result<std::vector<int64_t>> ints(std::string_view name, std::optional<std::vector<int64_t>> fallback = {}) const;
  Result<std::string> text(std::string_view name, std::optional<std::string> fallback = {}) const;

 private:
  Failure wrong(std::string_view name, std::string_view expected) const;
  const Resolve& resolve_;
};

// Results in the order of the node's outputs; fewer if the rest have no counterpart (saved statistics).
using Convert = Result<Values> (*)(const Call&);

// The conversion for a target; null if there is none. Targets that are operators of core/ops need no row.
Convert find_conversion(const std::string& target);
// "aten.relu_.default" -> "aten.relu.default"; the target itself if it does not change its operand.
std::string out_of_place(const std::string& target);

// Arguments become operands and attributes of operator `op` by name.
Result<Values> same_operator(const Call& call, const std::string& op);

// Conversions, by file; the table in pt2_ops.cpp names the targets they serve.
Result<Values> arithmetic(const Call&);  // pt2_elementwise.cpp
Result<Values> reversed_subtract(const Call&);
Result<Values> rounded_division(const Call&);
Result<Values> floor_division(const Call&);
Result<Values> square(const Call&);
Result<Values> bitwise_and(const Call&);
Result<Values> bitwise_or(const Call&);
Result<Values> bitwise_not(const Call&);
Result<Values> where_scalars(const Call&);
Result<Values> masked_fill(const Call&);
Result<Values> clamp_tensors(const Call&);
Result<Values> selu(const Call&);
Result<Values> prelu(const Call&);
Result<Values> glu(const Call&);
Result<Values> convert_dtype(const Call&);
Result<Values> convert_dtype_like(const Call&);
Result<Values> identity(const Call&);
Result<Values> dropout(const Call&);

Result<Values> arange(const Call&);  // pt2_creation.cpp
Result<Values> zeros(const Call&);
Result<Values> ones(const Call&);
Result<Values> full(const Call&);

Result<Values> split_equal(const Call&);  // pt2_shape.cpp
Result<Values> split_sizes(const Call&);
Result<Values> chunk(const Call&);
Result<Values> unbind(const Call&);
Result<Values> narrow(const Call&);
Result<Values> squeeze_all(const Call&);
Result<Values> unflatten(const Call&);
Result<Values> transpose_last(const Call&);
Result<Values> move_dims(const Call&);
Result<Values> repeat_interleave(const Call&);
Result<Values> tile(const Call&);
Result<Values> pixel_shuffle(const Call&);
Result<Values> constant_pad(const Call&);
Result<Values> upsample(const Call&);

Result<Values> convolution(const Call&);  // pt2_network.cpp
Result<Values> convolution_padding(const Call&);
Result<Values> batch_norm(const Call&);
Result<Values> instance_norm(const Call&);
Result<Values> native_layer_norm(const Call&);
Result<Values> native_group_norm(const Call&);
Result<Values> softmax(const Call&);
Result<Values> attention(const Call&);
Result<Values> add_product(const Call&);
Result<Values> pool_1d(const Call&);
Result<Values> max_pool_indices(const Call&);

Result<Values> reduce_all(const Call&);  // pt2_reduction.cpp
Result<Values> reduce_with_index(const Call&);
Result<Values> variance(const Call&);
Result<Values> vector_norm(const Call&);

}  // namespace quoin::import::pt2
