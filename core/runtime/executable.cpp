#include "runtime/executable.hpp"

#include <algorithm>
#include <exception>
#include <new>
#include <optional>

#include <fmt/ranges.h>

#include "base/checked.hpp"
#include "base/guard.hpp"
#include "program/file.hpp"
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
  Block& operator=(Block&&) = delete;
  ~Block() {
    if (data_ != nullptr) host_->free(host_->self, data_, size_, alignment_);
  }
  std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }

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

}  // namespace

struct Executable::State {
  State(std::unique_ptr<const program::Model> program, const quoin_host& services, Bound bound_steps, Block arena_block,
        Block scratch_block)
      : model(std::move(program)),
        host(&services),
        bound(std::move(bound_steps)),
        arena(std::move(arena_block)),
        scratch(std::move(scratch_block)) {
    bind_tensors();
  }
  void bind_tensors();
  Status check_inputs(std::span<const Tensor> inputs) const;
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs, std::vector<Event>* events);
  Status run_step(const Step& step, Profile* profile) const;
  const TensorType& output_type(size_t i) const { return model->graph.values[model->graph.outputs[i]].type; }

  std::unique_ptr<const program::Model> model;  // outlives the steps, which point into it
  const quoin_host* host;
  Bound bound;
  Block arena, scratch;
  std::vector<Patch> patches;
};

void Executable::State::bind_tensors() {
  for (Step& step : bound.steps)
    for (size_t i = 0; i < step.tensors.size(); ++i) {
      const Location& location = step.locations[i];
      if (location.kind == Location::arena) step.tensors[i].data = arena.data() + location.at;
      if (location.kind == Location::constant) step.tensors[i].data = const_cast<void*>(location.data);
      if (location.kind == Location::input || location.kind == Location::output)
        patches.push_back({&step.tensors[i], location});
    }
}

Status Executable::State::check_inputs(std::span<const Tensor> inputs) const {
  const auto& ids = model->graph.inputs;
  if (inputs.size() != ids.size()) {
    std::vector<std::string> names;
    for (const uint32_t id : ids) names.push_back(model->graph.values[id].name);
    return fail(
        Error{Code::input,
              fmt::format("{} inputs, the program takes {} ({})", inputs.size(), ids.size(), fmt::join(names, ", ")),
              model->name,
              {}});
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    const program::Value& value = model->graph.values[ids[i]];
    const Tensor& given = inputs[i];
    if (given.dtype() != value.type.dtype || given.shape() != value.type.shape)
      return fail(Error{Code::input,
                        fmt::format("expected {}{}, found {}{}", name(value.type.dtype), to_string(value.type.shape),
                                    name(given.dtype()), to_string(given.shape())),
                        fmt::format("input {} ({})", i, value.name),
                        {}});
    const uint64_t element = std::max<uint64_t>(bits(value.type.dtype) / 8, 1);
    if (given.bytes() != 0 && (given.data() == nullptr || reinterpret_cast<uintptr_t>(given.data()) % element != 0))
      return fail(Error{Code::input,
                        fmt::format("its data is missing or not aligned to {} bytes", element),
                        fmt::format("input {} ({})", i, value.name),
                        {}});
  }
  return {};
}

Status Executable::State::run_step(const Step& step, Profile* profile) const {
  const quoin_run call{sizeof call,
                       0,
                       step.input_array(),
                       step.output_array(),
                       scratch.data(),
                       scratch.size(),
                       profile == nullptr ? nullptr : profile->table(),
                       nullptr};
  if (profile != nullptr) profile->begin(step);
  auto status = step.kernel ? step.kernel->run(call) : step.loaded->run(call);
  if (profile != nullptr) profile->end();
  if (!status) return fail(in(describe(*step.node), std::move(status).error()));
  return {};
}

Result<std::vector<Tensor>> Executable::State::run(std::span<const Tensor> inputs, std::vector<Event>* events) {
  QUOIN_CHECK(check_inputs(inputs));
  std::vector<Tensor> made(bound.outputs.size());
  for (size_t i = 0; i < made.size(); ++i)
    if (bound.outputs[i] == Location{Location::output, i, nullptr})
      made[i] = Tensor(output_type(i).dtype, output_type(i).shape);
  for (const Patch& patch : patches)
    patch.tensor->data = patch.location.kind == Location::input ? const_cast<void*>(inputs[patch.location.at].data())
                                                                : made[patch.location.at].data();
  std::optional<Profile> profile;
  if (events != nullptr) profile.emplace(*events, *model, *host);
  for (const Step& step : bound.steps) QUOIN_CHECK(run_step(step, profile ? &*profile : nullptr));

  std::vector<Tensor> outputs;
  for (size_t i = 0; i < bound.outputs.size(); ++i) {
    const Location& location = bound.outputs[i];
    if (location.kind == Location::input)
      outputs.push_back(inputs[location.at]);
    else if (location.kind == Location::constant)
      outputs.push_back(*model->graph.values[model->graph.outputs[i]].constant);
    else
      outputs.push_back(made[location.at]);
  }
  return outputs;
}

Result<Executable> Executable::load(program::Model program, const Options& options, const quoin_host& host,
                                    Diagnostics& diagnostics) {
  return guarded([&]() -> Result<Executable> {
    QUOIN_CHECK(program::verify(program));
    auto model = std::make_unique<const program::Model>(std::move(program));
    auto bound = bind(*model, options, host, diagnostics);
    if (!bound) return fail(in(model->name, std::move(bound).error()));
    QUOIN_TRY(Block arena, Block::allocate(host, bound->arena, 64, "intermediate values"));
    QUOIN_TRY(Block scratch, Block::allocate(host, bound->scratch, bound->scratch_alignment, "scratch memory"));
    return Executable(
        std::make_unique<State>(std::move(model), host, *std::move(bound), std::move(arena), std::move(scratch)));
  });
}

Executable::Executable(std::unique_ptr<State> state) : state_(std::move(state)) {}
Executable::Executable(Executable&&) noexcept = default;
Executable& Executable::operator=(Executable&&) noexcept = default;
Executable::~Executable() = default;

const program::Model& Executable::model() const { return *state_->model; }

std::vector<TensorSpec> Executable::inputs() const {
  std::vector<TensorSpec> specs;
  for (const uint32_t id : model().graph.inputs)
    specs.push_back({model().graph.values[id].name, model().graph.values[id].type});
  return specs;
}

std::vector<TensorSpec> Executable::outputs() const {
  std::vector<TensorSpec> specs;
  for (const uint32_t id : model().graph.outputs)
    specs.push_back({model().graph.values[id].name, model().graph.values[id].type});
  return specs;
}

Result<std::vector<Tensor>> Executable::run(std::span<const Tensor> inputs, std::vector<Event>* profile) {
  return guarded([&] { return state_->run(inputs, profile); });
}

uint64_t Executable::memory() const { return state_->arena.size() + state_->scratch.size(); }

}  // namespace quoin::runtime
