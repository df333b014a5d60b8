#include "source/tree.hpp"

namespace quoin::source {
namespace {

// Weights that several modules share are quantized once for equal configurations.
class Tied {
 public:
  const checkpoint::Quantized* find(const nn::Parameter& weight, const LayerConfig& config) const {
    for (const Done& done : done_)
      if (done.weight->same_source(weight) && done.config == stored(config)) return &*done.weight->quantized;
    return nullptr;
  }
  void add(const nn::Parameter& weight, const LayerConfig& config) { done_.push_back({&weight, stored(config)}); }

 private:
  struct Done {
    const nn::Parameter* weight;
    LayerConfig config;
  };
  // What decides about the bytes.
  static LayerConfig stored(LayerConfig config) {
    config.target = Target::linear;
    config.dynamic_activations = false;
    return config;
  }
  std::vector<Done> done_;
};

Status needs_samples(const TreeLayer& layer) {
  return fail(Code::recipe, "{} needs calibration samples", name(layer.rule->config->algorithm))
      .at("module {}", layer.module->path())
      .hint("name some in quantize.source.calibrate.data, or use an algorithm without data: clip_search");
}

Status quantize_one(const TreeLayer& layer, const Grouping& grouping, const Tied& tied, const Resources& resources,
                    ReportLine& line) {
  const LayerConfig& config = *layer.rule->config;
  if (const auto* shared = tied.find(*layer.weight, config)) {
    layer.weight->quantized = *shared;
    line.reason += line.reason.empty() ? "shares its weight" : "; shares its weight";
  } else {
    QUOIN_TRY(Tensor weight, layer.weight->load());
    QUOIN_TRY(LayerOutput output, quantize_layer({std::move(weight), {}, config, grouping}, resources.host));
    line.weight_error = output.weight_error;
    if (resources.keep) {
      QUOIN_TRY(output.weight.codes, resources.keep(std::move(output.weight.codes)));
    }
    layer.weight->quantized = std::move(output.weight);
  }
  if (layer.linear != nullptr) layer.linear->dynamic_activations = config.dynamic_activations;
  return {};
}

ReportLine line_of(const TreeLayer& layer, const Rules& rules) {
  ReportLine line;
  line.name = layer.module->path();
  line.kind = layer.linear ? "linear" : "embedding";
  if (layer.rule != nullptr) line.rule = rules.label(*layer.rule);
  line.reason = layer.rule == nullptr ? "no rule is about it" : layer.rule->config ? "" : "left in float by the rule";
  return line;
}

}  // namespace

Result<Catalogue> Catalogue::of(nn::Module& root) {
  Catalogue out;
  QUOIN_CHECK(out.add(root));
  return out;
}

Status Catalogue::add(nn::Module& module) {
  frames_.push_back({module.path(), module.type()});
  TreeLayer layer{&module, dynamic_cast<nn::Linear*>(&module)};
  auto* embedding = dynamic_cast<nn::Embedding*>(&module);
  if (layer.linear != nullptr || embedding != nullptr) {
    layer.weight = layer.linear ? &layer.linear->weight : &embedding->weight;
    const TensorType weight{DType::f32, layer.weight->shape, nullptr};
    std::vector<ir::ValueId> operands{graph_.add_input(layer.weight->name, weight)};
    const TensorType other =
        layer.linear ? TensorType{DType::f32, {1, weight.shape[1]}, nullptr} : TensorType{DType::s64, {1}, nullptr};
    operands.insert(layer.linear ? operands.begin() : operands.end(), graph_.add_input("x", other));
    ir::Provenance provenance;
    provenance.modules = frames_;
    QUOIN_TRY(layer.node, graph_.add_node(layer.linear ? "aten.linear.default" : "aten.embedding.default",
                                          std::move(operands), {}, module.path(), std::move(provenance)));
    layers_.push_back(layer);
  }
  for (nn::Module* child : module.children()) QUOIN_CHECK(add(*child));
  frames_.pop_back();
  return {};
}

Status Catalogue::resolve(Rules& rules) {
  for (TreeLayer& layer : layers_) layer.rule = rules.choose(graph_, layer.node, target_of(layer));
  return rules.check_all_used(graph_);
}

const TreeLayer* Catalogue::find(const std::string& weight, Target target) const {
  for (const TreeLayer& layer : layers_)
    if (layer.weight->name == weight && target_of(layer) == target) return &layer;
  return nullptr;
}

Result<Report> quantize_tree(nn::Module& root, const std::vector<Rule>& list, const Resources& resources) {
  QUOIN_TRY(Rules rules, Rules::of(list));
  QUOIN_TRY(Catalogue catalogue, Catalogue::of(root));
  QUOIN_CHECK(catalogue.resolve(rules));
  Report report;
  Tied tied;
  uint64_t done = 0;
  if (resources.progress != nullptr) resources.progress->stage("quantize weights", catalogue.layers().size());
  for (const TreeLayer& layer : catalogue.layers()) {
    const std::string where = "module " + layer.module->path();
    ReportLine line = line_of(layer, rules);
    if (line.reason.empty()) {
      const LayerConfig& config = *layer.rule->config;
      if (is_calibrated(config.algorithm)) return fail(needs_samples(layer).error());
      auto grouped = grouping(config, layer.weight->shape[1]);
      if (!grouped) return std::move(grouped).failure().at("{}", where);
      describe(line, config, *grouped, layer.weight->shape[1]);
      if (!line.reason.empty()) resources.diagnostics.info(where, line.reason);
      if (grouped->quantized) {
        QUOIN_CHECK_AT(quantize_one(layer, *grouped, tied, resources, line), "{}", where);
        tied.add(*layer.weight, config);
      }
    }
    report.lines.push_back(std::move(line));
    if (resources.progress != nullptr && !resources.progress->step(++done))
      return fail(Code::cancelled, "stopped while weights were quantized");
  }
  return report;
}

}  // namespace quoin::source
