#include <quoin/rules.hpp>

#include <algorithm>
#include <cstring>
#include <iostream>

#include "base/text.hpp"
#include "cli/common.hpp"
#include "cli/plugin_action.hpp"
#include "cli/plugin_page.hpp"
#include "cli/terminal.hpp"
#include "ops/abi_read.hpp"

namespace quoin::cli {
namespace {

Json value_json(const quoin_param& param) {
  if (param.data == nullptr) return nullptr;
  switch (param.kind) {
    case QUOIN_PARAM_BOOL:
      return *static_cast<const uint8_t*>(param.data) != 0;
    case QUOIN_PARAM_INT:
      return *static_cast<const int64_t*>(param.data);
    case QUOIN_PARAM_FLOAT:
      return *static_cast<const double*>(param.data);
    case QUOIN_PARAM_STR:
      return text(*static_cast<const quoin_str*>(param.data));
    default:
      return nullptr;
  }
}

Json params_json(quoin_array params) {
  static constexpr const char* kKinds[] = {"?", "bool", "int", "float", "string"};
  Json out = Json::array();
  for (const quoin_param_spec& spec : elements<quoin_param_spec>(params)) {
    Json row = {{"name", text(spec.name)},
                {"type", spec.kind < std::size(kKinds) ? kKinds[spec.kind] : "?"},
                {"default", value_json(spec.fallback)},
                {"doc", text(spec.doc)}};
    if (spec.low <= spec.high && spec.kind == QUOIN_PARAM_FLOAT) row["range"] = {spec.low, spec.high};
    if (spec.low <= spec.high && spec.kind == QUOIN_PARAM_INT)
      row["range"] = {static_cast<int64_t>(spec.low), static_cast<int64_t>(spec.high)};
    Json choices = Json::array();
    for (const quoin_str& choice : elements<quoin_str>(spec.choices)) choices.push_back(text(choice));
    if (!choices.empty()) row["choices"] = choices;
    out.push_back(std::move(row));
  }
  return out;
}

// What the plugin publishes of itself; all empty when it publishes nothing. Copied as far as both headers know it.
quoin_rules published(const quoin_plugin& plugin) {
  quoin_rules rules{};
  const quoin_ext* ext = plugin.ext;
  while (ext != nullptr && std::string_view(ext->name) != QUOIN_RULES_EXT) ext = ext->next;
  if (ext != nullptr) std::memcpy(&rules, ext, std::min<size_t>(ext->struct_size, sizeof rules));
  return rules;
}

Json rules_json(const quoin_rules& published) {
  Json out = Json::array();
  for (const quoin_rule& rule : elements<quoin_rule>(published.rules)) {
    Json presets = Json::array();
    for (const quoin_str& preset : elements<quoin_str>(rule.presets)) presets.push_back(text(preset));
    out.push_back({{"rule", text(rule.name)},
                   {"pattern", text(rule.pattern)},
                   {"presets", presets},
                   {"integer", rule.integer != 0},
                   {"float", rule.real != 0},
                   {"constraint", text(rule.constraint)}});
  }
  return out;
}

Json texts_json(quoin_array texts) {
  Json out = Json::array();
  for (const quoin_str& item : elements<quoin_str>(texts)) out.push_back(text(item));
  return out;
}

// Where in a recipe an option is given, by the phases that take it.
Json scopes_json(uint32_t scope) {
  Json out = Json::array();
  if ((scope & (QUOIN_SCOPE_BACKEND | QUOIN_SCOPE_LOAD)) != 0) out.push_back("plugins.options");
  if ((scope & QUOIN_SCOPE_COMPILE) != 0) out.push_back("lower.params");
  return out;
}

Json options_json(quoin_array options) {
  Json out = params_json(options);
  const auto specs = elements<quoin_param_spec>(options);
  size_t i = 0;
  for (const quoin_param_spec& spec : specs) out[i++]["scopes"] = scopes_json(spec.scope);
  return out;
}

Json describe_json(const quoin_plugin& plugin) {
  const quoin_rules about = published(plugin);
  Json presets = Json::array(), kernels = Json::array();
  if (plugin.quantizer != nullptr)
    for (const quoin_preset& preset : elements<quoin_preset>(plugin.quantizer->presets))
      presets.push_back(
          {{"name", text(preset.name)}, {"doc", text(preset.doc)}, {"params", params_json(preset.params)}});
  for (const quoin_kernel& kernel : elements<quoin_kernel>(plugin.kernels))
    kernels.push_back(
        {{"name", kernel.name}, {"op", kernel.op}, {"isa", host::isa_name(kernel.isa)}, {"priority", kernel.priority}});
  return {{"name", plugin.name},
          {"version", plugin.version},
          {"abi", fmt::format("{}.{}", plugin.abi_major, plugin.abi_minor)},
          {"quantizer", plugin.quantizer != nullptr},
          {"compiler", plugin.compiler != nullptr},
          {"executor", plugin.executor != nullptr},
          {"summary", text(about.summary)},
          {"options", options_json(plugin.options)},
          {"presets", presets},
          {"rules", rules_json(about)},
          {"kernels", kernels},
          {"numerics", text(about.numerics)},
          {"limits", texts_json(about.limits)}};
}

void print_params(const Json& params, const std::string& indent) {
  for (const Json& p : params) {
    std::string limits;
    if (p.contains("range")) limits = fmt::format(", {} to {}", p["range"][0].dump(), p["range"][1].dump());
    if (p.contains("choices")) limits = ", one of " + p["choices"].dump();
    std::cout << fmt::format("{}{} ({}, default {}{}): {}\n", indent, p["name"].get<std::string>(),
                             p["type"].get<std::string>(), p["default"].dump(), limits, p["doc"].get<std::string>());
  }
}

// A paragraph under a heading, where there is one.
void print_text(const std::string& heading, const std::string& paragraph) {
  if (paragraph.empty()) return;
  std::cout << "\n" << heading << (heading.empty() ? "" : "\n");
  for (const std::string& line : split(paragraph, '\n')) std::cout << join(wrap(line, 100), "\n") << "\n";
}

void print_description(const Json& d) {
  std::cout << fmt::format("{} {} (ABI {})\n", d["name"].get<std::string>(), d["version"].get<std::string>(),
                           d["abi"].get<std::string>());
  print_text("", d["summary"]);
  if (!d["options"].empty()) std::cout << "\noptions\n";
  print_params(d["options"], "  ");
  for (const Json& preset : d["presets"]) {
    std::cout << fmt::format("\npreset {}: {}\n", preset["name"].get<std::string>(), preset["doc"].get<std::string>());
    print_params(preset["params"], "  ");
  }
  if (!d["rules"].empty()) {
    Table table({"rule", "pattern", "presets", "runs", "holds when"}, {1, 2, 3});
    for (const Json& rule : d["rules"]) {
      const bool integer = rule["integer"].get<bool>(), real = rule["float"].get<bool>();
      table.row({rule["rule"], rule["pattern"], join(rule["presets"].get<std::vector<std::string>>(), ", "),
                 integer && real ? "integer, float"
                 : integer       ? "integer"
                 : real          ? "float"
                                 : "-",
                 rule["constraint"]});
    }
    std::cout << "\n" << table.text();
  }
  if (!d["kernels"].empty()) {
    Table table({"kernel", "operator", "needs"});
    for (const Json& kernel : d["kernels"]) table.row({kernel["name"], kernel["op"], kernel["isa"]});
    std::cout << "\n" << table.text();
  }
  print_text("numerics", d["numerics"]);
  if (!d["limits"].empty()) std::cout << "\nknown limits\n";
  for (const Json& limit : d["limits"]) std::cout << "- " << join(wrap(limit.get<std::string>(), 98), "\n  ") << "\n";
}

Status run(Invocation& call) {
  QUOIN_TRY(const uint64_t isa, host::detect_isa());
  PluginSearch search(call, isa);
  QUOIN_TRY(const auto backend, search.registry.open(call.text("operand")));
  const Json description = describe_json(backend->table());
  if (call.json)
    print(description);
  else if (call.has("markdown"))
    std::cout << plugin_page(description);
  else
    print_description(description);
  return {};
}

void add_options(po::options_description& options) {
  options.add_options()("markdown", "describe: write the reference part of the plugin's page in docs/backends");
}

}  // namespace

PluginAction plugin_describe_action() {
  return {"describe", "NAME", "[--markdown]", "presets, options, rules and kernels of one plugin", add_options, run};
}

}  // namespace quoin::cli
