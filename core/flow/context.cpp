#include <set>

#include "flow/flow.hpp"
#include "host/amx.hpp"

namespace quoin::flow {
namespace {

// Every plugin the recipe names, in order of first mention.
std::vector<std::string> named_plugins(const recipe::Recipe& recipe) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (const recipe::Quantizer& quantizer : recipe.quantize.quantizers)
    if (seen.insert(quantizer.plugin).second) names.push_back(quantizer.plugin);
  for (const std::string& name : recipe.lower.order)
    if (seen.insert(name).second) names.push_back(name);
  return names;
}

Result<uint64_t> allowed_isa(const recipe::Recipe& recipe) {
  QUOIN_TRY(const uint64_t machine, host::detect_isa());
  if (recipe.lower.isa.empty() || recipe.lower.isa == "native") return machine;
  auto wanted = host::parse_isa(recipe.lower.isa);
  if (!wanted)
    return fail(Code::recipe, "{}", wanted.error().what)
        .at("{}", recipe.path + ": lower.isa")
        .hint(wanted.error().hint);
  return machine & *wanted;
}

host::LogSink log_into(Diagnostics& diagnostics) {
  return [&diagnostics](int level, std::string_view text) {
    if (level >= QUOIN_LOG_WARN)
      diagnostics.warn("plugin", std::string(text));
    else if (level == QUOIN_LOG_INFO)
      diagnostics.info("plugin", std::string(text));
  };
}

}  // namespace

Result<std::unique_ptr<Context>> make_context(const recipe::Recipe& recipe,
                                              const std::vector<std::string>& plugin_folders, bool open_all,
                                              Diagnostics& diagnostics) {
  auto context = std::make_unique<Context>();
  host::Services::Options options;
  options.threads = static_cast<uint32_t>(recipe.run.threads);
  QUOIN_TRY(options.isa, allowed_isa(recipe));
  if (const std::string obstacle = host::amx_obstacle(host::amx()); !obstacle.empty())
    diagnostics.info("machine", obstacle, "Linux 5.16 or newer gives them; a sandbox may forbid arch_prctl");
  options.log = log_into(diagnostics);
  context->services = std::make_unique<host::Services>(std::move(options));

  host::SearchOptions search;
  search.folders = plugin_folders;
  search.folders.insert(search.folders.end(), recipe.plugins.search.begin(), recipe.plugins.search.end());
  if (recipe.plugins.policy == "listed")
    search.listed.emplace(recipe.plugins.sha256.begin(), recipe.plugins.sha256.end());
  context->options = std::make_unique<PluginOptions>(recipe.plugins.options);
  search.params = [options = context->options.get()](const quoin_plugin& table) {
    return options->list(table, QUOIN_SCOPE_BACKEND);
  };
  context->registry = host::Registry::discover(search, *context->services);

  std::vector<std::string> names = named_plugins(recipe);
  if (names.empty() && open_all) names = context->registry.names();
  for (const std::string& name : names) {
    auto backend = context->registry.open(name);
    if (!backend && recipe.stored) continue;  // a delegate that needs it falls back, with this reason
    if (!backend) return std::move(backend).failure();
    if (const quoin_array kernels = (*backend)->table().kernels; kernels.count != 0)
      context->kernels.add(name, kernels, diagnostics, std::make_shared<host::Use>(*backend, host::Use::kernels));
    context->backends.push_back(std::move(*backend));
  }
  // Options of a plugin that nothing names are checked, too.
  for (const auto& [name, given] : recipe.plugins.options)
    if (auto backend = context->registry.open(name); !backend && !recipe.stored) {
      Failure failure = std::move(backend).failure();
      return failure->code == Code::recipe ? failure : std::move(failure).at("{}", given.place.text);
    }
  return context;
}

Status unload_plugin(Context& context, const std::string& name) {
  context.kernels.remove(name);
  std::erase_if(context.backends, [&](const auto& backend) { return backend->name() == name; });
  return context.registry.unload(name);
}

}  // namespace quoin::flow
