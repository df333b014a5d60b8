#include <iostream>
#include <map>
#include <set>

#include "base/text.hpp"
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

// Dims that follow the length of the run are named in "dynamic".
Json tensor_json(const program::Value& value) {
  Json dynamic = Json::array();
  for (size_t i = 0; i < value.type.shape.size(); ++i)
    if ((value.dynamic >> i & 1) != 0) dynamic.push_back(i);
  return {{"name", value.name}, {"dtype", name(value.type.dtype)}, {"shape", value.type.shape}, {"dynamic", dynamic}};
}

std::string op_of(const program::Model& model, const program::Node& node) {
  if (node.delegate == program::kNone) return node.op;
  const program::Delegate& delegate = model.delegates[node.delegate];
  return "delegate " + delegate.plugin + (delegate.tag.empty() ? "" : " (" + delegate.tag + ")");
}

// Inputs and outputs without the states.
Json method_json(const program::Model& model, const program::Method& method) {
  const program::Graph& graph = method.graph;
  std::vector<bool> held_in(graph.inputs.size()), held_out(graph.outputs.size());
  Json inputs = Json::array(), outputs = Json::array(), states = Json::array(), nodes = Json::array();
  for (const program::State& state : graph.states) {
    held_in[state.input] = held_out[state.output] = true;
    Json row = tensor_json(graph.values[graph.inputs[state.input]]);
    row.erase("dynamic");
    row["name"] = state.name;
    row["in_place"] = state.in_place;
    states.push_back(std::move(row));
  }
  for (size_t i = 0; i < graph.inputs.size(); ++i)
    if (!held_in[i]) inputs.push_back(tensor_json(graph.values[graph.inputs[i]]));
  for (size_t i = 0; i < graph.outputs.size(); ++i)
    if (!held_out[i]) outputs.push_back(tensor_json(graph.values[graph.outputs[i]]));
  for (const program::Node& node : graph.nodes)
    nodes.push_back(
        {{"name", node.name}, {"op", op_of(model, node)}, {"module", node.module}, {"debug_id", node.debug_id}});
  return {{"name", method.name}, {"inputs", inputs}, {"outputs", outputs},
          {"states", states},    {"nodes", nodes},   {"arena_bytes", graph.arena_size}};
}

Json delegate_json(const program::Delegate& d) {
  uint64_t named = 0;
  for (const auto& [key, bytes] : d.named) named += bytes.size();
  return {{"plugin", d.plugin},
          {"version", d.version},
          {"tag", d.tag},
          {"blob_format", d.blob_format},
          {"isa", host::isa_name(d.isa)},
          {"blob_bytes", d.blob.size()},
          {"named_bytes", named},
          {"original_kept", d.original.has_value()},
          {"nodes", d.debug_ids.size()}};
}

Json program_json(const program::Model& model) {
  Json methods = Json::array(), delegates = Json::array();
  for (const program::Method& method : model.methods) methods.push_back(method_json(model, method));
  for (const program::Delegate& delegate : model.delegates) delegates.push_back(delegate_json(delegate));
  uint64_t weights = 0;
  std::map<std::string, uint64_t> by_dtype;
  std::set<const void*> counted;  // methods share constants
  for (const program::Method& method : model.methods)
    for (const program::Value& value : method.graph.values)
      if (value.constant && counted.insert(value.constant->data()).second) {
        weights += value.constant->bytes();
        by_dtype[std::string(name(value.type.dtype))] += value.constant->bytes();
      }
  return {{"name", model.name},      {"methods", methods},
          {"weight_bytes", weights}, {"weight_bytes_by_dtype", by_dtype},
          {"delegates", delegates},  {"metadata", model.metadata}};
}

// "f32[..512, 64]": at most 512.
std::string type_text(const Json& tensor) {
  std::vector<std::string> dims;
  for (const Json& dim : tensor["shape"]) dims.push_back(dim.dump());
  for (const Json& i : tensor.value("dynamic", Json::array())) dims[i.get<size_t>()].insert(0, "..");
  return fmt::format("{}[{}]", tensor["dtype"].get<std::string>(), join(dims, ", "));
}

void print_method(const Json& method) {
  std::cout << fmt::format("method {}, arena {}\n", method["name"].get<std::string>(),
                           human_bytes(method["arena_bytes"]));
  const auto list = [](const char* title, const Json& tensors) {
    for (const Json& tensor : tensors)
      std::cout << fmt::format("  {} {}: {}{}\n", title, tensor["name"].get<std::string>(), type_text(tensor),
                               tensor.value("in_place", true) ? "" : ", copied in every run");
  };
  list("input ", method["inputs"]);
  list("output", method["outputs"]);
  list("state ", method["states"]);
  Table nodes({"node", "operator", "module"});
  for (const Json& node : method["nodes"]) nodes.row({node["name"], node["op"], node["module"]});
  std::cout << "\n" << nodes.text() << "\n";
}

void print_program(const Json& json) {
  std::cout << fmt::format("weights outside delegates {}\n\n", human_bytes(json["weight_bytes"]));
  Table delegates({"delegate", "version", "tag", "nodes", "blob", "named data", "format", "isa", "original kept"});
  for (const Json& d : json["delegates"])
    delegates.row({d["plugin"], d["version"], d["tag"], d["nodes"].dump(), human_bytes(d["blob_bytes"]),
                   human_bytes(d["named_bytes"]), d["blob_format"].dump(), d["isa"],
                   d["original_kept"].get<bool>() ? "yes" : "no"});
  if (!json["delegates"].empty()) std::cout << delegates.text() << "\n";
  for (const Json& method : json["methods"]) print_method(method);
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
          "A program: methods with inputs, outputs, states and nodes, delegates with sizes, memory, its recipe. A "
          "model: its "
          "graph.\n"
          "Reading verifies the file completely.\n\n"
          "  quoin inspect effnet.quoin --json",
          {"model"},
          add_options,
          run};
}

}  // namespace quoin::cli
