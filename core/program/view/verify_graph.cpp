#include <algorithm>

#include "ops/schema.hpp"
#include "program/view/bad.hpp"
#include "program/view/length.hpp"
#include "program/view/lifetime.hpp"
#include "program/view/text.hpp"
#include "program/view/types.hpp"
#include "program/view/verify.hpp"

namespace quoin::program::view {
namespace {

// Who gives a value its content. Exactly one source each.
enum class Source : uint8_t { none, input, constant, result };

class GraphVerifier {
 public:
  GraphVerifier(const Graph& graph, std::span<Call> calls, const Allocator& memory, Fault& fault)
      : graph_(graph), calls_(calls), fault_(fault), memory_(memory) {}
  bool run();

 private:
  bool known(const List<uint32_t>& ids, const char* what);
  bool check_value(uint32_t id);
  bool check_dynamic(const Value& value);
  bool check_inputs();
  bool check_node(const Node& node);
  bool check_operands(const Node& node);
  bool check_call(const Node& node);
  bool check_operator(const Node& node);
  bool define_results(const Node& node);
  bool check_sources();
  std::string_view value_name(uint32_t id) const { return graph_.values[id].name; }

  const Graph& graph_;
  const std::span<Call> calls_;
  Fault& fault_;
  Arena memory_;
  int64_t longest_ = 0;  // 0: nothing follows the length of a run
  std::span<Source> source_;
};

bool GraphVerifier::known(const List<uint32_t>& ids, const char* what) {
  for (uint64_t i = 0; i < ids.size; ++i) {
    if (ids[i] < graph_.values.size) continue;
    bad(fault_, "value {} of {}", ids[i], graph_.values.size);
    return fault_.at("{} {}", what, i);
  }
  return true;
}

bool GraphVerifier::check_value(uint32_t id) {
  const Value& value = graph_.values[id];
  if (value.constant != nullptr) source_[id] = Source::constant;
  return verify_qparams(value, fault_) && check_dynamic(value);
}

bool GraphVerifier::check_dynamic(const Value& value) {
  if (value.dynamic == 0) return true;
  if (value.dynamic >> value.shape.size != 0)
    return bad(fault_, "dims {:#x} follow the length of a run, it has {}", value.dynamic, value.shape.size);
  if (value.constant != nullptr) return bad(fault_, "a constant follows the length of a run");
  if (longest_ < 2) return bad(fault_, "it follows the length of a run, which no input gives");
  for (uint64_t i = 0; i < value.shape.size; ++i)
    if (dim_at(value, i, longest_) != value.shape[i])
      return bad(fault_, "{} follows a length of at most {}", type_text(value).text(), longest_);
  return true;
}

bool GraphVerifier::check_inputs() {
  for (uint64_t i = 0; i < graph_.inputs.size; ++i) {
    Source& source = source_[graph_.inputs[i]];
    if (source != Source::none) {
      bad(fault_, "value {} ({}) is {}", graph_.inputs[i], value_name(graph_.inputs[i]),
          source == Source::input ? "an input twice" : "a constant");
      return fault_.at("graph input {}", i);
    }
    source = Source::input;
  }
  return true;
}

bool GraphVerifier::check_operands(const Node& node) {
  for (uint64_t slot = 0; slot < node.inputs.size; ++slot) {
    const uint32_t id = node.inputs[slot];
    if (id == QUOIN_NONE) continue;
    if (id >= graph_.values.size) return bad(fault_, "input {}: value {} of {}", slot, id, graph_.values.size);
    if (source_[id] == Source::none)
      return bad(fault_, "input {}: value {} ({}) is not computed before this node", slot, id, value_name(id));
  }
  return true;
}

bool GraphVerifier::define_results(const Node& node) {
  if (!known(node.outputs, "output")) return false;
  for (uint64_t slot = 0; slot < node.outputs.size; ++slot) {
    const uint32_t id = node.outputs[slot];
    if (source_[id] != Source::none)
      return bad(fault_, "output {}: value {} ({}) has another source already", slot, id, value_name(id));
    source_[id] = Source::result;
  }
  return true;
}

bool GraphVerifier::check_call(const Node& node) {
  if (calls_.empty()) return bad(fault_, "calls a delegate, which is not allowed here");
  if (node.delegate >= calls_.size()) return bad(fault_, "delegate {} of {}", node.delegate, calls_.size());
  Call& call = calls_[node.delegate];
  if (call.node != nullptr) return bad(fault_, "delegate {} is called twice", node.delegate);
  call = {&graph_, &node};
  if (!node.attrs.empty()) return bad(fault_, "the call of a delegate has attributes");
  if (std::ranges::find(node.inputs, QUOIN_NONE) != node.inputs.end())
    return bad(fault_, "the call of a delegate has an absent operand");
  return true;
}

bool GraphVerifier::check_operator(const Node& node) {
  if (node.delegate != QUOIN_NONE) return bad(fault_, "operator {} with delegate {}", node.op, node.delegate);
  if (kHasOperators) return verify_operator(graph_, node, longest_, fault_);
  fault_.fail(Code::unsupported, "this runtime has no kernels, and the node is in no delegate");
  return fault_.at("{}", node.op);
}

bool GraphVerifier::check_node(const Node& node) {
  return check_operands(node) && define_results(node) && (node.is_call() ? check_call(node) : check_operator(node));
}

bool GraphVerifier::check_sources() {
  for (uint32_t id = 0; id < source_.size(); ++id)
    if (source_[id] == Source::none)
      return bad(fault_, "value {} ({}) is neither input, constant nor result of a node", id, value_name(id));
  return true;
}

bool GraphVerifier::run() {
  if (!known(graph_.inputs, "graph input") || !known(graph_.outputs, "graph output")) return false;
  if (!memory_.make(graph_.values.size, source_, fault_)) return false;
  longest_ = longest(graph_);
  for (uint32_t id = 0; id < graph_.values.size; ++id)
    if (!check_value(id)) return fault_.at("value {} ({})", id, value_name(id));
  if (!check_inputs()) return false;
  for (uint32_t i = 0; i < graph_.nodes.size; ++i)
    if (!check_node(graph_.nodes[i])) return fault_.at("node {} ({})", i, graph_.nodes[i].name);
  if (!check_sources()) return false;
  std::span<bool> arena;
  if (!in_arena(graph_, memory_, arena, fault_)) return false;
  return verify_memory_plan(graph_, arena, memory_, fault_) || fault_.at("memory plan");
}

}  // namespace

bool verify_graph(const Graph& graph, std::span<Call> calls, const Allocator& memory, Fault& fault) {
  return GraphVerifier(graph, calls, memory, fault).run();
}

}  // namespace quoin::program::view
