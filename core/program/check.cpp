#include "program/check.hpp"

#include "program/fault.hpp"
#include "program/format.hpp"

namespace quoin::program {
namespace {

Status check_count(uint64_t count, uint64_t most, std::string_view what) {
  if (count > most) return fail(Code::limit, "{} {}, at most {}", count, what, most);
  return {};
}

Status check_name(std::string_view name, std::string_view what) {
  if (name.size() > kMaxName) return fail(Code::limit, "{} of {} bytes, at most {}", what, name.size(), kMaxName);
  return {};
}

Status check_aligned(const void* data, std::string_view what) {
  if (reinterpret_cast<uintptr_t>(data) % kDataAlignment != 0) return bad("{} is not 64-byte aligned", what);
  return {};
}

Status check_value(const Value& value) {
  QUOIN_CHECK(check_name(value.name, "name"));
  QUOIN_CHECK(checked_numel(value.type.shape));
  if (!value.constant) return {};
  const Tensor& held = *value.constant;
  if (held.dtype() != value.type.dtype || held.shape() != value.type.shape)
    return bad("declared {}{} but holds {}{}", name(value.type.dtype), to_string(value.type.shape), name(held.dtype()),
               to_string(held.shape()));
  return {};
}

Status check_node(const Node& node) {
  QUOIN_CHECK(check_name(node.op, "name of an operator"));
  QUOIN_CHECK(check_name(node.name, "name"));
  QUOIN_CHECK(check_name(node.module, "module"));
  QUOIN_CHECK(check_count(node.attrs.size(), kMaxAttrs, "attributes"));
  for (const auto& [key, attr] : node.attrs) {
    QUOIN_CHECK(check_name(key, "name of an attribute"));
    if (const auto* text = std::get_if<std::string>(&attr))
      QUOIN_CHECK_AT(check_name(*text, "a text"), "attribute {}", key);
  }
  return {};
}

Status check_graph(const Graph& graph) {
  for (size_t i = 0; i < graph.values.size(); ++i)
    QUOIN_CHECK_AT(check_value(graph.values[i]), "value {} ({})", i, graph.values[i].name);
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    QUOIN_CHECK_AT(check_node(graph.nodes[i]), "node {} ({})", i, graph.nodes[i].name);
  QUOIN_CHECK(check_count(graph.states.size(), kMaxStates, "states"));
  for (const State& state : graph.states) QUOIN_CHECK(check_name(state.name, "name of a state"));
  return {};
}

Status check_method(const Method& method) {
  QUOIN_CHECK(check_name(method.name, "name"));
  return check_graph(method.graph);
}

Status check_delegate(const Delegate& delegate) {
  QUOIN_CHECK(check_name(delegate.plugin, "plugin name"));
  QUOIN_CHECK(check_name(delegate.version, "plugin version"));
  QUOIN_CHECK(check_name(delegate.tag, "tag"));
  QUOIN_CHECK(check_aligned(delegate.blob.data(), "its blob"));
  for (const auto& [key, bytes] : delegate.named) {
    QUOIN_CHECK(check_name(key, "data key"));
    QUOIN_CHECK(check_aligned(bytes.data(), fmt::format("data {}", key)));
  }
  if (delegate.original) QUOIN_CHECK_AT(check_graph(*delegate.original), "original");
  return {};
}

// Over all graphs.
Status check_totals(const Model& model) {
  uint64_t values = 0, nodes = 0;
  const auto add = [&](const Graph& graph) {
    values += graph.values.size();
    nodes += graph.nodes.size();
  };
  for (const Method& method : model.methods) add(method.graph);
  for (const Delegate& delegate : model.delegates)
    if (delegate.original) add(*delegate.original);
  QUOIN_CHECK(check_count(values, kMaxValues, "values"));
  QUOIN_CHECK(check_count(nodes, kMaxNodes, "nodes"));
  QUOIN_CHECK(check_count(model.methods.size(), kMaxMethods, "methods"));
  return check_count(model.delegates.size(), kMaxDelegates, "delegates");
}

Status check_metadata(const Model& model) {
  for (const auto& [key, value] : model.metadata) {
    QUOIN_CHECK(check_name(key, "metadata key"));
    if (value.size() > kMaxMetadata)
      return fail(Code::limit, "metadata {}: {} bytes, at most {}", key, value.size(), kMaxMetadata);
  }
  return check_name(model.name, "program name");
}

}  // namespace

Status check(const Model& model) {
  QUOIN_CHECK(check_totals(model));
  QUOIN_CHECK(check_metadata(model));
  for (size_t i = 0; i < model.methods.size(); ++i) {
    auto status = check_method(model.methods[i]);
    if (status) continue;
    if (model.methods.size() == 1) return status;  // messages start with the node
    return std::move(status).failure().at("method {} ({})", i, model.methods[i].name);
  }
  for (size_t i = 0; i < model.delegates.size(); ++i)
    QUOIN_CHECK_AT(check_delegate(model.delegates[i]), "delegate {} ({})", i, model.delegates[i].plugin);
  return {};
}

}  // namespace quoin::program
