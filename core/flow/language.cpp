#include "flow/language.hpp"

#include <filesystem>

#include "flow/lowering.hpp"
#include "flow/provenance.hpp"
#include "flow/source.hpp"
#include "flow/stopwatch.hpp"
#include "generate/stored_tokenizer.hpp"
#include "nn/language_model.hpp"
#include "tokenize/tokenizer.hpp"

namespace quoin::flow {
namespace {

// Keys that mean something for imported graphs only.
Status check_recipe(const recipe::Recipe& recipe) {
  const auto refuse = [&](const std::string& key, const std::string& hint) {
    return fail(Code::recipe, "language models do not take {}", key).at("{}", recipe.path).hint(hint);
  };
  if (!recipe.quantize.quantizers.empty())
    return refuse("quantize.quantizers", "say what is quantized in quantize.source.rules");
  if (!recipe.quantize.passes.empty()) return refuse("quantize.passes", "their graphs are made as backends want them");
  if (!recipe.quantize.calibrate.data.path.empty())
    return refuse("quantize.calibrate", "name the tokens in quantize.source.calibrate");
  if (!recipe.model.dims.empty()) return refuse("model.dims", "model.language.context and chunk set the sizes");
  return {};
}

nn::ExportOptions export_options(const recipe::Recipe& recipe, const nn::LanguageModel& model) {
  const recipe::Language& wanted = recipe.model.language;
  nn::ExportOptions options;
  options.context =
      wanted.context != 0 ? wanted.context : std::min(model.config().max_positions, recipe::kDefaultContext);
  options.chunk = std::min(wanted.chunk, options.context);
  options.int8_cache = wanted.kv_cache == "int8";
  return options;
}

Result<std::vector<lower::Method>> export_methods(nn::LanguageModel& model, const recipe::Recipe& recipe) {
  std::vector<lower::Method> methods;
  const nn::ExportOptions options = export_options(recipe, model);
  for (const nn::Method method : {nn::Method::prefill, nn::Method::decode, nn::Method::score}) {
    QUOIN_TRY(ir::Graph graph, model.export_method(method, options));
    methods.push_back({std::string(nn::name(method)), std::move(graph)});
  }
  return methods;
}

// So that a program speaks text by itself.
Status add_tokenizer(const std::string& path, const recipe::Recipe& recipe, program::Model& program,
                     Diagnostics& diagnostics) {
  const std::string& named = recipe.model.language.tokenizer;
  const auto files = tokenize::Tokenizer::read(named.empty() ? path : named);
  if (!files && (!named.empty() || files.error().code != Code::not_found)) return fail(files.error());
  if (files)
    generate::store_tokenizer(*files, program.metadata);
  else
    diagnostics.info(path, "no tokenizer beside the model: the program takes token ids only",
                     "name one in model.language.tokenizer, or give --tokenizer later");
  return {};
}

Result<lower::Lowered> lower_model(nn::LanguageModel& model, const std::string& path, const recipe::Recipe& recipe,
                                   Context& context, Diagnostics& diagnostics) {
  QUOIN_TRY(std::vector<lower::Method> methods, export_methods(model, recipe));
  QUOIN_TRY(lower::Lowered lowered, lower_methods(methods, recipe, false, context, diagnostics));
  QUOIN_CHECK(add_tokenizer(path, recipe, lowered.model, diagnostics));
  return lowered;
}

}  // namespace

bool is_language_model(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored) || path.ends_with(".gguf");
}

Result<Quantized> quantize_language_model(const std::string& path, const recipe::Recipe& recipe, Context& context,
                                          Progress* progress, Diagnostics& diagnostics) {
  QUOIN_CHECK(check_recipe(recipe));
  Quantized out;
  Stopwatch watch(out.times, progress);
  watch.start("open");
  QUOIN_TRY(nn::LanguageModel model, nn::LanguageModel::open(path, diagnostics));
  watch.start("source");
  QUOIN_TRY(out.layers, quantize_source(model, path, recipe, context, progress, diagnostics));
  watch.start("lower");
  QUOIN_TRY(out.lowered, lower_model(model, path, recipe, context, diagnostics));
  if (context.spill) context.spill->let_go();
  watch.stop();
  add_provenance(out.lowered.model, recipe, {}, 0);
  return out;
}

Result<program::Model> lower_language_model(const std::string& path, const recipe::Recipe& recipe, Context& context,
                                            Diagnostics& diagnostics) {
  QUOIN_TRY(nn::LanguageModel model, nn::LanguageModel::open(path, diagnostics));
  QUOIN_TRY(lower::Lowered lowered, lower_model(model, path, recipe, context, diagnostics));
  return std::move(lowered.model);
}

}  // namespace quoin::flow
