// One node of the graph on its way to ONNX, and the table of conversions: the reverse of core/import/onnx_ops.hpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "export/onnx_model.hpp"

namespace quoin::exporter {

// What is written for.
struct Target {
  int64_t opset = 13;
  bool unsigned_activations = false;
};

// A node with its operands. Operands of conversions are names of ONNX values.
class Call {
 public:
  Call(OnnxGraph& to, const ir::Graph& graph, ir::NodeId id, Target target)
      : to_(to), graph_(graph), node_(graph.node(id)), target_(target) {}

  // -- the node
  const ir::Node& node() const { return node_; }
  const Attrs& attrs() const { return node_.attrs; }
  const ir::Graph& graph() const { return graph_; }
  size_t input_count() const { return node_.inputs.size(); }
  ir::ValueId id(size_t i) const { return i < node_.inputs.size() ? node_.inputs[i] : ir::kNone; }
  bool has_in(size_t i) const { return id(i) != ir::kNone; }
  const TensorType& type(size_t i) const { return graph_.value(id(i)).type; }
  const Shape& shape(size_t i) const { return type(i).shape; }
  DType dtype(size_t i) const { return type(i).dtype; }
  size_t rank(size_t i) const { return shape(i).size(); }
  const TensorType& out_type(size_t i = 0) const { return graph_.value(node_.outputs[i]).type; }
  // The constant's tensor, or null.
  const Tensor* known(size_t i) const;
  // An axis attribute counted from the front of operand 0. Inference has checked its range.
  int64_t axis(std::string_view attr, size_t rank) const;

  // -- operands, by name
  Result<std::string> in(size_t i) const;                  // "" if absent
  Result<std::string> in_as(size_t i, DType dtype) const;  // through a Cast if need be

  // -- nodes
  // The node that computes result `i`; it takes the node's name.
  Status result(const std::string& op, const Names& inputs, const Attrs& attrs = {}, size_t i = 0) const;
  // A helper node on the way, named "<node>.<Op>"; returns its result.
  std::string step(const std::string& op, const Names& inputs, const Attrs& attrs = {}) const;
  // Reshape to a known shape; a step.
  Result<std::string> reshape(const std::string& x, const Shape& shape) const;
  // Constants named "<node>.<suffix>".
  std::string constant(std::string_view suffix, Tensor tensor) const;
  std::string integers(std::string_view suffix, const std::vector<int64_t>& values) const;  // one dim, INT64
  std::string number(std::string_view suffix, DType dtype, double value) const;             // no dims

  // -- what the opset can say
  int64_t opset() const { return target_.opset; }
  const Target& target() const { return target_; }
  // Errors (unsupported): the opset is older than `opset`; `what` completes "... needs opset 21".
  Status need(int64_t opset, std::string_view what) const;

  OnnxGraph& to() const { return to_; }

 private:
  OnnxGraph& to_;
  const ir::Graph& graph_;
  const ir::Node& node_;
  Target target_;
};

inline constexpr int64_t kOldOpset = 13, kNewOpset = 21;

using Convert = Status (*)(const Call&);
// nullptr if the operator has no ONNX form.
Convert find_conversion(const std::string& op);
std::vector<std::string> known_operators();

// 8- and 16-bit integers and bools become s32: ONNX (or its runtimes) has no arithmetic on them.
DType arithmetic_type(DType dtype);
// Reduction over `axes` (an attribute of the older operators, an operand of the newer ones).
std::string reduce(const Call& call, const std::string& op, const std::string& x, const Shape& axes, bool keep);

// Conversions, by file; the table in onnx_ops.cpp names the operators they serve.
Status unary(const Call&);  // onnx_elementwise.cpp
Status identity(const Call&);
Status relu(const Call&);
Status clamp(const Call&);
Status leaky_relu(const Call&);
Status elu(const Call&);
Status hardswish(const Call&);
Status hardsigmoid(const Call&);
Status silu(const Call&);
Status gelu(const Call&);
Status rsqrt(const Call&);
Status rounding(const Call&);
Status sign(const Call&);
Status power(const Call&);
Status logical_not(const Call&);
Status to_dtype(const Call&);

Status binary(const Call&);  // onnx_binary.cpp
Status scalar_binary(const Call&);
Status comparison(const Call&);
Status logical(const Call&);
Status bitwise(const Call&);
Status where(const Call&);

Status conv(const Call&);  // onnx_network.cpp
Status conv_transpose(const Call&);
Status linear(const Call&);
Status matmul(const Call&);
Status batch_norm(const Call&);
Status layer_norm(const Call&);
Status rms_norm(const Call&);
Status group_norm(const Call&);
Status softmax(const Call&);

Status max_pool(const Call&);  // onnx_pooling.cpp
Status avg_pool(const Call&);
Status adaptive_avg_pool(const Call&);
Status upsample(const Call&);
Status reduction(const Call&);
Status vector_norm(const Call&);
Status argmax(const Call&);

Status view(const Call&);  // onnx_shape.cpp
Status squeeze(const Call&);
Status unsqueeze(const Call&);
Status permute(const Call&);
Status expand(const Call&);
Status repeat(const Call&);
Status slice(const Call&);
Status select(const Call&);
Status cat(const Call&);
Status stack(const Call&);
Status pad(const Call&);
Status arange(const Call&);
Status full(const Call&);

Status embedding(const Call&);  // onnx_indexing.cpp
Status gather(const Call&);
Status index_select(const Call&);
Status index(const Call&);

Status quantize(const Call&);  // onnx_quantization.cpp
Status dequantize(const Call&);

Status choose_tensor(const Call&);  // onnx_dynamic.cpp
Status choose_token(const Call&);
Status quantize_dynamic(const Call&);
Status dequantize_dynamic(const Call&);

}  // namespace quoin::exporter
