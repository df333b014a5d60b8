#include "flow/lower_float.hpp"
#include "program/file.hpp"

namespace quoin::flow {

Result<runtime::Executable> open_model(const std::string& path, const recipe::Recipe& recipe, Context& context,
                                       Diagnostics& diagnostics) {
  bool is_program = false;
  {
    QUOIN_TRY(const MappedFile file, MappedFile::open(path));
    is_program = program::looks_like_program(file.bytes());
  }
  QUOIN_TRY(program::Model model, is_program ? program::read(path) : lower_float(path, recipe, context, diagnostics));
  runtime::Options options;
  options.backend = [&context](const std::string& name) { return context.registry.open(name); };
  options.params = [&context](const host::Backend& backend) {
    return context.options->list(backend.table(), QUOIN_SCOPE_LOAD);
  };
  options.fallback = recipe.plugins.fallback;
  options.kernels = &context.kernels;
  return runtime::Executable::load(std::move(model), options, context.services->table(), diagnostics);
}

std::vector<data::InputSpec> input_specs(const runtime::Executable& model) {
  std::vector<data::InputSpec> specs;
  for (const runtime::TensorSpec& input : model.inputs())
    specs.push_back({input.name, input.type.dtype, input.type.shape});
  return specs;
}

}  // namespace quoin::flow
