#include "flow/language.hpp"
#include "flow/lower_float.hpp"
#include "program/file.hpp"

namespace quoin::flow {

namespace {

program::ReadOptions read_options(const recipe::Recipe& recipe) {
  using Weights = program::ReadOptions::Weights;
  return {recipe.run.weights == "trust" ? Weights::trust : Weights::hash};
}

Result<program::Model> read_or_lower(const std::string& path, const recipe::Recipe& recipe, Context& context,
                                     Diagnostics& diagnostics) {
  if (is_language_model(path)) return lower_language_model(path, recipe, context, diagnostics);
  {
    QUOIN_TRY(const MappedFile file, MappedFile::open(path));
    if (program::looks_like_program(file.bytes())) return program::read(path, read_options(recipe));
  }
  return lower_float(path, recipe, context, diagnostics);
}

}  // namespace

Result<runtime::Executable> open_model(const std::string& path, const recipe::Recipe& recipe, Context& context,
                                       Diagnostics& diagnostics) {
  QUOIN_TRY(program::Model model, read_or_lower(path, recipe, context, diagnostics));
  return open_program(std::move(model), recipe, context, diagnostics);
}

Result<runtime::Executable> open_program(program::Model model, const recipe::Recipe& recipe, Context& context,
                                         Diagnostics& diagnostics) {
  runtime::Options options;
  options.backend = [&context](const std::string& name) { return context.registry.open(name); };
  options.params = [&context](const host::Backend& backend) {
    return context.options->list(backend.table(), QUOIN_SCOPE_LOAD);
  };
  options.fallback = recipe.plugins.fallback;
  options.kernels = &context.kernels;
  return runtime::Executable::load(std::move(model), options, context.services->table(), diagnostics);
}

std::vector<data::InputSpec> input_specs(const runtime::Executable& model, size_t method) {
  std::vector<data::InputSpec> specs;
  for (const runtime::TensorSpec& input : model.inputs(method))
    specs.push_back({input.name, input.type.dtype, input.type.shape, input.dynamic});
  return specs;
}

}  // namespace quoin::flow
