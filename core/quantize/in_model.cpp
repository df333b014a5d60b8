#include "quantize/in_model.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "quantize/qdq.hpp"
#include "quantize/typed_rules.hpp"

namespace quoin::quantize {
namespace {

bool is_quantization(const ir::Node& node) {
  return node.op().starts_with("quantized_decomposed.") || node.op().starts_with("torchao.");
}

std::string words(const QParams& q) {
  const std::string type = fmt::format("{} {}..{}", name(q.dtype), q.qmin, q.qmax);
  switch (q.scheme) {
    case Scheme::per_channel:
      return type + " per channel";
    case Scheme::per_group:
      return fmt::format("{} in groups of {}", type, q.group);
    case Scheme::per_block:
      return fmt::format("{} in blocks of {}", type, quoin::to_string(q.block));
    default:
      return type + " per tensor";
  }
}

class Reader {
 public:
  explicit Reader(const ir::Graph& graph) : graph_(graph) {}

  Result<std::map<ir::NodeId, std::string>> run() {
    for (const ir::NodeId id : graph_.order()) {
      if (is_quantization(graph_.node(id)))
        out_[id] = "part of the quantized model";
      else
        QUOIN_CHECK(compute(id));
    }
    return std::move(out_);
  }

 private:
  // How the integers behind a real value are quantized; nothing when no dequantize node made it.
  Result<std::optional<std::string>> integers(ir::ValueId value) const {
    const ir::NodeId maker = value == ir::kNone ? ir::kNone : graph_.value(value).producer;
    if (maker == ir::kNone || !is_quantization(graph_.node(maker))) return std::optional<std::string>();
    QUOIN_TRY(const auto fixed, read_qdq(graph_, maker));
    if (fixed) return fixed->kind == QdqKind::dequantize ? std::optional(words(fixed->qparams)) : std::nullopt;
    const bool dequantizes = graph_.node(maker).op().find(".dequantize_") != std::string::npos;
    return dequantizes ? std::optional<std::string>("chosen at run time") : std::nullopt;
  }

  Status compute(ir::NodeId id) {
    const ir::Node& node = graph_.node(id);
    std::vector<std::string> parts;
    bool quantized = false, in_float = false, weight = false, has_weight = false;
    for (uint32_t slot = 0; slot < node.inputs.size(); ++slot) {
      const ir::ValueId value = node.inputs[slot];
      QUOIN_TRY(const auto found, integers(value));
      const auto& slots = node.schema->inputs;
      const std::string& role = slots[std::min<size_t>(slot, slots.size() - 1)].name;
      if (found) parts.push_back(role + " " + *found);
      has_weight |= role == "weight";
      weight |= role == "weight" && found;
      quantized |= found.has_value();
      in_float |= !found && value != ir::kNone && !graph_.is_constant(value);
    }
    if (has_weight ? weight : quantized && !in_float) out_[id] = "quantized in the model: " + join(parts, ", ");
    if (!quantized) follow(id);
    return {};
  }

  // A clamp or data movement between a quantized node and a quantize node computes on the same integers.
  void follow(ir::NodeId id) {
    const ir::Node& node = graph_.node(id);
    if (!quantize_may_rise(node)) return;
    const ir::NodeId before = graph_.value(node.inputs[0]).producer;
    if (before != ir::kNone && out_.contains(before) && !is_quantization(graph_.node(before)))
      out_[id] = "goes with " + graph_.node(before).name + ", which the model quantizes";
  }

  const ir::Graph& graph_;
  std::map<ir::NodeId, std::string> out_;
};

}  // namespace

bool has_quantization(const ir::Graph& graph) {
  return std::ranges::any_of(graph.order(), [&](ir::NodeId id) { return is_quantization(graph.node(id)); });
}

Result<std::map<ir::NodeId, std::string>> quantized_in_model(const ir::Graph& graph) { return Reader(graph).run(); }

}  // namespace quoin::quantize
