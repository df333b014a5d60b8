#include "runtime/executable.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <new>
#include <optional>

#include "base/guard.hpp"
#include "program/file.hpp"
#include "program/length.hpp"
#include "runtime/profile.hpp"
#include "runtime/runnable.hpp"

namespace quoin::runtime {

struct Executable::State {
  std::shared_ptr<const program::Model> model;  // outlives the steps, which point into it
  const quoin_host* host;
  const kernels::KernelSet* kernels = nullptr;
  StateLayout layout;
  Scratch need;  // the most of all methods and of the lengths seen so far
  std::vector<std::unique_ptr<Runnable>> methods;
  std::optional<Blocks> blocks;
  std::atomic<bool> busy = false;

  MemoryNeed memory_need() const;
  Status plan(const Memory& memory);
  Status set_length(Runnable& method, int64_t length);
  Status prepare_length(Runnable& method, int64_t length);
  Status start(Runnable& method, std::span<const quoin_tensor> inputs, int64_t& length);
  Status run(Runnable& method, std::span<const quoin_tensor> inputs, std::span<const quoin_tensor> outputs,
             const RunOptions& options);
  Result<std::vector<Tensor>> run(Runnable& method, std::span<const Tensor> inputs, std::vector<Event>* events);
  void reset_states() {
    if (blocks) std::memset(blocks->states.data(), 0, layout.bytes);
  }
};

namespace {

// Two runs of one object would write into each other's memory.
class Turn {
 public:
  explicit Turn(std::atomic<bool>& busy) : busy_(busy), mine_(!busy.exchange(true, std::memory_order_acquire)) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (mine_) busy_.store(false, std::memory_order_release);
  }
  Status check() const {
    if (mine_) return {};
    return fail(Code::input, "another run of this object is in progress").hint("one object per thread");
  }

 private:
  std::atomic<bool>& busy_;
  const bool mine_;
};

std::vector<TensorSpec> specs(const program::Graph& graph, const std::vector<uint32_t>& ids) {
  std::vector<TensorSpec> out;
  for (const uint32_t id : ids) {
    const program::Value& value = graph.values[id];
    out.push_back({value.name, value.type, value.dynamic});
  }
  return out;
}

quoin_tensor view(const Tensor& tensor) {
  return {static_cast<quoin_dtype>(tensor.dtype()),    static_cast<uint32_t>(tensor.shape().size()),
          const_cast<int64_t*>(tensor.shape().data()), const_cast<void*>(tensor.data()),
          static_cast<uint64_t>(tensor.bytes()),       nullptr};
}

}  // namespace

MemoryNeed Executable::State::memory_need() const {
  MemoryNeed out;
  for (const auto& method : methods) out.arena = std::max(out.arena, method->bound().arena);
  out.scratch = need.bytes;
  out.scratch_alignment = need.alignment;
  out.states = layout.bytes;
  return out;
}

Status Executable::State::plan(const Memory& memory) {
  const MemoryNeed needed = memory_need();
  const auto block = [&](const Region& given, uint64_t size, uint64_t alignment, const char* what) {
    return Block::make(*host, given, size, alignment, what);
  };
  QUOIN_TRY(Block arena, block(memory.arena, needed.arena, needed.arena_alignment, "intermediate values"));
  QUOIN_TRY(Block scratch, block(memory.scratch, needed.scratch, needed.scratch_alignment, "scratch memory"));
  QUOIN_TRY(Block states, block(memory.states, needed.states, needed.states_alignment, "states"));
  blocks.emplace(Blocks{std::move(arena), std::move(scratch), std::move(states)});
  reset_states();
  for (const auto& method : methods) method->use(*blocks);
  return {};
}

// Memory that the caller gave does not grow.
Status Executable::State::set_length(Runnable& method, int64_t length) {
  Bound& bound = method.bound();
  if (length == bound.length) return {};
  QUOIN_CHECK(runtime::set_length(bound, length, kernels, *host, need));
  if (!blocks) return {};
  Block& scratch = blocks->scratch;
  if (need.bytes <= scratch.size() && need.alignment <= scratch.alignment()) return {};
  bound.length = 0;  // until there is memory
  if (scratch.is_given())
    return fail(Code::limit, "{} bytes of scratch memory were given, {} are needed", scratch.size(), need.bytes);
  QUOIN_TRY(scratch, Block::make(*host, {}, need.bytes, need.alignment, "scratch memory"));
  bound.length = length;
  return {};
}

Status Executable::State::prepare_length(Runnable& method, int64_t length) {
  Bound& bound = method.bound();
  if (length < 1 || length > bound.longest)
    return fail(Code::input, "a length of {}, the method takes {}", length,
                bound.longest == 0 ? "none" : fmt::format("1 to {}", bound.longest));
  if (std::ranges::find(bound.ahead, length, &Ahead::length) != bound.ahead.end()) return {};
  QUOIN_CHECK(set_length(method, length));
  keep_ahead(bound);
  return {};
}

Status Executable::State::start(Runnable& method, std::span<const quoin_tensor> inputs, int64_t& length) {
  if (!blocks) return fail(Code::input, "plan() did not precede the run").at("{}", model->name);
  QUOIN_TRY(length, method.check_inputs(inputs));
  QUOIN_CHECK_AT(set_length(method, length), "a run of length {}", length);
  return {};
}

