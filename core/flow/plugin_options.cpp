#include "flow/plugin_options.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "ops/abi_read.hpp"
#include "recipe/params.hpp"

namespace quoin::flow {
namespace {

constexpr uint32_t kScopes = QUOIN_SCOPE_BACKEND | QUOIN_SCOPE_LOAD;

Error unknown(const std::string& plugin, const std::string& option, const std::vector<quoin_param_spec>& specs) {
  std::vector<std::string> known;
  for (const quoin_param_spec& spec : specs) {
    if ((spec.scope & kScopes) != 0)
      known.push_back(text(spec.name));
    else if (text(spec.name) == option && (spec.scope & QUOIN_SCOPE_COMPILE) != 0)
      return {Code::recipe,
              fmt::format("plugin {} takes \"{}\" when it compiles", plugin, option),
              {},
              "move it to lower.params"};
  }
  const std::string near = did_you_mean(option, known);
  return {Code::recipe,
          fmt::format("plugin {} has no option \"{}\"", plugin, option),
          {},
          known.empty()  ? "it takes none"
          : near.empty() ? "its options are " + join(known, ", ")
                         : near};
}

}  // namespace

Result<quoin_array> PluginOptions::list(const quoin_plugin& table, uint32_t scope) {
  const auto options = given_.find(table.name);
  if (options == given_.end()) return quoin_array{};
  const auto specs = elements<quoin_param_spec>(table.options);
  Attrs attrs;
  for (const auto& [key, value] : options->second.values) {
    const std::string& place = options->second.places.at(key).text;
    const auto spec = std::ranges::find_if(specs, [&, &name = key](const quoin_param_spec& s) {
      return (s.scope & kScopes) != 0 && text(s.name) == name;
    });
    if (spec == specs.end()) return fail(in(place, unknown(table.name, key, specs)));
    auto checked = recipe::check_param(*spec, value);
    if (!checked) return std::move(checked).failure().at("{}: plugin {}", place, table.name);
    if ((spec->scope & scope) != 0) attrs.merge(recipe::to_attrs({{key, *std::move(checked)}}));
  }
  const std::lock_guard lock(mutex_);
  const auto [kept, fresh] = lists_.try_emplace({table.name, scope});
  List& list = kept->second;
  if (fresh) {
    list.attrs = std::move(attrs);
    list.params = list.storage.list(list.attrs);
  }
  return list.params;
}

}  // namespace quoin::flow
