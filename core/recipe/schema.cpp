#include "recipe/schema.hpp"

#include <algorithm>
#include <optional>

namespace quoin::recipe {
namespace {

template <class T>
T as(Value& value) {
  return std::get<T>(std::move(value));
}

std::optional<std::string> optional_text(Value& value) {
  if (std::holds_alternative<std::monostate>(value)) return std::nullopt;
  return as<std::string>(value);
}

using V = Value;
using N = const Node&;

std::vector<Key> model_rows() {
  const std::string pre = "model.input.preprocess.";
  return {
      {"model.path", Kind::path, "",
       "The model: .pt2, .onnx, or a language model: a folder with config.json and safetensors, or a .gguf file. The "
       "command line may name it instead.",
       [](Target& t, V v, N) { t.recipe.model.path = as<std::string>(v); }},
      {"model.dims", Kind::counts, "{}", "Sizes for the symbolic dimensions of the model, by name.",
       [](Target& t, V v, N) { t.recipe.model.dims = as<std::map<std::string, int64_t>>(v); }},
      {"model.input.layout",
       Kind::text,
       "nchw",
       "Order of the image input's dimensions.",
       [](Target& t, V v, N) { t.recipe.model.preprocess.layout = as<std::string>(v); },
       {"nchw", "nhwc"}},
      {pre + "resize",
       Kind::size,
       "0",
       "Height and width after resizing, in pixels; 0 takes them from the model's input.",
       [](Target& t, V v, N) { t.recipe.model.preprocess.resize = as<std::array<int64_t, 2>>(v); },
       {},
       0,
       8192},
      {pre + "crop",
       Kind::number,
       "1.0",
       "Centre square cut out before resizing, as a fraction of the shorter side; 0 keeps the whole image.",
       [](Target& t, V v, N) { t.recipe.model.preprocess.crop = as<double>(v); },
       {},
       0,
       1},
      {pre + "filter",
       Kind::text,
       "bicubic",
       "Resampling filter, antialiased, equal to Pillow's.",
       [](Target& t, V v, N) { t.recipe.model.preprocess.filter = as<std::string>(v); },
       {"bicubic", "bilinear"}},
      {pre + "mean", Kind::numbers, "0.0", "Subtracted from each RGB channel (pixels are 0 to 255).",
       [](Target& t, V v, N) { t.recipe.model.preprocess.mean = as<std::vector<double>>(v); }},
      {pre + "std",
       Kind::numbers,
       "1.0",
       "Divides each channel after the mean is subtracted.",
       [](Target& t, V v, N) { t.recipe.model.preprocess.std = as<std::vector<double>>(v); },
       {},
       1e-6},
      {"model.language.context",
       Kind::integer,
       "0",
       "Language models: tokens that prompt and answer may have together (rows of the key/value cache); 0: what the "
       "model was trained for, at most 2048.",
       [](Target& t, V v, N) { t.recipe.model.language.context = as<int64_t>(v); },
       {},
       0,
       1 << 24},
      {"model.language.chunk",
       Kind::integer,
       "128",
       "Language models: tokens of a prompt that are computed at once.",
       [](Target& t, V v, N) { t.recipe.model.language.chunk = as<int64_t>(v); },
       {},
       2,
       1 << 16},
      {"model.language.kv_cache",
       Kind::text,
       "f32",
       "Language models: how keys and values of past tokens are kept: f32, or int8 with one scale per token and head.",
       [](Target& t, V v, N) { t.recipe.model.language.kv_cache = as<std::string>(v); },
       {"f32", "int8"}},
      {"model.language.tokenizer", Kind::path, "",
       "Language models: tokenizer.model or tokenizer.json that goes into the program; default: the one beside the "
       "model.",
       [](Target& t, V v, N) { t.recipe.model.language.tokenizer = as<std::string>(v); }},
  };
}

std::vector<Key> plugin_rows() {
  return {
      {"plugins.search", Kind::paths, "[]", "Folders to look for plugins in, before the installed ones.",
       [](Target& t, V v, N) { t.recipe.plugins.search = as<std::vector<std::string>>(v); }},
      {"plugins.fallback",
       Kind::text,
       "warn",
       "What happens to nodes that no plugin takes: run them on the portable kernels silently, with a warning, or "
       "stop.",
       [](Target& t, V v, N) { t.recipe.plugins.fallback = as<std::string>(v); },
       {"allow", "warn", "error"}},
      {"plugins.policy",
       Kind::text,
       "any",
       "Which plugin files may be loaded: any that pass the checks, or only those whose content is listed in "
       "plugins.sha256.",
       [](Target& t, V v, N) { t.recipe.plugins.policy = as<std::string>(v); },
       {"any", "listed"}},
      {"plugins.sha256", Kind::digests, "[]",
       "Content of the plugin files that policy: listed allows; `quoin plugin list --json` prints it.",
       [](Target& t, V v, N) { t.recipe.plugins.sha256 = as<std::vector<std::string>>(v); }},
      {"plugins.options", Kind::nested, "{}",
       "Options of plugins, by name of the plugin: {npu: {device: 1}}. `quoin plugin describe` lists those that a "
       "plugin "
       "takes when it is opened and when it loads a program.",
       [](Target& t, V v, N n) {
         auto values = as<std::map<std::string, Params>>(v);
         for (const Node& plugin : n.children) {
           PluginOptions& options = t.recipe.plugins.options[plugin.key];
           options = {std::move(values[plugin.key]), {}, plugin.key_place};
           for (const Node& option : plugin.children) options.places[option.key] = option.place;
         }
       }},
  };
}

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
  return rows;
}

std::vector<Key> output_rows() {
  return {
      {"lower.order", Kind::texts, "[]",
       "Plugins that may compile nodes, in order of preference; default: those of the quantizers.",
       [](Target& t, V v, N) { t.recipe.lower.order = as<std::vector<std::string>>(v); }},
      {"lower.isa", Kind::text, "native", "Instruction set to compile for; native: that of this machine.",
       [](Target& t, V v, N) { t.recipe.lower.isa = as<std::string>(v); }},
      {"lower.keep_original", Kind::boolean, "",
       "Store what a backend compiled a second time, so that the program still runs where the backend cannot. Costs "
       "file size. Default: true, but false for language models.",
       [](Target& t, V v, N) { t.recipe.lower.keep_original = as<bool>(v); }},
      {"lower.params", Kind::params, "{}", "Options of the backend's compiler.",
       [](Target& t, V v, N) { t.recipe.lower.params = as<Params>(v); }},
      {"eval.data", Kind::path, "", "Samples that `quoin eval` scores, in the formats of quantize.calibrate.data.",
       [](Target& t, V v, N) { t.recipe.eval.data = as<std::string>(v); }},
      {"eval.labels", Kind::path, "",
       "CSV with lines `file,label` for a folder, or an .npy of integers for a tensor file; default: the tensor "
       "\"label\" beside the inputs.",
       [](Target& t, V v, N) { t.recipe.eval.labels = as<std::string>(v); }},
      {"eval.metric",
       Kind::text,
       "",
       "What is measured; default: top1 where there are labels (top5 comes with it), else cosine with the reference "
       "output.",
       [](Target& t, V v, N) { t.recipe.eval.metric = as<std::string>(v); },
       {"top1", "cosine", "relative_error", "perplexity"}},
      {"eval.tensor", Kind::text, "",
       "perplexity: the tensor of token ids in a .safetensors file; default: its only one of integers.",
       [](Target& t, V v, N) { t.recipe.eval.tensor = as<std::string>(v); }},
      {"eval.first",
       Kind::integer,
       "0",
       "perplexity: rows of token ids to leave out at the beginning.",
       [](Target& t, V v, N) { t.recipe.eval.first = as<int64_t>(v); },
       {},
       0,
       1 << 28},
      {"eval.count",
       Kind::integer,
       "0",
       "perplexity: rows of token ids to score; 0: all.",
       [](Target& t, V v, N) { t.recipe.eval.count = as<int64_t>(v); },
       {},
       0,
       1 << 28},
      {"eval.window",
       Kind::integer,
       "0",
       "perplexity: tokens that are read at once; 0: the model's context.",
       [](Target& t, V v, N) { t.recipe.eval.window = as<int64_t>(v); },
       {},
       0,
       1 << 28},
      {"eval.stride",
       Kind::integer,
       "0",
       "perplexity: tokens from one window of a long text to the next; 0: half a window.",
       [](Target& t, V v, N) { t.recipe.eval.stride = as<int64_t>(v); },
       {},
       0,
       1 << 28},
      {"run.threads",
       Kind::integer,
       "1",
       "Threads for calibration and inference; 0: as many as there are cores.",
       [](Target& t, V v, N) { t.recipe.run.threads = as<int64_t>(v); },
       {},
       0,
       256},
      {"run.weights",
       Kind::text,
       "hash",
       "Checksum of the weights in a program that is loaded: computed, which reads all of them, or trusted, so that they "
       "are read as they are used.",
       [](Target& t, V v, N) { t.recipe.run.weights = as<std::string>(v); },
       {"hash", "trust"}},
  };
}

std::vector<Key> all_rows() {
  std::vector<Key> rows;
  for (std::vector<Key> part : {model_rows(), plugin_rows(), quantize_rows(), output_rows()})
    std::ranges::move(part, std::back_inserter(rows));
  return rows;
}

}  // namespace

std::span<const Key> schema() {
  static const std::vector<Key> rows = all_rows();
  return rows;
}

const Key* find_key(std::string_view path) {
  const auto rows = schema();
  const auto found = std::ranges::find(rows, path, &Key::path);
  return found == rows.end() ? nullptr : &*found;
}

std::vector<std::string> children_of(std::string_view prefix) {
  const std::string start = prefix.empty() ? std::string() : std::string(prefix) + ".";
  std::vector<std::string> out;
  for (const Key& key : schema()) {
    if (!key.path.starts_with(start)) continue;
    const std::string rest = key.path.substr(start.size());
    const std::string child = rest.substr(0, rest.find_first_of(".["));
    if (std::ranges::find(out, child) == out.end()) out.push_back(child);
  }
  return out;
}

}  // namespace quoin::recipe
