// One ONNX node on its way to the graph, and the table of conversions.
#pragma once

#include <onnx/onnx_pb.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "import/builder.hpp"
#include "import/onnx_tensor.hpp"

namespace quoin::import::onnx_format {

// What is known of an operand besides its value.
struct Reading {
  uint32_t uses = 0;      // operands of live nodes and graph outputs that read it
  bool four_bit = false;  // a constant of 4-bit elements, held in a byte each
};

// A node with its operands resolved. Attribute accessors without `fallback` fail (model) if it is missing; all fail if
// it has another type.
class Call {
 public:
  Call(Builder& into, TensorReader& reader, onnx::NodeProto& proto, Values inputs, std::vector<Reading> readings)
      : builder(into), reader_(reader), proto_(proto), inputs_(std::move(inputs)), readings_(std::move(readings)) {}

  Builder& builder;

  const std::string& op() const { return proto_.op_type(); }
  size_t input_count() const { return inputs_.size(); }
  size_t output_count() const { return static_cast<size_t>(proto_.output_size()); }
  // kNone if absent.
  ValueId optional(size_t i) const { return i < inputs_.size() ? inputs_[i] : kNone; }
  const Values& inputs() const { return inputs_; }
  // Errors (model): absent.
  Result<ValueId> input(size_t i) const;
  // How many operands of live nodes and graph outputs read input i.
  uint32_t uses(size_t i) const { return readings_[i].uses; }
  bool four_bit(size_t i) const { return i < inputs_.size() && readings_[i].four_bit; }

  bool has_attr(std::string_view name) const { return attr(name) != nullptr; }
  Result<int64_t> integer(std::string_view name, std::optional<int64_t> fallback = {}) const;
  Result<double> number(std::string_view name, std::optional<double> fallback = {}) const;
  Result<std::string> text(std::string_view name, std::optional<std::string> fallback = {}) const;
  Result<std::vector<int64_t>> ints(std::string_view name, std::optional<std::vector<int64_t>> fallback = {}) const;
  Result<std::vector<double>> floats(std::string_view name) const;
  Result<Tensor> tensor(std::string_view name) const;

  // Elements of a constant operand. Errors: model (absent, not integers), unsupported (not known before the model
  // runs).
  Result<std::vector<int64_t>> known_ints(size_t i) const;
  Result<std::vector<double>> known_numbers(size_t i) const;
  // An operand (newer opsets) or an attribute (older ones); nullopt if neither is there.
  Result<std::optional<std::vector<int64_t>>> ints_of(size_t i, std::string_view name) const;

 private:
  const onnx::AttributeProto* attr(std::string_view name) const;
  Result<const onnx::AttributeProto*> attr(std::string_view name, onnx::AttributeProto::AttributeType type) const;

  TensorReader& reader_;
  onnx::NodeProto& proto_;
  Values inputs_;
  std::vector<Reading> readings_;
};

// Results in the order of the node's outputs; fewer if the rest have no counterpart (masks, statistics).
using Convert = Result<Values> (*)(const Call&);

// "Conv", or "com.microsoft::Gelu" outside of ONNX's own domain.
std::string qualified(const onnx::NodeProto& node);
Convert find_conversion(const std::string& op);
std::vector<std::string> known_operators();

// The result of a node whose operands are all known integers or bools (shape arithmetic), or of Shape and Size;
// nullopt if the node is nothing of the kind. Errors (model): operands that do not fit.
Result<std::optional<Tensor>> fold(const Call& call);

// Normalised axes of operand `rank`. Errors (model): out of range or named twice.
Result<std::vector<int64_t>> wrap_axes(const Builder& builder, std::vector<int64_t> axes, size_t rank);

// Conversions, by file; the table in onnx_ops.cpp names the operators they serve.
Result<Values> unary(const Call&);  // onnx_elementwise.cpp
Result<Values> binary(const Call&);
Result<Values> add(const Call&);
Result<Values> divide(const Call&);
Result<Values> variadic(const Call&);
Result<Values> power(const Call&);
Result<Values> clip(const Call&);
Result<Values> leaky_relu(const Call&);
Result<Values> elu(const Call&);
Result<Values> selu(const Call&);
Result<Values> prelu(const Call&);
Result<Values> hard_sigmoid(const Call&);
Result<Values> gelu(const Call&);
Result<Values> where(const Call&);
Result<Values> cast(const Call&);
Result<Values> identity(const Call&);
Result<Values> dropout(const Call&);
Result<Values> constant(const Call&);
Result<Values> constant_of_shape(const Call&);
Result<Values> range(const Call&);

Result<Values> conv(const Call&);  // onnx_network.cpp
Result<Values> conv_transpose(const Call&);
Result<Values> gemm(const Call&);
Result<Values> matmul(const Call&);
Result<Values> batch_normalization(const Call&);
Result<Values> layer_normalization(const Call&);
Result<Values> instance_normalization(const Call&);
Result<Values> group_normalization(const Call&);
Result<Values> softmax(const Call&);

Result<Values> max_pool(const Call&);  // onnx_pooling.cpp
Result<Values> average_pool(const Call&);
Result<Values> global_pool(const Call&);
Result<Values> resize(const Call&);
Result<Values> reduce(const Call&);
Result<Values> arg_max(const Call&);

Result<Values> reshape(const Call&);  // onnx_shape.cpp
Result<Values> flatten(const Call&);
Result<Values> transpose(const Call&);
Result<Values> squeeze(const Call&);
Result<Values> unsqueeze(const Call&);
Result<Values> expand(const Call&);
Result<Values> tile(const Call&);
Result<Values> slice(const Call&);
Result<Values> split(const Call&);
Result<Values> concat(const Call&);
Result<Values> pad(const Call&);
Result<Values> gather(const Call&);
Result<Values> gather_elements(const Call&);
Result<Values> gather_nd(const Call&);
Result<Values> depth_to_space(const Call&);

Result<Values> quantize_linear(const Call&);  // onnx_quantization.cpp
Result<Values> dequantize_linear(const Call&);

}  // namespace quoin::import::onnx_format
