#include <iostream>

#include "base/text.hpp"
#include "cli/common.hpp"
#include "cli/program_json.hpp"
#include "flow/bundle.hpp"
#include "program/file.hpp"

namespace quoin::cli {
namespace {

void add_options(po::options_description& options) {
  options.add_options()("program", po::value<std::string>()->value_name("FILE"), "the program file")(
      "run", "also run the tests that the program carries, with the plugins of this machine");
  add_recipe_options(options);
}

Json verify_json(const OpenProgram& program) {
  size_t nodes = 0, values = 0;
  Json methods = Json::array();
  for (const program::Method& method : program.model.methods) {
    methods.push_back(method.name);
    nodes += method.graph.nodes.size();
    values += method.graph.values.size();
  }
  Json out = layout_json(program);
  out["methods"] = methods;
  out["nodes"] = nodes;
  out["values"] = values;
  out["delegates"] = program.model.delegates.size();
  return out;
}

// Every test, failed ones too.
Result<Json> run_tests(Invocation& call, const OpenProgram& program, const std::vector<program::TestCase>& tests) {
  if (tests.empty())
    return fail(Code::usage, "the program carries no tests")
        .at("{}", program.path)
        .hint("make it with quoin quantize --bundle DATA");
  QUOIN_TRY(const recipe::Recipe recipe, recipe_of(call, program.path));
  QUOIN_TRY(const auto context, context_of(call, recipe));
  QUOIN_TRY(runtime::Executable executable, flow::open_program(program.model, recipe, *context, call.diagnostics));
  Json rows = Json::array();
  for (const program::TestCase& test : tests) {
    auto result = flow::run_test(executable, test);
    if (!result) return std::move(result).failure().at("{}", program.path + ": " + test.name);
    rows.push_back({{"name", test.name},
                    {"method", test.method},
                    {"passed", result->passed},
                    {"error", result->error},
                    {"output", result->output}});
  }
  return rows;
}

// Errors (nonconforming): the first test that failed.
Status check_tests(const std::string& path, const Json& rows) {
  size_t failed = 0;
  const Json* first = nullptr;
  for (const Json& row : rows) {
    if (row["passed"].get<bool>()) continue;
    if (failed++ == 0) first = &row;
  }
  if (failed == 0) return {};
  return fail(Code::nonconforming,
              "{} of {} tests give other outputs than those stored; the first is {}: output {}, "
              "error {:.3g} of {}",
              failed, rows.size(), (*first)["name"].get<std::string>(), (*first)["output"].get<std::string>(),
              (*first)["error"].get<double>(), flow::kTestTolerance)
      .at("{}", path)
      .hint("a plugin or kernel of this machine computes something else; try it without the plugin");
}

void print_text(const Json& json) {
  std::vector<std::string> methods;
  for (const Json& method : json["methods"]) methods.push_back(method);
  std::cout << fmt::format("{}: sound: format {}, {}, {} segments, methods {}, {} nodes, {} delegates\n",
                           json["file"].get<std::string>(), json["format"].get<std::string>(),
                           human_bytes(json["bytes"]), json["segments"].size(), join(methods, ", "),
                           json["nodes"].get<size_t>(), json["delegates"].get<size_t>());
  if (!json.contains("tests")) return;
  for (const Json& row : json["tests"])
    std::cout << fmt::format("  {} ({}): {}, error {:.3g}\n", row["name"].get<std::string>(),
                             row["method"].get<std::string>(), row["passed"].get<bool>() ? "passed" : "FAILED",
                             row["error"].get<double>());
}

Status run(Invocation& call) {
  if (!call.has("program")) return fail(Code::usage, "nothing to verify").hint("name a program file");
  QUOIN_TRY(const OpenProgram program, open_program(call.text("program")));
  auto tests = program::read_tests(program.file->bytes(), program.model);
  if (!tests) return std::move(tests).failure().at("{}", program.path);
  Json json = verify_json(program);
  if (call.has("run")) {
    QUOIN_TRY(json["tests"], run_tests(call, program, *tests));
  }
  QUOIN_CHECK(check_strict(call));
  if (call.json)
    print(json);
  else
    print_text(json);
  call.answered = call.json;
  return call.has("run") ? check_tests(program.path, json["tests"]) : Status{};
}

}  // namespace

Verb verify_verb() {
  return {
      "verify",
      "check a program file completely",
      "PROGRAM [--run]",
      "Structure, then meaning: header, segments, every checksum, that of the weights included, indices, order,\n"
      "the operators' rules for element types and shapes, quantization parameters, states and the memory plan.\n"
      "Says what the file holds; or the first fault by its path in the file, with exit code 12 (13: another\n"
      "version, 15: over a limit). With --run the tests that the program carries are repeated on this machine; where\n"
      "an output differs, the exit code is 17. Without it no plugin is loaded.\n\n"
      "  quoin verify effnet.quoin\n"
      "  quoin verify effnet.quoin --run --threads 1",
      {"program"},
      add_options,
      run};
}

}  // namespace quoin::cli
