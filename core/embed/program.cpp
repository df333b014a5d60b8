#include <algorithm>
#include <cstring>

#include "base/map.hpp"
#include "embed/objects.hpp"
#include "host/table.hpp"
#include "program/view/open.hpp"

namespace quoin::embed {
namespace {

using program::view::Graph;
using program::view::List;
using program::view::State;
using program::view::Value;

// Values among `ids` that belong to no state. `side` picks that of a state.
bool slots_of(quoin_program& program, const Graph& graph, const List<uint32_t>& ids, uint32_t State::*side,
              std::span<quoin_slot>& out, Fault& fault) {
  size_t count = 0;
  if (!program.arena.make(ids.size, out, fault)) return false;
  for (uint32_t i = 0; i < ids.size; ++i) {
    if (std::ranges::any_of(graph.states, [&](const State& state) { return state.*side == i; })) continue;
    const Value& value = graph.values[ids[i]];
    quoin_slot& to = out[count++];
    to.struct_size = sizeof to;
    to.dynamic = value.dynamic;
    to.name = {value.name.data(), value.name.size()};
    to.tensor = {static_cast<quoin_dtype>(value.dtype),
                 static_cast<uint32_t>(value.shape.size),
                 const_cast<int64_t*>(value.shape.begin()),
                 nullptr,
                 value.bytes,
                 value.abi_qparams()};
  }
  out = out.first(count);
  return true;
}

bool describe(quoin_program& program, Fault& fault) {
  if (!program.arena.make(program.program->methods.size, program.methods, fault)) return false;
  for (size_t i = 0; i < program.methods.size(); ++i) {
    const Graph& graph = program.program->methods[i].graph();
    if (!slots_of(program, graph, graph.inputs, &State::input, program.methods[i].inputs, fault) ||
        !slots_of(program, graph, graph.outputs, &State::output, program.methods[i].outputs, fault))
      return false;
  }
  return true;
}

Bytes bytes_of(quoin_bytes bytes) { return {static_cast<const std::byte*>(bytes.data), bytes.size}; }

// Where the weights of a split program come from.
struct Weights {
  quoin_program& program;
  const char* path;   // of the program; null: it is in memory
  quoin_bytes given;  // data null: nothing was
};

// The file beside the program, into weights.program. The system's own files are opened through their folder and follow
// no links.
bool open_beside(const Weights& weights, std::string_view name, Fault& fault) {
  OpenFile& file = weights.program.weights;
  const quoin_files& files = weights.program.engine->files;
  const char* const slash = std::strrchr(weights.path, '/');
  const size_t folder = slash == nullptr ? 0 : static_cast<size_t>(slash + 1 - weights.path);
  std::span<char> path;  // the folder, a zero, the name, a zero; or the name right behind the folder
  if (!weights.program.arena.make(folder + name.size() + 2, path, fault)) return false;
  std::memcpy(path.data(), weights.path, folder);
  const bool own = files.open == system_files().open;
  name.copy(path.data() + folder + own, name.size());
  if (own) {
    Bytes bytes;
    if (!map_file_in(path.data(), path.data() + folder + 1, bytes, fault))
      return fault.hint("keep it beside the program");
    file = {nullptr, {bytes.data(), bytes.size()}, true};
    return true;
  }
  quoin_error why{};
  why.struct_size = sizeof why;
  const quoin_status opened = files.open(files.self, path.data(), &file.bytes, &file.handle, &why);
  file.is_open = opened == QUOIN_OK;
  return file.is_open || host::plugin_fault({}, opened, why, fault);
}

bool open_weights(void* self, std::string_view name, Bytes& out, Fault& fault) {
  const Weights& weights = *static_cast<const Weights*>(self);
  if (weights.given.data != nullptr) {
    out = bytes_of(weights.given);
    return true;
  }
  if (weights.path == nullptr) {
    fault.fail(Code::not_found, "its weights are in the file {}", name);
    return fault.hint("give the bytes of that file: weights of quoin_program_options");
  }
  if (!open_beside(weights, name, fault)) return fault.at("weights file {}", name);
  out = bytes_of(weights.program.weights.bytes);
  return true;
}

// Takes over what `program` has opened. `name` leads every error.
bool open_program(quoin_program* program, const char* path, const char* name, quoin_bytes bytes,
                  const quoin_program_options* given, quoin_program** out, Fault& fault) {
  quoin_program_options options;
  bool opened = options_of(given, options, fault);
  if (opened) {
    Weights weights{*program, path, options.weights};
    program->program = program::view::open(bytes_of(bytes), {options.trust_weights != 0, {&weights, open_weights}},
                                           program->arena, fault);
    opened = (program->program != nullptr && describe(*program, fault)) || fault.at("{}", name);
  }
  if (opened)
    *out = program;
  else
    release(program);
  return opened;
}

bool give_slot(const quoin_program* program, uint32_t method, uint32_t i, std::span<quoin_slot> Slots::*list,
               quoin_slot* out, Fault& fault) {
  if (method >= program->methods.size())
    return fault.fail(Code::input, "method {} of {}", method, program->methods.size());
  const std::span<quoin_slot> slots = program->methods[method].*list;
  if (i >= slots.size()) return fault.fail(Code::input, "slot {} of {} in method {}", i, slots.size(), method);
  const uint32_t size = std::min<uint32_t>(out->struct_size, sizeof *out);
  std::memcpy(out, &slots[i], size);
  out->struct_size = size;
  return true;
}

void close(const quoin_files& files, OpenFile& file) {
  if (file.is_open) files.close(files.self, file.handle, file.bytes);
}

}  // namespace

void hold(quoin_program* program) { program->holders.fetch_add(1, std::memory_order_relaxed); }
void release(quoin_program* program) {
  if (program->holders.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  quoin_engine* const engine = program->engine;
  destroy(program, engine->host);
  release(engine);
}

}  // namespace quoin::embed

using namespace quoin;
using namespace quoin::embed;

quoin_program::quoin_program(quoin_engine* on) : engine(on), arena({on->host.self, on->host.alloc, on->host.free}) {
  hold(on);
}
quoin_program::~quoin_program() {
  close(engine->files, weights);
  close(engine->files, file);
}

quoin_status quoin_program_open(quoin_engine* engine, const char* path, const quoin_program_options* options,
                                quoin_program** out, quoin_error* error) {
  const quoin_files& files = engine->files;
  OpenFile file;
  const quoin_status opened = files.open(files.self, path, &file.bytes, &file.handle, error);
  if (opened != QUOIN_OK) return opened;
  file.is_open = true;
  return answer(error, [&](Fault& fault) {
    auto* program = make<quoin_program>(engine->host, fault, engine);
    if (program == nullptr) {
      files.close(files.self, file.handle, file.bytes);
      return false;
    }
    program->file = file;
    return open_program(program, path, path, file.bytes, options, out, fault);
  });
}

quoin_status quoin_program_view(quoin_engine* engine, quoin_bytes file, const quoin_program_options* options,
                                quoin_program** out, quoin_error* error) {
  return answer(error, [&](Fault& fault) {
    auto* program = make<quoin_program>(engine->host, fault, engine);
    return program != nullptr && open_program(program, nullptr, "program", file, options, out, fault);
  });
}

void quoin_program_close(quoin_program* program) {
  if (program != nullptr) release(program);
}

uint32_t quoin_program_methods(const quoin_program* program) { return static_cast<uint32_t>(program->methods.size()); }

quoin_str quoin_program_method_name(const quoin_program* program, uint32_t method) {
  if (method >= program->methods.size()) return {nullptr, 0};
  const std::string_view name = program->program->methods[method].name;
  return {name.data(), name.size()};
}

quoin_status quoin_program_find_method(const quoin_program* program, const char* name, uint32_t* out,
                                       quoin_error* error) {
  return answer(error, [&](Fault& fault) {
    const auto& methods = program->program->methods;
    for (uint32_t i = 0; i < methods.size; ++i)
      if (methods[i].name == name) {
        *out = i;
        return true;
      }
    fault.fail(Code::not_found, "there is no method {}", name);
    fault.at("{}", program->program->name);
    fault.hint("its methods are ");
    for (const auto& method : methods) {
      if (&method != methods.begin()) fault.add_to_hint(", ");
      fault.add_to_hint(method.name);
    }
    return false;
  });
}

quoin_str quoin_program_metadata(const quoin_program* program, const char* key) {
  for (const auto& pair : program->program->metadata)
    if (pair.key == key) return {pair.value.data(), pair.value.size()};
  return {nullptr, 0};
}

uint32_t quoin_program_inputs(const quoin_program* program, uint32_t method) {
  return method < program->methods.size() ? static_cast<uint32_t>(program->methods[method].inputs.size()) : 0;
}

uint32_t quoin_program_outputs(const quoin_program* program, uint32_t method) {
  return method < program->methods.size() ? static_cast<uint32_t>(program->methods[method].outputs.size()) : 0;
}

quoin_status quoin_program_input(const quoin_program* program, uint32_t method, uint32_t i, quoin_slot* out,
                                 quoin_error* error) {
  return answer(error, [&](Fault& fault) { return give_slot(program, method, i, &Slots::inputs, out, fault); });
}

quoin_status quoin_program_output(const quoin_program* program, uint32_t method, uint32_t i, quoin_slot* out,
                                  quoin_error* error) {
  return answer(error, [&](Fault& fault) { return give_slot(program, method, i, &Slots::outputs, out, fault); });
}
