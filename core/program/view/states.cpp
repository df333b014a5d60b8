#include "program/view/states.hpp"

#include <algorithm>
#include <cstdlib>

#include "base/checked.hpp"
#include "ops/schema.hpp"
#include "program/view/bad.hpp"
#include "program/view/lifetime.hpp"
#include "program/view/text.hpp"
#include "program/view/types.hpp"

namespace quoin::program::view {
namespace {

constexpr uint64_t kMaxBufferBytes = uint64_t{1} << 48;

// Who makes and reads a value.
struct Use {
  uint32_t maker, reader;  // node + 1, 0: none; the last one that reads
  uint32_t reads, listed;  // how often by nodes; how often among the graph's outputs
};

bool uses_of(const Graph& graph, Arena& memory, std::span<Use>& uses, Fault& fault) {
  if (!memory.make(graph.values.size, uses, fault)) return false;
  for (uint32_t n = 0; n < graph.nodes.size; ++n) {
    for (const uint32_t id : graph.nodes[n].outputs) uses[id].maker = n + 1;
    for (const uint32_t id : graph.nodes[n].inputs)
      if (id != QUOIN_NONE) uses[id].reader = n + 1, ++uses[id].reads;
  }
  for (const uint32_t id : graph.outputs) ++uses[id].listed;
  return true;
}

bool updates(const Node& node, uint32_t before, uint32_t after) {
  const uint64_t states = find_op(node.op)->traits.updates;
  for (uint64_t slot = 0; slot < std::min({states, node.inputs.size, node.outputs.size}); ++slot)
    if (node.inputs[slot] == before && node.outputs[slot] == after) return true;
  return false;
}

// Also for calls of delegates, which keep the rule inside (docs/abi.md).
bool check_in_place(const Graph& graph, std::span<const Use> uses, uint32_t before, uint32_t after, Fault& fault) {
  if (uses[after].maker == 0) return bad(fault, "it is updated in place, but no node makes its output");
  const Node& maker = graph.nodes[uses[after].maker - 1];
  if (uses[before].reads != 1 || uses[before].reader != uses[after].maker)
    return bad(fault, "it is updated in place, but node {} is not all that reads its old content", maker.name);
  return !kHasOperators || maker.is_call() || updates(maker, before, after) ||
         bad(fault, "node {} ({}) does not update in place", maker.name, maker.op);
}

bool check_state(const Graph& graph, std::span<const Use> uses, const State& state, Fault& fault) {
  const uint32_t before = graph.inputs[state.input], after = graph.outputs[state.output];
  const Value &old_value = graph.values[before], &new_value = graph.values[after];
  if (!same_type(old_value, new_value))
    return bad(fault, "{} before a run, {} after it", type_text(old_value).text(), type_text(new_value).text());
  if (old_value.dynamic != 0 || new_value.dynamic != 0) return bad(fault, "its size follows the length of the run");
  if (uses[after].listed > 1) return bad(fault, "its output is listed twice");
  if (before == after) return state.in_place == 0 || bad(fault, "it is updated in place, but its output is its input");
  if (uses[before].listed != 0) return bad(fault, "its input is another output of the graph");
  if (uses[after].maker == 0) return bad(fault, "its output is no result of a node");
  return state.in_place == 0 || check_in_place(graph, uses, before, after, fault);
}

// Marks a position; false: it is marked already.
bool mark(std::span<bool> marks, uint32_t position) { return !std::exchange(marks[position], true); }

// States of one name in the order of the program.
int by_name(const void* a, const void* b) {
  const Buffer &left = *static_cast<const Buffer*>(a), &right = *static_cast<const Buffer*>(b);
  const int order = left.state->name.compare(right.state->name);
  return order != 0 ? order : left.offset < right.offset ? -1 : 1;
}

bool two_of_one_name(const Program& program, const Buffer& second, Fault& fault) {
  bad(fault, "two states have this name");
  fault.at("state {} ({})", second.state - second.method->graph().states.begin(), second.state->name);
  return program.methods.size > 1
             ? fault.at("method {} ({})", second.method - program.methods.begin(), second.method->name)
             : false;
}

}  // namespace

bool verify_states(const Graph& graph, const Allocator& from, Fault& fault) {
  if (graph.states.empty()) return true;
  Arena memory(from);
  std::span<Use> uses;
  std::span<bool> inputs, outputs;
  if (!uses_of(graph, memory, uses, fault) || !memory.make(graph.inputs.size, inputs, fault) ||
      !memory.make(graph.outputs.size, outputs, fault))
    return false;
  for (uint64_t i = 0; i < graph.states.size; ++i) {
    const State& state = graph.states[i];
    bool legal = false;
    if (state.input >= inputs.size())
      bad(fault, "input {} of {}", state.input, inputs.size());
    else if (state.output >= outputs.size())
      bad(fault, "output {} of {}", state.output, outputs.size());
    else if (!mark(inputs, state.input) || !mark(outputs, state.output))
      bad(fault, "another state has its input or output");
    else
      legal = check_state(graph, uses, state, fault);
    if (!legal) return fault.at("state {} ({})", i, state.name);
  }
  return true;
}

bool verify_updates(const Graph& original, const Call& call, const Allocator& from, Fault& fault) {
  const Graph& outer = *call.graph;
  if (outer.states.empty()) return true;
  Arena memory(from);
  std::span<Use> uses;
  std::span<uint32_t> after;  // by value that a state holds before a run: what it holds after it + 1
  if (!uses_of(original, memory, uses, fault) || !memory.make(outer.values.size, after, fault)) return false;
  for (const State& state : outer.states)
    if (state.in_place != 0) after[outer.inputs[state.input]] = outer.outputs[state.output] + 1;
  for (uint64_t i = 0; i < call.node->inputs.size; ++i) {
    const uint32_t updated = after[call.node->inputs[i]];
    if (updated == 0) continue;
    const auto position = std::ranges::find(call.node->outputs, updated - 1) - call.node->outputs.begin();
    const uint32_t before = original.inputs[i];
    const bool legal = uses[before].listed != 0
                           ? bad(fault, "a state that it updates is an output, too")
                           : check_in_place(original, uses, before, original.outputs[position], fault);
    if (!legal) return fault.at("input value {} ({})", before, original.values[before].name);
  }
  return true;
}

bool number_buffers(Program& program, Arena& arena, Fault& fault) {
  uint64_t count = 0, next = 0;
  for (const Method& method : program.methods) count += method.graph().states.size;
  std::span<Buffer> all;
  if (!arena.make(count, all, fault)) return false;
  for (const Method& method : program.methods)
    for (const State& state : method.graph().states) {
      const Graph& graph = method.graph();
      const Value& value = graph.values[graph.inputs[state.input]];
      all[next] = {&method, &state, &value, next, align_up(value.bytes, kArenaAlignment)};  // offset: its turn, for now
      ++next;
    }
  std::qsort(all.data(), count, sizeof(Buffer), by_name);
  uint64_t buffers = 0, offset = 0;
  const Method* before = nullptr;  // of the state before
  for (const Buffer& each : all) {
    Buffer& known = all[buffers == 0 ? 0 : buffers - 1];
    const bool is_new = buffers == 0 || known.state->name != each.state->name;
    if (!is_new && before == each.method) return two_of_one_name(program, each, fault);
    if (!is_new && !same_type(*known.value, *each.value))
      return bad(fault, "state {} is {} in method {} and {} in method {}", each.state->name,
                 type_text(*known.value).text(), known.method->name, type_text(*each.value).text(), each.method->name);
    before = each.method;
    if (is_new) {
      Buffer& added = all[buffers++] = each;
      added.offset = std::exchange(offset, offset + added.bytes);
      if (offset > kMaxBufferBytes) return fault.fail(Code::limit, "states of more than {} bytes", kMaxBufferBytes);
    }
    const_cast<State*>(each.state)->buffer = static_cast<uint32_t>(buffers - 1);
  }
  program.buffers = {{all.data(), buffers}};
  program.buffer_bytes = offset;
  return true;
}

}  // namespace quoin::program::view
