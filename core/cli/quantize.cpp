#include <filesystem>
#include <iostream>
#include <numeric>

#include "base/text.hpp"
#include "cli/common.hpp"
#include "cli/layers.hpp"
#include "cli/placement.hpp"
#include "cli/report.hpp"
#include "cli/terminal.hpp"
#include "flow/bundle.hpp"
#include "flow/language.hpp"
#include "program/file.hpp"

namespace quoin::cli {
namespace {

void add_options(po::options_description& options) {
  options.add_options()("model", po::value<std::string>()->value_name("FILE"),
                        "the trained model (.pt2, .onnx, .gguf, or a folder with config.json and safetensors)")(
      "output,o", po::value<std::string>()->value_name("FILE"), "the program to write")(
      "report", po::value<std::string>()->value_name("FILE"), "also write a one-page HTML report")(
      "calibration", po::value<std::string>()->value_name("FILE"),
      "use what `quoin calibrate` has written; the data is not read")(
      "external-weights", "put the weights into a second file beside the program")(
      "bundle", po::value<std::string>()->value_name("DATA"),
      "store samples of DATA in the program, with the outputs it gives: `quoin verify --run` repeats them")(
      "bundle-samples", po::value<int64_t>()->default_value(4)->value_name("N"), "at most so many of them")(
      "dry-run", "do everything except writing the program: placement, reasons, final size");
  add_recipe_options(options);
}

// Of a file, or of the files in the folder of a language model that hold weights.
uint64_t model_size(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    const auto size = fs::file_size(path, ignored);
    return ignored ? 0 : size;
  }
  uint64_t sum = 0;
  for (fs::directory_iterator at(path, ignored), end; !ignored && at != end; at.increment(ignored))
    if (at->path().extension() == ".safetensors" || at->path().extension() == ".gguf") sum += model_size(at->path());
  return sum;
}

// Runs the new program on the samples of --bundle: tests for the file, accuracy for its metadata.
Result<std::vector<program::TestCase>> bundle(Invocation& call, const std::string& model, const recipe::Recipe& recipe,
                                              flow::Context& context, program::Model& program) {
  if (!call.has("bundle")) return std::vector<program::TestCase>();
  const int64_t samples = call.options["bundle-samples"].as<int64_t>();
  if (samples < 1) return fail(Code::usage, "--bundle-samples must be at least 1, found {}", samples);
  QUOIN_TRY(runtime::Executable executable, flow::open_program(program, recipe, context, call.diagnostics));
  const data::Source source{call.text("bundle"), recipe.eval.labels, static_cast<size_t>(samples),
                            recipe.model.preprocess};
  QUOIN_TRY(const auto dataset, data::open_dataset(source, flow::input_specs(executable)));
  QUOIN_TRY(std::vector<program::TestCase> tests, flow::record_tests(executable, *dataset));
  if (flow::is_language_model(model)) return tests;
  QUOIN_TRY(const std::string accuracy,
            flow::accuracy_report(executable, model, *dataset, recipe, context, call.diagnostics));
  if (!accuracy.empty()) program.metadata["accuracy"] = accuracy;
  return tests;
}

Json stage_json(const std::vector<flow::StageTime>& times) {
  Json out = Json::array();
  for (const flow::StageTime& time : times) out.push_back({{"stage", time.stage}, {"seconds", time.seconds}});
  return out;
}

Json summary_json(const QuantizeSummary& summary, const flow::Quantized& result, const Invocation& call) {
  return {{"model", summary.model},
          {"program", summary.program},
          {"sizes",
           {{"model_bytes", summary.model_bytes},
            {"program_bytes", summary.program_bytes},
            {"weights_bytes", summary.weights_bytes}}},
          {"weights_file", summary.weights_file},
          {"tests", summary.tests},
          {"samples", result.samples + result.layers.samples},
          {"calibration", result.calibration},
          {"times", stage_json(result.times)},
          {"seconds", summary.seconds},
          {"peak_rss_mb", static_cast<double>(summary.peak_rss) / 1e6},
          {"isa", summary.isa},
          {"threads", summary.threads},
          {"layers", layers_json(result.layers)},
          {"placement", placement_json(result.lowered.placement)},
          {"notes", to_json(call.diagnostics.notes())}};
}

void print_summary(const QuantizeSummary& summary, const flow::Quantized& result, bool verbose) {
  if (const std::string layers = layers_text(result.layers, verbose); !layers.empty()) std::cout << layers << "\n";
  std::cout << placement_table(result.lowered.placement);
  if (const std::string left = left_out_text(result); !left.empty()) std::cout << "\n" << left;
  std::cout << "\n";
  std::vector<std::string> times;
  for (const flow::StageTime& time : result.times) times.push_back(fmt::format("{} {:.2f}", time.stage, time.seconds));
  std::cout << fmt::format("{:.2f} s: {}\n", summary.seconds, join(times, ", "));
  const std::string from = result.calibration.empty() ? "" : " (calibration skipped: from " + result.calibration + ")";
  std::cout << fmt::format("{}, {} thread(s), {} samples{}, peak memory {}\n", summary.isa, summary.threads,
                           result.samples + result.layers.samples, from, human_bytes(summary.peak_rss));
  std::cout << fmt::format("{} {} -> {} {}\n", summary.model, human_bytes(summary.model_bytes),
                           summary.program.empty() ? "(dry run, nothing written)" : summary.program,
                           human_bytes(summary.program_bytes));
  if (!summary.weights_file.empty())
    std::cout << fmt::format("weights in {} beside it, {}\n", summary.weights_file, human_bytes(summary.weights_bytes));
  if (summary.tests != 0) std::cout << fmt::format("{} tests inside: quoin verify --run\n", summary.tests);
}

Status run(Invocation& call) {
  const auto begin = std::chrono::steady_clock::now();
  if (!call.has("output") && !call.has("dry-run"))
    return fail(Code::usage, "no output named").hint("add -o program.quoin, or --dry-run");
  QUOIN_TRY(recipe::Recipe recipe, recipe_of(call, {}));
  if (call.has("calibration")) recipe.quantize.calibrate.state = call.text("calibration");
  QUOIN_TRY(const std::string model, model_of(call, recipe));
  QUOIN_CHECK(check_outputs(call, model));
  QUOIN_TRY(const auto context, context_of(call, recipe));
  TerminalProgress progress(call.quiet);
  QUOIN_TRY(flow::Quantized result, flow::quantize(model, recipe, *context, &progress, call.diagnostics));
  progress.finish();
  QUOIN_CHECK(check_strict(call));
  if (call.has("strict")) QUOIN_CHECK(check_intended(result.annotations, &result.lowered.placement));

  QuantizeSummary summary;
  summary.model = model;
  summary.model_bytes = model_size(model);
  program::WriteOptions options{call.has("external-weights"), {}};
  QUOIN_TRY(options.tests, bundle(call, model, recipe, *context, result.lowered.model));
  QUOIN_CHECK(check_strict(call));
  summary.tests = options.tests.size();
  if (call.has("dry-run")) {
    QUOIN_TRY(summary.program_bytes, program::measure(result.lowered.model));
  } else {
    summary.program = call.text("output");
    QUOIN_TRY(const program::Written written, program::write(summary.program, result.lowered.model, options));
    summary.program_bytes = written.size;
    summary.weights_bytes = written.weights_size;
    summary.weights_file = written.weights_name;
  }
  summary.isa = host::isa_name(context->services->table().isa);
  summary.threads = context->services->table().workers(context->services->table().self);
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  summary.peak_rss = peak_rss_bytes();
  if (call.has("report")) QUOIN_CHECK(write_report(call.text("report"), summary, result, call.diagnostics.notes()));
  if (call.json)
    print(summary_json(summary, result, call));
  else
    print_summary(summary, result, call.has("verbose"));
  return {};
}

}  // namespace

Verb quantize_verb() {
  return {
      "quantize",
      "quantize a model by a recipe and write a program",
      "MODEL -c RECIPE -o PROGRAM",
      "Imports the model, lets the plugins of the recipe annotate it, calibrates on the recipe's data, converts to\n"
      "integers, lowers through the plugins and writes the program. Ends with what runs where, and why not elsewhere.\n"
      "A recipe without quantizers makes a float program.\n\n"
      "  quoin quantize effnet.pt2 -c configs/recipes/effnet_lite0.yaml -o effnet.quoin --report effnet.html\n"
      "  quoin quantize effnet.pt2 -c r.yaml --set quantize.calibrate.samples=32 --dry-run\n"
      "  quoin quantize effnet.pt2 -c r.yaml -o effnet.quoin --bundle images/ --bundle-samples 8",
      {"model"},
      add_options,
      run};
}

}  // namespace quoin::cli
