#include "quantize/quantizer_config.hpp"

namespace quoin::quantize {
namespace {

recipe::Selector selector(std::optional<std::string> recipe::Selector::*part, const std::string& text,
                          std::string_view setter) {
  recipe::Selector out;
  out.*part = text;
  out.place.text = fmt::format("{}(\"{}\")", setter, text);
  return out;
}

}  // namespace

QuantizerConfig::QuantizerConfig(std::string plugin) {
  quantizer_.plugin = std::move(plugin);
  quantizer_.place.text = "quantizer " + quantizer_.plugin;
}

QuantizerConfig& QuantizerConfig::set_global(Preset preset, recipe::Params params) {
  quantizer_.preset = std::move(preset);
  quantizer_.params = std::move(params);
  return *this;
}

QuantizerConfig& QuantizerConfig::set_operator_type(const std::string& op, Preset preset, recipe::Params params) {
  return set_rule(selector(&recipe::Selector::op, op, "set_operator_type"), std::move(preset), std::move(params));
}

QuantizerConfig& QuantizerConfig::set_module_type(const std::string& type, Preset preset, recipe::Params params) {
  return set_rule(selector(&recipe::Selector::module_type, type, "set_module_type"), std::move(preset),
                  std::move(params));
}

QuantizerConfig& QuantizerConfig::set_module_name(const std::string& path, Preset preset, recipe::Params params) {
  return set_rule(selector(&recipe::Selector::module, path, "set_module_name"), std::move(preset), std::move(params));
}

QuantizerConfig& QuantizerConfig::set_node(const std::string& name, Preset preset, recipe::Params params) {
  return set_rule(selector(&recipe::Selector::node, name, "set_node"), std::move(preset), std::move(params));
}

QuantizerConfig& QuantizerConfig::set_rule(recipe::Selector selector, Preset preset, recipe::Params params) {
  recipe::Rule& rule = quantizer_.rules.emplace_back();
  static_cast<recipe::Selector&>(rule) = std::move(selector);
  if (rule.place.text.empty()) rule.place.text = fmt::format("rule {}", quantizer_.rules.size());
  rule.preset = std::move(preset);
  rule.params = std::move(params);
  return *this;
}

QuantizerConfig& QuantizerConfig::include(recipe::Selector selector) {
  if (selector.place.text.empty()) selector.place.text = fmt::format("include {}", quantizer_.include.size() + 1);
  quantizer_.include.push_back(std::move(selector));
  return *this;
}

QuantizerConfig& QuantizerConfig::exclude(recipe::Selector selector) {
  if (selector.place.text.empty()) selector.place.text = fmt::format("exclude {}", quantizer_.exclude.size() + 1);
  quantizer_.exclude.push_back(std::move(selector));
  return *this;
}

QuantizerConfig& QuantizerConfig::set_filter(passes::NodeFilter filter) {
  filter_ = std::move(filter);
  return *this;
}

}  // namespace quoin::quantize
