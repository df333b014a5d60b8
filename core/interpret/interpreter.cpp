#include "interpret/interpreter.hpp"

#include <algorithm>
#include <new>

#include "base/guard.hpp"
#include "interpret/pool.hpp"
#include "ir/snapshot.hpp"
#include "ops/abi_read.hpp"

namespace quoin::interpret {
namespace {

using ir::kNone;
using ir::NodeId;
using ir::ValueId;

// A kernel of the portable set or a plugin, and what it prepared. Nothing that it throws gets out.
class Prepared {
 public:
  Prepared(kernels::Choice choice, const quoin_host* host) : choice_(std::move(choice)), host_(host) {}
  Prepared(Prepared&& other) noexcept
      : choice_(std::move(other.choice_)), host_(other.host_), state_(std::exchange(other.state_, nullptr)) {}
  Prepared& operator=(Prepared&&) = delete;
  ~Prepared() {
    if (state_ == nullptr || choice_.kernel->release == nullptr) return;
    if (const auto breach = escaped([&] { choice_.kernel->release(host_, state_); })) log(*breach);
  }
  bool renames() const { return choice_.kernel == nullptr; }  // the step only renames bytes
  Status prepare(const quoin_graph* graph, uint32_t node, quoin_memory_need& need) {
    return call([&](quoin_error* error) { return choice_.kernel->prepare(host_, graph, node, &state_, &need, error); });
  }
  Status run(const quoin_run& run) const {
    return call([&](quoin_error* error) { return choice_.kernel->run(host_, state_, &run, error); });
  }

 private:
  template <class F>
  Status call(F&& function) const {
    quoin_error error{};
    error.struct_size = sizeof error;
    quoin_status status = QUOIN_OK;
    if (const auto breach = escaped([&] { status = function(&error); }))
      return fail(Code::plugin, "{} let an exception escape: {}", name(), *breach);
    if (status == QUOIN_OK) return {};
    const std::string_view text(error.message, std::min<size_t>(error.message_size, sizeof error.message));
    return fail(code(status), "{} failed: {}", name(), text.empty() ? "no reason given" : text);
  }
  Code code(quoin_status status) const {
    switch (status) {
      case QUOIN_INVALID:
        return Code::input;
      case QUOIN_UNSUPPORTED:
        return Code::unsupported;
      case QUOIN_OUT_OF_MEMORY:
        return Code::limit;
      case QUOIN_CANCELLED:
        return Code::cancelled;
      default:
        return choice_.provider == kernels::kPortable ? Code::internal : Code::plugin;
    }
  }
  std::string name() const {
    const bool own = choice_.provider == kernels::kPortable;
    return fmt::format("kernel {}{}{}", choice_.kernel->name, own ? "" : " of plugin ", own ? "" : choice_.provider);
  }
  void log(const std::string& breach) const noexcept {
    static_cast<void>(escaped([&] {
      const std::string line = fmt::format("{} let an exception escape while it cleaned up: {}", name(), breach);
      host_->log(host_->self, QUOIN_LOG_ERROR, {line.data(), line.size()});
    }));
  }

  kernels::Choice choice_;  // no kernel: see renames()
  const quoin_host* host_;
  void* state_ = nullptr;
};

struct Step {
  NodeId node;
  Prepared prepared;
  std::vector<ValueId> dead;  // values that nothing reads after this step
};

}  // namespace

struct Interpreter::State {
  const ir::Graph* graph;
  const quoin_host* host;
  ir::Snapshot snapshot;
  std::vector<const quoin_qparams*> qparams;  // by value id; owned by the snapshot
  std::vector<Step> steps;
  std::vector<Tensor> values;  // by value id; live ones only
  Pool pool;
  uint64_t scratch_size = 64, scratch_alignment = 64;

  State(const ir::Graph& source, const quoin_host& services)
      : graph(&source),
        host(&services),
        snapshot(ir::Snapshot::of(source)),
        qparams(source.value_capacity()),
        values(source.value_capacity()) {
    const auto& ids = snapshot.value_ids();
    for (uint32_t i = 0; i < ids.size(); ++i)
      qparams[ids[i]] = element<quoin_value>(snapshot.view()->values, i).qparams;
  }

