#include <algorithm>
#include <map>
#include <queue>

#include "program/fault.hpp"
#include "program/format.hpp"
#include "program/length.hpp"
#include "program/lifetime.hpp"
#include "program/verify.hpp"

namespace quoin::program {
namespace {

// Who gives a value its content. Exactly one source each.
enum class Source : uint8_t { none, input, constant, result };

class GraphVerifier {
 public:
  GraphVerifier(const Graph& graph, std::vector<uint32_t>& calls)
      : graph_(graph), calls_(calls), source_(graph.values.size(), Source::none) {}
  Status run();

 private:
  Status check_value(uint32_t id);
  Status check_dynamic(const Value& value) const;
  Status check_inputs();
  Status check_node(const Node& node);
  Status check_operands(const Node& node);
  Status check_call(const Node& node);
  Status check_operator(const Node& node);
  Status define_results(const Node& node);
  Status check_outputs();
  Status known(uint32_t id) const {
    if (id >= graph_.values.size()) return bad("value {} of {}", id, graph_.values.size());
    return {};
  }
  const std::string& value_name(uint32_t id) const { return graph_.values[id].name; }

  const Graph& graph_;
  std::vector<uint32_t>& calls_;
  int64_t longest_ = 0;  // 0: nothing follows the length of a run
  std::vector<Source> source_;
};

Status GraphVerifier::check_value(uint32_t id) {
  const Value& value = graph_.values[id];
  QUOIN_CHECK(verify_name(value.name, "name"));
  QUOIN_CHECK(verify_type(value.type));
  QUOIN_CHECK(check_dynamic(value));
  if (!value.constant) return {};
  source_[id] = Source::constant;
  const Tensor& held = *value.constant;
  if (held.dtype() != value.type.dtype || held.shape() != value.type.shape)
    return bad("declared {}{} but holds {}{}", name(value.type.dtype), to_string(value.type.shape), name(held.dtype()),
               to_string(held.shape()));
  return {};
}

Status GraphVerifier::check_dynamic(const Value& value) const {
  if (value.dynamic == 0) return {};
  if (value.dynamic >> value.type.shape.size() != 0)
    return bad("dims {:#x} follow the length of a run, it has {}", value.dynamic, value.type.shape.size());
  if (value.constant) return bad("a constant follows the length of a run");
  if (longest_ < 2) return bad("it follows the length of a run, which no input gives");
  if (type_at(value, longest_).shape != value.type.shape)
    return bad("{} follows a length of at most {}", to_string(value.type), longest_);
  return {};
}

Status GraphVerifier::check_inputs() {
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    const uint32_t id = graph_.inputs[i];
    if (source_[id] != Source::none)
      return bad("value {} ({}) is {}", id, value_name(id),
                 source_[id] == Source::input ? "an input twice" : "a constant")
          .at("graph input {}", i);
    source_[id] = Source::input;
  }
  return {};
}

Status GraphVerifier::check_operands(const Node& node) {
  for (size_t slot = 0; slot < node.inputs.size(); ++slot) {
    const uint32_t id = node.inputs[slot];
    if (id == kNone) continue;
    QUOIN_CHECK_AT(known(id), "input {}", slot);
    if (source_[id] == Source::none)
      return bad("input {}: value {} ({}) is not computed before this node", slot, id, value_name(id));
  }
  return {};
}

Status GraphVerifier::define_results(const Node& node) {
  for (size_t slot = 0; slot < node.outputs.size(); ++slot) {
    const uint32_t id = node.outputs[slot];
    QUOIN_CHECK_AT(known(id), "output {}", slot);
    if (source_[id] != Source::none)
      return bad("output {}: value {} ({}) has another source already", slot, id, value_name(id));
    source_[id] = Source::result;
  }
  return {};
}

Status GraphVerifier::check_call(const Node& node) {
  if (calls_.empty()) return bad("calls a delegate, which is not allowed here");
  if (node.delegate >= calls_.size()) return bad("delegate {} of {}", node.delegate, calls_.size());
  if (++calls_[node.delegate] > 1) return bad("delegate {} is called twice", node.delegate);
  if (!node.attrs.empty()) return bad("the call of a delegate has attributes");
  if (std::find(node.inputs.begin(), node.inputs.end(), kNone) != node.inputs.end())
    return bad("the call of a delegate has an absent operand");
  return {};
}

Status GraphVerifier::check_operator(const Node& node) {
  if (node.delegate != kNone) return bad("operator {} with delegate {}", node.op, node.delegate);
  if (all_ops().empty())
    return fail(Code::unsupported, "this runtime has no kernels, and the node is in no delegate").at("{}", node.op);
  const OpSchema* schema = find_op(node.op);
  if (schema == nullptr)
    return fail(Code::program_version, "operator \"{}\" is not known", node.op).hint("use a newer version of Quoin");
  QUOIN_TRY(const Attrs complete, complete_attrs(*schema, node.attrs));
  if (complete != node.attrs) return bad("attributes are not complete");
  QUOIN_CHECK(verify_results(graph_, node, longest_));
  if (!follows_length(graph_, node)) return {};
  QUOIN_CHECK_AT(verify_results(graph_, node, longest_ - 1), "for a length of {}", longest_ - 1);
  return {};
}

Status GraphVerifier::check_node(const Node& node) {
  QUOIN_CHECK(verify_name(node.name, "name"));
  QUOIN_CHECK(verify_name(node.module, "module"));
  QUOIN_CHECK(check_operands(node));
  QUOIN_CHECK(define_results(node));
  return node.op.empty() ? check_call(node) : check_operator(node);
}

Status GraphVerifier::check_outputs() {
  for (size_t i = 0; i < graph_.outputs.size(); ++i) {
    QUOIN_CHECK_AT(known(graph_.outputs[i]), "graph output {}", i);
  }
  for (uint32_t id = 0; id < source_.size(); ++id)
    if (source_[id] == Source::none)
      return bad("value {} ({}) is neither input, constant nor result of a node", id, value_name(id));
  return {};
}

// What the operator table calls a fault of the model is here a fault of the program.
Status as_program_fault(Status status) {
  if (!status && (status.error().code == Code::model || status.error().code == Code::unsupported))
    status.error().code = Code::program;
  return status;
}

Status GraphVerifier::run() {
  for (const uint32_t id : graph_.inputs) QUOIN_CHECK_AT(known(id), "graph inputs");
  longest_ = longest(graph_);
  for (uint32_t id = 0; id < graph_.values.size(); ++id)
    QUOIN_CHECK_AT(as_program_fault(check_value(id)), "value {} ({})", id, value_name(id));
  QUOIN_CHECK(check_inputs());
  for (size_t i = 0; i < graph_.nodes.size(); ++i)
    QUOIN_CHECK_AT(as_program_fault(check_node(graph_.nodes[i])), "node {} ({})", i, graph_.nodes[i].name);
  return check_outputs();
}

// `end`: of the values so far.
Status check_offset(const Graph& graph, const Value& value, bool in_arena, uint64_t& end) {
  if (!in_arena) return value.offset == 0 ? Status{} : bad("has an arena offset, but does not live in the arena");
  const auto size = static_cast<uint64_t>(byte_size(value.type.dtype, value.type.shape));
  if (value.offset % kArenaAlignment != 0)
    return bad("arena offset {} is not a multiple of {}", value.offset, kArenaAlignment);
  if (value.offset > graph.arena_size || size > graph.arena_size - value.offset)
    return bad("bytes {} + {} are outside the arena of {}", value.offset, size, graph.arena_size);
  end = std::max(end, value.offset + size);
  return {};
}

Status check_offsets(const Graph& graph) {
  const std::vector<bool> arena = in_arena(graph);
  uint64_t end = 0;
  for (size_t id = 0; id < graph.values.size(); ++id)
    QUOIN_CHECK_AT(check_offset(graph, graph.values[id], arena[id], end), "value {} ({})", id, graph.values[id].name);
  if (graph.arena_size % kArenaAlignment != 0 || graph.arena_size - end >= kArenaAlignment)
    return bad("an arena of {} bytes for intermediates that end at {}", graph.arena_size, end);
  return {};
}

}  // namespace

