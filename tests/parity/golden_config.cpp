#include "golden_config.hpp"

#include <set>

namespace quoin::parity {
namespace {

using json = nlohmann::ordered_json;

Status check_keys(const json& object, const std::set<std::string>& known, std::string_view what) {
  for (const auto& item : object.items())
    if (!known.contains(item.key())) return fail(Code::data, "{} \"{}\" is not known", what, item.key());
  return {};
}

struct Preset {
  std::string name;
  recipe::Params params;
};
// One call of get_symmetric_quantization_config as preset and parameters. All are given, so that nothing is inherited.
// No configuration is the reference's way to leave a module in float, in which data movement follows all the same.
Result<Preset> preset_of(const json& arguments, bool compatible) {
  if (arguments.is_null()) return Preset{"follow", {{"reference_compatible", compatible}}};
  QUOIN_CHECK(check_keys(
      arguments, {"is_per_channel", "is_qat", "is_dynamic", "act_qmin", "act_qmax", "weight_qmin", "weight_qmax"},
      "argument"));
  return Preset{arguments.value("is_dynamic", false) ? "int8-dynamic" : "int8-static",
                {{"per_channel", arguments.value("is_per_channel", false)},
                 {"act_qmin", arguments.value("act_qmin", int64_t{-128})},
                 {"act_qmax", arguments.value("act_qmax", int64_t{127})},
                 {"weight_qmin", arguments.value("weight_qmin", int64_t{-127})},
                 {"weight_qmax", arguments.value("weight_qmax", int64_t{127})},
                 {"is_qat", arguments.value("is_qat", false)},
                 {"reference_compatible", compatible}}};
}

bool inside(const std::string& module, const std::string& of) { return module == of || module.starts_with(of + "."); }

// Rules of one setter. The reference lets the first call that covers a node win. Here the longer module name wins, and
// of equals the last: so calls for a part of an earlier one's module say nothing, and the rest is turned round.
class Rules {
 public:
  Rules(recipe::Quantizer& out, bool compatible) : out_(out), compatible_(compatible) {}

  Status add(const json& config, const std::string& setter, const std::string& scope,
             std::optional<std::string> recipe::Rule::*selector) {
    if (!config.contains(setter)) return {};
    std::vector<recipe::Rule> rules;
    for (const auto& item : config.at(setter).items()) {
      QUOIN_TRY(Preset preset, preset_of(item.value(), compatible_));
      if (preset.name != "follow") preset.params["scope"] = scope;
      recipe::Rule rule;
      rule.place.text = setter;
      rule.preset = std::move(preset.name);
      rule.params = std::move(preset.params);
      rule.*selector = item.key();
      const auto covers = [&](const recipe::Rule& earlier) { return inside(item.key(), *(earlier.*selector)); };
      if (setter != "set_module_name" || std::none_of(rules.begin(), rules.end(), covers))
        rules.push_back(std::move(rule));
    }
    out_.rules.insert(out_.rules.end(), rules.rbegin(), rules.rend());
    return {};
  }

 private:
  recipe::Quantizer& out_;
  bool compatible_;
};

}  // namespace

Result<recipe::Quantizer> config_of(const json& config, bool compatible) {
  QUOIN_CHECK(check_keys(config, {"set_global", "set_module_name", "set_module_type", "set_operator_type", "filter"},
                         "setter"));
  recipe::Quantizer out;
  out.plugin = "xnnpack";
  out.preset = "follow";
  out.params = {{"reference_compatible", compatible}};
  out.place.text = "case.json";
  if (config.contains("set_global")) {
    QUOIN_TRY(Preset global, preset_of(config.at("set_global"), compatible));
    out.preset = std::move(global.name);
    out.params = std::move(global.params);
  }
  Rules rules(out, compatible);
  QUOIN_CHECK(rules.add(config, "set_module_name", "module", &recipe::Rule::module));
  QUOIN_CHECK(rules.add(config, "set_module_type", "module", &recipe::Rule::module_type));
  QUOIN_CHECK(rules.add(config, "set_operator_type", "operator", &recipe::Rule::op));
  if (!config.contains("filter")) return out;
  const json& filter = config.at("filter");
  QUOIN_CHECK(check_keys(filter, {"exclude_module_name"}, "filter"));
  for (const auto& name : filter.at("exclude_module_name")) {
    recipe::Rule rule;
    rule.place.text = "filter";
    rule.module = name.get<std::string>();
    rule.preset = "follow";
    rule.params["reference_compatible"] = compatible;
    out.rules.push_back(std::move(rule));
  }
  return out;
}

}  // namespace quoin::parity
