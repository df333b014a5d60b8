#include "runtime/executable.hpp"

#include <algorithm>
#include <optional>

#include "base/guard.hpp"
#include "program/flatten.hpp"
#include "program/view/states.hpp"
#include "program/view/verify.hpp"
#include "runtime/profile.hpp"

namespace quoin::runtime {

struct Executable::State {
  explicit State(std::shared_ptr<const program::Model> from) : model(std::move(from)), arena(heap()) {}
  std::shared_ptr<const program::Model> model;  // outlives the view of it, which outlives the steps
  Arena arena;
  std::optional<Instance> instance;

  Result<std::vector<Tensor>> run(size_t method, std::span<const Tensor> inputs, std::vector<Event>* events);
  std::vector<Tensor> results(const Method& method, std::span<const Tensor> inputs, std::vector<Tensor> made) const;
};

namespace {

// The options of a load in the terms of an instance.
class OptionsSetting final : public Setting {
 public:
  OptionsSetting(const Options& options, Diagnostics& diagnostics) : options_(options), diagnostics_(diagnostics) {
    kernels = options.kernels;
    fallback = options.fallback == "allow"   ? Fallback::allow
               : options.fallback == "error" ? Fallback::error
                                             : Fallback::warn;
  }
  bool plugin(std::string_view name, Plugin& out, Fault& fault) override {
    if (!options_.backend)
      return fault.fail(Code::plugin, "plugin {} is not available: no plugins are loaded here", name);
    auto found = options_.backend(std::string(name));
    if (!found) return fault.take(found.error());
    if (*found == nullptr) return fault.fail(Code::plugin, "plugin {} is not available", name);
    const host::Backend& backend = **found;
    out = {&backend.table(), backend.handle(), &backend.host(), nullptr,
           [](void* use) { delete static_cast<host::Use*>(use); }};
    out.keep = new host::Use(*std::move(found), host::Use::delegate);
    return true;
  }
  bool params(const Plugin& plugin, quoin_array& out, Fault& fault) override {
    out = {};
    if (!options_.params) return true;
    const auto found = options_.params(static_cast<const host::Use*>(plugin.keep)->backend());
    if (!found) return fault.take(found.error());
    out = *found;
    return true;
  }
  void note(bool warning, std::string_view where, std::string_view what, std::string_view hint) override {
    if (warning)
      diagnostics_.warn(std::string(where), std::string(what), std::string(hint));
    else
      diagnostics_.info(std::string(where), std::string(what), std::string(hint));
  }

