// The graph that every stage works on. SSA: a value has one producer (or is an input or a constant).
//
// Forms (see docs/architecture.md): float -> QDQ (explicit quantized_decomposed nodes) -> typed (values carry qparams).
// Ids are stable: erasing leaves a hole, compact() removes holes. Not thread safe; const access from many threads is.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/file.hpp"
#include "ops/schema.hpp"

namespace quoin::ir {

using NodeId = uint32_t;
using ValueId = uint32_t;
inline constexpr uint32_t kNone = QUOIN_NONE;

struct Use {
  NodeId node;
  uint32_t slot;
  friend bool operator==(const Use&, const Use&) = default;
};

// One operand or result of a node. Annotations are keyed by place, so add(x, x) has two.
struct Place {
  NodeId node = kNone;
  uint32_t slot = 0;
  bool output = false;
  friend auto operator<=>(const Place&, const Place&) = default;
};

// One level of the module nesting, outermost first: {"encoder.layer.0", "transformers...BertLayer"}.
struct ModuleFrame {
  std::string path, type;
  friend bool operator==(const ModuleFrame&, const ModuleFrame&) = default;
};

struct Value {
  std::string name;
  TensorType type;
  NodeId producer = kNone;
  uint32_t output_index = 0;       // which result of the producer
  uint32_t dynamic = 0;            // bit i: dim i is the length of the run, at most type.shape[i] (ir/dynamic.hpp)
  std::vector<Use> users;          // in no particular order; graph outputs are not users
  std::optional<Tensor> constant;  // parameters and buffers; shape and dtype equal type
  bool alive = true;
};

struct Node {
  std::string name;
  const OpSchema* schema = nullptr;
  std::vector<ValueId> inputs;  // kNone: absent optional operand
  std::vector<ValueId> outputs;
  Attrs attrs;  // complete (defaults filled in)
  std::vector<ModuleFrame> modules;
  std::string source;                // "file.py:123" or ""
  uint64_t debug_id = 0;             // stable across passes; ties profiles and reports to the imported graph
  std::vector<std::string> origins;  // names of the imported nodes this one stands for
  bool alive = true;
  const std::string& op() const { return schema->name; }
  std::string module_path() const { return modules.empty() ? std::string() : modules.back().path; }
};

// A buffer that lives between runs, such as a key/value cache: graph input number `input` is what it holds before a
// run, output number `output` what it holds after it. Both have its type. Zero at first.
struct State {
  std::string name;
  uint32_t input = 0, output = 0;
  friend bool operator==(const State&, const State&) = default;
};

// What a new node inherits for messages and reports.
struct Provenance {
  std::vector<ModuleFrame> modules;
  std::string source;
  uint64_t debug_id = 0;
  std::vector<std::string> origins;
};
Provenance provenance(const Node& node);

class Graph {
 public:
  std::string name;
  std::vector<State> states;

  // A name already taken gets a suffix (_1, _2 ...). A node and its first result share their name.
  ValueId add_input(const std::string& base, TensorType type);
  ValueId add_constant(const std::string& base, Tensor tensor, std::shared_ptr<const QParams> qparams = nullptr);
  // Appends a node, or inserts it before `before`; infers and checks result types. Errors (model).
  Result<NodeId> add_node(std::string_view op, std::vector<ValueId> inputs, Attrs attrs, const std::string& base = {},
                          Provenance provenance = {}, NodeId before = kNone);
  // Appends a node whose results have exactly these names. Precondition: none of them is taken.
  // Errors (model): as add_node, or another number of names than of results.
  Result<NodeId> add_named_node(std::string_view op, std::vector<ValueId> inputs, Attrs attrs,
                                const std::vector<std::string>& names, Provenance provenance);
  // Renames a value, and the node whose first result it is; a name already taken gets a suffix.
  void rename(ValueId value, const std::string& base);
  void set_outputs(std::vector<ValueId> outputs) { outputs_ = std::move(outputs); }

  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::vector<ValueId>& outputs() const { return outputs_; }
  const std::vector<NodeId>& order() const { return order_; }  // live nodes, topological
  const Node& node(NodeId id) const { return nodes_[id]; }
  Node& node(NodeId id) { return nodes_[id]; }
  const Value& value(ValueId id) const { return values_[id]; }
  Value& value(ValueId id) { return values_[id]; }
  uint32_t node_capacity() const { return static_cast<uint32_t>(nodes_.size()); }  // ids are below
  uint32_t value_capacity() const { return static_cast<uint32_t>(values_.size()); }

  ValueId input(NodeId node, uint32_t slot) const {  // kNone if absent
    const auto& inputs = nodes_[node].inputs;
    return slot < inputs.size() ? inputs[slot] : kNone;
  }
  ValueId output(NodeId node, uint32_t slot = 0) const { return nodes_[node].outputs[slot]; }
  bool is_graph_output(ValueId value) const;
  // The only user of the value, or kNone when there are several or it is a graph output.
  NodeId single_user(ValueId value) const;
  bool is_constant(ValueId value) const { return value != kNone && values_[value].constant.has_value(); }

  void set_input(NodeId node, uint32_t slot, ValueId value);
  // Every use (and graph output) of `from` that `which` selects reads `to` instead.
  void replace_uses(ValueId from, ValueId to, const std::function<bool(const Use&)>& which = {},
                    bool graph_outputs = true);
  // Precondition: no result has users or is a graph output.
  void erase_node(NodeId node);
  // Erases nodes and constants nothing needs; returns how many nodes went.
  size_t erase_dead();
  // Recomputes result types of every node in order (after operand types changed). Errors (model).
  Status infer();
  // A copy without holes, ids in topological order.
  Graph compact() const;
  // "node conv2d_3 (aten.conv2d.default, module features.2.conv)"
  std::string describe(NodeId node) const;
  std::string unique_name(const std::string& base) const;  // among values and nodes

 private:
  ValueId add_value(const std::string& base, TensorType type);

  std::vector<Node> nodes_;
  std::vector<Value> values_;
  std::vector<NodeId> order_;
  std::vector<ValueId> inputs_, outputs_;
  std::unordered_set<std::string> names_;  // of all values ever made: none is used twice
};

}  // namespace quoin::ir
