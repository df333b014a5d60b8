#include "cli/program_json.hpp"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <set>

#include "host/services.hpp"
#include "program/file.hpp"
#include "program/lifetime.hpp"
#include "program/view/external.hpp"

namespace quoin::cli {
namespace {

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

uint64_t peak_live(const program::Graph& graph) {
  return program::peak_live(program::storages(graph, program::Joining::all).all);
}

// What lies where in the arena, and between which nodes: by offset, then by time.
Json memory_json(const program::Graph& graph) {
  const program::Storages storages = program::storages(graph, program::Joining::planned);
  std::vector<Json> values(storages.all.size(), Json::array());
  for (const program::Node& node : graph.nodes)
    for (const uint32_t id : node.outputs)
      if (storages.of[id] != program::kNone) values[storages.of[id]].push_back(graph.values[id].name);
  std::vector<size_t> order(storages.all.size());
  std::iota(order.begin(), order.end(), 0);
  const auto offset = [&](size_t i) { return graph.values[storages.all[i].value].offset; };
  std::ranges::stable_sort(order, {}, [&](size_t i) { return std::pair(offset(i), storages.all[i].first); });
  Json out = Json::array();
  for (const size_t i : order)
    out.push_back({{"offset", offset(i)},
                   {"bytes", storages.all[i].size},
                   {"first", graph.nodes[storages.all[i].first].name},
                   {"last", graph.nodes[storages.all[i].last].name},
                   {"values", values[i]}});
  return out;
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
  return {{"name", method.name},
          {"inputs", inputs},
          {"outputs", outputs},
          {"states", states},
          {"nodes", nodes},
          {"memory", memory_json(graph)},
          {"arena_bytes", graph.arena_size},
          {"live_bytes", peak_live(graph)}};
}

Json original_json(const program::Delegate& delegate) {
  if (!delegate.original) return nullptr;
  return {{"nodes", delegate.original->nodes.size()}, {"arena_bytes", delegate.original->arena_size}};
}

Json delegate_json(const program::Delegate& d) {
  uint64_t named = 0;
  for (const auto& [key, bytes] : d.named) named += bytes.size();
  return {{"plugin", d.plugin},           {"version", d.version},         {"tag", d.tag},
          {"blob_format", d.blob_format}, {"isa", host::isa_name(d.isa)}, {"blob_bytes", d.blob.size()},
          {"named", d.named.size()},      {"named_bytes", named},         {"original_kept", d.original.has_value()},
          {"original", original_json(d)}, {"nodes", d.debug_ids.size()}};
}

// Bytes of constants and named data, each place in the file counted once.
class WeightCount {
 public:
  void add(const program::Graph& graph) {
    for (const program::Value& value : graph.values)
      if (value.constant && counted_.insert(value.constant->data()).second) {
        constants += value.constant->bytes();
        by_dtype[std::string(name(value.type.dtype))] += value.constant->bytes();
      }
  }
  void add(const program::Delegate& delegate) {
    for (const auto& [key, bytes] : delegate.named)
      if (counted_.insert(bytes.data()).second) named += bytes.size();
  }
  uint64_t constants = 0, named = 0;
  std::map<std::string, uint64_t> by_dtype;

