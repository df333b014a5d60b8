#include <iostream>

#include "base/text.hpp"
#include "cli/common.hpp"
#include "cli/program_json.hpp"

namespace quoin::cli {
namespace {

void add_options(po::options_description& options) {
  options.add_options()("program", po::value<std::string>()->value_name("FILE"), "the program file");
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

void print_text(const Json& json) {
  std::vector<std::string> methods;
  for (const Json& method : json["methods"]) methods.push_back(method);
  std::cout << fmt::format("{}: sound: format {}, {}, {} segments, methods {}, {} nodes, {} delegates\n",
                           json["file"].get<std::string>(), json["format"].get<std::string>(),
                           human_bytes(json["bytes"]), json["segments"].size(), join(methods, ", "),
                           json["nodes"].get<size_t>(), json["delegates"].get<size_t>());
}

Status run(Invocation& call) {
  if (!call.has("program")) return fail(Error{Code::usage, "nothing to verify", {}, "name a program file"});
  QUOIN_TRY(const OpenProgram program, open_program(call.text("program")));
  const Json json = verify_json(program);
  if (call.json)
    print(json);
  else
    print_text(json);
  return {};
}

}  // namespace

Verb verify_verb() {
  return {"verify",
          "check a program file completely",
          "PROGRAM",
          "Structure, then meaning: header, segments, every checksum, that of the weights included, indices, order,\n"
          "the operators' rules for element types and shapes, quantization parameters, states and the memory plan.\n"
          "Says what the file holds; or the first fault by its path in the file, with exit code 12 (13: another\n"
          "version, 15: over a limit). No plugin is loaded.\n\n"
          "  quoin verify effnet.quoin",
          {"program"},
          add_options,
          run};
}

}  // namespace quoin::cli
