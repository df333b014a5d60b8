#include <algorithm>

#include "base/text.hpp"
#include "cli/plugin_action.hpp"

namespace quoin::cli {
namespace {

std::vector<std::string> action_names() {
  std::vector<std::string> names;
  for (const PluginAction& action : plugin_actions()) names.push_back(action.name);
  return names;
}

std::string usage_of(const PluginAction& action) {
  std::string line = action.name;
  for (const std::string& part : {action.operand, action.usage})
    if (!part.empty()) line += " " + part;
  return line;
}

po::options_description options_of(const PluginAction& action) {
  po::options_description options;
  if (action.add_options != nullptr) action.add_options(options);
  return options;
}

void add_options(po::options_description& options) {
  const std::string names = join(action_names(), "|");
  options.add_options()("action", po::value<std::string>()->value_name(names.c_str()), "what to do")(
      "operand", po::value<std::string>()->value_name("NAME"), "what the action is about")(
      "plugin", po::value<std::vector<std::string>>()->value_name("FOLDER"), "search this folder first; repeatable")(
      "sha256", po::value<std::vector<std::string>>()->value_name("DIGEST"),
      "load only files with this SHA-256; repeatable");
  for (const PluginAction& action : plugin_actions()) {
    const po::options_description own = options_of(action);
    for (const auto& option : own.options()) options.add(option);
  }
}

// An option of another action would be dropped without a word.
Status check_options(const Invocation& call, const PluginAction& action) {
  const po::options_description own = options_of(action);
  for (const PluginAction& other : plugin_actions()) {
    const po::options_description others = options_of(other);
    for (const auto& option : others.options()) {
      const std::string& name = option->long_name();
      if (call.has(name) && !call.options[name].defaulted() && own.find_nothrow(name, false) == nullptr)
        return fail(Code::usage, "--{} is an option of `quoin plugin {}`", name, other.name)
            .at("quoin plugin {}", action.name)
            .hint("quoin plugin " + usage_of(action));
    }
  }
  return {};
}

Status check_operand(const Invocation& call, const PluginAction& action) {
  if (call.has("operand") == !action.operand.empty()) return {};
  const std::string what = action.operand.empty() ? fmt::format("\"{}\" is one argument too many", call.text("operand"))
                                                  : fmt::format("no {} given", action.operand);
  return fail(Code::usage, "{}", what).at("quoin plugin {}", action.name).hint("quoin plugin " + usage_of(action));
}

Status check_digests(const Invocation& call) {
  for (const std::string& given : call.list("sha256"))
    if (!sha256_digits(given))
      return fail(Code::usage, "\"{}\" is no SHA-256 digest of 64 hex digits", given)
          .at("--sha256")
          .hint("`quoin plugin list --json` prints that of every plugin");
  return {};
}

Status run(Invocation& call) {
  const std::string name = call.has("action") ? call.text("action") : plugin_actions().front().name;
  const auto action = std::ranges::find(plugin_actions(), name, &PluginAction::name);
  if (action == plugin_actions().end())
    return fail(Code::usage, "\"{}\" is not an action", name)
        .at("quoin plugin")
        .hint(did_you_mean(name, action_names()));
  QUOIN_CHECK(check_operand(call, *action));
  QUOIN_CHECK(check_options(call, *action));
  QUOIN_CHECK(check_digests(call));
  return action->run(call);
}

host::Services::Options service_options(uint64_t isa) {
  host::Services::Options options;
  options.isa = isa;
  return options;
}

host::SearchOptions search_options(const Invocation& call) {
  host::SearchOptions options;
  options.folders = call.list("plugin");
  if (!call.has("sha256")) return options;
  options.listed.emplace();
  for (const std::string& given : call.list("sha256")) options.listed->insert(*sha256_digits(given));
  return options;
}

}  // namespace

// The first is what `quoin plugin` alone does.
std::span<const PluginAction> plugin_actions() {
  static const std::vector<PluginAction> table = {plugin_list_action(), plugin_describe_action(), plugin_check_action(),
                                                  plugin_new_action()};
  return table;
}

PluginSearch::PluginSearch(const Invocation& call, uint64_t isa)
    : services(service_options(isa)), registry(host::Registry::discover(search_options(call), services)) {}

Verb plugin_verb() {
  size_t width = 0;
  for (const PluginAction& action : plugin_actions()) width = std::max(width, usage_of(action).size());
  std::string lines;
  for (const PluginAction& action : plugin_actions())
    lines += fmt::format("  {:<{}}  {}\n", usage_of(action), width, action.summary);
  return {"plugin",
          "work with plugins: " + join(action_names(), ", "),
          "[" + join(action_names(), "|") + "] ...",
          lines +
              "\nPlugins are found in --plugin folders, QUOIN_PLUGIN_PATH, the build tree and the installed folder, "
              "in this order.",
          {"action", "operand"},
          add_options,
          run};
}

}  // namespace quoin::cli
