#include "runtime/executable.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <exception>
#include <new>
#include <optional>

#include <fmt/ranges.h>

#include "base/checked.hpp"
#include "base/guard.hpp"
#include "program/file.hpp"
#include "program/length.hpp"
#include "runtime/bind.hpp"
#include "runtime/profile.hpp"

namespace quoin::runtime {
namespace {

// Memory from the host.
class Block {
 public:
  static Result<Block> allocate(const quoin_host& host, uint64_t size, uint64_t alignment, std::string_view what) {
    Block block(host, align_up(std::max<uint64_t>(size, 1), alignment), alignment);
    block.data_ = static_cast<std::byte*>(host.alloc(host.self, block.size_, alignment));
    if (block.data_ == nullptr) return fail(Code::limit, "no memory for {} bytes of {}", block.size_, what);
    return block;
  }
  Block(Block&& other) noexcept
      : host_(other.host_),
        data_(std::exchange(other.data_, nullptr)),
        size_(other.size_),
        alignment_(other.alignment_) {}
  Block& operator=(Block&& other) noexcept {
    std::swap(host_, other.host_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(alignment_, other.alignment_);
    return *this;
  }
  ~Block() {
    if (data_ != nullptr) host_->free(host_->self, data_, size_, alignment_);
  }
  std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }
  uint64_t alignment() const { return alignment_; }

 private:
  Block(const quoin_host& host, uint64_t size, uint64_t alignment) : host_(&host), size_(size), alignment_(alignment) {}
  const quoin_host* host_;
  std::byte* data_ = nullptr;
  uint64_t size_, alignment_;
};

// A tensor of a step that lies in run()'s inputs or outputs: bound anew in every run.
struct Patch {
  quoin_tensor* tensor;
  Location location;
};

// One method, bound to the memory that all methods share.
struct Runnable {
  Bound bound;
  std::vector<Patch> patches;
};

struct Memory {
  Block arena, scratch, states;
};

}  // namespace

struct Executable::State {
  std::unique_ptr<const program::Model> model;  // outlives the steps, which point into it
  const quoin_host* host;
  const kernels::KernelSet* kernels = nullptr;
  StateLayout layout;
  Scratch need;  // the most of all methods and of the lengths seen so far
  std::deque<Runnable> methods;
  std::optional<Memory> memory;

