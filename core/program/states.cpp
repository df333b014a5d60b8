#include "program/states.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "program/fault.hpp"
#include "program/format.hpp"
#include "program/verify.hpp"

namespace quoin::program {
namespace {

// Who makes and reads the values of a graph.
struct Uses {
  explicit Uses(const Graph& of)
      : graph(of),
        maker(of.values.size(), kNone),
        reader(of.values.size(), kNone),
        reads(of.values.size(), 0),
        listed(of.values.size(), 0) {
    for (uint32_t n = 0; n < of.nodes.size(); ++n) {
      for (const uint32_t id : of.nodes[n].outputs) maker[id] = n;
      for (const uint32_t id : of.nodes[n].inputs)
        if (id != kNone) reader[id] = n, ++reads[id];
    }
    for (const uint32_t id : of.outputs) ++listed[id];
  }
  const Graph& graph;
  std::vector<uint32_t> maker, reader;  // node; the last one that reads
  std::vector<uint32_t> reads, listed;  // how often by nodes; how often among the graph's outputs
};

bool updates(const Node& node, uint32_t before, uint32_t after) {
  const uint32_t states = find_op(node.op)->traits.updates;
  for (uint32_t slot = 0; slot < states && slot < node.inputs.size() && slot < node.outputs.size(); ++slot)
    if (node.inputs[slot] == before && node.outputs[slot] == after) return true;
  return false;
}

// Also for calls of delegates, which keep the rule inside (docs/abi.md).
Status check_in_place(const Uses& uses, uint32_t before, uint32_t after) {
  if (uses.maker[after] == kNone) return bad("it is updated in place, but no node makes its output");
  const Node& maker = uses.graph.nodes[uses.maker[after]];
  if (uses.reads[before] != 1 || uses.reader[before] != uses.maker[after])
    return bad("it is updated in place, but node {} is not all that reads its old content", maker.name);
  if (!maker.op.empty() && !updates(maker, before, after))
    return bad("node {} ({}) does not update in place", maker.name, maker.op);
  return {};
}

Status check_state(const Uses& uses, const State& state) {
  const Graph& graph = uses.graph;
  if (state.input >= graph.inputs.size()) return bad("input {} of {}", state.input, graph.inputs.size());
  if (state.output >= graph.outputs.size()) return bad("output {} of {}", state.output, graph.outputs.size());
  const uint32_t before = graph.inputs[state.input], after = graph.outputs[state.output];
  const Value &old_value = graph.values[before], &new_value = graph.values[after];
  if (old_value.type != new_value.type)
    return bad("{} before a run, {} after it", to_string(old_value.type), to_string(new_value.type));
  if (old_value.dynamic != 0 || new_value.dynamic != 0) return bad("its size follows the length of the run");
  if (uses.listed[after] > 1) return bad("its output is listed twice");
  if (before == after) return state.in_place ? bad("it is updated in place, but its output is its input") : Status{};
  if (uses.listed[before] != 0) return bad("its input is another output of the graph");
  if (uses.maker[after] == kNone) return bad("its output is no result of a node");
  return state.in_place ? check_in_place(uses, before, after) : Status{};
}

uint32_t position(const std::vector<uint32_t>& ids, uint32_t id) {
  return static_cast<uint32_t>(std::ranges::find(ids, id) - ids.begin());
}

}  // namespace

Status verify_states(const Graph& graph) {
  if (graph.states.empty()) return {};
  if (graph.states.size() > kMaxStates)
    return fail(Code::limit, "{} states, at most {}", graph.states.size(), kMaxStates);
  const Uses uses(graph);
  std::set<std::string_view> names;
  std::set<uint32_t> inputs, outputs;
  for (size_t i = 0; i < graph.states.size(); ++i) {
    const State& state = graph.states[i];
    QUOIN_CHECK(verify_name(state.name, "name of a state"));
    const bool named = names.insert(state.name).second;
    const bool free = inputs.insert(state.input).second && outputs.insert(state.output).second;
    QUOIN_CHECK_AT(!named  ? bad("two states have this name")
                   : !free ? bad("another state has its input or output")
                           : check_state(uses, state),
                   "state {} ({})", i, state.name);
  }
  return {};
}

std::vector<Update> updates_of(const Graph& graph, const Node& call) {
  std::map<uint32_t, uint32_t> after;  // old content -> new content
  for (const State& state : graph.states)
    if (state.in_place) after.emplace(graph.inputs[state.input], graph.outputs[state.output]);
  std::vector<Update> out;
  for (uint32_t i = 0; i < call.inputs.size(); ++i)
    if (const auto found = after.find(call.inputs[i]); found != after.end())
      out.push_back({i, position(call.outputs, found->second)});
  return out;
}

Status verify_updates(const Graph& original, std::span<const Update> updates) {
  if (updates.empty()) return {};
  const Uses uses(original);
  for (const Update& update : updates) {
    const uint32_t before = original.inputs[update.input], after = original.outputs[update.output];
    QUOIN_CHECK_AT(uses.listed[before] != 0 ? bad("a state that it updates is an output, too")
                                            : check_in_place(uses, before, after),
                   "input value {} ({})", before, original.values[before].name);
  }
  return {};
}

Status verify_shared_states(const Model& model) {
  struct First {
    const std::string* method;
    const TensorType* type;
  };
  std::map<std::string_view, First> known;
  for (const Method& method : model.methods)
    for (const State& state : method.graph.states) {
      const TensorType& type = method.graph.values[method.graph.inputs[state.input]].type;
      const auto [at, is_new] = known.try_emplace(state.name, First{&method.name, &type});
      if (!is_new && *at->second.type != type)
        return bad("state {} is {} in method {} and {} in method {}", state.name, to_string(*at->second.type),
                   *at->second.method, to_string(type), method.name);
    }
  return {};
}

}  // namespace quoin::program
