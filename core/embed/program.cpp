#include <algorithm>
#include <cstring>

#include "embed/objects.hpp"
#include "program/file.hpp"

namespace quoin::embed {
namespace {

// Values among `ids` that belong to no state. `slot` picks the side of a state.
std::vector<quoin_slot> slots_of(Program& program, const program::Graph& graph, const std::vector<uint32_t>& ids,
                                 uint32_t program::State::*slot) {
  std::vector<quoin_slot> out;
  for (uint32_t i = 0; i < ids.size(); ++i) {
    if (std::ranges::any_of(graph.states, [&](const program::State& state) { return state.*slot == i; })) continue;
    const program::Value& value = graph.values[ids[i]];
    quoin_slot& to = out.emplace_back();
    to.struct_size = sizeof to;
    to.dynamic = value.dynamic;
    to.name = {value.name.data(), value.name.size()};
    to.tensor.dtype = static_cast<quoin_dtype>(value.type.dtype);
    to.tensor.rank = static_cast<uint32_t>(value.type.shape.size());
    to.tensor.dims = const_cast<int64_t*>(value.type.shape.data());
    to.tensor.size = static_cast<uint64_t>(byte_size(value.type.dtype, value.type.shape));
    if (value.type.qparams) to.tensor.qparams = &program.qparams.emplace_back(view(*value.type.qparams));
  }
  return out;
}

std::shared_ptr<Program> describe(std::shared_ptr<const Engine> engine, program::Model model) {
  auto program = std::make_shared<Program>();
  program->engine = std::move(engine);
  program->model = std::make_shared<const program::Model>(std::move(model));
  for (const program::Method& method : program->model->methods) {
    const program::Graph& graph = method.graph;
    program->methods.push_back({slots_of(*program, graph, graph.inputs, &program::State::input),
                                slots_of(*program, graph, graph.outputs, &program::State::output)});
  }
  return program;
}

Bytes bytes_of(quoin_bytes bytes) { return {static_cast<const std::byte*>(bytes.data), bytes.size}; }

Result<program::ReadOptions> read_options(const quoin_program_options* given) {
  using Weights = program::ReadOptions::Weights;
  QUOIN_TRY(const auto options, options_of(given));
  program::ReadOptions out{options.trust_weights != 0 ? Weights::trust : Weights::hash};
  if (options.weights.data == nullptr) return out;
  out.open_weights = [bytes = bytes_of(options.weights)](const std::string&) -> Result<program::Content> {
    return program::Content{nullptr, bytes};
  };
  return out;
}

// A file that the hook opened; closes it.
struct OpenFile {
  std::shared_ptr<const Engine> engine;
  void* handle;
  quoin_bytes bytes;
  OpenFile(std::shared_ptr<const Engine> on, void* file, quoin_bytes content)
      : engine(std::move(on)), handle(file), bytes(content) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() { engine->files.close(engine->files.self, handle, bytes); }
};

// Through the engine's files. The system's own look into the folder themselves and follow no links.
void open_weights_beside(const std::string& path, const std::shared_ptr<const Engine>& engine,
                         program::ReadOptions& options) {
  const std::string folder = path.substr(0, path.find_last_of('/') + 1);
  if (options.open_weights) return;
  if (engine->files.open == system_files().open) {
    options.folder = folder;
    return;
  }
  options.open_weights = [folder, engine](const std::string& name) -> Result<program::Content> {
    void* handle = nullptr;
    quoin_bytes bytes{};
    quoin_error why{};
    why.struct_size = sizeof why;
    const quoin_status opened = engine->files.open(engine->files.self, (folder + name).c_str(), &bytes, &handle, &why);
    if (opened != QUOIN_OK) return host::plugin_error({}, opened, why).at("weights file {}", name);
    const auto file = std::make_shared<OpenFile>(engine, handle, bytes);
    return program::Content{file, bytes_of(bytes)};
  };
}

const Program::Method* method_of(const quoin_program* program, uint32_t method) {
  const auto& methods = program->program->methods;
  return method < methods.size() ? &methods[method] : nullptr;
}

Status give_slot(const quoin_program* program, uint32_t method, uint32_t i,
                 std::vector<quoin_slot> Program::Method::*list, quoin_slot* out) {
  const Program::Method* found = method_of(program, method);
  if (found == nullptr) return fail(Code::input, "method {} of {}", method, program->program->methods.size());
  const auto& slots = found->*list;
  if (i >= slots.size()) return fail(Code::input, "slot {} of {} in method {}", i, slots.size(), method);
  const uint32_t size = std::min<uint32_t>(out->struct_size, sizeof *out);
  std::memcpy(out, &slots[i], size);
  out->struct_size = size;
  return {};
}

}  // namespace
}  // namespace quoin::embed

