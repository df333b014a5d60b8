#include <algorithm>

#include "flow/calibrate.hpp"
#include "flow/language.hpp"
#include "flow/lower_float.hpp"
#include "flow/lowering.hpp"
#include "flow/provenance.hpp"
#include "flow/source.hpp"
#include "flow/stopwatch.hpp"
#include "passes/passes.hpp"
#include "quantize/in_model.hpp"

namespace quoin::flow {
namespace {

Result<ir::Graph> import_clean(const std::string& model, const recipe::Recipe& recipe, Context& context,
                               Diagnostics& diagnostics) {
  QUOIN_TRY(ir::Graph graph, import::import_model(model, {recipe.model.dims}, diagnostics));
  QUOIN_CHECK_AT(passes::standard(graph, context.kernels, context.services->table()), "{}", model);
  return graph;
}

Result<quantize::Annotations> annotate_graph(ir::Graph& graph, const recipe::Recipe& recipe, Context& context,
                                             Diagnostics& diagnostics) {
  std::vector<quantize::Assignment> assignments;
  for (const recipe::Quantizer& config : recipe.quantize.quantizers) {
    QUOIN_TRY(auto backend, context.registry.open(config.plugin));
    assignments.push_back({std::move(backend), config});
  }
  return quantize::annotate(graph, assignments, diagnostics, {context.passes, recipe.quantize.passes});
}

std::vector<std::string> output_names(const ir::Graph& graph) {
  std::vector<std::string> names;
  for (const ir::ValueId id : graph.outputs()) names.push_back(graph.value(id).name);
  return names;
}

// Callers know the outputs by the names of the imported model; conversion put other nodes at the end. A value inside
// that has the name gets the other one in exchange.
void restore_output_names(program::Graph& graph, const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i) {
    program::Value& output = graph.values[graph.outputs[i]];
    if (output.name == names[i] || output.constant ||
        std::ranges::find(graph.inputs, graph.outputs[i]) != graph.inputs.end())
      continue;
    const auto holder = std::ranges::find(graph.values, names[i], &program::Value::name);
    if (holder != graph.values.end()) holder->name = output.name;
    output.name = names[i];
  }
}

// From the annotated float graph to the QDQ graph; fills the stage times and the number of samples.
Result<ir::Graph> quantize_graph(const ir::Graph& graph, const recipe::Recipe& recipe, Context& context, Qdq& out,
                                 Stopwatch& watch, Progress* progress, Diagnostics& diagnostics) {
  watch.start("prepare");
  QUOIN_TRY(quantize::Prepared prepared, quantize::prepare(graph, out.annotations, observer_defaults(recipe)));
  watch.start("calibrate");
  QUOIN_TRY(const CalibrationStage stage, calibrate_by_recipe(graph, prepared, recipe, context, progress, diagnostics));
  out.samples = stage.samples;
  out.calibration = stage.from;
  out.calibration_digest = stage.data;
  watch.start("convert");
  return quantize::convert(graph, prepared, diagnostics);
}

}  // namespace

Result<Annotated> annotate(const std::string& model, const recipe::Recipe& recipe, Context& context,
                           Diagnostics& diagnostics) {
  QUOIN_TRY(ir::Graph graph, import_clean(model, recipe, context, diagnostics));
  QUOIN_TRY(quantize::Annotations annotations, annotate_graph(graph, recipe, context, diagnostics));
  return Annotated{std::move(graph), std::move(annotations)};
}

Result<Qdq> quantize_qdq(const std::string& model, const recipe::Recipe& recipe, Context& context, Progress* progress,
                         Diagnostics& diagnostics) {
  Qdq out;
  Stopwatch watch(out.times, progress);
  watch.start("import");
  QUOIN_TRY(out.graph, import_clean(model, recipe, context, diagnostics));
  out.outputs = output_names(out.graph);
  if (!recipe.quantize.source.rules.empty()) {
    watch.start("source");
    QUOIN_TRY(out.layers, quantize_source(out.graph, recipe, context, progress, diagnostics));
  }
  watch.start("annotate");
  QUOIN_TRY(out.annotations, annotate_graph(out.graph, recipe, context, diagnostics));
  // Without quantizers there is one verdict for all nodes, and out.layers tells more than that.
  if (recipe.quantize.quantizers.empty() && !out.layers.lines.empty()) out.annotations.verdicts.clear();
  if (!recipe.quantize.quantizers.empty()) {
    QUOIN_TRY(out.graph, quantize_graph(out.graph, recipe, context, out, watch, progress, diagnostics));
  }
  watch.stop();
  return out;
}

Result<Quantized> quantize(const std::string& model, const recipe::Recipe& recipe, Context& context, Progress* progress,
                           Diagnostics& diagnostics) {
  if (is_language_model(model)) return quantize_language_model(model, recipe, context, progress, diagnostics);
  QUOIN_TRY(Qdq qdq, quantize_qdq(model, recipe, context, progress, diagnostics));
  Quantized out;
  out.graph = std::move(qdq.graph);
  out.annotations = std::move(qdq.annotations);
  out.layers = std::move(qdq.layers);
  out.times = std::move(qdq.times);
  out.samples = qdq.samples;
  out.calibration = std::move(qdq.calibration);
  Stopwatch watch(out.times, progress);
  watch.start("lower");
  if (quantize::has_quantization(out.graph)) {
    QUOIN_TRY(out.graph, quantize::to_typed(out.graph, diagnostics));
  }
  QUOIN_TRY(out.lowered, lower_graph(out.graph, recipe, context, diagnostics));
  restore_output_names(out.lowered.model.methods[0].graph, qdq.outputs);
  watch.stop();
  add_provenance(out.lowered.model, recipe, qdq.calibration_digest, qdq.samples);
  return out;
}

Result<program::Model> lower_float(const std::string& model, const recipe::Recipe& recipe, Context& context,
                                   Diagnostics& diagnostics) {
  QUOIN_TRY(ir::Graph graph, import_clean(model, recipe, context, diagnostics));
  const std::vector<std::string> names = output_names(graph);
  if (quantize::has_quantization(graph)) {
    QUOIN_TRY(graph, quantize::to_typed(graph, diagnostics));
  }
  QUOIN_TRY(lower::Lowered lowered, lower_graph(graph, recipe, context, diagnostics));
  restore_output_names(lowered.model.methods[0].graph, names);
  return std::move(lowered.model);
}

}  // namespace quoin::flow
