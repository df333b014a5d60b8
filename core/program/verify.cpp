#include "program/verify.hpp"

#include <set>

#include "program/file.hpp"
#include "program/format.hpp"

namespace quoin::program {
namespace {

tl::unexpected<Error> bad(std::string what) { return fail(Error{Code::program, std::move(what), {}, {}}); }

Status check_limits(const Model& model) {
  uint64_t values = model.graph.values.size(), nodes = model.graph.nodes.size();
  for (const Delegate& delegate : model.delegates) {
    if (!delegate.original) continue;
    values += delegate.original->values.size();
    nodes += delegate.original->nodes.size();
  }
  if (values > kMaxValues) return fail(Code::limit, "{} values, at most {}", values, kMaxValues);
  if (nodes > kMaxNodes) return fail(Code::limit, "{} nodes, at most {}", nodes, kMaxNodes);
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
    return bad(fmt::format("{} {}s, its original has {}", outer_ids.size(), what, inner_ids.size()));
  for (size_t i = 0; i < outer_ids.size(); ++i) {
    const TensorType& called = outer.values[outer_ids[i]].type;
    const TensorType& stored = inner.values[inner_ids[i]].type;
    if (called == stored) continue;
    return bad(fmt::format("{} {} is {}, its original has {}", what, i, to_string(called), to_string(stored)));
  }
  return {};
}

// The runtime lets results of an original land where the delegate's would, so each must be computed, and only once.
Status check_original_outputs(const Graph& original) {
  std::set<uint32_t> results;
  for (const Node& node : original.nodes) results.insert(node.outputs.begin(), node.outputs.end());
  for (const uint32_t id : original.outputs)
    if (results.erase(id) == 0)
      return bad(fmt::format("output value {} ({}) is not a result of its own", id, original.values[id].name));
  return {};
}

Status check_delegate(const Model& model, const Delegate& delegate, const Node* call) {
  QUOIN_CHECK(verify_name(delegate.plugin, "plugin name"));
  QUOIN_CHECK(verify_name(delegate.version, "plugin version"));
  QUOIN_CHECK(verify_name(delegate.tag, "tag"));
  if (delegate.plugin.empty()) return bad("no plugin is named");
  if (call == nullptr) return bad("no node calls it");
  if (reinterpret_cast<uintptr_t>(delegate.blob.data()) % kDataAlignment != 0)
    return bad("its blob is not 64-byte aligned");
  for (const auto& [key, bytes] : delegate.named) {
    QUOIN_CHECK(verify_name(key, "data key"));
    if (reinterpret_cast<uintptr_t>(bytes.data()) % kDataAlignment != 0)
      return bad(fmt::format("data {} is not 64-byte aligned", key));
  }
  if (!delegate.original) return {};
  std::vector<uint32_t> no_calls;
  if (auto status = verify_graph(*delegate.original, no_calls); !status)
    return fail(in("original", std::move(status).error()));
  if (auto status = check_original_outputs(*delegate.original); !status)
    return fail(in("original", std::move(status).error()));
  QUOIN_CHECK(check_types(model.graph, call->inputs, *delegate.original, delegate.original->inputs, "input"));
  return check_types(model.graph, call->outputs, *delegate.original, delegate.original->outputs, "output");
}

}  // namespace

Status verify_name(std::string_view name, std::string_view what) {
  if (name.size() > kMaxName) return fail(Code::limit, "{} of {} bytes, at most {}", what, name.size(), kMaxName);
  return {};
}

Status verify(const Model& model) {
  QUOIN_CHECK(check_limits(model));
  std::vector<uint32_t> calls(model.delegates.size(), 0);
  QUOIN_CHECK(verify_graph(model.graph, calls));
  std::vector<const Node*> call_of(model.delegates.size(), nullptr);
  for (const Node& node : model.graph.nodes)
    if (node.op.empty()) call_of[node.delegate] = &node;
  for (size_t i = 0; i < model.delegates.size(); ++i)
    if (auto status = check_delegate(model, model.delegates[i], call_of[i]); !status)
      return fail(in(fmt::format("delegate {} ({})", i, model.delegates[i].plugin), std::move(status).error()));
  return {};
}

}  // namespace quoin::program
