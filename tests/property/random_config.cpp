#include "random_config.hpp"

#include "ops/abi_read.hpp"

namespace quoin::property {
namespace {

using quantize::test::str;

// A value for the parameter, or nothing: its default.
std::optional<recipe::Scalar> random_value(const quoin_param_spec& spec, Dice& dice) {
  if (dice.chance(50) || text(spec.name) == "is_qat") return std::nullopt;  // plugins refuse to train
  const auto choices = elements<quoin_str>(spec.choices);
  switch (spec.fallback.kind) {
    case QUOIN_PARAM_BOOL:
      return dice.chance(50);
    case QUOIN_PARAM_INT:
      if (spec.low > spec.high) return std::nullopt;
      return dice.between(static_cast<int64_t>(spec.low), static_cast<int64_t>(spec.high));
    case QUOIN_PARAM_STR:
      if (choices.size() == 0) return std::nullopt;
      return text(choices[static_cast<uint32_t>(dice.below(choices.size()))]);
    default:
      return std::nullopt;
  }
}

recipe::Rule random_rule(const ir::Graph& graph, const std::vector<std::string>& presets, Dice& dice,
                         std::string& words) {
  recipe::Rule rule;
  const ir::Node& node = graph.node(dice.of(graph.order()));
  if (dice.chance(30) && !node.modules.empty())
    rule.module = dice.of(node.modules).path;
  else if (dice.chance(50))
    rule.op = node.op();
  else
    rule.node = node.name;
  if (!dice.chance(60)) rule.preset = dice.of(presets);
  words += fmt::format(" rule[{} -> {}]",
                       rule.module ? *rule.module
                       : rule.op   ? *rule.op
                                   : *rule.node,
                       rule.preset ? *rule.preset : "null");
  return rule;
}

}  // namespace

Configurations::Configurations()
    : registry_(host::Registry::discover({{QUOIN_PLUGIN_FOLDER}, false, false}, services_)) {}

quantize::Assignment Configurations::real(const std::string& plugin, Dice& dice, std::string& words) {
  quantize::Assignment out;
  out.backend = quantize::test::ok(registry_.open(plugin));
  out.config.plugin = plugin;
  out.config.place = {plugin};
  std::vector<quoin_preset> presets;
  for (const quoin_preset& preset : elements<quoin_preset>(out.backend->table().quantizer->presets))
    presets.push_back(preset);
  const quoin_preset& preset = dice.of(presets);
  out.config.preset = text(preset.name);
  words += plugin + " " + *out.config.preset;
  for (const quoin_param_spec& spec : elements<quoin_param_spec>(preset.params))
    if (const auto value = random_value(spec, dice)) {
      out.config.params[text(spec.name)] = *value;
      words += " " + text(spec.name);
    }
  return out;
}

quantize::Assignment Configurations::fake(Dice& dice) {
  const auto seed = static_cast<uint32_t>(dice.below(UINT32_MAX));
  fakes_.emplace_back([seed](const quoin_quant_request& request, const quoin_annotator& annotator, quoin_error&) {
    return annotate_at_random(request, annotator, seed);
  });
  if (dice.chance(50)) fakes_.back().want_passes({str("scalar-to-constant")});
  return fakes_.back().assign();
}

Configuration Configurations::random(const ir::Graph& graph, Dice& dice) {
  Configuration out;
  const auto kinds = dice.of<std::vector<std::string>>(
      {{"fake"}, {"fake"}, {"cpu"}, {"cpu"}, {"xnnpack"}, {"xnnpack"}, {"cpu", "xnnpack"}, {"fake", "cpu"}});
  for (const std::string& kind : kinds) {
    if (!out.words.empty()) out.words += ", then ";
    if (kind == "fake") out.words += kind;
    quantize::Assignment assignment = kind == "fake" ? fake(dice) : real(kind, dice, out.words);
    std::vector<std::string> presets;
    for (const quoin_preset& preset : elements<quoin_preset>(assignment.backend->table().quantizer->presets))
      presets.push_back(text(preset.name));
    while (dice.chance(25) && !graph.order().empty()) {
      assignment.config.rules.push_back(random_rule(graph, presets, dice, out.words));
      assignment.config.rules.back().place = {fmt::format("rule {}", assignment.config.rules.size())};
    }
    out.assignments.push_back(std::move(assignment));
  }
  return out;
}

}  // namespace quoin::property
