#include "cli/common.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iostream>

#include "base/text.hpp"
#include "flow/language.hpp"
#include "program/file.hpp"

namespace quoin::cli {
namespace {

Result<std::vector<recipe::Override>> overrides(const Invocation& call) {
  std::vector<recipe::Override> out;
  for (const std::string& text : call.list("set")) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(Code::usage, "--set {} has no value", text).hint("write --set key.path=value");
    out.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  if (call.has("threads")) out.push_back({"run.threads", std::to_string(call.options["threads"].as<int64_t>())});
  return out;
}

// The recipe that made a program file; "" for anything else.
Result<std::string> stored_recipe(const std::string& path) {
  if (path.empty() || flow::is_language_model(path)) return std::string();
  {
    QUOIN_TRY(const MappedFile file, MappedFile::open(path));
    if (!program::looks_like_program(file.bytes())) return std::string();
  }
  QUOIN_TRY(const auto metadata, program::read_metadata(path));  // verified when it is opened to run
  const auto found = metadata.find("recipe");
  return found == metadata.end() ? std::string() : found->second;
}

}  // namespace

void add_recipe_options(po::options_description& options) {
  options.add_options()("recipe,c", po::value<std::string>()->value_name("FILE"), "recipe (YAML, see docs/recipe.md)")(
      "set", po::value<std::vector<std::string>>()->value_name("KEY.PATH=VALUE"),
      "override one recipe key; repeatable")("plugin", po::value<std::vector<std::string>>()->value_name("FOLDER"),
                                             "search this folder for plugins first; repeatable")(
      "threads", po::value<int64_t>()->value_name("N"), "worker threads (0: all cores); overrides run.threads");
}

void add_method_option(po::options_description& options) {
  options.add_options()("method", po::value<std::string>()->value_name("NAME"),
                        "which of the program's methods; default: the first");
}

Result<size_t> method_of(const Invocation& call, const runtime::Executable& program) {
  if (!call.has("method")) return size_t{0};
  if (const auto found = program.method(call.text("method"))) return *found;
  std::vector<std::string> names;
  for (const program::Method& method : program.model().methods) names.push_back(method.name);
  return fail(Code::usage, "the program has no method \"{}\"", call.text("method"))
      .at("{}", program.model().name)
      .hint("its methods are " + join(names, ", "));
}

Result<recipe::Recipe> recipe_of(Invocation& call, const std::string& program) {
  QUOIN_TRY(const std::vector<recipe::Override> set, overrides(call));
  if (call.has("recipe")) return recipe::load(call.text("recipe"), set);
  QUOIN_TRY(const std::string stored, stored_recipe(program));
  QUOIN_TRY(recipe::Recipe recipe, recipe::parse(stored, "", set));
  recipe.stored = !stored.empty();
  // Whoever made the program decides nothing about the code that this machine loads.
  std::vector<std::string>& folders = recipe.plugins.search;
  const bool asked = std::ranges::any_of(set, [](const auto& item) { return item.key == "plugins.search"; });
  if (!folders.empty() && !asked) {
    // All that the program knows of a folder is its name, which was read as one below the current folder.
    for (std::string& folder : folders) folder = std::filesystem::path(folder).filename().string();
    call.diagnostics.warn(
        program, "the recipe in the program names plugin folders, which are not searched: " + join(folders, ", "),
        "name those you trust with --plugin");
    folders.clear();
  }
  return recipe;
}

Result<std::unique_ptr<flow::Context>> context_of(Invocation& call, const recipe::Recipe& recipe) {
  QUOIN_TRY(auto context, flow::make_context(recipe, call.list("plugin"), true, call.diagnostics));
  context->strict = call.has("strict");
  return context;
}

Result<std::string> model_of(const Invocation& call, const recipe::Recipe& recipe) {
  if (call.has("model")) return call.text("model");
  if (!recipe.model.path.empty()) return recipe.model.path;
  return fail(Code::usage, "no model given").hint("name a .pt2 or .onnx file, or set model.path in the recipe");
}

Status check_strict(const Invocation& call) { return call.has("strict") ? call.diagnostics.strict() : Status{}; }

Result<std::string> data_of(const Invocation& call, const recipe::Recipe& recipe) {
  if (call.has("data")) return call.text("data");
  const std::filesystem::path path = recipe.eval.data;
  if (path.empty()) return fail(Code::usage, "no data to score").hint("add --data, or set eval.data in the recipe");
  std::error_code ignored;
  if (recipe.stored && !std::filesystem::exists(path, ignored))
    return fail(Code::usage, "the program knows its data by the name \"{}\" only, and {} does not exist",
                path.filename().string(), path.string())
        .at("{}", call.text("model"))
        .hint("add --data");
  return path.string();
}

Status check_outputs(const Invocation& call, const std::string& model) {
  const std::vector<std::pair<std::string, std::string>> files = {{"the model", model},
                                                                  {"the recipe", call.text("recipe")},
                                                                  {"--config", call.text("config")},
                                                                  {"--output", call.text("output")},
                                                                  {"--report", call.text("report")},
                                                                  {"--junit", call.text("junit")},
                                                                  {"--dot", call.text("dot")},
                                                                  {"--svg", call.text("svg")},
                                                                  {"--trace", call.text("trace")}};
  const auto normal = [](const std::string& path) { return std::filesystem::absolute(path).lexically_normal(); };
  constexpr size_t kRead = 3;  // so many of them are only read
  for (size_t i = 0; i < files.size(); ++i)
    for (size_t j = std::max(i + 1, kRead); j < files.size(); ++j) {
      const auto& [name, path] = files[i];
      const auto& [other_name, other] = files[j];
      if (!path.empty() && !other.empty() && normal(path) == normal(other))
        return fail(Code::usage, "{} and {} are one file", name, other_name).at("{}", path).hint("name another file");
    }
  return {};
}

void print(const Json& json) { std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << std::endl; }

Json to_json(const std::vector<Note>& notes) {
  Json out = Json::array();
  for (const Note& note : notes)
    out.push_back({{"level", note.level == Level::warning ? "warning" : "info"},
                   {"where", note.where},
                   {"what", note.what},
                   {"hint", note.hint}});
  return out;
}

uint64_t peak_rss_bytes() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

std::string human_bytes(uint64_t bytes) {
  constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < units.size(); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

}  // namespace quoin::cli
