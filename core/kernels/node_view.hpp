// A node of a quoin_graph in the terms of core: checked against the operator table, so that kernels read attributes and
// types without checking them again.
#pragma once

#include <quoin/abi.h>

#include <forward_list>
#include <vector>

#include "ops/abi_read.hpp"
#include "ops/schema.hpp"

namespace quoin::kernels {

struct NodeView {
  const OpSchema* schema = nullptr;
  Attrs attrs;                            // complete
  std::vector<const TensorType*> inputs;  // one per operand given, at least one per slot; null: absent
  std::vector<const TensorType*> outputs;
  std::forward_list<TensorType> types;  // what the others point at; moves with the view

  NodeView() = default;
  NodeView(NodeView&&) = default;
  NodeView& operator=(NodeView&&) = default;
  // Errors: unsupported (unknown operator), model (ids, attributes or types that the operator does not allow; dynamic
  // dims), with the operator's name in front.
  static Result<NodeView> of(const quoin_graph& graph, uint32_t node);

  const TensorType* keep(TensorType type) { return &types.emplace_front(std::move(type)); }
  bool has_in(size_t slot) const { return slot < inputs.size() && inputs[slot] != nullptr; }
  // Precondition: has_in(slot).
  const TensorType& in(size_t slot) const { return *inputs[slot]; }
  const TensorType& out(size_t slot = 0) const { return *outputs[slot]; }
  const Shape& in_shape(size_t slot = 0) const { return in(slot).shape; }
  const Shape& out_shape(size_t slot = 0) const { return out(slot).shape; }

  bool is(const char* op) const;
  // Attributes, as in ops/schema.hpp.
  bool has(const char* name) const;
  bool get_bool(const char* name) const;
  int64_t get_int(const char* name) const;
  double get_number(const char* name) const;
  const std::string& get_text(const char* name) const;
  const std::vector<int64_t>& get_ints(const char* name) const;
  const std::vector<double>& get_numbers(const char* name) const;
};

}  // namespace quoin::kernels
