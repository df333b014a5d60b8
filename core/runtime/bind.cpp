#include "runtime/bind.hpp"

#include <algorithm>

#include "base/checked.hpp"
#include "program/length.hpp"
#include "program/lifetime.hpp"

namespace quoin::runtime {
namespace {

constexpr uint64_t kMaxMemory = uint64_t{1} << 48;  // bytes of an arena, or of all states

// One graph on its way to steps: where each of its values lies.
struct Frame {
  Source source;
  std::vector<Location> locations;
  std::vector<bool> in_arena;
  uint32_t delegate = program::kNone;  // whose original this is
};

class Binder {
 public:
  Binder(const program::Model& model, const program::Graph& graph, const StateLayout& states, const Options& options,
         const quoin_host& host, Scratch& scratch, Diagnostics& diagnostics)
      : model_(model),
        graph_(graph),
        states_(states),
        options_(options),
        host_(host),
        scratch_(scratch),
        diagnostics_(diagnostics) {}
  Result<std::unique_ptr<Bound>> run();

 private:
  Frame frame(const program::Graph& graph, const std::vector<Location>& inputs, const std::vector<Location>& outputs,
              uint64_t base);
  void place_states(std::vector<Location>& inputs, std::vector<Location>& outputs);
  Status add_graph(const Frame& frame);
  Step make_step(const Frame& frame, size_t index) const;
  Status add_kernel(const Frame& frame, size_t index);
  Status add_call(const Frame& frame, size_t index);
  Status add_original(const Frame& outer, const program::Node& node);

  const program::Model& model_;
  const program::Graph& graph_;
  const StateLayout& states_;
  const Options& options_;
  const quoin_host& host_;
  Scratch& scratch_;
  Diagnostics& diagnostics_;
  std::unique_ptr<Bound> out_ = std::make_unique<Bound>();
  uint64_t base_ = 0;  // bytes of the arena that the method itself takes
};

Frame Binder::frame(const program::Graph& graph, const std::vector<Location>& inputs,
                    const std::vector<Location>& outputs, uint64_t base) {
  out_->sources.push_back({&graph, &out_->views.emplace_back(graph)});
  Frame frame{out_->sources.back(), std::vector<Location>(graph.values.size()), program::in_arena(graph)};
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const program::Value& value = graph.values[i];
    frame.locations[i] = value.constant ? Location{Location::constant, 0, value.constant->data()}
                                        : Location{Location::arena, base + value.offset, nullptr};
  }
  for (size_t i = 0; i < inputs.size(); ++i) frame.locations[graph.inputs[i]] = inputs[i];
  std::vector<bool> is_result(graph.values.size(), false);
  for (const program::Node& node : graph.nodes)
    for (const uint32_t id : node.outputs) is_result[id] = true;
  // An output that is an input or a constant, or that is listed twice, is not computed: it stays where it is.
  for (size_t i = outputs.size(); i-- > 0;)
    if (is_result[graph.outputs[i]]) frame.locations[graph.outputs[i]] = outputs[i];
  return frame;
}

Step Binder::make_step(const Frame& frame, size_t index) const {
  const program::Graph& graph = *frame.source.graph;
  const program::Node& node = graph.nodes[index];
  Step step;
  step.node = &node;
  step.source = frame.source;
  step.index = index;
  step.dynamic = program::follows_length(graph, node);
  step.delegate = node.op.empty() ? node.delegate : frame.delegate;
  step.inputs = static_cast<uint32_t>(node.inputs.size());
  std::vector<uint32_t> ids = node.inputs;
  ids.insert(ids.end(), node.outputs.begin(), node.outputs.end());
  for (const uint32_t id : ids) step.dims.push_back(id == program::kNone ? Shape() : graph.values[id].type.shape);
  for (size_t i = 0; i < ids.size(); ++i) {
    step.tensors.push_back({});
    step.locations.push_back({});
    if (ids[i] == program::kNone) continue;
    const TensorType& type = graph.values[ids[i]].type;
    step.locations.back() = frame.locations[ids[i]];
    step.tensors.back() = {static_cast<quoin_dtype>(type.dtype),
                           static_cast<uint32_t>(type.shape.size()),
                           step.dims[i].data(),
                           nullptr,
                           static_cast<uint64_t>(byte_size(type.dtype, type.shape)),
                           frame.source.view->qparams(ids[i])};
  }
  return step;
}

Status Binder::add_kernel(const Frame& frame, size_t index) {
  const program::Graph& graph = *frame.source.graph;
  Step step = make_step(frame, index);
  if (step.inputs != 0 && program::sharing(graph, *step.node, 0, frame.in_arena) == program::Sharing::view &&
      step.locations[0] == step.locations[step.inputs])
    return {};
  QUOIN_CHECK(prepare_kernel(step, options_.kernels, host_, scratch_));
  out_->steps.push_back(std::move(step));
  return {};
}

Status Binder::add_call(const Frame& frame, size_t index) {
  const program::Node& node = frame.source.graph->nodes[index];
  const program::Delegate& delegate = model_.delegates[node.delegate];
  QUOIN_TRY(LoadAttempt attempt, load_delegate(delegate, options_, host_));
  if (attempt.loaded) {
    Step step = make_step(frame, index);
    step.loaded.emplace(*std::move(attempt.loaded));
    quoin_memory_need memory{};
    memory.struct_size = sizeof memory;
    QUOIN_TRY(attempt.reason, plan_delegate(step, program::longest(graph_), memory));
    if (attempt.reason.empty()) {
      QUOIN_CHECK(scratch_.add(memory));
      out_->steps.push_back(std::move(step));
      return {};
    }
  }
  QUOIN_CHECK(fall_back(delegate, node.delegate, attempt.reason, options_, diagnostics_));
  return add_original(frame, node);
}

// Its inputs and outputs are those of the call; its intermediates lie behind everything that the method itself needs.
Status Binder::add_original(const Frame& outer, const program::Node& node) {
  const auto at = [&](const std::vector<uint32_t>& ids) {
    std::vector<Location> out;
    for (const uint32_t id : ids) out.push_back(outer.locations[id]);
    return out;
  };
  const program::Graph& original = *model_.delegates[node.delegate].original;
  if (original.arena_size > kMaxMemory) return fail(Code::limit, "an arena of {} bytes", original.arena_size);
  Frame inner = frame(original, at(node.inputs), at(node.outputs), base_);
  inner.delegate = node.delegate;
  out_->arena = std::max(out_->arena, base_ + original.arena_size);
  return add_graph(inner);
}

Status Binder::add_graph(const Frame& frame) {
  for (size_t i = 0; i < frame.source.graph->nodes.size(); ++i) {
    const program::Node& node = frame.source.graph->nodes[i];
    auto added = node.op.empty() ? add_call(frame, i) : add_kernel(frame, i);
    if (!added) return std::move(added).failure().at("{}", describe(node));
  }
  return {};
}

// A state that is not updated in place gets its new content behind the arena, from where it is moved after the run.
void Binder::place_states(std::vector<Location>& inputs, std::vector<Location>& outputs) {
  for (const program::State& state : graph_.states) {
    const StateLayout::Place& place = states_.places.find(state.name)->second;
    const Location here{Location::state, place.offset, nullptr};
    inputs[state.input] = outputs[state.output] = here;
    if (state.in_place || graph_.inputs[state.input] == graph_.outputs[state.output]) continue;
    outputs[state.output] = {Location::arena, base_, nullptr};
    out_->copies.push_back({base_, place.offset, place.bytes});
    base_ += align_up(place.bytes, program::kArenaAlignment);
  }
}

Result<std::unique_ptr<Bound>> Binder::run() {
  if (graph_.arena_size > kMaxMemory) return fail(Code::limit, "an arena of {} bytes", graph_.arena_size);
  base_ = graph_.arena_size;
  std::vector<Location> inputs(graph_.inputs.size()), outputs(graph_.outputs.size());
  place_states(inputs, outputs);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].kind != Location::absent) continue;
    inputs[i] = {Location::input, out_->inputs.size(), nullptr};
    out_->inputs.push_back(graph_.inputs[i]);
  }
  std::vector<size_t> given;  // positions of the outputs that run() returns
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].kind != Location::absent) continue;
    outputs[i] = {Location::output, given.size(), nullptr};
    given.push_back(i);
  }
  out_->arena = base_;
  const Frame whole = frame(graph_, inputs, outputs, 0);
  QUOIN_CHECK(add_graph(whole));
  for (const size_t i : given) {
    out_->outputs.push_back(graph_.outputs[i]);
    out_->output_locations.push_back(whole.locations[graph_.outputs[i]]);
  }
  out_->longest = out_->length = program::longest(graph_);
  if (out_->longest != 0) keep_ahead(*out_);
  return std::move(out_);
}

}  // namespace

