#include <iostream>

#include "cli/common.hpp"
#include "cli/eval_language.hpp"
#include "cli/terminal.hpp"

namespace quoin::cli {
namespace {

void add_options(po::options_description& options) {
  options.add_options()("model", po::value<std::string>()->value_name("FILE"), "a program, or a model to run in float")(
      "data", po::value<std::string>()->value_name("PATH"),
      "samples: image folder, .npy, .npz or .safetensors; perplexity: a text, or token ids; overrides eval.data")(
      "labels", po::value<std::string>()->value_name("CSV"), "file,label lines; overrides eval.labels")(
      "metric", po::value<std::string>()->value_name("NAME"),
      "top1, cosine, relative_error or perplexity; overrides eval.metric")(
      "against", po::value<std::string>()->value_name("FILE"),
      "second model: adds sqnr_db and agreement with its output, or divergence from its predictions")(
      "limit", po::value<int64_t>()->value_name("N"), "only N samples");
  add_language_eval_options(options);
  add_recipe_options(options);
}

Json score_json(const std::string& model, const flow::Score& score, const flow::Context& context) {
  Json out = {{"model", model}, {"n", score.n}, {score.metric, score.value}};
  if (score.top5) out["top5"] = *score.top5;
  out["seconds"] = score.seconds;
  if (score.agreement) {
    // Equal outputs have no noise: the ratio is infinite, which JSON writes as null.
    out["sqnr_db"] = score.sqnr_db ? Json(*score.sqnr_db) : Json(nullptr);
    out["agreement"] = *score.agreement;
  }
  const quoin_host& host = context.services->table();
  out["isa"] = host::isa_name(host.isa);
  out["threads"] = host.workers(host.self);
  return out;
}

void print_score(const std::string& model, const flow::Score& score) {
  std::cout << fmt::format("{}: {} {:.4f} on {} samples", model, score.metric, score.value, score.n);
  if (score.top5) std::cout << fmt::format(", top5 {:.4f}", *score.top5);
  if (score.agreement) {
    std::cout << fmt::format(", agreement {:.4f}", *score.agreement);
    std::cout << (score.sqnr_db ? fmt::format(", SQNR {:.2f} dB", *score.sqnr_db) : ", outputs equal");
  }
  std::cout << fmt::format(", {:.2f} s\n", score.seconds);
}

Result<data::Source> source_of(const Invocation& call, const recipe::Recipe& recipe) {
  data::Source source;
  QUOIN_TRY(source.path, data_of(call, recipe));
  source.labels = call.has("labels") ? call.text("labels") : call.has("data") ? std::string() : recipe.eval.labels;
  source.preprocess = recipe.model.preprocess;
  if (call.has("limit")) {
    const int64_t limit = call.options["limit"].as<int64_t>();
    if (limit < 1) return fail(Code::usage, "--limit must be at least 1, found {}", limit);
    source.limit = static_cast<size_t>(limit);
  }
  return source;
}

Status run(Invocation& call) {
  QUOIN_TRY(const recipe::Recipe recipe, recipe_of(call, call.text("model")));
  QUOIN_TRY(const std::string model, model_of(call, recipe));
  const std::string metric = call.has("metric") ? call.text("metric") : recipe.eval.metric;
  if (metric == "perplexity") return eval_language(call, recipe, model);
  QUOIN_TRY(const data::Source source, source_of(call, recipe));
  QUOIN_TRY(const auto context, context_of(call, recipe));
  QUOIN_TRY(runtime::Executable executable, flow::open_model(model, recipe, *context, call.diagnostics));
  std::optional<runtime::Executable> against;
  if (call.has("against")) {
    QUOIN_TRY(runtime::Executable other, flow::open_model(call.text("against"), recipe, *context, call.diagnostics));
    against.emplace(std::move(other));
  }
  QUOIN_TRY(const auto dataset, data::open_dataset(source, flow::input_specs(executable)));
  TerminalProgress progress(call.quiet);
  QUOIN_TRY(const flow::Score score,
            flow::evaluate(executable, against ? &*against : nullptr, *dataset, metric, &progress, call.diagnostics));
  progress.finish();
  QUOIN_CHECK(check_strict(call));
  if (call.json)
    print(score_json(model, score, *context));
  else
    print_score(model, score);
  return {};
}

}  // namespace

Verb eval_verb() {
  return {
      "eval",
      "score a program or model on data",
      "MODEL|PROGRAM [--data PATH] [--labels CSV] [-c RECIPE]",
      "Runs every sample and scores it: top1 against labels, or cosine / relative_error against reference outputs\n"
      "stored beside the inputs. A model file (.pt2, .onnx) runs in float. A program brings its own recipe.\n\n"
      "A language model is scored by perplexity on a text file, or on token ids ([N, T] in .safetensors or .npy, one\n"
      "text per row; see docs/language_models.md).\n\n"
      "  quoin eval effnet.quoin --data images/ --labels labels.csv --against effnet.pt2\n"
      "  quoin eval llama.quoin --metric perplexity --data wiki.txt --against llama_float.quoin",
      {"model"},
      add_options,
      run};
}

}  // namespace quoin::cli
