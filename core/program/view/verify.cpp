#include "program/view/verify.hpp"

#include <algorithm>
#include <cstdlib>

#include "ops/schema.hpp"
#include "program/view/bad.hpp"
#include "program/view/states.hpp"
#include "program/view/text.hpp"
#include "program/view/types.hpp"

namespace quoin::program::view {
namespace {

class Verifier {
 public:
  Verifier(Program& program, Arena& arena, Fault& fault)
      : program_(program), arena_(arena), fault_(fault), memory_(arena.allocator()) {}
  bool run();

 private:
  bool names_differ();
  bool check_method(const Method& method);
  bool check_types(const Call& call, const List<uint32_t> Node::*outer, const Graph& inner,
                   const List<uint32_t> Graph::*stored, const char* what);
  bool check_original_outputs(const Graph& original);
  bool check_original(const Graph& original);
  bool check_delegate(const Delegate& delegate, const Call& call);
  // Of a program with one method, messages start with the node.
  bool at_method(const Method& method) {
    return program_.methods.size > 1 && fault_.at("method {} ({})", &method - program_.methods.begin(), method.name);
  }

  Program& program_;
  Arena& arena_;
  Fault& fault_;
  Arena memory_;
  std::span<Call> calls_;  // by delegate
};

int by_name(const void* a, const void* b) {
  const Method &left = **static_cast<const Method*const*>(a), &right = **static_cast<const Method*const*>(b);
  const int order = left.name.compare(right.name);
  return order != 0 ? order : &left < &right ? -1 : 1;
}

bool Verifier::names_differ() {
  std::span<const Method*> sorted;
  if (!memory_.make(program_.methods.size, sorted, fault_)) return false;
  for (uint64_t i = 0; i < sorted.size(); ++i) sorted[i] = &program_.methods[i];
  std::qsort(sorted.data(), sorted.size(), sizeof sorted[0], by_name);
  for (uint64_t i = 1; i < sorted.size(); ++i)
    if (sorted[i]->name == sorted[i - 1]->name) {
      bad(fault_, "two methods have this name");
      return at_method(*sorted[i]);
    }
  return true;
}

bool Verifier::check_method(const Method& method) {
  if (method.name.empty()) return bad(fault_, "it has no name");
  return verify_graph(method.graph(), calls_, arena_.allocator(), fault_) &&
         verify_states(method.graph(), arena_.allocator(), fault_);
}

bool Verifier::check_types(const Call& call, const List<uint32_t> Node::*outer, const Graph& inner,
                           const List<uint32_t> Graph::*stored, const char* what) {
  const List<uint32_t>&called = call.node->*outer, &own = inner.*stored;
  if (called.size != own.size) return bad(fault_, "{} {}s, its original has {}", called.size, what, own.size);
  for (uint64_t i = 0; i < called.size; ++i) {
    const Value &left = call.graph->values[called[i]], &right = inner.values[own[i]];
    if (!same_type(left, right))
      return bad(fault_, "{} {} is {}, its original has {}", what, i, type_text(left).text(), type_text(right).text());
    if (left.dynamic != right.dynamic)
      return bad(fault_, "{} {} follows the length of a run by other dims than that of its original", what, i);
  }
  return true;
}

// The runtime lets results of an original land where the delegate's would, so each must be computed, and only once.
bool Verifier::check_original_outputs(const Graph& original) {
  std::span<bool> results;
  if (!memory_.make(original.values.size, results, fault_)) return false;
  for (const Node& node : original.nodes)
    for (const uint32_t id : node.outputs) results[id] = true;
  for (const uint32_t id : original.outputs)
    if (!std::exchange(results[id], false))
      return bad(fault_, "output value {} ({}) is not a result of its own", id, original.values[id].name);
  return true;
}

bool Verifier::check_original(const Graph& original) {
  if (!verify_graph(original, {}, arena_.allocator(), fault_)) return false;
  if (!original.states.empty()) return bad(fault_, "it has states of its own");
  return check_original_outputs(original);
}

bool Verifier::check_delegate(const Delegate& delegate, const Call& call) {
  if (delegate.plugin.empty()) return bad(fault_, "no plugin is named");
  if (!delegate.macs.empty() && delegate.macs.size != delegate.debug_ids.size)
    return bad(fault_, "{} debug ids, but {} numbers of multiply-adds", delegate.debug_ids.size, delegate.macs.size);
  if (call.node == nullptr) return bad(fault_, "no node calls it");
  if (!kHasOperators || delegate.originals.empty()) return true;
  const Graph& original = delegate.originals[0];
  if (!check_original(original)) return fault_.at("original");
  return check_types(call, &Node::inputs, original, &Graph::inputs, "input") &&
         check_types(call, &Node::outputs, original, &Graph::outputs, "output") &&
         (verify_updates(original, call, arena_.allocator(), fault_) || fault_.at("original"));
}

bool Verifier::run() {
  if (program_.methods.empty()) return bad(fault_, "it has no methods");
  if (!memory_.make(program_.delegates.size, calls_, fault_)) return false;
  for (const Method& method : program_.methods)
    if (!check_method(method)) return at_method(method);
  if (!names_differ() || !number_buffers(program_, arena_, fault_)) return false;
  for (uint64_t i = 0; i < program_.delegates.size; ++i)
    if (!check_delegate(program_.delegates[i], calls_[i]))
      return fault_.at("delegate {} ({})", i, program_.delegates[i].plugin);
  return true;
}

}  // namespace

bool verify(Program& program, Arena& arena, Fault& fault) { return Verifier(program, arena, fault).run(); }

}  // namespace quoin::program::view
