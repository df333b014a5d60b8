#include "lower/placement.hpp"

#include <array>

#include "base/text.hpp"
#include "program/length.hpp"

namespace quoin::lower {
namespace {

// Shapes of the first operand, the weight and the result.
struct Shapes {
  const Shape &x, &weight, &y;
};

// The weight has one row of products per output channel: every output element costs one row.
int64_t convolution(const Shapes& s) {
  return s.weight.empty() || s.weight[0] == 0 ? 0 : numel(s.y) * (numel(s.weight) / s.weight[0]);
}
// Its weight is [in, out / groups, ...]: every input element costs one row.
int64_t transposed(const Shapes& s) {
  return s.weight.empty() || s.weight[0] == 0 ? 0 : numel(s.x) * (numel(s.weight) / s.weight[0]);
}
// Every output element is a dot product along the last axis of the first operand.
int64_t product(const Shapes& s) { return s.x.empty() ? 0 : numel(s.y) * s.x.back(); }

struct Cost {
  std::string_view op;
  int64_t (*macs)(const Shapes&);
};
constexpr std::array kCosts = {
    Cost{"aten.conv1d.default", convolution},
    Cost{"aten.conv2d.default", convolution},
    Cost{"aten.conv_transpose2d.input", transposed},
    Cost{"aten.linear.default", product},
    Cost{"quoin.linear_dynamic.default", product},
    Cost{"aten.matmul.default", product},
    Cost{"aten.bmm.default", product},
    Cost{"aten.mm.default", product},
};

// `type(id)` is the type of a value.
template <class Node, class Type>
int64_t macs_of(const std::string& op, const Node& node, const Type& type) {
  for (const Cost& cost : kCosts)
    if (cost.op == op)
      return cost.macs({type(node.inputs[0]).shape, type(node.inputs[1]).shape, type(node.outputs[0]).shape});
  return 0;
}

bool is_conversion(const std::string& op) {
  return op == "quoin.quantize.default" || op == "quoin.dequantize.default" || op.starts_with("quantized_decomposed.");
}

// "3 aten.relu.default, 1 aten.mean.dim": how many of which operators.
std::string count_ops(const std::vector<const Placement*>& rows) {
  std::map<std::string, size_t> counts;
  for (const Placement* row : rows) ++counts[row->op];
  std::vector<std::string> parts;
  for (const auto& [op, count] : counts) parts.push_back(fmt::format("{} {}", count, op));
  return join(parts, ", ");
}

std::string where(const Placement& row) {
  return row.module.empty() ? "node " + row.name : fmt::format("node {} (module {})", row.name, row.module);
}

}  // namespace

int64_t macs(const ir::Graph& graph, const ir::Node& node) {
  return macs_of(node.op(), node, [&](ir::ValueId id) -> const TensorType& { return graph.value(id).type; });
}

int64_t macs(const program::Graph& graph, const program::Node& node, int64_t length) {
  return macs_of(node.op, node, [&](uint32_t id) { return program::type_at(graph.values[id], length); });
}

bool is_integer(const ir::Graph& graph, const ir::Node& node) {
  if (is_conversion(node.op())) return false;
  if (node.op() == "quoin.linear_dynamic.default") return true;
  return !node.inputs.empty() && node.inputs[0] != ir::kNone && graph.value(node.inputs[0]).type.qparams != nullptr;
}

std::vector<Placement> place(const ir::Graph& graph, const Partition& partition,
                             const std::map<ir::NodeId, std::string>& kernels) {
  std::map<ir::NodeId, const Claim*> claim_of;
  for (const Claim& claim : partition.claims)
    for (const ir::NodeId node : claim.nodes) claim_of[node] = &claim;
  std::vector<Placement> out;
  for (const ir::NodeId id : graph.order()) {
    const ir::Node& node = graph.node(id);
    Placement row;
    row.node = id;
    row.name = node.name;
    row.op = node.op();
    row.module = node.module_path();
    row.integer = is_integer(graph, node);
    row.macs = macs(graph, node);
    if (const auto claim = claim_of.find(id); claim != claim_of.end()) {
      row.backend = claim->second->backend->name();
    } else {
      const auto reasons = partition.reasons.find(id);
      row.backend = "kernels";
      row.kernel = kernels.at(id);
      row.reason =
          reasons == partition.reasons.end() ? "no plugin claimed or declined it" : join(reasons->second, "; ");
    }
    out.push_back(std::move(row));
  }
  return out;
}

Status report_fallback(const std::vector<Placement>& placement, const Options& options, Diagnostics& diagnostics) {
  if (options.fallback != "allow" && options.fallback != "warn" && options.fallback != "error")
    return fail(Code::usage, "fallback policy \"{}\" (known: allow, warn, error)", options.fallback);
  std::map<std::string, std::vector<const Placement*>> by_reason;
  for (const Placement& row : placement)
    if (row.backend == "kernels") by_reason[row.reason].push_back(&row);
  if (by_reason.empty()) return {};
  std::vector<std::string> lines;
  std::vector<const Placement*> all;
  for (const auto& [reason, rows] : by_reason) {
    const std::string what = fmt::format("{} runs on kernels: {}", count_ops(rows), reason);
    lines.push_back(where(*rows[0]) + ": " + what);
    diagnostics.info(where(*rows[0]), what);
    all.insert(all.end(), rows.begin(), rows.end());
  }
  if (!options.order.empty() && options.fallback == "warn")
    diagnostics.warn({},
                     fmt::format("{} of {} nodes run on kernels outside every plugin: {}", all.size(), placement.size(),
                                 count_ops(all)),
                     "--verbose and explain give the reason for each; fallback: allow accepts it");
  if (options.fallback != "error") return {};
  return fail(Code::strict, "{}", "no plugin takes these nodes: " + join(lines, "; "))
      .hint("fallback: warn lets kernels run them");
}

}  // namespace quoin::lower
