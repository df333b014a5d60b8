#include "flow/lowering.hpp"

#include "base/text.hpp"
#include "ops/abi_read.hpp"
#include "ops/abi_view.hpp"
#include "quantize/annotation.hpp"
#include "recipe/params.hpp"

namespace quoin::flow {
namespace {

Result<lower::Options> lower_options(const recipe::Recipe& recipe, Context& context) {
  lower::Options options;
  options.isa = context.services->table().isa;
  options.fallback = recipe.plugins.fallback;
  options.spill = context.spill;
  options.order = context.backends;
  if (recipe.lower.order.empty()) return options;
  options.order.clear();
  for (const std::string& name : recipe.lower.order) {
    QUOIN_TRY(auto backend, context.registry.open(name));
    options.order.push_back(std::move(backend));
  }
  return options;
}

// Every parameter must be one that a plugin takes when it compiles, with a value that each of these allows.
Result<Attrs> compile_params(const recipe::Params& given, const std::vector<std::shared_ptr<host::Backend>>& order) {
  std::vector<std::string> known;
  recipe::Params checked;
  for (const auto& backend : order)
    for (const quoin_param_spec& spec : elements<quoin_param_spec>(backend->table().options)) {
      if ((spec.scope & QUOIN_SCOPE_COMPILE) == 0) continue;
      known.push_back(text(spec.name));
      const auto found = given.find(known.back());
      if (found == given.end()) continue;
      auto value = recipe::check_param(spec, found->second);
      if (!value) return std::move(value).failure().at("lower.params, plugin {}", backend->name());
      checked.emplace(found->first, std::move(*value));
    }
  for (const auto& [key, value] : given)
    if (!checked.contains(key))
      return fail(Code::recipe, "no plugin takes the compile parameter \"{}\"", key)
          .at("lower.params")
          .hint(known.empty() ? "the plugins have none" : did_you_mean(key, known));
  return recipe::to_attrs(checked);
}

}  // namespace

Result<lower::Lowered> lower_methods(std::vector<lower::Method>& methods, const recipe::Recipe& recipe,
                                     bool keep_original, Context& context, Diagnostics& diagnostics) {
  QUOIN_TRY(lower::Options options, lower_options(recipe, context));
  options.keep_original = recipe.lower.keep_original.value_or(keep_original);
  for (lower::Method& method : methods)
    for (const auto& backend : options.order) QUOIN_CHECK(quantize::run_passes(method.graph, *backend, context.passes));
  QUOIN_TRY(const Attrs attrs, compile_params(recipe.lower.params, options.order));
  AbiParams params;
  for (const auto& [key, value] : attrs) options.params.push_back(params.param(key, value));
  return lower::lower(methods, options, context.kernels, context.services->table(), diagnostics);
}

Result<lower::Lowered> lower_graph(ir::Graph& graph, const recipe::Recipe& recipe, Context& context,
                                   Diagnostics& diagnostics) {
  std::vector<lower::Method> methods = {{program::kOnlyMethod, std::move(graph)}};
  auto lowered = lower_methods(methods, recipe, true, context, diagnostics);
  graph = std::move(methods[0].graph);
  return lowered;
}

}  // namespace quoin::flow
