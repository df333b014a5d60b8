// The flows an application runs, as one C++ API; the command line is a thin skin over it.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/diagnostics.hpp"
#include "data/dataset.hpp"
#include "flow/plugin_options.hpp"
#include "host/registry.hpp"
#include "host/services.hpp"
#include "import/import.hpp"
#include "lower/lower.hpp"
#include "quantize/calibration.hpp"
#include "recipe/recipe.hpp"
#include "runtime/executable.hpp"
#include "source/report.hpp"

namespace quoin::flow {

// Services, plugins and kernels of one process. Create once; must outlive everything made with it.
struct Context {
  std::unique_ptr<host::Services> services;
  std::unique_ptr<PluginOptions> options;
  host::Registry registry;
  kernels::KernelSet kernels;                            // of every opened plugin, then the portable set
  std::vector<std::shared_ptr<host::Backend>> backends;  // in recipe order
  passes::Registry passes;                               // an application adds its own before it runs a flow
  std::shared_ptr<Spill> spill;                          // what is large and not needed in memory; made when used
  bool strict = false;                                   // what would be a warning and cost work stops the flow at once
};
// Opens the plugins that the recipe names; a recipe that names none opens all usable ones if `open_all` (running a
// model without a recipe). One that a stored recipe names may be missing: its delegates fall back. What plugins log
// lands in `diagnostics`, which must outlive the context.
// Errors: usage (QUOIN_ISA_MAX), recipe (lower.isa, plugins.options), plugin, plugin_abi.
Result<std::unique_ptr<Context>> make_context(const recipe::Recipe& recipe,
                                              const std::vector<std::string>& plugin_folders, bool open_all,
                                              Diagnostics& diagnostics);

// Takes a plugin out of the context, closes it and unloads its library (host::Registry::unload). After an error that
// names what still uses it, destroy that and call again: the context makes nothing new with it meanwhile.
Status unload_plugin(Context& context, const std::string& name);

struct StageTime {
  std::string stage;
  double seconds = 0;
};

// Import, clean up, annotate: what `explain` shows.
struct Annotated {
  ir::Graph graph;
  quantize::Annotations annotations;
};
// The quantizers see the graph after passes::standard.
Result<Annotated> annotate(const std::string& model, const recipe::Recipe& recipe, Context& context,
                           Diagnostics& diagnostics);

// Only the calibration of the main job, to save, resume and join it.
struct CalibrateOptions {
  std::optional<quantize::SampleRange> samples;  // none: those behind the last one of `resume`; all, without it
  std::string resume;                            // a saved calibration to go on from; "": none
  std::vector<std::string> merge;                // saved ones to join; without samples and resume nothing is run
};
struct CalibrationRun {
  quantize::Calibration calibration;
  size_t ran = 0;        // samples of this run
  bool stopped = false;  // by the user, after `ran` samples; resume with what there is
};
// Errors: those of annotate and of calibration; data: a saved calibration for something else, a sample counted twice,
// observers that cannot be joined; usage: samples that the data lacks.
Result<CalibrationRun> calibrate(const std::string& model, const recipe::Recipe& recipe, Context& context,
                                 const CalibrateOptions& options, Progress* progress, Diagnostics& diagnostics);

// The first half of the main job: import, annotate, calibrate, convert. With no quantizers in the recipe: the imported
// graph, which is in float or, of a model that is quantized already, QDQ.
struct Qdq {
  ir::Graph graph;
  quantize::Annotations annotations;
  source::Report layers;             // of quantize.source
  std::vector<std::string> outputs;  // names of the graph outputs in the imported model; those of the graph may differ
  std::vector<StageTime> times;
  size_t samples = 0;
  std::string calibration;           // file that the calibration was taken from; "": measured
  std::string calibration_digest{};  // of the samples and their preprocessing; "": nothing was calibrated
};
Result<Qdq> quantize_qdq(const std::string& model, const recipe::Recipe& recipe, Context& context, Progress* progress,
                         Diagnostics& diagnostics);

// The main job. With no quantizers in the recipe: a float program.
struct Quantized {
  ir::Graph graph;  // typed; empty for language models, whose methods have one each
  quantize::Annotations annotations;
  source::Report layers;  // of quantize.source
  lower::Lowered lowered;
  std::vector<StageTime> times;
  size_t samples = 0;
  std::string calibration;  // file that the calibration was taken from; "": measured
};
Result<Quantized> quantize(const std::string& model, const recipe::Recipe& recipe, Context& context, Progress* progress,
                           Diagnostics& diagnostics);

// A .quoin file, or a model file lowered in memory without quantization. Ready to run.
Result<runtime::Executable> open_model(const std::string& path, const recipe::Recipe& recipe, Context& context,
                                       Diagnostics& diagnostics);
// A program in memory, ready to run.
Result<runtime::Executable> open_program(program::Model model, const recipe::Recipe& recipe, Context& context,
                                         Diagnostics& diagnostics);
std::vector<data::InputSpec> input_specs(const runtime::Executable& model, size_t method = 0);

// Accuracy over a dataset. `against`: a second model whose first output is the reference for sqnr_db and agreement.
struct Score {
  size_t n = 0;
  std::string metric;  // "top1", "cosine", "relative_error"
  double value = 0;
  std::optional<double> top5;
  std::optional<double> sqnr_db;    // signal to quantization noise of the first output against `against`
  std::optional<double> agreement;  // share of samples with the same argmax
  double seconds = 0;               // in run() of `model` only
};
// `metric`: "top1", "cosine" or "relative_error"; "" takes top1 where samples have labels, else cosine.
// Errors: data (the samples lack what the metric needs), input, cancelled.
Result<Score> evaluate(runtime::Executable& model, runtime::Executable* against, const data::Dataset& dataset,
                       const std::string& metric, Progress* progress, Diagnostics& diagnostics);

}  // namespace quoin::flow