  Status prepare(const kernels::KernelSet& kernels);
  Status prepare_step(const kernels::KernelSet& kernels, uint32_t index, NodeId id);
  void find_dead();
  bool is_view(NodeId id) const;
  Status check_inputs(std::span<const Tensor> inputs) const;
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs, const Tap& tap, const Rewrite& rewrite);
  Status rewrite_results(const Step& step, const Rewrite& rewrite);
  Status run_step(const Step& step, std::byte* scratch);
  quoin_tensor describe(ValueId id);
};

// The result has the operand's bytes: no kernel needs to run.
bool Interpreter::State::is_view(NodeId id) const {
  const ir::Node& node = graph->node(id);
  if (!node.schema->traits.view || node.inputs.empty() || node.inputs[0] == kNone) return false;
  const TensorType &in = graph->value(node.inputs[0]).type, &out = graph->value(node.outputs[0]).type;
  const bool same_numbers =
      !in.qparams == !out.qparams &&
      (!in.qparams || *in.qparams == *out.qparams ||
       (in.qparams->scale == out.qparams->scale && in.qparams->zero_point == out.qparams->zero_point));
  return in.dtype == out.dtype && same_numbers && byte_size(in.dtype, in.shape) == byte_size(out.dtype, out.shape) &&
         bits(in.dtype) >= 8;
}

Status Interpreter::State::prepare_step(const kernels::KernelSet& kernels, uint32_t index, NodeId id) {
  if (is_view(id)) {
    steps.push_back({id, Prepared({}, host), {}});
    return {};
  }
  auto choice = kernels.select(snapshot.view(), index, host->isa);
  if (!choice) return std::move(choice).failure().at("{}", graph->describe(id));
  Prepared prepared(*std::move(choice), host);
  quoin_memory_need need{};
  need.struct_size = sizeof need;
  QUOIN_CHECK_AT(prepared.prepare(snapshot.view(), index, need), "{}", graph->describe(id));
  scratch_size = std::max(scratch_size, need.scratch);
  scratch_alignment = std::max<uint64_t>(scratch_alignment, need.alignment);
  steps.push_back({id, std::move(prepared), {}});
  return {};
}

Status Interpreter::State::prepare(const kernels::KernelSet& kernels) {
  const auto& nodes = snapshot.node_ids();
  for (uint32_t i = 0; i < nodes.size(); ++i) QUOIN_CHECK(prepare_step(kernels, i, nodes[i]));
  if ((scratch_alignment & (scratch_alignment - 1)) != 0 || scratch_alignment > 4096)
    return fail(Code::unsupported, "a kernel asks for scratch memory aligned to {} bytes", scratch_alignment);
  find_dead();
  return {};
}

void Interpreter::State::find_dead() {
  std::vector<bool> wanted(graph->value_capacity(), false);
  for (const ValueId id : graph->outputs()) wanted[id] = true;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const ir::Node& node = graph->node(step->node);
    for (const auto* list : {&node.outputs, &node.inputs}) {
      for (const ValueId id : *list) {
        if (id == kNone || wanted[id] || graph->is_constant(id)) continue;
        wanted[id] = true;
        step->dead.push_back(id);
      }
    }
  }
}

Status Interpreter::State::check_inputs(std::span<const Tensor> inputs) const {
  const auto& ids = graph->inputs();
  if (inputs.size() != ids.size())
    return fail(Code::input, "{} inputs given, the graph has {}", inputs.size(), ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    const ir::Value& value = graph->value(ids[i]);
    if (inputs[i].dtype() == value.type.dtype && inputs[i].shape() == value.type.shape) continue;
    return fail(Code::input, "input {} ({}) must be {}{}, found {}{}", i, value.name, name(value.type.dtype),
                to_string(value.type.shape), name(inputs[i].dtype()), to_string(inputs[i].shape()));
  }
  return {};
}

quoin_tensor Interpreter::State::describe(ValueId id) {
  Tensor& tensor = values[id];
  return {static_cast<quoin_dtype>(tensor.dtype()),
          static_cast<uint32_t>(tensor.shape().size()),
          const_cast<int64_t*>(tensor.shape().data()),
          tensor.data(),
          tensor.bytes(),
          qparams[id]};
}

