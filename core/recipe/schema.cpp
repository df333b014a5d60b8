#include "recipe/schema.hpp"

#include <algorithm>

#include "recipe/schema_rows.hpp"

namespace quoin::recipe {
namespace {

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
       "Checksum of the weights in a program that is loaded: computed, which reads all of them, or trusted, so that "
       "they "
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
