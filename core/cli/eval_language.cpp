#include "cli/eval_language.hpp"

#include <iostream>

#include "cli/terminal.hpp"
#include "generate/perplexity.hpp"
#include "generate/program_model.hpp"
#include "generate/stored_tokenizer.hpp"
#include "tokenize/token_data.hpp"

namespace quoin::cli {
namespace {

// An executable and what it is as a language model.
struct Model {
  std::unique_ptr<runtime::Executable> executable;
  std::unique_ptr<generate::StepModel> steps;
};

Result<Model> open(const std::string& path, const recipe::Recipe& recipe, flow::Context& context,
                   Diagnostics& diagnostics) {
  QUOIN_TRY(runtime::Executable executable, flow::open_model(path, recipe, context, diagnostics));
  Model out{std::make_unique<runtime::Executable>(std::move(executable)), nullptr};
  QUOIN_TRY(out.steps, generate::open_program(*out.executable, generate::Use::score));
  return out;
}

// The option, or what the recipe says.
Result<int64_t> count_of(const Invocation& call, const char* option, int64_t recipe_value, int64_t least) {
  if (!call.has(option)) return recipe_value;
  const int64_t value = call.options[option].as<int64_t>();
  if (value < least) return fail(Code::usage, "--{} must be at least {}, found {}", option, least, value);
  return value;
}

Result<tokenize::TokenSource> source_of(const Invocation& call, const recipe::Recipe& recipe) {
  tokenize::TokenSource out;
  QUOIN_TRY(out.path, data_of(call, recipe));
  out.tensor = call.has("tensor") ? call.text("tensor") : recipe.eval.tensor;
  QUOIN_TRY(const int64_t first, count_of(call, "first", recipe.eval.first, 0));
  QUOIN_TRY(const int64_t count, count_of(call, "limit", recipe.eval.count, 1));
  out.first = static_cast<size_t>(first);
  out.count = static_cast<size_t>(count);
  return out;
}

// Ids need no tokenizer; a text does.
Result<tokenize::TokenData> tokens_of(const Invocation& call, const recipe::Recipe& recipe, const std::string& model,
                                      const Model& opened) {
  QUOIN_TRY(const tokenize::TokenSource source, source_of(call, recipe));
  const int64_t vocabulary = opened.steps->vocabulary();
  if (!tokenize::is_text(source)) return tokenize::load_tokens(source, nullptr, vocabulary);
  QUOIN_TRY(const tokenize::Tokenizer tokenizer,
            generate::find_tokenizer(call.text("tokenizer"), opened.executable->model().metadata, model));
  return tokenize::load_tokens(source, &tokenizer, vocabulary);
}

Json score_json(const std::string& model, const tokenize::TokenData& data, const generate::TextScore& score,
                const flow::Context& context) {
  const quoin_host& host = context.services->table();
  Json out = {{"model", model},          {"n", score.rows},        {"perplexity", score.perplexity},
              {"data", data.describe},   {"tokens", score.tokens}, {"scored_tokens", score.scored},
              {"seconds", score.seconds}};
  if (score.against) {
    out["against_perplexity"] = score.against->perplexity;
    out["perplexity_ratio"] = score.perplexity / score.against->perplexity;
    out["kl_mean"] = score.against->kl_mean;
    out["kl_p99"] = score.against->kl_p99;
    out["kl_max"] = score.against->kl_max;
    out["top1_agreement"] = score.against->top1_agreement;
  }
  out["isa"] = host::isa_name(host.isa);
  out["threads"] = host.workers(host.self);
  return out;
}

void print_score(const std::string& model, const tokenize::TokenData& data, const generate::TextScore& score) {
  std::cout << fmt::format("{}: perplexity {:.4f} on {} predicted tokens ({}), {:.2f} s, {:.1f} tokens/s\n", model,
                           score.perplexity, score.scored, data.describe, score.seconds,
                           score.seconds > 0 ? static_cast<double>(score.scored) / score.seconds : 0);
  if (!score.against) return;
  const generate::Comparison& c = *score.against;
  std::cout << fmt::format(
      "against perplexity {:.4f}: {:+.2f} %, top-1 agreement {:.4f}, KL divergence mean {:.6f}, "
      "99th percentile {:.6f}, most {:.4f}\n",
      c.perplexity, (score.perplexity / c.perplexity - 1) * 100, c.top1_agreement, c.kl_mean, c.kl_p99, c.kl_max);
}

}  // namespace

void add_language_eval_options(po::options_description& options) {
  options.add_options()("tokenizer", po::value<std::string>()->value_name("PATH"),
                        "perplexity: tokenizer.json, tokenizer.model or their folder; default: the program's")(
      "tensor", po::value<std::string>()->value_name("NAME"), "perplexity: the token ids in a .safetensors file")(
      "first", po::value<int64_t>()->value_name("N"), "perplexity: leave out the first N rows of token ids")(
      "window", po::value<int64_t>()->value_name("N"),
      "perplexity: tokens that are read at once; default: the context")(
      "stride", po::value<int64_t>()->value_name("N"), "perplexity: tokens from window to window; default: half of it");
}

Status eval_language(Invocation& call, const recipe::Recipe& recipe, const std::string& model) {
  generate::ScoreOptions options;
  QUOIN_TRY(options.window, count_of(call, "window", recipe.eval.window, 2));
  QUOIN_TRY(options.stride, count_of(call, "stride", recipe.eval.stride, 1));
  QUOIN_TRY(const auto context, context_of(call, recipe));
  QUOIN_TRY(const Model opened, open(model, recipe, *context, call.diagnostics));
  std::optional<Model> against;
  if (call.has("against")) {
    QUOIN_TRY(against, open(call.text("against"), recipe, *context, call.diagnostics));
  }
  QUOIN_TRY(const tokenize::TokenData data, tokens_of(call, recipe, model, opened));
  TerminalProgress progress(call.quiet);
  QUOIN_TRY(const generate::TextScore score,
            generate::score_text(*opened.steps, against ? against->steps.get() : nullptr, data.rows, options, &progress,
                                 call.diagnostics));
  progress.finish();
  QUOIN_CHECK(check_strict(call));
  if (call.json)
    print(score_json(model, data, score, *context));
  else
    print_score(model, data, score);
  return {};
}

}  // namespace quoin::cli
