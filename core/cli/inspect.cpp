#include <iostream>
#include <map>

#include "cli/common.hpp"
#include "cli/terminal.hpp"
#include "import/import.hpp"
#include "ir/print.hpp"
#include "program/file.hpp"

namespace quoin::cli {
namespace {

void add_options(po::options_description& options) {
  options.add_options()("model", po::value<std::string>()->value_name("FILE"), "a program or a model")(
      "recipe-only", "print the recipe that a program was made with")(
      "detail", po::value<std::string>()->value_name("brief|digests|complete")->default_value("brief"),
      "how much of a model's graph is printed (docs/graph_text.md)");
}

Result<ir::Detail> detail_of(const Invocation& call) {
  const std::string word = call.text("detail");
  if (word == "brief") return ir::Detail::brief;
  if (word == "digests") return ir::Detail::digests;
  if (word == "complete") return ir::Detail::complete;
  return fail(Code::usage, "--detail is brief, digests or complete, found {}", word);
}

Json tensor_json(const program::Value& value) {
  return {{"name", value.name}, {"dtype", name(value.type.dtype)}, {"shape", value.type.shape}};
}

std::string op_of(const program::Model& model, const program::Node& node) {
  if (node.delegate == program::kNone) return node.op;
  const program::Delegate& delegate = model.delegates[node.delegate];
  return "delegate " + delegate.plugin + (delegate.tag.empty() ? "" : " (" + delegate.tag + ")");
}

Json program_json(const program::Model& model) {
  Json inputs = Json::array(), outputs = Json::array(), nodes = Json::array(), delegates = Json::array();
  for (const uint32_t id : model.graph.inputs) inputs.push_back(tensor_json(model.graph.values[id]));
  for (const uint32_t id : model.graph.outputs) outputs.push_back(tensor_json(model.graph.values[id]));
  for (const program::Node& node : model.graph.nodes)
    nodes.push_back(
        {{"name", node.name}, {"op", op_of(model, node)}, {"module", node.module}, {"debug_id", node.debug_id}});
  for (const program::Delegate& d : model.delegates)
    delegates.push_back({{"plugin", d.plugin},
                         {"version", d.version},
                         {"tag", d.tag},
                         {"blob_format", d.blob_format},
                         {"isa", host::isa_name(d.isa)},
                         {"blob_bytes", d.blob.size()},
                         {"original_kept", d.original.has_value()},
                         {"nodes", d.debug_ids.size()}});
  uint64_t weights = 0;
  std::map<std::string, uint64_t> by_dtype;
  for (const program::Value& value : model.graph.values)
    if (value.constant) {
      weights += value.constant->bytes();
      by_dtype[std::string(name(value.type.dtype))] += value.constant->bytes();
    }
  return {{"name", model.name},        {"inputs", inputs},
          {"outputs", outputs},        {"arena_bytes", model.graph.arena_size},
          {"weight_bytes", weights},   {"weight_bytes_by_dtype", by_dtype},
          {"delegates", delegates},    {"nodes", nodes},
          {"metadata", model.metadata}};
}

void print_program(const Json& json) {
  const auto list = [](const char* title, const Json& tensors) {
    for (const Json& tensor : tensors)
      std::cout << fmt::format("{} {}: {}{}\n", title, tensor["name"].get<std::string>(),
                               tensor["dtype"].get<std::string>(), tensor["shape"].dump());
  };
  list("input ", json["inputs"]);
  list("output", json["outputs"]);
  std::cout << fmt::format("arena {}, weights outside delegates {}\n\n", human_bytes(json["arena_bytes"]),
                           human_bytes(json["weight_bytes"]));
  Table delegates({"delegate", "version", "tag", "nodes", "blob", "format", "isa", "original kept"});
  for (const Json& d : json["delegates"])
    delegates.row({d["plugin"], d["version"], d["tag"], d["nodes"].dump(), human_bytes(d["blob_bytes"]),
                   d["blob_format"].dump(), d["isa"], d["original_kept"].get<bool>() ? "yes" : "no"});
  if (!json["delegates"].empty()) std::cout << delegates.text() << "\n";
  Table nodes({"node", "operator", "module"});
  for (const Json& node : json["nodes"]) nodes.row({node["name"], node["op"], node["module"]});
  std::cout << nodes.text();
}

Status run(Invocation& call) {
  if (!call.has("model")) return fail(Error{Code::usage, "nothing to inspect", {}, "name a program or a model"});
  QUOIN_TRY(const ir::Detail detail, detail_of(call));
  const std::string path = call.text("model");
  bool is_program = false;
  {
    QUOIN_TRY(const MappedFile file, MappedFile::open(path));
    is_program = program::looks_like_program(file.bytes());
  }
  if (!is_program) {
    QUOIN_TRY(const ir::Graph graph, import::import_model(path, {}, call.diagnostics));
    if (call.json)
      print({{"graph", ir::print(graph, detail)}});
    else
      std::cout << ir::print(graph, detail);
    return {};
  }
  QUOIN_TRY(const program::Model model, program::read(path));
  if (call.has("recipe-only")) {
    const auto found = model.metadata.find("recipe");
    std::cout << (found == model.metadata.end() ? std::string() : found->second);
    return {};
  }
  const Json json = program_json(model);
  if (call.json)
    print(json);
  else
    print_program(json);
  return {};
}

}  // namespace

Verb inspect_verb() {
  return {"inspect",
          "show what a program or model file holds",
          "PROGRAM|MODEL",
          "A program: inputs, outputs, delegates with sizes, nodes, memory, the recipe it was made with. A model: its "
          "graph.\n"
          "Reading verifies the file completely.\n\n"
          "  quoin inspect effnet.quoin --json",
          {"model"},
          add_options,
          run};
}

}  // namespace quoin::cli
