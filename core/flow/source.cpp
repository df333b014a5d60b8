#include "flow/source.hpp"

#include "base/spill.hpp"
#include "source/quantizer.hpp"
#include "tokenize/token_data.hpp"

namespace quoin::flow {
namespace {

Result<std::vector<source::Rule>> rules_of(const recipe::Recipe& recipe) {
  std::vector<source::Rule> rules;
  for (const recipe::SourceRule& given : recipe.quantize.source.rules) {
    source::Rule rule{given, std::nullopt};
    if (given.quantizer) {
      auto config = source::config_from(*given.quantizer, given.params);
      if (!config) return fail(in(given.place.text, std::move(config).error()));
      rule.config = *config;
    } else if (!given.params.empty()) {
      return fail(Error{Code::recipe, "params without a quantizer: the layer stays in float", given.place.text, {}});
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

// Codes leave memory as soon as they are packed.
Result<Tensor> keep_on_disk(Context& context, const Tensor& codes) {
  if (!context.spill) {
    QUOIN_TRY(context.spill, Spill::create());
  }
  QUOIN_TRY(const Spill::Kept kept, context.spill->keep({static_cast<const std::byte*>(codes.data()), codes.bytes()}));
  return Tensor(codes.dtype(), codes.shape(), kept.owner, kept.bytes.data());
}

source::Resources resources(Context& context, Progress* progress, Diagnostics& diagnostics) {
  return {context.services->table(), diagnostics, &context.kernels, progress,
          [&context](const Tensor& codes) { return keep_on_disk(context, codes); }};
}

Result<std::vector<source::Sample>> graph_samples(const ir::Graph& graph, const recipe::Recipe& recipe) {
  const auto& wanted = recipe.quantize.source.calibrate;
  std::vector<source::Sample> samples;
  if (wanted.data.empty()) return samples;
  std::vector<data::InputSpec> inputs;
  for (const ir::ValueId id : graph.inputs())
    inputs.push_back({graph.value(id).name, graph.value(id).type.dtype, graph.value(id).type.shape});
  data::Source source;
  source.path = wanted.data;
  source.preprocess = recipe.model.preprocess;
  if (wanted.samples != 0) source.limit = static_cast<size_t>(wanted.first + wanted.samples);
  QUOIN_TRY(const auto dataset, data::open_dataset(source, inputs));
  for (size_t i = static_cast<size_t>(wanted.first); i < dataset->size(); ++i) {
    QUOIN_TRY(data::Sample sample, dataset->sample(i));
    samples.push_back(std::move(sample.inputs));
  }
  return samples;
}

Result<std::vector<source::Sample>> token_samples(const nn::LanguageModel& model, const std::string& path,
                                                  const recipe::Recipe& recipe) {
  const auto& wanted = recipe.quantize.source.calibrate;
  std::vector<source::Sample> samples;
  if (wanted.data.empty()) return samples;
  const std::string& named = recipe.model.language.tokenizer;
  auto tokenizer = tokenize::Tokenizer::open(named.empty() ? path : named);
  if (!tokenizer && (!named.empty() || tokenizer.error().code != Code::not_found)) return fail(tokenizer.error());
  const tokenize::TokenSource source{wanted.data, wanted.tensor, static_cast<size_t>(wanted.first),
                                     static_cast<size_t>(wanted.samples)};
  QUOIN_TRY(const tokenize::TokenData data,
            tokenize::load_tokens(source, tokenizer ? &*tokenizer : nullptr, model.config().vocab_size));
  for (const std::vector<int64_t>& row : data.rows)
    samples.push_back({Tensor::of<int64_t>(DType::s64, {static_cast<int64_t>(row.size())}, row)});
  return samples;
}

}  // namespace

Result<source::Report> quantize_source(ir::Graph& graph, const recipe::Recipe& recipe, Context& context,
                                       Progress* progress, Diagnostics& diagnostics) {
  if (recipe.quantize.source.rules.empty()) return source::Report();
  QUOIN_TRY(std::vector<source::Rule> rules, rules_of(recipe));
  QUOIN_TRY(const std::vector<source::Sample> samples, graph_samples(graph, recipe));
  const source::Quantizer quantizer(std::move(rules));
  return quantizer.quantize(graph, {samples, recipe.quantize.source.calibrate.mask},
                            resources(context, progress, diagnostics));
}

Result<source::Report> quantize_source(nn::LanguageModel& model, const std::string& path, const recipe::Recipe& recipe,
                                       Context& context, Progress* progress, Diagnostics& diagnostics) {
  if (recipe.quantize.source.rules.empty()) return source::Report();
  QUOIN_TRY(std::vector<source::Rule> rules, rules_of(recipe));
  QUOIN_TRY(const std::vector<source::Sample> samples, token_samples(model, path, recipe));
  const source::Quantizer quantizer(std::move(rules));
  const source::Resources with = resources(context, progress, diagnostics);
  if (samples.empty()) return quantizer.quantize(model.root(), with);
  return quantizer.quantize(model, {samples, recipe.quantize.source.calibrate.mask}, with);
}

}  // namespace quoin::flow