Status Executable::State::run(Runnable& method, std::span<const quoin_tensor> inputs,
                              std::span<const quoin_tensor> outputs, const RunOptions& options) {
  Observer* observer = options.observer;
  Stop stop(*host, options.stop, options.deadline_ns, observer == nullptr ? nullptr : observer->inner());
  return method.run(inputs, outputs, *blocks, stop, observer);
}

Result<std::vector<Tensor>> Executable::State::run(Runnable& method, std::span<const Tensor> inputs,
                                                   std::vector<Event>* events) {
  std::vector<quoin_tensor> given;
  for (const Tensor& input : inputs) given.push_back(view(input));
  int64_t length = 0;
  QUOIN_CHECK(start(method, given, length));
  const Bound& bound = method.bound();
  std::vector<Tensor> made(bound.outputs.size());
  std::vector<quoin_tensor> outputs(made.size());
  QUOIN_CHECK(method.describe_outputs(length, outputs, false));
  for (size_t i = 0; i < made.size(); ++i) {
    if (!method.is_made(i)) continue;
    made[i] = Tensor(method.output(i).type.dtype, Shape(outputs[i].dims, outputs[i].dims + outputs[i].rank));
    outputs[i].data = const_cast<void*>(made[i].data());
  }
  std::optional<Profile> profile;
  if (events != nullptr) profile.emplace(*events, *model, *host);
  QUOIN_CHECK(run(method, given, outputs, {nullptr, 0, profile ? &*profile : nullptr}));
  for (size_t i = 0; i < made.size(); ++i) {  // what needs no copy shares its bytes
    const Location& location = bound.output_locations[i];
    if (location.kind == Location::input) made[i] = inputs[location.at];
    if (location.kind == Location::constant) made[i] = *method.output(i).constant;
    if (location.kind == Location::output && location.at != i) made[i] = made[location.at];
  }
  return made;
}

Result<Executable> Executable::prepare(std::shared_ptr<const program::Model> model, const Options& options,
                                       const quoin_host& host, Diagnostics& diagnostics) {
  return guarded([&]() -> Result<Executable> {
    auto state = std::make_unique<State>();
    state->model = std::move(model);
    state->host = &host;
    state->kernels = options.kernels;
    QUOIN_TRY(state->layout, lay_out_states(*state->model));
    for (size_t i = 0; i < state->model->methods.size(); ++i) {
      auto bound = bind(*state->model, i, state->layout, options, host, state->need, diagnostics);
      if (!bound) return std::move(bound).failure().at("{}", state->model->name);
      state->methods.push_back(std::make_unique<Runnable>(*std::move(bound)));
    }
    return Executable(std::move(state));
  });
}

Result<Executable> Executable::load(program::Model program, const Options& options, const quoin_host& host,
                                    Diagnostics& diagnostics) {
  return guarded([&]() -> Result<Executable> {
    QUOIN_CHECK(program::verify(program));
    auto model = std::make_shared<const program::Model>(std::move(program));
    QUOIN_TRY(Executable executable, prepare(std::move(model), options, host, diagnostics));
    QUOIN_CHECK(executable.plan());
    return executable;
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
  return specs(model().methods[method].graph, state_->methods[method]->bound().inputs);
}

std::vector<TensorSpec> Executable::outputs(size_t method) const {
  return specs(model().methods[method].graph, state_->methods[method]->bound().outputs);
}

std::vector<TensorSpec> Executable::states() const {
  std::vector<TensorSpec> out;
  for (const auto& [name, place] : state_->layout.places) out.push_back({name, place.value->type, 0});
  return out;
}

MemoryNeed Executable::need() const { return state_->memory_need(); }

Status Executable::plan(const Memory& memory) {
  return guarded([&]() -> Status {
    const Turn turn(state_->busy);
    QUOIN_CHECK(turn.check());
    return state_->plan(memory);
  });
}

Status Executable::prepare_length(size_t method, int64_t length) {
  return guarded([&]() -> Status {
    const Turn turn(state_->busy);
    QUOIN_CHECK(turn.check());
    return state_->prepare_length(*state_->methods[method], length);
  });
}

Status Executable::run(size_t method, std::span<const quoin_tensor> inputs, std::span<quoin_tensor> outputs,
                       const RunOptions& options) {
  return guarded([&]() -> Status {
    const Turn turn(state_->busy);
    QUOIN_CHECK(turn.check());
    Runnable& runnable = *state_->methods[method];
    int64_t length = 0;
    QUOIN_CHECK(state_->start(runnable, inputs, length));
    QUOIN_CHECK(runnable.describe_outputs(length, outputs, true));
    return state_->run(runnable, inputs, outputs, options);
  });
}

Result<std::vector<Tensor>> Executable::run(size_t method, std::span<const Tensor> inputs,
                                            std::vector<Event>* profile) {
  return guarded([&]() -> Result<std::vector<Tensor>> {
    const Turn turn(state_->busy);
    QUOIN_CHECK(turn.check());
    return state_->run(*state_->methods[method], inputs, profile);
  });
}

void Executable::reset_states() { state_->reset_states(); }

uint64_t Executable::memory() const {
  if (!state_->blocks) return 0;
  return state_->blocks->arena.size() + state_->blocks->scratch.size() + state_->blocks->states.size();
}

}  // namespace quoin::runtime
