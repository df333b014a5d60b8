#include "source/quantizer.hpp"

#include "base/guard.hpp"
#include "ir/verify.hpp"
#include "source/engine.hpp"
#include "source/language.hpp"
#include "source/tree.hpp"

namespace quoin::source {
namespace {

Rule everything(LayerConfig config) {
  Rule rule;
  rule.config = std::move(config);
  return rule;
}

template <class Options>
LayerConfig config_of(const Options& options) {
  LayerConfig config;
  config.precision = options.precision;
  config.group = options.group_size;
  config.uneven = options.padding;
  config.scale_dtype = options.scales_precision;
  config.mapping = options.mapping;
  config.algorithm = options.algorithm;
  return config;
}
LayerConfig dynamic(LayerConfig config, uint32_t bits) {
  config.dynamic_activations = true;
  config.bits = bits;
  return config;
}

Result<Report> quantize_graph(ir::Graph& graph, const std::vector<Rule>& list, const Calibration& calibration,
                              const Resources& resources) {
  const bool samples = !calibration.samples.empty();
  if (samples && resources.kernels == nullptr)
    return fail(Code::usage, "kernels are needed to run calibration samples");
  QUOIN_TRY(Rules rules, Rules::of(list));
  const EngineOptions options{
      [&](const ir::Graph& g, ir::NodeId id, Target target) { return rules.choose(g, id, target); },
      [&](const Rule& rule) { return rules.label(rule); }, calibration.mask};
  Report report;
  Engine engine(graph, options, resources, report);
  // Rules are resolved before anything is changed, so that a mistake leaves the graph alone.
  for (const ir::NodeId id : graph.order())
    if (const auto target = target_of(graph.node(id))) rules.choose(graph, id, *target);
  QUOIN_CHECK(rules.check_all_used(graph));
  if (!samples) {
    QUOIN_CHECK(engine.run());
  } else {
    Streams streams;
    report.samples = calibration.samples.size();
    streams.quantized.assign(calibration.samples.begin(), calibration.samples.end());
    streams.real = streams.quantized;
    QUOIN_CHECK(engine.run(streams));
  }
  graph.erase_dead();
  QUOIN_CHECK(ir::verify(graph));
  return report;
}

}  // namespace

Quantizer& Quantizer::set_module(const std::string& module, std::optional<LayerConfig> config) {
  Rule rule;
  rule.module = module;
  rule.config = std::move(config);
  rules_.push_back(std::move(rule));
  return *this;
}

Result<Report> Quantizer::quantize(nn::Module& root, const Resources& resources) const {
  return guarded([&] { return quantize_tree(root, rules_, resources); });
}

Result<Report> Quantizer::quantize(nn::LanguageModel& model, const Calibration& calibration,
                                   const Resources& resources) const {
  if (calibration.samples.empty()) return quantize(model.root(), resources);
  return guarded([&] { return quantize_language_model(model, rules_, calibration, resources); });
}

Result<Report> Quantizer::quantize(ir::Graph& graph, const Calibration& calibration, const Resources& resources) const {
  return guarded([&] { return quantize_graph(graph, rules_, calibration, resources); });
}

Int8DynActInt4WeightQuantizer::Int8DynActInt4WeightQuantizer(const Int8DynActInt4WeightOptions& options)
    : Quantizer({everything(dynamic(config_of(options), 4))}) {}

Int8DynActInt8WeightQuantizer::Int8DynActInt8WeightQuantizer(const Int8DynActInt8WeightOptions& options)
    : Quantizer({everything(dynamic(config_of(options), 8))}) {}

namespace {

template <class Options>
Rule weights_only(const Options& options, Target target) {
  LayerConfig config = config_of(options);
  config.bits = options.bits;
  config.target = target;
  return everything(std::move(config));
}

}  // namespace

IntxWeightOnlyQuantizer::IntxWeightOnlyQuantizer(const IntxWeightOnlyOptions& options)
    : Quantizer({weights_only(options, Target::linear)}) {}

EmbeddingQuantizer::EmbeddingQuantizer(const EmbeddingOptions& options)
    : Quantizer({weights_only(options, Target::embedding)}) {}

}  // namespace quoin::source