std::string describe(const program::Node& node) {
  return fmt::format("node {} ({}{}{})", node.name, node.op.empty() ? "delegate" : node.op,
                     node.module.empty() ? "" : ", module ", node.module);
}

Status PreparedKernel::prepare(const quoin_graph* graph, uint32_t node, quoin_memory_need& need) {
  auto called = host::call(
      provider_, [&](quoin_error* error) { return kernel_->prepare(host_, graph, node, &state_, &need, error); });
  if (called.ok()) return {};
  called.done.error().where = fmt::format("prepare kernel {}", kernel_->name);
  return std::move(called.done).failure();
}

Status PreparedKernel::run(const quoin_run& run) const {
  auto called = host::call(provider_, [&](quoin_error* error) { return kernel_->run(host_, state_, &run, error); });
  if (called.ok()) return {};
  // What a kernel finds invalid once it runs is in the data: an index out of range.
  if (called.status == QUOIN_INVALID) called.done.error().code = Code::input;
  called.done.error().where = fmt::format("kernel {}", kernel_->name);
  return std::move(called.done).failure();
}

Result<StateLayout> lay_out_states(const program::Model& model) {
  StateLayout out;
  for (const program::Method& method : model.methods)
    for (const program::State& state : method.graph.states) {
      const program::Value& value = method.graph.values[method.graph.inputs[state.input]];
      const auto bytes = static_cast<uint64_t>(byte_size(value.type.dtype, value.type.shape));
      const auto [at, is_new] = out.places.try_emplace(state.name, StateLayout::Place{out.bytes, bytes, &value});
      if (!is_new) continue;
      if (bytes > kMaxMemory - out.bytes) return fail(Code::limit, "states of more than {} bytes", kMaxMemory);
      out.bytes += align_up(bytes, program::kArenaAlignment);
    }
  return out;
}

Result<std::unique_ptr<Bound>> bind(const program::Model& model, size_t method, const StateLayout& states,
                                    const Options& options, const quoin_host& host, Scratch& scratch,
                                    Diagnostics& diagnostics) {
  const program::Method& from = model.methods[method];
  auto bound = Binder(model, from.graph, states, options, host, scratch, diagnostics).run();
  if (!bound && model.methods.size() > 1) return std::move(bound).failure().at("method {}", from.name);
  return bound;
}

}  // namespace quoin::runtime
