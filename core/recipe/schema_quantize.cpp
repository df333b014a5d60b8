// The keys below "quantize".
#include <algorithm>

#include "recipe/schema_rows.hpp"

namespace quoin::recipe {
namespace {

// The keys by which an item of the list at `list` selects nodes.
std::vector<Key> selector_rows(const std::string& list) {
  const std::string item = list + "[].";
  return {
      {item + "module", Kind::pattern, "",
       "Path of a module; covers everything inside it: \"encoder.layer.0\", \"encoder.*\" or "
       "\"re:encoder\\.layer\\.[0-5]\". All selectors take a name, a glob with * and ?, or re: and a regular "
       "expression "
       "for the whole name.",
       [](Target& t, V v, N) { t.selector->module = as<std::string>(v); }},
      {item + "module_type", Kind::pattern, "",
       "Class of a module, whole or its last parts; covers everything inside it: \"Conv2d\".",
       [](Target& t, V v, N) { t.selector->module_type = as<std::string>(v); }},
      {item + "op", Kind::pattern, "", "Operator name: \"aten.linear.default\", \"aten.conv*\".",
       [](Target& t, V v, N) { t.selector->op = as<std::string>(v); }},
      {item + "node", Kind::pattern, "", "Node name in the imported graph.",
       [](Target& t, V v, N) { t.selector->node = as<std::string>(v); }},
  };
}

std::vector<Key> filter_rows() {
  const std::string include = "quantize.quantizers[].include", exclude = "quantize.quantizers[].exclude";
  std::vector<Key> rows = {{include, Kind::items, "[]",
                            "Only what one of these selects is quantized by this quantizer; rules cannot widen it. "
                            "Empty: everything.",
                            [](Target& t, V, N n) {
                              t.selector = &t.quantizer->include.emplace_back();
                              t.selector->place = n.place;
                            }}};
  std::ranges::move(selector_rows(include), std::back_inserter(rows));
  rows.push_back({exclude, Kind::items, "[]",
                  "What one of these selects this quantizer leaves in float, whatever include and rules say.",
                  [](Target& t, V, N n) {
                    t.selector = &t.quantizer->exclude.emplace_back();
                    t.selector->place = n.place;
                  }});
  std::ranges::move(selector_rows(exclude), std::back_inserter(rows));
  return rows;
}

std::vector<Key> rule_rows() {
  const std::string rules = "quantize.quantizers[].rules";
  std::vector<Key> rows = {
      {rules, Kind::items, "[]",
       "Exceptions for parts of the model; the most specific rule wins. A rule without selectors matches every node.",
       [](Target& t, V, N n) {
         t.rule = &t.quantizer->rules.emplace_back();
         t.selector = t.rule;
         t.selector->place = n.place;
       }}};
  std::ranges::move(selector_rows(rules), std::back_inserter(rows));
  rows.push_back({.path = rules + "[].preset",
                  .kind = Kind::text_or_null,
                  .fallback = "",
                  .doc = "Preset for what matches; null leaves it in float.",
                  .store = [](Target& t, V v, N) { t.rule->preset = optional_text(v); },
                  .required = true});
  rows.push_back({rules + "[].params", Kind::params, "{}", "Preset parameters for what matches.",
                  [](Target& t, V v, N) { t.rule->params = as<Params>(v); }});
  return rows;
}

std::vector<Key> source_rows() {
  const std::string rules = "quantize.source.rules", data = "quantize.source.calibrate.";
  std::vector<Key> rows = {
      {rules, Kind::items, "[]",
       "Linear layers and embeddings whose weights get few bits before anything else is quantized; of the rules that "
       "match a layer the most specific wins. docs/source_quantization.md explains them.",
       [](Target& t, V, N n) {
         t.source_rule = &t.recipe.quantize.source.rules.emplace_back();
         t.selector = t.source_rule;
         t.selector->place = n.place;
       }}};
  std::ranges::move(selector_rows(rules), std::back_inserter(rows));
  rows.push_back({.path = rules + "[].quantizer",
                  .kind = Kind::text_or_null,
                  .fallback = "",
                  .doc =
                      "int8-dynamic-int4-weight, int8-dynamic-int8-weight, weight-only or embedding; null leaves what "
                      "matches in float.",
                  .store = [](Target& t, V v, N) { t.source_rule->quantizer = optional_text(v); },
                  .required = true});
  rows.push_back({rules + "[].params", Kind::params, "{}",
                  "Parameters of the quantizer: group, algorithm, mapping, scales, uneven, bits and others.",
                  [](Target& t, V v, N) { t.source_rule->params = as<Params>(v); }});
  std::ranges::copy(
      std::vector<Key>{
          {data + "data", Kind::path, "",
           "Samples for gptq, awq and weighted clip_search: of the model's inputs, or for language models a text or "
           "token ids in .safetensors or .npy.",
           [](Target& t, V v, N) { t.recipe.quantize.source.calibrate.data = as<std::string>(v); }},
          {data + "tensor", Kind::text, "", "The token ids in a .safetensors file that has several tensors.",
           [](Target& t, V v, N) { t.recipe.quantize.source.calibrate.tensor = as<std::string>(v); }},
          {data + "first",
           Kind::integer,
           "0",
           "Leave out so many samples.",
           [](Target& t, V v, N) { t.recipe.quantize.source.calibrate.first = as<int64_t>(v); },
           {},
           0,
           1e9},
          {data + "samples",
           Kind::integer,
           "0",
           "Use only so many samples; 0 uses all.",
           [](Target& t, V v, N) { t.recipe.quantize.source.calibrate.samples = as<int64_t>(v); },
           {},
           0,
           1e9},
          {data + "mask", Kind::text, "",
           "Name of the model's input that is 0 for tokens that count nothing, such as attention_mask.",
           [](Target& t, V v, N) { t.recipe.quantize.source.calibrate.mask = as<std::string>(v); }},
      },
      std::back_inserter(rows));
  return rows;
}

}  // namespace

std::vector<Key> quantize_rows() {
  std::vector<Key> rows = {
      {"quantize.passes", Kind::texts, "[]",
       "Graph passes by name, run in this order before those that the quantizers ask for; docs/quantization.md lists "
       "them.",
       [](Target& t, V, N n) {
         for (const Node& name : n.children) t.recipe.quantize.passes.push_back({name.text, name.place});
       }},
      {"quantize.quantizers", Kind::items, "[]",
       "Backends that annotate the model, first one first. None: the program stays in float.",
       [](Target& t, V, N n) {
         t.quantizer = &t.recipe.quantize.quantizers.emplace_back();
         t.quantizer->place = n.place;
       }},
      {.path = "quantize.quantizers[].plugin",
       .kind = Kind::text,
       .fallback = "",
       .doc = "Plugin name, as `quoin plugin list` prints it.",
       .store = [](Target& t, V v, N) { t.quantizer->plugin = as<std::string>(v); },
       .required = true},
      {"quantize.quantizers[].preset", Kind::text_or_null, "",
       "One of the plugin's presets; default: its first. null: float, but for what rules name.",
       [](Target& t, V v, N) { t.quantizer->preset = optional_text(v); }},
      {"quantize.quantizers[].params", Kind::params, "{}", "Parameters of the preset; the plugin's page lists them.",
       [](Target& t, V v, N) { t.quantizer->params = as<Params>(v); }},
  };
  std::ranges::copy(rule_rows(), std::back_inserter(rows));
  std::ranges::copy(filter_rows(), std::back_inserter(rows));
  std::ranges::copy(
      std::vector<Key>{
          {"quantize.calibrate.data", Kind::path, "",
           "Samples that set the ranges of static quantization: a folder of JPEG, PNG or .npy files, or one .npy, .npz "
           "or .safetensors file.",
           [](Target& t, V v, N) { t.recipe.quantize.calibrate.data.path = as<std::string>(v); }},
          {"quantize.calibrate.samples",
           Kind::integer,
           "0",
           "Use only the first samples; 0 uses all.",
           [](Target& t, V v, N) { t.recipe.quantize.calibrate.data.limit = static_cast<size_t>(as<int64_t>(v)); },
           {},
           0,
           1e9},
          {"quantize.calibrate.observer", Kind::text, "",
           "How ranges are found: minmax, moving_average, histogram, mse, percentile, entropy or one of the plugin's "
           "own; "
           "default: what the preset asks for.",
           [](Target& t, V v, N) { t.recipe.quantize.calibrate.observer = as<std::string>(v); }},
          {"quantize.calibrate.observer_params", Kind::params, "{}", "Parameters of the observer.",
           [](Target& t, V v, N) { t.recipe.quantize.calibrate.observer_params = as<Params>(v); }},
          {"quantize.calibrate.cache", Kind::path, "",
           "File that keeps what calibration found. While model, specs and data stay the same, the next run takes it "
           "from "
           "there instead of calibrating again.",
           [](Target& t, V v, N) { t.recipe.quantize.calibrate.cache = as<std::string>(v); }},
          {"quantize.calibrate.state", Kind::path, "",
           "A calibration that `quoin calibrate` has made; the data is not read then.",
           [](Target& t, V v, N) { t.recipe.quantize.calibrate.state = as<std::string>(v); }},
      },
      std::back_inserter(rows));
  std::ranges::move(source_rows(), std::back_inserter(rows));
  return rows;
}

}  // namespace quoin::recipe