  Status allocate();
  void bind_tensors(Runnable& method);
  Result<int64_t> check_inputs(const Runnable& method, std::span<const Tensor> inputs) const;
  Status set_length(Runnable& method, int64_t length);
  Result<std::vector<Tensor>> run(Runnable& method, std::span<const Tensor> inputs, std::vector<Event>* events);
  Status run_step(const Step& step, Profile* profile) const;
  void reset_states() { std::memset(memory->states.data(), 0, memory->states.size()); }
};

namespace {

const program::Graph& graph_of(const Runnable& method) { return *method.bound.sources[0].graph; }

std::vector<TensorSpec> specs(const Runnable& method, const std::vector<uint32_t>& ids) {
  std::vector<TensorSpec> out;
  for (const uint32_t id : ids) {
    const program::Value& value = graph_of(method).values[id];
    out.push_back({value.name, value.type, value.dynamic});
  }
  return out;
}

// "f32[..512, 64]"
std::string type_text(const program::Value& value) {
  std::vector<std::string> dims;
  for (size_t i = 0; i < value.type.shape.size(); ++i)
    dims.push_back(fmt::format("{}{}", (value.dynamic >> i & 1) != 0 ? ".." : "", value.type.shape[i]));
  return fmt::format("{}[{}]", name(value.type.dtype), fmt::join(dims, ", "));
}

// One input against its value. `length`: of the inputs before, 0: none has one.
Status check_input(const program::Value& value, const Tensor& given, int64_t& length) {
  const auto misfit = [&] {
    return fail(Code::input, "expected {}, found {}{}", type_text(value), name(given.dtype()),
                to_string(given.shape()));
  };
  if (given.dtype() != value.type.dtype || given.shape().size() != value.type.shape.size()) return misfit();
  for (size_t i = 0; i < given.shape().size(); ++i) {
    const int64_t dim = given.shape()[i], most = value.type.shape[i];
    if ((value.dynamic >> i & 1) == 0) {
      if (dim != most) return misfit();
      continue;
    }
    if (dim < 1 || dim > most)
      return fail(Code::input, "a length of {} in dim {}, the program takes 1 to {}", dim, i, most);
    if (length != 0 && dim != length)
      return fail(Code::input, "a length of {} in dim {}, other inputs have {} (at most {})", dim, i, length, most);
    length = dim;
  }
  const uint64_t element = std::max<uint64_t>(bits(value.type.dtype) / 8, 1);
  if (given.bytes() != 0 && (given.data() == nullptr || reinterpret_cast<uintptr_t>(given.data()) % element != 0))
    return fail(Code::input, "its data is missing or not aligned to {} bytes", element);
  return {};
}

}  // namespace

Status Executable::State::allocate() {
  uint64_t arena = 0;
  for (const Runnable& method : methods) arena = std::max(arena, method.bound.arena);
  QUOIN_TRY(Block arena_block, Block::allocate(*host, arena, 64, "intermediate values"));
  QUOIN_TRY(Block scratch_block, Block::allocate(*host, need.bytes, need.alignment, "scratch memory"));
  QUOIN_TRY(Block state_block, Block::allocate(*host, layout.bytes, 64, "states"));
  memory.emplace(Memory{std::move(arena_block), std::move(scratch_block), std::move(state_block)});
  reset_states();
  for (Runnable& method : methods) bind_tensors(method);
  return {};
}

void Executable::State::bind_tensors(Runnable& method) {
  for (Step& step : method.bound.steps)
    for (size_t i = 0; i < step.tensors.size(); ++i) {
      const Location& location = step.locations[i];
      if (location.kind == Location::arena) step.tensors[i].data = memory->arena.data() + location.at;
      if (location.kind == Location::state) step.tensors[i].data = memory->states.data() + location.at;
      if (location.kind == Location::constant) step.tensors[i].data = const_cast<void*>(location.data);
      if (location.kind == Location::input || location.kind == Location::output)
        method.patches.push_back({&step.tensors[i], location});
    }
}

// The length of the run, or 0 where nothing follows one.
Result<int64_t> Executable::State::check_inputs(const Runnable& method, std::span<const Tensor> inputs) const {
  const std::vector<program::Value>& values = graph_of(method).values;
  const auto& ids = method.bound.inputs;
  if (inputs.size() != ids.size()) {
    std::vector<std::string> names;
    for (const uint32_t id : ids) names.push_back(values[id].name);
    return fail(
        Error{Code::input,
              fmt::format("{} inputs, the program takes {} ({})", inputs.size(), ids.size(), fmt::join(names, ", ")),
              model->name,
              {}});
  }
  int64_t length = 0;
  for (size_t i = 0; i < ids.size(); ++i)
    if (auto status = check_input(values[ids[i]], inputs[i], length); !status)
      return fail(in(fmt::format("input {} ({})", i, values[ids[i]].name), std::move(status).error()));
  return length;
}

Status Executable::State::set_length(Runnable& method, int64_t length) {
  if (length == method.bound.length) return {};
  QUOIN_CHECK(runtime::set_length(method.bound, length, kernels, *host, need));
  if (need.bytes <= memory->scratch.size() && need.alignment <= memory->scratch.alignment()) return {};
  method.bound.length = 0;  // until there is memory
  QUOIN_TRY(memory->scratch, Block::allocate(*host, need.bytes, need.alignment, "scratch memory"));
  method.bound.length = length;
  return {};
}

Status Executable::State::run_step(const Step& step, Profile* profile) const {
  const quoin_run call{sizeof call,
                       0,
                       step.input_array(),
                       step.output_array(),
                       memory->scratch.data(),
                       memory->scratch.size(),
                       profile == nullptr ? nullptr : profile->table(),
                       nullptr};
  if (profile != nullptr) profile->begin(step);
  auto status = step.kernel ? step.kernel->run(call) : step.loaded->run(call);
  if (profile != nullptr) profile->end();
  if (!status) return fail(in(describe(*step.node), std::move(status).error()));
  return {};
}

Result<std::vector<Tensor>> Executable::State::run(Runnable& method, std::span<const Tensor> inputs,
                                                   std::vector<Event>* events) {
  Bound& bound = method.bound;
  QUOIN_TRY(const int64_t length, check_inputs(method, inputs));
  if (auto ready = set_length(method, length); !ready)
    return fail(in(fmt::format("a run of length {}", length), std::move(ready).error()));
  const auto value = [&](size_t i) -> const program::Value& { return graph_of(method).values[bound.outputs[i]]; };
  std::vector<Tensor> made(bound.outputs.size());
  for (size_t i = 0; i < made.size(); ++i)
    if (bound.output_locations[i] == Location{Location::output, i, nullptr}) {
      const TensorType type = program::type_at(value(i), length);
      made[i] = Tensor(type.dtype, type.shape);
    }
  for (const Patch& patch : method.patches)
    patch.tensor->data = patch.location.kind == Location::input ? const_cast<void*>(inputs[patch.location.at].data())
                                                                : made[patch.location.at].data();
  std::optional<Profile> profile;
  if (events != nullptr) profile.emplace(*events, *model, *host);
  for (const Step& step : bound.steps) QUOIN_CHECK(run_step(step, profile ? &*profile : nullptr));
  for (const StateCopy& copy : bound.copies)
    std::memcpy(memory->states.data() + copy.to, memory->arena.data() + copy.from, copy.bytes);

  std::vector<Tensor> outputs;
  for (size_t i = 0; i < bound.outputs.size(); ++i) {
    const Location& location = bound.output_locations[i];
    if (location.kind == Location::input)
      outputs.push_back(inputs[location.at]);
    else if (location.kind == Location::constant)
      outputs.push_back(*value(i).constant);
    else
      outputs.push_back(made[location.at]);
  }
  return outputs;
}

Result<Executable> Executable::load(program::Model program, const Options& options, const quoin_host& host,
                                    Diagnostics& diagnostics) {
  return guarded([&]() -> Result<Executable> {
    QUOIN_CHECK(program::verify(program));
    auto state = std::make_unique<State>();
    state->model = std::make_unique<const program::Model>(std::move(program));
    state->host = &host;
    state->kernels = options.kernels;
    const program::Model& model = *state->model;
    QUOIN_TRY(state->layout, lay_out_states(model));
    for (size_t i = 0; i < model.methods.size(); ++i) {
      auto bound = bind(model, i, state->layout, options, host, state->need, diagnostics);
      if (!bound) return fail(in(model.name, std::move(bound).error()));
      state->methods.push_back({*std::move(bound), {}});
    }
    QUOIN_CHECK(state->allocate());
    return Executable(std::move(state));
  });
}

Executable::Executable(std::unique_ptr<State> state) : state_(std::move(state)) {}
Executable::Executable(Executable&&) noexcept = default;
Executable& Executable::operator=(Executable&&) noexcept = default;
Executable::~Executable() = default;

const program::Model& Executable::model() const { return *state_->model; }

size_t Executable::methods() const { return state_->methods.size(); }

std::optional<size_t> Executable::method(std::string_view name) const {
  const auto found = std::ranges::find(model().methods, name, &program::Method::name);
  if (found == model().methods.end()) return std::nullopt;
  return static_cast<size_t>(found - model().methods.begin());
}

std::vector<TensorSpec> Executable::inputs(size_t method) const {
  return specs(state_->methods[method], state_->methods[method].bound.inputs);
}

std::vector<TensorSpec> Executable::outputs(size_t method) const {
  return specs(state_->methods[method], state_->methods[method].bound.outputs);
}

std::vector<TensorSpec> Executable::states() const {
  std::vector<TensorSpec> out;
  for (const auto& [name, place] : state_->layout.places) out.push_back({name, place.value->type, 0});
  return out;
}

Result<std::vector<Tensor>> Executable::run(size_t method, std::span<const Tensor> inputs,
                                            std::vector<Event>* profile) {
  return guarded([&] { return state_->run(state_->methods[method], inputs, profile); });
}

void Executable::reset_states() { state_->reset_states(); }

uint64_t Executable::memory() const {
  return state_->memory->arena.size() + state_->memory->scratch.size() + state_->memory->states.size();
}

}  // namespace quoin::runtime
