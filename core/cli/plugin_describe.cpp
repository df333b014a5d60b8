#include <quoin/rules.hpp>

#include <iostream>

#include "base/text.hpp"
#include "cli/common.hpp"
#include "cli/plugin_action.hpp"
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

Json rules_json(const quoin_plugin& plugin) {
  Json out = Json::array();
  const quoin_ext* ext = plugin.ext;
  while (ext != nullptr && std::string_view(ext->name) != QUOIN_RULES_EXT) ext = ext->next;
  if (ext == nullptr || ext->struct_size < sizeof(quoin_rules)) return out;
  for (const quoin_rule& rule : elements<quoin_rule>(reinterpret_cast<const quoin_rules*>(ext)->rules)) {
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

Json describe_json(const quoin_plugin& plugin) {
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
          {"options", params_json(plugin.options)},
          {"presets", presets},
          {"rules", rules_json(plugin)},
          {"kernels", kernels}};
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

void print_description(const Json& d) {
  std::cout << fmt::format("{} {} (ABI {})\n", d["name"].get<std::string>(), d["version"].get<std::string>(),
                           d["abi"].get<std::string>());
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
}

Status run(Invocation& call) {
  QUOIN_TRY(const uint64_t isa, host::detect_isa());
  PluginSearch search(call, isa);
  QUOIN_TRY(const auto backend, search.registry.open(call.text("operand")));
  const Json description = describe_json(backend->table());
  if (call.json)
    print(description);
  else
    print_description(description);
  return {};
}

}  // namespace

PluginAction plugin_describe_action() {
  return {"describe", "NAME", "", "presets, options, rules and kernels of one plugin", nullptr, run};
}

}  // namespace quoin::cli
