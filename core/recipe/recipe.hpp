// The YAML recipe, validated: every key is known, typed and in range, or the error says file, line, column and the
// nearest valid key. docs/recipe.md and configs/schema.json are generated from the same table.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "data/dataset.hpp"

namespace quoin::recipe {

// Where a value came from: "configs/recipes/kws.yaml:12:5", or "--set quantize.calibrate.batches".
struct Place {
  std::string text;
};

using Scalar = std::variant<bool, int64_t, double, std::string>;
using Params = std::map<std::string, Scalar>;  // preset or backend parameters; checked against the plugin's param_spec

// Which nodes; unset parts match everything. Each text is a recipe::Pattern: a name, a glob or "re:" and a regular
// expression.
struct Selector {
  std::optional<std::string> module;       // path of a module around the node ("encoder.layer.0")
  std::optional<std::string> module_type;  // "torch.nn.modules.conv.Conv2d" or its last part
  std::optional<std::string> op;           // "aten.linear.default"
  std::optional<std::string> node;         // node name
  Place place;
};

struct Rule : Selector {              // one line of quantizers[].rules
  std::optional<std::string> preset;  // none (YAML null): leave in float; the key itself is required
  Params params;
};

struct Quantizer {
  std::string plugin;
  std::optional<std::string> preset = "";  // "": the plugin's first; none (YAML null): float but for what rules name
  Params params;
  std::vector<Rule> rules;
  Place place;
  std::vector<Selector> include{}, exclude{};  // what the quantizer may see; an empty include is everything
};

struct Pass {  // one line of quantize.passes
  std::string name;
  Place place;
};

struct SourceRule : Selector {           // one line of quantize.source.rules
  std::optional<std::string> quantizer;  // none (YAML null): leave in float; the key itself is required
  Params params;
};

struct Source {  // quantize.source: weights of few bits, before anything is annotated
  std::vector<SourceRule> rules;
  struct {
    std::string data;    // samples of the model's inputs, or token ids; "": none
    std::string tensor;  // of token ids in a .safetensors file
    int64_t first = 0, samples = 0;
    std::string mask;  // name of the input that is 0 for tokens that count nothing
  } calibrate;
};

struct Calibrate {
  data::Source data;     // labels unused
  std::string observer;  // "": what the plugin's spec asks for
  Params observer_params;
  std::string cache;  // file that keeps the result between runs; "": none
  std::string state;  // file with the result to use; "": calibrate
};

struct Language {       // model.language: how a language model becomes a program
  int64_t context = 0;  // rows of the key/value cache; 0: what the model was trained for, at most kDefaultContext
  int64_t chunk = 128;  // tokens that one prefill call takes at most
  std::string kv_cache = "f32";  // f32 | int8
  std::string tokenizer;         // file or folder that goes into the program; "": beside the model
};
inline constexpr int64_t kDefaultContext = 2048;

struct PluginOptions {  // one line of plugins.options
  Params values;
  std::map<std::string, Place> places;  // of each value
  Place place;
};

struct Recipe {
  std::string path;  // the recipe file; "" when built in code
  // It came with a program: it tells how that was made, not what is on this machine.
  bool stored = false;
  struct {
    std::string path;  // may be given on the command line instead
    std::map<std::string, int64_t> dims;
    data::Preprocess preprocess;
    Language language;
  } model;
  struct {
    std::vector<std::string> search;
    std::string fallback = "warn";                 // allow | warn | error: nodes that no plugin takes
    std::string policy = "any";                    // any | listed
    std::vector<std::string> sha256;               // policy listed: digests of the files that may be loaded, lower-case
    std::map<std::string, PluginOptions> options;  // by plugin
  } plugins;
  struct {
    std::vector<Pass> passes;           // graph passes before those that the quantizers ask for
    std::vector<Quantizer> quantizers;  // empty: float program
    Calibrate calibrate;
    Source source;
  } quantize;
  struct {
    std::vector<std::string> order;  // plugins that may claim nodes; default: those of the quantizers
    std::string isa = "native";
    std::optional<bool> keep_original;  // none: yes, but not of language models
    Params params;
  } lower;
  struct {
    std::string data, labels;
    std::string metric;  // "", top1, cosine, relative_error, perplexity: "" picks by what the data holds
    std::string tensor;  // perplexity: as the recipe's reference says
    int64_t first = 0, count = 0, window = 0, stride = 0;
  } eval;
  struct {
    int64_t threads = 1;
    std::string weights = "hash";  // or "trust"
  } run;
  std::string resolved;  // canonical YAML after --set, without folders: provenance
};

struct Override {  // --set key.path=value
  std::string key, value;
};

// Relative paths are resolved against the recipe's folder if something is there, else against the nearest parent folder
// with a README.md that has the file. Presets, plugins, observers and params are names here: who uses them checks them.
// calibrate.data.preprocess is a copy of model.preprocess. Errors: not_found, limit (over 1 MiB), recipe.
Result<Recipe> load(const std::string& path, const std::vector<Override>& overrides = {});
Result<Recipe> parse(const std::string& text, const std::string& path, const std::vector<Override>& overrides = {});
// JSON schema of the recipe format.
std::string json_schema();
// The text of docs/recipe.md.
std::string markdown_reference();

}  // namespace quoin::recipe
