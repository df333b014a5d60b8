// What a recipe says about one quantizer, built in code. Both end in recipe::Quantizer and mean the same.
//
//   const auto config = quantize::QuantizerConfig("cpu")
//                           .set_global("int8-static")
//                           .set_module_name("encoder.layer.0", std::nullopt)  // leave in float
//                           .set_operator_type("re:aten\\.(mul|div)\\..*", std::nullopt)
//                           .set_filter([](const ir::Graph& g, ir::NodeId id) { return g.node(id).name != "head"; });
//   QUOIN_TRY(auto annotations, quantize::annotate(graph, {config.assign(backend)}, diagnostics));
#pragma once

#include "quantize/annotation.hpp"

namespace quoin::quantize {

// Texts are recipe::Pattern: a name, a glob or "re:" and a regular expression; annotate reports wrong ones, with the
// call in place of a line. A preset that is nullopt leaves what is selected in float.
class QuantizerConfig {
 public:
  using Preset = std::optional<std::string>;

  explicit QuantizerConfig(std::string plugin);

  // What no rule selects; default: the plugin's first preset.
  QuantizerConfig& set_global(Preset preset, recipe::Params params = {});
  QuantizerConfig& set_operator_type(const std::string& op, Preset preset, recipe::Params params = {});
  QuantizerConfig& set_module_type(const std::string& type, Preset preset, recipe::Params params = {});
  QuantizerConfig& set_module_name(const std::string& path, Preset preset, recipe::Params params = {});
  QuantizerConfig& set_node(const std::string& name, Preset preset, recipe::Params params = {});
  // Several selectors at once.
  QuantizerConfig& set_rule(recipe::Selector selector, Preset preset, recipe::Params params = {});
  // Each call adds an entry; see quantize.quantizers[].include and exclude in docs/recipe.md.
  QuantizerConfig& include(recipe::Selector selector);
  QuantizerConfig& exclude(recipe::Selector selector);
  // Only nodes for which the function holds; a second call replaces the first.
  QuantizerConfig& set_filter(passes::NodeFilter filter);

  const recipe::Quantizer& quantizer() const { return quantizer_; }
  Assignment assign(std::shared_ptr<host::Backend> backend) const { return {std::move(backend), quantizer_, filter_}; }

 private:
  recipe::Quantizer quantizer_;
  passes::NodeFilter filter_;
};

}  // namespace quoin::quantize
