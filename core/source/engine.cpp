#include "source/engine.hpp"

#include "source/calibrated.hpp"

namespace quoin::source {

Result<std::vector<FoundLayer>> Engine::layers() {
  QUOIN_TRY(auto found, find_layers(graph_, options_.decide));
  for (const FoundLayer& layer : found) {
    const std::string where = graph_.describe(layer.node);
    if (layer.unintended)
      resources_.diagnostics.warn(where, "stays in float against a rule: " + layer.reason,
                                  "leave it in float by a rule with quantizer: null");
    else if (layer.rule != nullptr && !layer.reason.empty() && layer.rule->config)
      resources_.diagnostics.info(where, layer.reason);
    else if (layer.reason.empty() && !layer.grouping.reason.empty())
      resources_.diagnostics.info(where, layer.grouping.reason);
  }
  return found;
}

Result<std::vector<ir::NodeId>> Engine::quantize(const FoundLayer& layer, const Moments* moments, ReportLine& line) {
  const auto constant = [&](uint32_t slot) { return *graph_.value(graph_.input(layer.node, slot)).constant; };
  LayerInput input{constant(weight_slot(layer.target)), std::nullopt, layer.config(), layer.grouping, moments};
  if (layer.target == Target::linear && graph_.is_constant(graph_.input(layer.node, 2))) input.bias = constant(2);
  auto output = quantize_layer(input, resources_.host);
  if (!output) return std::move(output).failure().at("{}", graph_.describe(layer.node));
  line.weight_error = output->weight_error;
  if (resources_.keep) {
    QUOIN_TRY(output->weight.codes, resources_.keep(std::move(output->weight.codes)));
  }
  return install(graph_, layer, *std::move(output));
}

ReportLine Engine::line_of(const FoundLayer& layer) const {
  return report_line(graph_, layer, layer.rule == nullptr ? std::string() : options_.label(*layer.rule));
}

Status Engine::run() {
  QUOIN_TRY(const auto found, layers());
  for (const FoundLayer& layer : found) {
    ReportLine line = line_of(layer);
    if (line.quantized && is_calibrated(layer.config().algorithm))
      return fail(Code::recipe, "{} needs calibration samples", name(layer.config().algorithm))
          .at("{}", graph_.describe(layer.node))
          .hint("name some in quantize.source.calibrate.data, or use an algorithm without data: clip_search");
    if (line.quantized) QUOIN_CHECK(quantize(layer, nullptr, line));
    report_.lines.push_back(std::move(line));
  }
  return {};
}

Status Engine::run(Streams& streams) {
  QUOIN_TRY(const auto found, layers());
  return Calibrated(*this, streams, found).run();
}

}  // namespace quoin::source
