// A node of a quoin_graph in the terms of core: checked against the operator table, so that kernels read attributes and
// types without checking them again.
#pragma once

#include <quoin/abi.h>

#include <optional>
#include <vector>

#include "ops/abi_read.hpp"
#include "ops/schema.hpp"

namespace quoin::kernels {

struct NodeView {
  const OpSchema* schema = nullptr;
  Attrs attrs;                                    // complete
  std::vector<std::optional<TensorType>> inputs;  // one per operand given, at least one per slot; nullopt: absent
  std::vector<TensorType> outputs;

  bool has_in(size_t slot) const { return slot < inputs.size() && inputs[slot].has_value(); }
  // Precondition: has_in(slot).
  const TensorType& in(size_t slot) const { return *inputs[slot]; }
  const TensorType& out(size_t slot = 0) const { return outputs[slot]; }
  const Shape& in_shape(size_t slot = 0) const { return in(slot).shape; }
  const Shape& out_shape(size_t slot = 0) const { return outputs[slot].shape; }
};

// Errors: unsupported (unknown operator), model (ids, attributes or types that the operator does not allow; dynamic
// dims), with the operator's name in front.
Result<NodeView> view_node(const quoin_graph& graph, uint32_t node);

}  // namespace quoin::kernels