Status verify_graph(const Graph& graph, std::vector<uint32_t>& calls) {
  QUOIN_CHECK(GraphVerifier(graph, calls).run());
  QUOIN_CHECK_AT(verify_memory_plan(graph), "memory plan");
  return {};
}

// A sweep over the nodes: what lives now is kept by offset, so that only neighbours can overlap.
Status verify_memory_plan(const Graph& graph) {
  QUOIN_CHECK(check_offsets(graph));
  const auto at_operand = [&](const Node& node, size_t slot, Sharing) { return is_at_operand(graph, node, slot); };
  const std::vector<Storage> all = storages(graph, at_operand);
  std::map<uint64_t, uint32_t> live;             // offset -> storage
  using Expiry = std::pair<uint32_t, uint32_t>;  // last node, storage
  std::priority_queue<Expiry, std::vector<Expiry>, std::greater<>> expiries;
  const auto offset = [&](uint32_t s) { return graph.values[all[s].values[0]].offset; };
  const auto clash = [&](uint32_t a, uint32_t b) {
    const uint32_t first = all[a].values[0], second = all[b].values[0];
    return bad("value {} ({}) and value {} ({}) overlap while both are needed", first, graph.values[first].name, second,
               graph.values[second].name);
  };
  for (uint32_t s = 0; s < all.size(); ++s) {
    if (all[s].size == 0) continue;
    for (; !expiries.empty() && expiries.top().first < all[s].first; expiries.pop())
      live.erase(offset(expiries.top().second));
    const auto after = live.lower_bound(offset(s));
    if (after != live.end() && after->first < offset(s) + all[s].size) return clash(after->second, s);
    if (after != live.begin()) {
      const uint32_t before = std::prev(after)->second;
      if (offset(before) + all[before].size > offset(s)) return clash(before, s);
    }
    live.emplace(offset(s), s);
    expiries.push({all[s].last, s});
  }
  return {};
}

}  // namespace quoin::program
