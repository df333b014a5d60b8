#include <iostream>

#include "base/text.hpp"
#include "cli/common.hpp"
#include "cli/program_json.hpp"
#include "cli/terminal.hpp"
#include "import/import.hpp"
#include "ir/print.hpp"
#include "program/file.hpp"

namespace quoin::cli {
namespace {

void add_options(po::options_description& options) {
  options.add_options()("model", po::value<std::string>()->value_name("FILE"), "a program or a model")(
      "recipe-only", "print the recipe that a program was made with")("memory",
                                                                      "also print what lies where in the arena")(
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

// "f32[..512, 64]": at most 512.
std::string type_text(const Json& tensor) {
  std::vector<std::string> dims;
  for (const Json& dim : tensor["shape"]) dims.push_back(dim.dump());
  for (const Json& i : tensor.value("dynamic", Json::array())) dims[i.get<size_t>()].insert(0, "..");
  return fmt::format("{}[{}]", tensor["dtype"].get<std::string>(), join(dims, ", "));
}

void print_method(const Json& method) {
  std::cout << fmt::format("method {}, arena {}, at most {} of it live\n", method["name"].get<std::string>(),
                           human_bytes(method["arena_bytes"]), human_bytes(method["live_bytes"]));
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

// Values in one place are views, and results that were written over their operand.
void print_memory(const Json& method) {
  Table table({"offset", "bytes", "from node", "to node", "values"});
  for (const Json& place : method["memory"]) {
    std::vector<std::string> values;
    for (const Json& value : place["values"]) values.push_back(value);
    table.row({place["offset"].dump(), place["bytes"].dump(), place["first"], place["last"], join(values, ", ")});
  }
  std::cout << fmt::format("arena of method {}\n", method["name"].get<std::string>()) << table.text() << "\n";
}

void print_segments(const Json& json) {
  Table segments({"segment", "offset", "bytes", "alignment", "XXH3", "holds"});
  for (const Json& s : json["segments"])
    segments.row({s["kind"], s["offset"].dump(), s["bytes"].dump(), s["alignment"].dump(), s["hash"], s["holds"]});
  std::cout << fmt::format("{}: format {}, {}\n\n", json["file"].get<std::string>(), json["format"].get<std::string>(),
                           human_bytes(json["bytes"]))
            << segments.text() << "\n";
  if (const Json& weights = json["weights_file"]; !weights.is_null())
    std::cout << fmt::format("weights in the file {} beside it, {}\n\n", weights["name"].get<std::string>(),
                             human_bytes(weights["bytes"]));
}

void print_sizes(const Json& sizes, uint64_t file) {
  Table table({"what", "bytes", "share"});
  const auto row = [&](const std::string& what, uint64_t bytes) {
    const double share = 100.0 * static_cast<double>(bytes) / static_cast<double>(file);
    if (bytes != 0) table.row({what, std::to_string(bytes), fmt::format("{:.1f} %", share)});
  };
  row("graph, plan, metadata", sizes["graph"]);
  for (const auto& [dtype, bytes] : sizes["constants_by_dtype"].items()) row("constants " + dtype, bytes);
  row("named data of delegates", sizes["named_data"]);
  row("blobs of delegates", sizes["blobs"]);
  row("tests", sizes["tests"]);
  row("header, table, padding", sizes["layout"]);
  std::cout << table.text() << "\n";
  if (const uint64_t originals = sizes["constants_of_originals"]; originals != 0)
    std::cout << fmt::format("{} of the constants are there for originals only, which run where a delegate cannot\n\n",
                             human_bytes(originals));
}

void print_delegates(const Json& delegates) {
  if (delegates.empty()) return;
  Table table({"delegate", "version", "tag", "nodes", "blob", "named data", "format", "isa", "original", "its arena"});
  for (const Json& d : delegates) {
    const Json& original = d["original"];
    table.row({d["plugin"], d["version"], d["tag"], d["nodes"].dump(), human_bytes(d["blob_bytes"]),
               fmt::format("{} ({})", human_bytes(d["named_bytes"]), d["named"].dump()), d["blob_format"].dump(),
               d["isa"], original.is_null() ? "not kept" : original["nodes"].dump() + " nodes",
               original.is_null() ? "" : human_bytes(original["arena_bytes"])});
  }
  std::cout << table.text() << "\n";
}

// Short texts as they are; of the recipe only its size.
void print_metadata(const Json& metadata) {
  constexpr size_t kShort = 200;
  for (const auto& [key, value] : metadata.items()) {
    const std::string text = value.get<std::string>();
    if (text.size() <= kShort && text.find('\n') == std::string::npos)
      std::cout << fmt::format("{}: {}\n", key, text);
    else
      std::cout << fmt::format("{}: {}{}\n", key, human_bytes(text.size()),
                               key == "recipe" ? ", printed by --recipe-only" : ", printed by --json");
  }
}

void print_program(const Json& json, bool memory) {
  print_segments(json);
  const Json& weights = json["weights_file"];
  print_sizes(json["sizes"],
              json["bytes"].get<uint64_t>() + (weights.is_null() ? 0 : weights["bytes"].get<uint64_t>()));
  print_delegates(json["delegates"]);
  for (const Json& method : json["methods"]) print_method(method);
  for (const Json& method : json["methods"])
    if (memory) print_memory(method);
  print_metadata(json["metadata"]);
}

Status run(Invocation& call) {
  if (!call.has("model")) return fail(Code::usage, "nothing to inspect").hint("name a program or a model");
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
  QUOIN_TRY(const OpenProgram program, open_program(path));
  if (call.has("recipe-only")) {
    const auto found = program.model.metadata.find("recipe");
    std::cout << (found == program.model.metadata.end() ? std::string() : found->second);
    return {};
  }
  const Json json = program_json(program);
  if (call.json)
    print(json);
  else
    print_program(json, call.has("memory"));
  return {};
}

}  // namespace

Verb inspect_verb() {
  return {"inspect",
          "show what a program or model file holds",
          "PROGRAM|MODEL",
          "A program: its segments, what takes how many bytes, delegates, methods with inputs, outputs, states and\n"
          "nodes, memory, where it comes from. A model: its graph. Reading verifies the file completely.\n\n"
          "  quoin inspect effnet.quoin --memory",
          {"model"},
          add_options,
          run};
}

}  // namespace quoin::cli
