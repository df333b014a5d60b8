#include <quoin/rules.hpp>

#include <iostream>

#include "base/text.hpp"
#include "cli/common.hpp"
#include "cli/terminal.hpp"
#include "ops/abi_read.hpp"

namespace quoin::cli {
namespace {

void add_options(po::options_description& options) {
  options.add_options()("action", po::value<std::string>()->value_name("list|describe"), "what to do")(
      "name", po::value<std::string>()->value_name("PLUGIN"), "the plugin to describe")(
      "all", "list ignored files too, with the reason")(
      "plugin", po::value<std::vector<std::string>>()->value_name("FOLDER"), "search this folder first; repeatable");
}

Json list_json(const host::Registry& registry, bool all) {
  Json out = Json::array();
  for (const host::Candidate& candidate : registry.candidates()) {
    if (!candidate.ignored.empty() && !all) continue;
    out.push_back({{"name", candidate.manifest.name},
                   {"version", candidate.manifest.version},
                   {"vendor", candidate.manifest.vendor},
                   {"roles", candidate.manifest.roles},
                   {"path", candidate.path},
                   {"source", candidate.source},
                   {"usable", candidate.ignored.empty()},
                   {"reason", candidate.ignored}});
  }
  return out;
}

Status list(const Invocation& call, const host::Registry& registry) {
  const Json rows = list_json(registry, call.has("all"));
  if (call.json) {
    print(rows);
    return {};
  }
  Table table({"name", "version", "roles", "source", "path", "status"}, {2, 4});
  for (const Json& row : rows)
    table.row({row["name"].get<std::string>(), row["version"].get<std::string>(),
               join(row["roles"].get<std::vector<std::string>>(), ", "), row["source"].get<std::string>(),
               row["path"].get<std::string>(),
               row["usable"].get<bool>() ? "usable" : "ignored: " + row["reason"].get<std::string>()});
  std::cout << table.text();
  const size_t ignored = static_cast<size_t>(
      std::ranges::count_if(registry.candidates(), [](const auto& c) { return !c.ignored.empty(); }));
  if (ignored != 0 && !call.has("all")) std::cout << fmt::format("{} file(s) ignored; see them with --all\n", ignored);
  return {};
}

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

Status describe(const Invocation& call, host::Registry& registry) {
  if (!call.has("name")) return fail(Error{Code::usage, "no plugin named", {}, "quoin plugin describe NAME"});
  QUOIN_TRY(const auto backend, registry.open(call.text("name")));
  const Json description = describe_json(backend->table());
  if (call.json)
    print(description);
  else
    print_description(description);
  return {};
}

Status run(Invocation& call) {
  const std::string action = call.has("action") ? call.text("action") : "list";
  QUOIN_TRY(const uint64_t isa, host::detect_isa());
  host::Services::Options service_options;
  service_options.isa = isa;
  const host::Services services(std::move(service_options));
  host::SearchOptions options;
  options.folders = call.list("plugin");
  host::Registry registry = host::Registry::discover(options, services);
  if (action == "list") {
    registry.try_out();
    return list(call, registry);
  }
  if (action == "describe") return describe(call, registry);
  const std::vector<std::string> actions = {"list", "describe"};
  return fail(Error{Code::usage, fmt::format("\"{}\" is not an action", action), "quoin plugin",
                    did_you_mean(action, actions)});
}

}  // namespace

Verb plugin_verb() {
  return {"plugin",
          "list plugins, describe one",
          "[list [--all] | describe NAME]",
          "Plugins are found in --plugin folders, QUOIN_PLUGIN_PATH, the build tree and the installed folder, in this "
          "order.\n\n"
          "  quoin plugin list --all\n  quoin plugin describe cpu",
          {"action", "name"},
          add_options,
          run};
}

}  // namespace quoin::cli