Status Interpreter::State::run_step(const Step& step, std::byte* scratch) {
  const ir::Node& node = graph->node(step.node);
  if (step.prepared.renames()) {
    values[node.outputs[0]] = values[node.inputs[0]].reshaped(graph->value(node.outputs[0]).type.shape);
    return {};
  }
  std::vector<quoin_tensor> inputs, outputs;
  for (const ValueId id : node.inputs) inputs.push_back(id == kNone ? quoin_tensor{} : describe(id));
  for (const ValueId id : node.outputs) {
    const TensorType& type = graph->value(id).type;
    values[id] = pool.take(type.dtype, type.shape);
    outputs.push_back(describe(id));
  }
  quoin_run call{};
  call.struct_size = sizeof call;
  call.inputs = {inputs.data(), static_cast<uint32_t>(inputs.size()), sizeof(quoin_tensor)};
  call.outputs = {outputs.data(), static_cast<uint32_t>(outputs.size()), sizeof(quoin_tensor)};
  call.scratch = scratch;
  call.scratch_size = scratch_size;
  QUOIN_CHECK_AT(step.prepared.run(call), "{}", graph->describe(step.node));
  return {};
}

Status Interpreter::State::rewrite_results(const Step& step, const Rewrite& rewrite) {
  for (const ValueId id : graph->node(step.node).outputs) {
    QUOIN_TRY(Tensor tensor, rewrite(id, values[id]));
    if (tensor.dtype() != values[id].dtype() || tensor.shape() != values[id].shape())
      return fail(Code::internal, "{}: a result was replaced by one of another type", graph->describe(step.node));
    values[id] = std::move(tensor);
  }
  return {};
}

Result<std::vector<Tensor>> Interpreter::State::run(std::span<const Tensor> inputs, const Tap& tap,
                                                    const Rewrite& rewrite) {
  QUOIN_CHECK(check_inputs(inputs));
  for (size_t i = 0; i < inputs.size(); ++i) values[graph->inputs()[i]] = inputs[i];
  if (tap)
    for (const ValueId id : graph->inputs()) QUOIN_CHECK(tap(id, values[id]));
  for (ValueId id = 0; id < graph->value_capacity(); ++id)
    if (graph->is_constant(id)) values[id] = *graph->value(id).constant;
  const Tensor scratch = pool.take(DType::u8, {static_cast<int64_t>(scratch_size + scratch_alignment)});
  const auto address = reinterpret_cast<uintptr_t>(scratch.data());
  auto* memory = reinterpret_cast<std::byte*>((address + scratch_alignment - 1) & ~(scratch_alignment - 1));
  for (const Step& step : steps) {
    QUOIN_CHECK(run_step(step, memory));
    if (rewrite) QUOIN_CHECK(rewrite_results(step, rewrite));
    if (tap)
      for (const ValueId id : graph->node(step.node).outputs) QUOIN_CHECK(tap(id, values[id]));
    for (const ValueId id : step.dead) values[id] = Tensor();
  }
  std::vector<Tensor> outputs;
  for (const ValueId id : graph->outputs()) outputs.push_back(values[id]);
  return outputs;
}

Interpreter::Interpreter(std::unique_ptr<State> state) : state_(std::move(state)) {}
Interpreter::Interpreter(Interpreter&&) noexcept = default;
Interpreter& Interpreter::operator=(Interpreter&&) noexcept = default;
Interpreter::~Interpreter() = default;

Result<Interpreter> Interpreter::create(const ir::Graph& graph, const kernels::KernelSet& kernels,
                                        const quoin_host& host) try {
  auto state = std::make_unique<State>(graph, host);
  QUOIN_CHECK(state->prepare(kernels));
  return Interpreter(std::move(state));
} catch (const std::bad_alloc&) {
  return fail(Code::limit, "out of memory while preparing the graph");
}

Result<std::vector<Tensor>> Interpreter::run(std::span<const Tensor> inputs, const Tap& tap, const Rewrite& rewrite) {
  struct Clear {  // nothing stays referenced between runs, not even after an error
    State& state;
    ~Clear() { std::fill(state.values.begin(), state.values.end(), Tensor()); }
  } clear{*state_};
  try {
    return state_->run(inputs, tap, rewrite);
  } catch (const std::bad_alloc&) {
    return fail(Code::limit, "out of memory while running the graph");
  }
}

}  // namespace quoin::interpret
