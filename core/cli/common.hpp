// What several verbs share: recipe and plugin options, opening models, JSON pieces.
#pragma once

#include <memory>
#include <string>

#include "cli/command.hpp"

namespace quoin::cli {

void add_recipe_options(po::options_description& options);  // -c, --set, --plugin, --threads
void add_method_option(po::options_description& options);
// The method that --method names; the first without it. Errors: usage.
Result<size_t> method_of(const Invocation& call, const runtime::Executable& program);

// The recipe of -c with --set and --threads applied; without -c, the one stored in `program` if that is a program file,
// else an empty one. A stored recipe does not say where code is loaded from: its plugins.search is left out, with a note.
// Errors: recipe, not_found.
Result<recipe::Recipe> recipe_of(Invocation& call, const std::string& program);
Result<std::unique_ptr<flow::Context>> context_of(Invocation& call, const recipe::Recipe& recipe);
// The MODEL argument, or model.path of the recipe. Errors: usage.
Result<std::string> model_of(const Invocation& call, const recipe::Recipe& recipe);

// --data, or eval.data of the recipe. Of a recipe that is stored in a program only the name is left, which is looked for in
// the current folder. Errors: usage (neither is given, or no such file there).
Result<std::string> data_of(const Invocation& call, const recipe::Recipe& recipe);

// Writing may replace an old file, never the model, the recipe or another output: --output, --report and their like are
// compared with them and each other. Errors: usage.
Status check_outputs(const Invocation& call, const std::string& model);

// With --strict, the warnings so far as an error. Call before anything is written.
Status check_strict(const Invocation& call);

void print(const Json& json);  // to standard output, one document
Json to_json(const std::vector<Note>& notes);
uint64_t peak_rss_bytes();                // of this process so far
std::string human_bytes(uint64_t bytes);  // "4.7 MiB"

}  // namespace quoin::cli
