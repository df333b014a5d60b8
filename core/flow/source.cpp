#include "flow/source.hpp"

#include <algorithm>

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
      if (!config) return std::move(config).failure().at("{}", given.place.text);
      rule.config = *config;
    } else if (!given.params.empty()) {
      return fail(Code::recipe, "params without a quantizer: the layer stays in float").at("{}", given.place.text);
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

// Keys that would change nothing.
Status check_calibration(const recipe::Recipe& recipe, const std::vector<source::Rule>& rules) {
  const auto& wanted = recipe.quantize.source.calibrate;
  const auto refuse = [&](std::string what, std::string hint) {
    return fail(Code::recipe, "{}", what).at("{}", recipe.path).hint(std::move(hint));
  };
  const bool looks =
      std::ranges::any_of(rules, [](const source::Rule& rule) { return rule.config && uses_moments(*rule.config); });
  if (!wanted.data.empty() && !looks)
    return refuse("quantize.source.calibrate.data is given, and no rule makes use of samples",
                  "leave it out, or use algorithm gptq, awq or clip_search");
  if (wanted.data.empty() &&
      (!wanted.tensor.empty() || !wanted.mask.empty() || wanted.first != 0 || wanted.samples != 0))
    return refuse("quantize.source.calibrate says what to take of samples, and has no data", "name a file in data");
  return {};
}

// Where samples `first` .. end, counted as the recipe says; all from `first` if it says nothing.
Result<size_t> end_of_samples(const recipe::Recipe& recipe, size_t there) {
  const auto& wanted = recipe.quantize.source.calibrate;
  const auto first = static_cast<size_t>(wanted.first), count = static_cast<size_t>(wanted.samples);
  if (first < there && count <= there - first) return count == 0 ? there : first + count;
  return fail(Code::data, "samples {} to {} are asked for, there are {}", first, first + std::max<size_t>(count, 1),
              there)
      .at("{}", wanted.data);
}

Result<std::vector<source::Sample>> graph_samples(const ir::Graph& graph, const recipe::Recipe& recipe) {
  const auto& wanted = recipe.quantize.source.calibrate;
  std::vector<source::Sample> samples;
  if (wanted.data.empty()) return samples;
  if (!wanted.tensor.empty())
    return fail(Code::recipe, "quantize.source.calibrate.tensor is about token ids of language models")
        .at("{}", recipe.path)
        .hint("samples of other models have a tensor for every input");
  std::vector<data::InputSpec> inputs;
  for (const ir::ValueId id : graph.inputs())
    inputs.push_back({graph.value(id).name, graph.value(id).type.dtype, graph.value(id).type.shape});
  data::Source source;
  source.path = wanted.data;
  source.preprocess = recipe.model.preprocess;
  QUOIN_TRY(const auto dataset, data::open_dataset(source, inputs));
  QUOIN_TRY(const size_t end, end_of_samples(recipe, dataset->size()));
  for (size_t i = static_cast<size_t>(wanted.first); i < end; ++i) {
    QUOIN_TRY(data::Sample sample, dataset->sample(i));
    samples.push_back(std::move(sample.inputs));
  }
  return samples;
}

// Rows longer than a model's run are cut; what remains of a row at its end is too short for a sample, and left out.
std::vector<source::Sample> cut(const std::vector<std::vector<int64_t>>& rows, size_t longest, size_t& left_out) {
  std::vector<source::Sample> samples;
  for (const std::vector<int64_t>& row : rows) {
    const size_t length = std::min(row.size(), longest);
    for (size_t at = 0; at + length <= row.size(); at += length)
      samples.push_back(
          {Tensor::of<int64_t>(DType::s64, {static_cast<int64_t>(length)}, std::span(row).subspan(at, length))});
    left_out += row.size() % length;
  }
  return samples;
}

Result<std::vector<source::Sample>> token_samples(const nn::LanguageModel& model, const std::string& path,
                                                  const recipe::Recipe& recipe, Diagnostics& diagnostics) {
  const auto& wanted = recipe.quantize.source.calibrate;
  if (wanted.data.empty()) return std::vector<source::Sample>();
  const recipe::Language& language = recipe.model.language;
  auto tokenizer = tokenize::Tokenizer::open(language.tokenizer.empty() ? path : language.tokenizer);
  if (!tokenizer && (!language.tokenizer.empty() || tokenizer.error().code != Code::not_found))
    return fail(tokenizer.error());
  QUOIN_TRY(const tokenize::TokenData data,
            tokenize::load_tokens({wanted.data, wanted.tensor}, tokenizer ? &*tokenizer : nullptr,
                                  model.config().vocab_size));
  const int64_t positions = model.config().max_positions;
  const int64_t longest = std::min(positions, language.context != 0 ? language.context : recipe::kDefaultContext);
  size_t left_out = 0;
  std::vector<source::Sample> samples = cut(data.rows, static_cast<size_t>(longest), left_out);
  QUOIN_TRY(const size_t end, end_of_samples(recipe, samples.size()));
  if (left_out > 0)
    diagnostics.info(wanted.data, fmt::format("cut into {} samples of {} tokens; {} tokens are left over",
                                              samples.size(), longest, left_out));
  return std::vector<source::Sample>(samples.begin() + wanted.first, samples.begin() + static_cast<ptrdiff_t>(end));
}

}  // namespace

Result<source::Report> quantize_source(ir::Graph& graph, const recipe::Recipe& recipe, Context& context,
                                       Progress* progress, Diagnostics& diagnostics) {
  if (recipe.quantize.source.rules.empty()) return source::Report();
  QUOIN_TRY(std::vector<source::Rule> rules, rules_of(recipe));
  QUOIN_CHECK(check_calibration(recipe, rules));
  QUOIN_TRY(const std::vector<source::Sample> samples, graph_samples(graph, recipe));
  const source::Quantizer quantizer(std::move(rules));
  return quantizer.quantize(graph, {samples, recipe.quantize.source.calibrate.mask},
                            resources(context, progress, diagnostics));
}

Result<source::Report> quantize_source(nn::LanguageModel& model, const std::string& path, const recipe::Recipe& recipe,
                                       Context& context, Progress* progress, Diagnostics& diagnostics) {
  if (recipe.quantize.source.rules.empty()) return source::Report();
  QUOIN_TRY(std::vector<source::Rule> rules, rules_of(recipe));
  QUOIN_CHECK(check_calibration(recipe, rules));
  QUOIN_TRY(const std::vector<source::Sample> samples, token_samples(model, path, recipe, diagnostics));
  const source::Quantizer quantizer(std::move(rules));
  const source::Resources with = resources(context, progress, diagnostics);
  if (samples.empty()) return quantizer.quantize(model.root(), with);
  return quantizer.quantize(model, {samples, recipe.quantize.source.calibrate.mask}, with);
}

}  // namespace quoin::flow
