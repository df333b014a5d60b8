#include "program/verify.hpp"

#include <set>

#include "program/fault.hpp"
#include "program/file.hpp"
#include "program/format.hpp"
#include "program/states.hpp"

namespace quoin::program {
namespace {

Status check_limits(const Model& model) {
  uint64_t values = 0, nodes = 0;
  for (const Method& method : model.methods) {
    values += method.graph.values.size();
    nodes += method.graph.nodes.size();
  }
  for (const Delegate& delegate : model.delegates) {
    if (!delegate.original) continue;
    values += delegate.original->values.size();
    nodes += delegate.original->nodes.size();
  }
  if (values > kMaxValues) return fail(Code::limit, "{} values, at most {}", values, kMaxValues);
  if (nodes > kMaxNodes) return fail(Code::limit, "{} nodes, at most {}", nodes, kMaxNodes);
  if (model.methods.size() > kMaxMethods)
    return fail(Code::limit, "{} methods, at most {}", model.methods.size(), kMaxMethods);
  if (model.delegates.size() > kMaxDelegates)
    return fail(Code::limit, "{} delegates, at most {}", model.delegates.size(), kMaxDelegates);
  for (const auto& [key, value] : model.metadata) {
    QUOIN_CHECK(verify_name(key, "metadata key"));
    if (value.size() > kMaxMetadata)
      return fail(Code::limit, "metadata {}: {} bytes, at most {}", key, value.size(), kMaxMetadata);
  }
  return verify_name(model.name, "program name");
}

Status check_types(const Graph& outer, const std::vector<uint32_t>& outer_ids, const Graph& inner,
                   const std::vector<uint32_t>& inner_ids, std::string_view what) {
  if (outer_ids.size() != inner_ids.size())
    return bad("{} {}s, its original has {}", outer_ids.size(), what, inner_ids.size());
  for (size_t i = 0; i < outer_ids.size(); ++i) {
    const Value &called = outer.values[outer_ids[i]], &stored = inner.values[inner_ids[i]];
    if (called.type != stored.type)
      return bad("{} {} is {}, its original has {}", what, i, to_string(called.type), to_string(stored.type));
    if (called.dynamic != stored.dynamic)
      return bad("{} {} follows the length of a run by other dims than that of its original", what, i);
  }
  return {};
}

// The runtime lets results of an original land where the delegate's would, so each must be computed, and only once.
Status check_original_outputs(const Graph& original) {
  std::set<uint32_t> results;
  for (const Node& node : original.nodes) results.insert(node.outputs.begin(), node.outputs.end());
  for (const uint32_t id : original.outputs)
    if (results.erase(id) == 0)
      return bad("output value {} ({}) is not a result of its own", id, original.values[id].name);
  return {};
}

// The one node that calls a delegate, and the graph it is in.
struct Call {
  const Graph* graph = nullptr;
  const Node* node = nullptr;
};

Status check_original(const Graph& original) {
  std::vector<uint32_t> no_calls;
  QUOIN_CHECK(verify_graph(original, no_calls));
  if (!original.states.empty()) return bad("it has states of its own");
  return check_original_outputs(original);
}

Status check_delegate(const Delegate& delegate, const Call& call) {
  QUOIN_CHECK(verify_name(delegate.plugin, "plugin name"));
  QUOIN_CHECK(verify_name(delegate.version, "plugin version"));
  QUOIN_CHECK(verify_name(delegate.tag, "tag"));
  if (delegate.plugin.empty()) return bad("no plugin is named");
  if (!delegate.macs.empty() && delegate.macs.size() != delegate.debug_ids.size())
    return bad("{} debug ids, but {} numbers of multiply-adds", delegate.debug_ids.size(), delegate.macs.size());
  if (call.node == nullptr) return bad("no node calls it");
  if (reinterpret_cast<uintptr_t>(delegate.blob.data()) % kDataAlignment != 0)
    return bad("its blob is not 64-byte aligned");
  for (const auto& [key, bytes] : delegate.named) {
    QUOIN_CHECK(verify_name(key, "data key"));
    if (reinterpret_cast<uintptr_t>(bytes.data()) % kDataAlignment != 0)
      return bad("data {} is not 64-byte aligned", key);
  }
  if (!delegate.original) return {};
  const Graph& original = *delegate.original;
  QUOIN_CHECK_AT(check_original(original), "original");
  QUOIN_CHECK(check_types(*call.graph, call.node->inputs, original, original.inputs, "input"));
  QUOIN_CHECK(check_types(*call.graph, call.node->outputs, original, original.outputs, "output"));
  QUOIN_CHECK_AT(verify_updates(original, updates_of(*call.graph, *call.node)), "original");
  return {};
}

Status check_method(const Method& method, std::vector<uint32_t>& calls, std::set<std::string_view>& names) {
  QUOIN_CHECK(verify_name(method.name, "name"));
  if (method.name.empty()) return bad("it has no name");
  if (!names.insert(method.name).second) return bad("two methods have this name");
  QUOIN_CHECK(verify_graph(method.graph, calls));
  return verify_states(method.graph);
}

}  // namespace

Status verify_name(std::string_view name, std::string_view what) {
  if (name.size() > kMaxName) return fail(Code::limit, "{} of {} bytes, at most {}", what, name.size(), kMaxName);
  return {};
}

Status verify(const Model& model) {
  QUOIN_CHECK(check_limits(model));
  if (model.methods.empty()) return bad("it has no methods");
  std::vector<uint32_t> calls(model.delegates.size(), 0);
  std::set<std::string_view> names;
  for (size_t i = 0; i < model.methods.size(); ++i) {
    auto status = check_method(model.methods[i], calls, names);
    if (status) continue;
    if (model.methods.size() == 1) return status;  // messages start with the node
    return std::move(status).failure().at("method {} ({})", i, model.methods[i].name);
  }
  QUOIN_CHECK(verify_shared_states(model));
  std::vector<Call> call_of(model.delegates.size());
  for (const Method& method : model.methods)
    for (const Node& node : method.graph.nodes)
      if (node.op.empty()) call_of[node.delegate] = {&method.graph, &node};
  for (size_t i = 0; i < model.delegates.size(); ++i)
    QUOIN_CHECK_AT(check_delegate(model.delegates[i], call_of[i]), "delegate {} ({})", i, model.delegates[i].plugin);
  return {};
}

}  // namespace quoin::program
