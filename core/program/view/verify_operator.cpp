// Operators of a graph by the rules of the operator table: nothing of this is linked where none are known.
#include "ops/schema.hpp"
#include "program/view/bad.hpp"
#include "program/view/length.hpp"
#include "program/view/owned.hpp"
#include "program/view/verify.hpp"

namespace quoin::program::view {
namespace {

TensorType type_at(const Value& value, int64_t length) {
  TensorType type = owned_type(value);
  set_dims(value, length, type.shape.data());
  return type;
}

Status check_results(const Graph& graph, const Node& node, int64_t length) {
  std::vector<TensorType> types;
  types.reserve(node.inputs.size);
  std::vector<const TensorType*> operands;
  for (const uint32_t id : node.inputs) {
    if (id != QUOIN_NONE) types.push_back(type_at(graph.values[id], length));
    operands.push_back(id == QUOIN_NONE ? nullptr : &types.back());
  }
  QUOIN_TRY(const std::vector<TensorType> inferred, infer_types(*find_op(node.op), operands, owned_attrs(node)));
  if (inferred.size() != node.outputs.size)
    return fail(Code::program, "{} results, the operator has {}", node.outputs.size, inferred.size());
  for (size_t i = 0; i < inferred.size(); ++i) {
    const Value& value = graph.values[node.outputs[i]];
    const TensorType found = logical(type_at(value, length));
    if (found == inferred[i]) continue;
    return fail(Code::program, "output {}: value {} ({}) is {}, the operator gives {}", i, node.outputs[i], value.name,
                to_string(found), to_string(inferred[i]));
  }
  return {};
}

Status check_operator(const Node& node) {
  const OpSchema* schema = find_op(node.op);
  if (schema == nullptr)
    return fail(Code::program_version, "operator \"{}\" is not known", node.op).hint("use a newer version of Quoin");
  if (node.op_version != schema->version)
    return fail(Code::program_version, "operator {} in version {}; this reader has version {}", node.op,
                node.op_version, schema->version)
        .hint("lower the model again with this version of Quoin");
  const Attrs attrs = owned_attrs(node);
  QUOIN_TRY(const Attrs complete, complete_attrs(*schema, attrs));
  if (complete != attrs) return fail(Code::program, "attributes are not complete");
  return {};
}

// What the operator table calls a fault of the model is here a fault of the program.
bool passed(const Status& status, Fault& fault) {
  if (status) return true;
  fault.take(status.error());
  if (fault.code() == Code::model || fault.code() == Code::unsupported) fault.set_code(Code::program);
  return false;
}

}  // namespace

bool verify_results(const Graph& graph, const Node& node, int64_t length, Fault& fault) {
  return passed(check_results(graph, node, length), fault);
}

bool verify_operator(const Graph& graph, const Node& node, int64_t longest, Fault& fault) {
  if (!passed(check_operator(node), fault) || !verify_results(graph, node, longest, fault)) return false;
  return !follows_length(graph, node) || verify_results(graph, node, longest - 1, fault) ||
         fault.at("for a length of {}", longest - 1);
}

bool verify_length(const Graph& graph, int64_t length, Fault& fault) {
  for (uint64_t i = 0; i < graph.nodes.size; ++i) {
    const Node& node = graph.nodes[i];
    if (node.is_call() || !follows_length(graph, node)) continue;
    if (!verify_results(graph, node, length, fault)) return fault.at("node {} ({})", i, node.name);
  }
  return true;
}

}  // namespace quoin::program::view
