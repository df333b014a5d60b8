#include "flow/language.hpp"
#include "flow/lower_float.hpp"
#include "program/file.hpp"

namespace quoin::flow {

namespace {

program::ReadOptions read_options(const recipe::Recipe& recipe) {
  using Weights = program::ReadOptions::Weights;
  return {recipe.run.weights == "trust" ? Weights::trust : Weights::hash};
}

// nullopt: no program file.
Result<std::optional<program::Model>> read_program(const std::string& path, const recipe::Recipe& recipe) {
  if (is_language_model(path)) return std::nullopt;
  {
    QUOIN_TRY(const MappedFile file, MappedFile::open(path));
    if (!program::looks_like_program(file.bytes())) return std::nullopt;
  }
  QUOIN_TRY(program::Model model, program::read(path, read_options(recipe)));
  return model;
}

runtime::Options load_options(const recipe::Recipe& recipe, Context& context) {
  runtime::Options options;
  options.backend = [&context](const std::string& name) { return context.registry.open(name); };
  options.params = [&context](const host::Backend& backend) {
    return context.options->list(backend.table(), QUOIN_SCOPE_LOAD);
  };
  options.fallback = recipe.plugins.fallback;
  options.kernels = &context.kernels;
  return options;
}

}  // namespace

Result<runtime::Executable> open_model(const std::string& path, const recipe::Recipe& recipe, Context& context,
                                       Diagnostics& diagnostics) {
  QUOIN_TRY(std::optional<program::Model> stored, read_program(path, recipe));
  if (stored) {  // verified as it was read
    auto model = std::make_shared<const program::Model>(*std::move(stored));
    QUOIN_TRY(runtime::Executable executable,
              runtime::Executable::prepare(std::move(model), load_options(recipe, context), context.services->table(),
                                           diagnostics));
    QUOIN_CHECK(executable.plan());
    return executable;
  }
  const auto lower = is_language_model(path) ? lower_language_model : lower_float;
  QUOIN_TRY(program::Model model, lower(path, recipe, context, diagnostics));
  return open_program(std::move(model), recipe, context, diagnostics);
}

Result<runtime::Executable> open_program(program::Model model, const recipe::Recipe& recipe, Context& context,
                                         Diagnostics& diagnostics) {
  return runtime::Executable::load(std::move(model), load_options(recipe, context), context.services->table(),
                                   diagnostics);
}

std::vector<data::InputSpec> input_specs(const runtime::Executable& model, size_t method) {
  std::vector<data::InputSpec> specs;
  for (const runtime::TensorSpec& input : model.inputs(method))
    specs.push_back({input.name, input.type.dtype, input.type.shape, input.dynamic});
  return specs;
}

}  // namespace quoin::flow
