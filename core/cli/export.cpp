#include <iostream>

#include "cli/common.hpp"
#include "cli/terminal.hpp"
#include "export/export.hpp"

#include <xxhash.h>

namespace quoin::cli {
namespace {

void add_options(po::options_description& options) {
  options.add_options()("model", po::value<std::string>()->value_name("FILE"), "the model (.pt2 or .onnx)")(
      "output,o", po::value<std::string>()->value_name("FILE"), "the ONNX model to write")(
      "opset", po::value<int64_t>()->value_name("N"),
      "13 (8-bit integers) or 21 (also 4 and 16 bits, and groups); default: the lowest that can express the graph");
  options.add_options()(
      "activations", po::value<std::string>()->default_value("same")->value_name("TYPE"),
      "u8: write s8 activations as u8, 128 higher, which ONNX Runtime on x86 has integer kernels for");
  add_recipe_options(options);
}

// What made the model, in its metadata. Digest of the resolved recipe: XXH3, 64 bits.
std::map<std::string, std::string> provenance(const recipe::Recipe& recipe, const flow::Qdq& qdq) {
  std::map<std::string, std::string> out{{"quoin.model", qdq.graph.name}};
  if (recipe.path.empty()) return out;
  const uint64_t digest = XXH3_64bits(recipe.resolved.data(), recipe.resolved.size());
  out["quoin.recipe_digest"] = fmt::format("xxh3:{:016x}", digest);
  out["quoin.calibration_samples"] = std::to_string(qdq.samples);
  return out;
}

Status check_activations(const Invocation& call) {
  if (const std::string type = call.text("activations"); type != "same" && type != "u8")
    return fail(Code::usage, "--activations {} is not known", type).hint("same and u8 are");
  return {};
}

exporter::OnnxOptions onnx_options(const Invocation& call, const recipe::Recipe& recipe, const flow::Qdq& qdq) {
  exporter::OnnxOptions options;
  options.unsigned_activations = call.text("activations") == "u8";
  if (call.has("opset")) options.opset = call.options["opset"].as<int64_t>();
  options.producer_version = QUOIN_VERSION;
  options.outputs = qdq.outputs;
  options.metadata = provenance(recipe, qdq);
  return options;
}

Json summary_json(const Invocation& call, const std::string& model, const flow::Qdq& qdq,
                  const exporter::OnnxModel& written) {
  return {{"model", model},         {"onnx", call.text("output")},
          {"opset", written.opset}, {"nodes", written.nodes},
          {"bytes", written.bytes}, {"external_bytes", written.external_bytes},
          {"samples", qdq.samples}, {"notes", to_json(call.diagnostics.notes())}};
}

Status run(Invocation& call) {
  if (!call.has("output")) return fail(Code::usage, "no output named").hint("add -o model.onnx");
  QUOIN_CHECK(check_activations(call));
  QUOIN_TRY(const recipe::Recipe recipe, recipe_of(call, {}));
  QUOIN_TRY(const std::string model, model_of(call, recipe));
  QUOIN_CHECK(check_outputs(call, model));
  QUOIN_TRY(const auto context, context_of(call, recipe));
  TerminalProgress progress(call.quiet);
  QUOIN_TRY(const flow::Qdq qdq, flow::quantize_qdq(model, recipe, *context, &progress, call.diagnostics));
  progress.finish();
  QUOIN_CHECK(check_strict(call));
  const std::string path = call.text("output");
  QUOIN_TRY(const exporter::OnnxModel written, exporter::write_onnx(qdq.graph, path, onnx_options(call, recipe, qdq)));
  if (call.json) {
    print(summary_json(call, model, qdq, written));
    return {};
  }
  std::cout << fmt::format("{} -> {} {}, opset {}, {} nodes\n", model, path, human_bytes(written.bytes), written.opset,
                           written.nodes);
  if (written.external_bytes > 0)
    std::cout << fmt::format("constants: {}.data {}\n", path, human_bytes(written.external_bytes));
  return {};
}

}  // namespace

Verb export_verb() {
  return {"export",
          "quantize a model by a recipe and write it as ONNX for other runtimes",
          "MODEL [-c RECIPE] -o FILE [--opset 13|21]",
          "Imports the model, quantizes it as the recipe says, and writes the quantized graph as an ONNX model with\n"
          "QuantizeLinear and DequantizeLinear nodes, which ONNX Runtime and other engines read. Without quantizers\n"
          "in the recipe, or without a recipe, the model is written as it is: in float, or quantized as it came.\n"
          "docs/export.md says what is exact and what may differ.\n\n"
          "  quoin export effnet.pt2 -c configs/recipes/effnet_lite0.yaml -o effnet_int8.onnx\n"
          "  quoin export model.pt2 -o model.onnx --opset 21",
          {"model"},
          add_options,
          run};
}

}  // namespace quoin::cli