using namespace quoin;
using namespace quoin::embed;

quoin_status quoin_program_open(quoin_engine* engine, const char* path, const quoin_program_options* options,
                                quoin_program** out, quoin_error* error) {
  void* handle = nullptr;
  quoin_bytes bytes{};
  const quoin_files& files = engine->engine->files;
  const quoin_status opened = files.open(files.self, path, &bytes, &handle, error);
  if (opened != QUOIN_OK) return opened;
  return answer(error, [&]() -> Status {
    const auto file = std::make_shared<OpenFile>(engine->engine, handle, bytes);
    QUOIN_TRY(auto how, read_options(options));
    open_weights_beside(path, engine->engine, how);
    QUOIN_TRY(program::Model model, program::read(file, bytes_of(bytes), path, how));
    *out = new quoin_program{describe(engine->engine, std::move(model))};
    return {};
  });
}

quoin_status quoin_program_view(quoin_engine* engine, quoin_bytes file, const quoin_program_options* options,
                                quoin_program** out, quoin_error* error) {
  return answer(error, [&]() -> Status {
    QUOIN_TRY(auto how, read_options(options));
    if (!how.open_weights)
      how.open_weights = [](const std::string& name) -> Result<program::Content> {
        return fail(Code::not_found, "its weights are in the file {}", name)
            .hint("give the bytes of that file: weights of quoin_program_options");
      };
    QUOIN_TRY(program::Model model, program::read(nullptr, bytes_of(file), "program", how));
    *out = new quoin_program{describe(engine->engine, std::move(model))};
    return {};
  });
}

void quoin_program_close(quoin_program* program) { delete program; }

uint32_t quoin_program_methods(const quoin_program* program) {
  return static_cast<uint32_t>(program->program->methods.size());
}

quoin_str quoin_program_method_name(const quoin_program* program, uint32_t method) {
  if (method_of(program, method) == nullptr) return {nullptr, 0};
  const std::string& name = program->program->model->methods[method].name;
  return {name.data(), name.size()};
}

quoin_status quoin_program_find_method(const quoin_program* program, const char* name, uint32_t* out,
                                       quoin_error* error) {
  return answer(error, [&]() -> Status {
    const auto& methods = program->program->model->methods;
    std::string known;
    for (uint32_t i = 0; i < methods.size(); ++i) {
      if (methods[i].name == name) {
        *out = i;
        return {};
      }
      known += (i == 0 ? "" : ", ") + methods[i].name;
    }
    return fail(Code::not_found, "there is no method {}", name)
        .at("{}", program->program->model->name)
        .hint("its methods are " + known);
  });
}

quoin_str quoin_program_metadata(const quoin_program* program, const char* key) {
  const auto& metadata = program->program->model->metadata;
  const auto found = metadata.find(key);
  return found == metadata.end() ? quoin_str{nullptr, 0} : quoin_str{found->second.data(), found->second.size()};
}

uint32_t quoin_program_inputs(const quoin_program* program, uint32_t method) {
  const Program::Method* found = method_of(program, method);
  return found == nullptr ? 0 : static_cast<uint32_t>(found->inputs.size());
}

uint32_t quoin_program_outputs(const quoin_program* program, uint32_t method) {
  const Program::Method* found = method_of(program, method);
  return found == nullptr ? 0 : static_cast<uint32_t>(found->outputs.size());
}

quoin_status quoin_program_input(const quoin_program* program, uint32_t method, uint32_t i, quoin_slot* out,
                                 quoin_error* error) {
  return answer(error, [&] { return give_slot(program, method, i, &Program::Method::inputs, out); });
}

quoin_status quoin_program_output(const quoin_program* program, uint32_t method, uint32_t i, quoin_slot* out,
                                  quoin_error* error) {
  return answer(error, [&] { return give_slot(program, method, i, &Program::Method::outputs, out); });
}