 private:
  const Options& options_;
  Diagnostics& diagnostics_;
};

std::vector<TensorSpec> specs(const program::Graph& graph, std::span<const uint32_t> ids) {
  std::vector<TensorSpec> out;
  for (const uint32_t id : ids) {
    const program::Value& value = graph.values[id];
    out.push_back({value.name, value.type, value.dynamic});
  }
  return out;
}

quoin_tensor abi_tensor(const Tensor& tensor) {
  return {static_cast<quoin_dtype>(tensor.dtype()),    static_cast<uint32_t>(tensor.shape().size()),
          const_cast<int64_t*>(tensor.shape().data()), const_cast<void*>(tensor.data()),
          static_cast<uint64_t>(tensor.bytes()),       nullptr};
}

// body(fault) returns bool.
template <class F>
Status checked(F&& body) {
  return guarded([&]() -> Status {
    Fault fault;
    if (!body(fault)) return fault.failure();
    return {};
  });
}

}  // namespace

// What needs no copy shares its bytes.
std::vector<Tensor> Executable::State::results(const Method& method, std::span<const Tensor> inputs,
                                               std::vector<Tensor> made) const {
  const program::Graph& graph =
      model->methods[static_cast<size_t>(method.of - instance->program().methods.begin())].graph;
  for (size_t i = 0; i < made.size(); ++i) {
    const Location& location = method.output_locations[i];
    if (location.kind == Location::input) made[i] = inputs[location.at];
    if (location.kind == Location::constant) made[i] = *graph.values[method.outputs[i]].constant;
    if (location.kind == Location::output && location.at != i) made[i] = made[location.at];
  }
  return made;
}

Result<std::vector<Tensor>> Executable::State::run(size_t index, std::span<const Tensor> inputs,
                                                   std::vector<Event>* events) {
  const Instance::Turn turn(*instance);
  Fault fault;
  std::vector<quoin_tensor> given;
  for (const Tensor& input : inputs) given.push_back(abi_tensor(input));
  int64_t length = 0;
  if (!turn.check(fault) || !instance->start(index, given, length, fault)) return fault.failure();
  const Method& method = instance->method(index);
  std::vector<Tensor> made(method.outputs.size());
  std::vector<quoin_tensor> outputs(made.size());
  if (!instance->describe_outputs(index, length, outputs, false, fault)) return fault.failure();
  for (size_t i = 0; i < made.size(); ++i) {
    if (!method.is_made(i)) continue;
    made[i] = Tensor(method.output(i).dtype, Shape(outputs[i].dims, outputs[i].dims + outputs[i].rank));
    outputs[i].data = made[i].data();
  }
  std::optional<Profile> profile;
  if (events != nullptr) profile.emplace(*events, instance->program(), instance->host());
  if (!instance->finish(index, given, outputs, {nullptr, 0, profile ? &*profile : nullptr}, fault))
    return fault.failure();
  return results(method, inputs, std::move(made));
}

Result<Executable> Executable::make(std::shared_ptr<const program::Model> model, bool is_verified,
                                    const Options& options, const quoin_host& host, Diagnostics& diagnostics) {
  auto state = std::make_unique<State>(std::move(model));
  QUOIN_TRY(program::view::Program* const program, program::flatten(*state->model, state->arena));
  Fault fault;
  const bool legal = is_verified ? program::view::number_buffers(*program, state->arena, fault)
                                 : program::view::verify(*program, state->arena, fault);
  if (!legal) return fault.failure();
  state->instance.emplace(*program, host);
  OptionsSetting setting(options, diagnostics);
  if (!state->instance->prepare(setting, fault)) return fault.failure();
  return Executable(std::move(state));
}

Result<Executable> Executable::prepare(std::shared_ptr<const program::Model> model, const Options& options,
                                       const quoin_host& host, Diagnostics& diagnostics) {
  return guarded([&] { return make(std::move(model), true, options, host, diagnostics); });
}

Result<Executable> Executable::load(program::Model program, const Options& options, const quoin_host& host,
                                    Diagnostics& diagnostics) {
  return guarded([&]() -> Result<Executable> {
    auto model = std::make_shared<const program::Model>(std::move(program));
    QUOIN_TRY(Executable executable, make(std::move(model), false, options, host, diagnostics));
    QUOIN_CHECK(executable.plan());
    return executable;
  });
}

Executable::Executable(std::unique_ptr<State> state) : state_(std::move(state)) {}
Executable::Executable(Executable&&) noexcept = default;
Executable& Executable::operator=(Executable&&) noexcept = default;
Executable::~Executable() = default;

const program::Model& Executable::model() const { return *state_->model; }

size_t Executable::methods() const { return model().methods.size(); }

std::optional<size_t> Executable::method(std::string_view name) const {
  const auto found = std::ranges::find(model().methods, name, &program::Method::name);
  if (found == model().methods.end()) return std::nullopt;
  return static_cast<size_t>(found - model().methods.begin());
}

std::vector<TensorSpec> Executable::inputs(size_t method) const {
  return specs(model().methods[method].graph, state_->instance->method(method).inputs);
}

std::vector<TensorSpec> Executable::outputs(size_t method) const {
  return specs(model().methods[method].graph, state_->instance->method(method).outputs);
}

std::vector<TensorSpec> Executable::states() const {
  const program::view::Program& program = state_->instance->program();
  std::vector<TensorSpec> out;
  for (const program::view::Buffer& buffer : program.buffers) {
    const program::Graph& graph = model().methods[static_cast<size_t>(buffer.method - program.methods.begin())].graph;
    out.push_back({std::string(buffer.state->name), graph.values[graph.inputs[buffer.state->input]].type, 0});
  }
  return out;
}

MemoryNeed Executable::need() const { return state_->instance->need(); }

Status Executable::plan(const Memory& memory) {
  return checked([&](Fault& fault) { return state_->instance->plan(memory, fault); });
}

Status Executable::prepare_length(size_t method, int64_t length) {
  return checked([&](Fault& fault) { return state_->instance->prepare_length(method, length, fault); });
}

Status Executable::run(size_t method, std::span<const quoin_tensor> inputs, std::span<quoin_tensor> outputs,
                       const RunOptions& options) {
  return checked([&](Fault& fault) { return state_->instance->run(method, inputs, outputs, options, fault); });
}

Result<std::vector<Tensor>> Executable::run(size_t method, std::span<const Tensor> inputs,
                                            std::vector<Event>* profile) {
  return guarded([&]() { return state_->run(method, inputs, profile); });
}

void Executable::reset_states() { state_->instance->reset_states(); }

uint64_t Executable::memory() const {
  const Blocks& blocks = state_->instance->blocks();
  return blocks.states.is_set() ? blocks.arena.size() + blocks.scratch.size() + blocks.states.size() : 0;
}

}  // namespace quoin::runtime
