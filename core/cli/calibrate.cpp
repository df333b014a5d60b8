#include <charconv>
#include <iostream>

#include "cli/common.hpp"
#include "cli/terminal.hpp"

namespace quoin::cli {
namespace {

void add_options(po::options_description& options) {
  options.add_options()("model", po::value<std::string>()->value_name("FILE"), "the trained model (.pt2 or .onnx)")(
      "output,o", po::value<std::string>()->value_name("FILE"), "the calibration to write (.safetensors)")(
      "samples", po::value<std::string>()->value_name("A:B"), "only samples A to B-1 of the data, counted from 0")(
      "resume", po::value<std::string>()->value_name("FILE"),
      "go on from this calibration, with the samples behind it")(
      "merge", po::value<std::vector<std::string>>()->value_name("FILE"),
      "join this calibration, too; may be repeated. Runs no samples unless --samples or --resume is given");
  add_recipe_options(options);
}

Result<quantize::SampleRange> sample_range(const std::string& text) {
  const size_t colon = text.find(':');
  quantize::SampleRange out;
  const auto read = [](std::string_view digits, uint64_t& to) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), to);
    return error == std::errc() && end == digits.data() + digits.size();
  };
  if (colon != std::string::npos && read(std::string_view(text).substr(0, colon), out.begin) &&
      read(std::string_view(text).substr(colon + 1), out.end) && out.begin < out.end)
    return out;
  return fail(Code::usage, "\"{}\" is no range of samples", text)
      .at("--samples")
      .hint("write A:B for samples A to B-1, for example 0:64");
}

Status run(Invocation& call) {
  if (!call.has("output")) return fail(Code::usage, "no output named").hint("add -o calibration.safetensors");
  QUOIN_TRY(const recipe::Recipe recipe, recipe_of(call, {}));
  QUOIN_TRY(const std::string model, model_of(call, recipe));
  QUOIN_CHECK(check_outputs(call, model));
  flow::CalibrateOptions options{{}, call.text("resume"), call.list("merge")};
  if (call.has("samples")) {
    QUOIN_TRY(options.samples, sample_range(call.text("samples")));
  }
  QUOIN_TRY(const auto context, context_of(call, recipe));
  TerminalProgress progress(call.quiet);
  QUOIN_TRY(const flow::CalibrationRun result,
            flow::calibrate(model, recipe, *context, options, &progress, call.diagnostics));
  progress.finish();
  QUOIN_CHECK(check_strict(call));
  const std::string path = call.text("output");
  QUOIN_CHECK(quantize::save_calibration(path, result.calibration));
  const quantize::Calibration& calibration = result.calibration;
  if (call.json) {
    print({{"calibration", path},
           {"ran", result.ran},
           {"samples", to_string(calibration.samples)},
           {"observers", calibration.groups.size()},
           {"stopped", result.stopped},
           {"notes", to_json(call.diagnostics.notes())}});
  } else {
    std::cout << fmt::format("{}: {} observers, samples {} ({} in this run)\n", path, calibration.groups.size(),
                             calibration.samples.empty() ? "none" : to_string(calibration.samples), result.ran);
  }
  if (!result.stopped) return {};
  return fail(Code::cancelled, "stopped after {} samples", result.ran)
      .at("{}", path)
      .hint("what was found is saved; go on with --resume " + path);
}

}  // namespace

Verb calibrate_verb() {
  return {
      "calibrate",
      "measure the ranges that static quantization needs, to save, resume or join them",
      "MODEL -c RECIPE -o CALIBRATION [--samples A:B] [--resume CALIBRATION] [--merge CALIBRATION]...",
      "Runs only the calibration of `quoin quantize` and writes what the observers have seen. Ctrl-C saves what there\n"
      "is; --resume goes on from there. Parts made on several machines are joined with --merge. A calibration fits\n"
      "one model, recipe and data set only; the file is checked when it is used.\n\n"
      "  quoin calibrate model.pt2 -c recipe.yaml -o all.safetensors\n"
      "  quoin calibrate model.pt2 -c recipe.yaml -o a.safetensors --samples 0:64\n"
      "  quoin calibrate model.pt2 -c recipe.yaml -o b.safetensors --samples 64:128\n"
      "  quoin calibrate model.pt2 -c recipe.yaml -o all.safetensors --merge a.safetensors --merge b.safetensors\n"
      "  quoin quantize model.pt2 -c recipe.yaml -o model.quoin --calibration all.safetensors",
      {"model"},
      add_options,
      run};
}

}  // namespace quoin::cli