 private:
  std::set<const void*> counted_;
};

uint64_t bytes_of(const OpenProgram& program, uint32_t kind) {
  uint64_t sum = 0;
  for (const program::view::Segment& segment : program.layout.segments)
    if (segment.entry.kind == kind) sum += segment.entry.size;
  return sum;
}

// The file that holds the weights, if another one does.
std::optional<program::view::ExternalWeights> external_of(const OpenProgram& program) {
  program::view::ExternalWeights out{};
  Fault fault;  // none: the program was read
  for (const program::view::Segment& segment : program.layout.segments)
    if (segment.entry.kind == program::kExternalSegment && program::view::read_reference(segment.bytes, out, fault))
      return out;
  return std::nullopt;
}

uint64_t external_bytes(const OpenProgram& program) {
  const auto external = external_of(program);
  return external ? external->size : 0;
}

// Where the bytes of the file and of its weights' file are: together they are their size.
Json sizes_json(const OpenProgram& program) {
  WeightCount all;
  for (const program::Method& method : program.model.methods) all.add(method.graph);
  const uint64_t in_methods = all.constants;
  for (const program::Delegate& delegate : program.model.delegates)
    if (delegate.original) all.add(*delegate.original);
  for (const program::Delegate& delegate : program.model.delegates) all.add(delegate);
  const uint64_t graph = bytes_of(program, program::kGraphSegment), blobs = bytes_of(program, program::kBlobSegment);
  const uint64_t content = graph + all.constants + all.named + blobs + bytes_of(program, program::kTestSegment),
                 tests = bytes_of(program, program::kTestSegment);
  const uint64_t file = program.file->bytes().size() + external_bytes(program);
  return {{"graph", graph},
          {"constants", in_methods},
          {"constants_of_originals", all.constants - in_methods},
          {"constants_by_dtype", all.by_dtype},
          {"named_data", all.named},
          {"blobs", blobs},
          {"tests", tests},
          {"layout", file > content ? file - content : 0}};  // parts of constants may be shared
}

// What a segment is for: "delegate 2 (cpu)".
std::string holds(const OpenProgram& program, const program::view::Segment& segment) {
  if (segment.entry.kind == program::kGraphSegment) return "graph, plan, metadata";
  if (segment.entry.kind == program::kWeightsSegment) return "constants, named data";
  for (size_t i = 0; i < program.model.delegates.size(); ++i)
    if (segment.entry.kind == program::kBlobSegment && program.model.delegates[i].blob.data() == segment.bytes.data())
      return fmt::format("delegate {} ({})", i, program.model.delegates[i].plugin);
  if (segment.entry.kind == program::kTestSegment) return "tests for verify --run";
  if (segment.entry.kind == program::kExternalSegment) return "name of the file with constants, named data";
  return "not known to this version";
}

}  // namespace

Result<OpenProgram> open_program(const std::string& path) {
  QUOIN_TRY(MappedFile mapped, MappedFile::open(path));
  const auto file = std::make_shared<const MappedFile>(std::move(mapped));
  program::ReadOptions options;
  options.folder = std::filesystem::path(path).parent_path().string();
  QUOIN_TRY(program::Model model, program::read(file, file->bytes(), path, options));
  auto layout = program::read_layout(file->bytes(), true);
  if (!layout) return std::move(layout).failure().at("{}", path);
  return OpenProgram{path, file, *std::move(layout), std::move(model)};
}

Json layout_json(const OpenProgram& program) {
  Json segments = Json::array();
  for (const program::view::Segment& segment : program.layout.segments)
    segments.push_back({{"kind", std::string_view(program::view::kind_name(segment.entry.kind))},
                        {"offset", segment.entry.offset},
                        {"bytes", segment.entry.size},
                        {"alignment", segment.entry.alignment},
                        {"hash", fmt::format("{:016x}", segment.entry.hash)},
                        {"holds", holds(program, segment)}});
  Json weights = nullptr;
  if (const auto external = external_of(program))
    weights = {{"name", external->name},
               {"bytes", external->size},
               {"digest", fmt::format("{:016x}{:016x}", external->digest[1], external->digest[0])}};
  return {{"file", program.path},
          {"format", fmt::format("{}.{}", program.layout.major, program.layout.minor)},
          {"bytes", program.file->bytes().size()},
          {"segments", segments},
          {"weights_file", weights}};
}

Json program_json(const OpenProgram& program) {
  Json out = {{"name", program.model.name}};
  out.update(layout_json(program));
  out["sizes"] = sizes_json(program);
  out["methods"] = Json::array();
  for (const program::Method& method : program.model.methods)
    out["methods"].push_back(method_json(program.model, method));
  out["delegates"] = Json::array();
  for (const program::Delegate& delegate : program.model.delegates) out["delegates"].push_back(delegate_json(delegate));
  out["metadata"] = program.model.metadata;
  return out;
}

}  // namespace quoin::cli
