#include "runtime/bind.hpp"

#include <algorithm>
#include <bit>

#include "program/lifetime.hpp"

namespace quoin::runtime {
namespace {

constexpr uint64_t kMaxScratch = uint64_t{1} << 40;
constexpr uint64_t kMaxScratchAlignment = 4096;

// One graph on its way to steps: where each of its values lies.
struct Frame {
  const program::Graph& graph;
  const GraphView& view;
  std::vector<Location> locations;
  std::vector<bool> in_arena;
  uint32_t delegate = program::kNone;  // whose original this is
};

class Binder {
 public:
  Binder(const program::Model& model, const Options& options, const quoin_host& host, Diagnostics& diagnostics)
      : model_(model), options_(options), host_(host), diagnostics_(diagnostics) {}
  Result<Bound> run();

 private:
  Frame frame(const program::Graph& graph, std::vector<Location> inputs, std::vector<Location> outputs, uint64_t base);
  Status add_graph(const Frame& frame);
  Step make_step(const Frame& frame, const program::Node& node) const;
  Status add_kernel(const Frame& frame, size_t index);
  Status add_call(const Frame& frame, const program::Node& node);
  Status add_original(const Frame& outer, const program::Node& node);
  Status need(const quoin_memory_need& need);

  const program::Model& model_;
  const Options& options_;
  const quoin_host& host_;
  Diagnostics& diagnostics_;
  Bound out_;
};

Frame Binder::frame(const program::Graph& graph, std::vector<Location> inputs, std::vector<Location> outputs,
                    uint64_t base) {
  const GraphView& view = out_.views.emplace_back(graph);
  Frame frame{graph, view, std::vector<Location>(graph.values.size()), program::in_arena(graph)};
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

Step Binder::make_step(const Frame& frame, const program::Node& node) const {
  Step step;
  step.node = &node;
  step.delegate = node.op.empty() ? node.delegate : frame.delegate;
  step.inputs = static_cast<uint32_t>(node.inputs.size());
  std::vector<uint32_t> ids = node.inputs;
  ids.insert(ids.end(), node.outputs.begin(), node.outputs.end());
  for (const uint32_t id : ids) step.dims.push_back(id == program::kNone ? Shape() : frame.graph.values[id].type.shape);
  for (size_t i = 0; i < ids.size(); ++i) {
    step.tensors.push_back({});
    step.locations.push_back({});
    if (ids[i] == program::kNone) continue;
    const TensorType& type = frame.graph.values[ids[i]].type;
    step.locations.back() = frame.locations[ids[i]];
    step.tensors.back() = {static_cast<quoin_dtype>(type.dtype),
                           static_cast<uint32_t>(type.shape.size()),
                           step.dims[i].data(),
                           nullptr,
                           static_cast<uint64_t>(byte_size(type.dtype, type.shape)),
                           frame.view.qparams(ids[i])};
  }
  return step;
}

Status Binder::need(const quoin_memory_need& need) {
  const uint64_t alignment = need.alignment == 0 ? 64 : need.alignment;
  if (!std::has_single_bit(alignment) || alignment > kMaxScratchAlignment)
    return fail(Code::plugin, "asks for scratch memory aligned to {} bytes", alignment);
  if (need.scratch > kMaxScratch) return fail(Code::limit, "asks for {} bytes of scratch memory", need.scratch);
  out_.scratch = std::max(out_.scratch, need.scratch);
  out_.scratch_alignment = std::max(out_.scratch_alignment, alignment);
  return {};
}

Status Binder::add_kernel(const Frame& frame, size_t index) {
  const program::Node& node = frame.graph.nodes[index];
  Step step = make_step(frame, node);
  if (program::is_free_view(frame.graph, node, frame.in_arena) && step.locations[0] == step.locations[step.inputs])
    return {};
  if (options_.kernels == nullptr) return fail(Code::internal, "no kernels were given to run it");
  const uint32_t id = frame.view.node(index);
  QUOIN_TRY(kernels::Choice choice, options_.kernels->select(frame.view.graph(), id, host_.isa));
  step.kernel.emplace(std::move(choice), host_);
  quoin_memory_need memory{};
  memory.struct_size = sizeof memory;
  QUOIN_CHECK(step.kernel->prepare(frame.view.graph(), id, memory));
  QUOIN_CHECK(need(memory));
  out_.steps.push_back(std::move(step));
  return {};
}

Status Binder::add_call(const Frame& frame, const program::Node& node) {
  const program::Delegate& delegate = model_.delegates[node.delegate];
  QUOIN_TRY(LoadAttempt attempt, load_delegate(delegate, options_, host_));
  if (attempt.loaded) {
    Step step = make_step(frame, node);
    step.loaded.emplace(*std::move(attempt.loaded));
    quoin_memory_need memory{};
    memory.struct_size = sizeof memory;
    QUOIN_TRY(attempt.reason, plan_delegate(step, memory));
    if (attempt.reason.empty()) {
      QUOIN_CHECK(need(memory));
      out_.steps.push_back(std::move(step));
      return {};
    }
  }
  QUOIN_CHECK(fall_back(delegate, node.delegate, attempt.reason, options_, diagnostics_));
  return add_original(frame, node);
}

// Its inputs and outputs are those of the call; its intermediates lie behind the arena of the program.
Status Binder::add_original(const Frame& outer, const program::Node& node) {
  const auto at = [&](const std::vector<uint32_t>& ids) {
    std::vector<Location> out;
    for (const uint32_t id : ids) out.push_back(outer.locations[id]);
    return out;
  };
  const program::Graph& original = *model_.delegates[node.delegate].original;
  Frame inner = frame(original, at(node.inputs), at(node.outputs), model_.graph.arena_size);
  inner.delegate = node.delegate;
  out_.arena = std::max(out_.arena, model_.graph.arena_size + original.arena_size);
  return add_graph(inner);
}

Status Binder::add_graph(const Frame& frame) {
  for (size_t i = 0; i < frame.graph.nodes.size(); ++i) {
    const program::Node& node = frame.graph.nodes[i];
    auto added = node.op.empty() ? add_call(frame, node) : add_kernel(frame, i);
    if (!added) return fail(in(describe(node), std::move(added).error()));
  }
  return {};
}

Result<Bound> Binder::run() {
  const program::Graph& graph = model_.graph;
  std::vector<Location> inputs, outputs;
  for (size_t i = 0; i < graph.inputs.size(); ++i) inputs.push_back({Location::input, i, nullptr});
  for (size_t i = 0; i < graph.outputs.size(); ++i) outputs.push_back({Location::output, i, nullptr});
  const Frame whole = frame(graph, inputs, outputs, 0);
  out_.arena = graph.arena_size;
  QUOIN_CHECK(add_graph(whole));
  for (const uint32_t id : graph.outputs) out_.outputs.push_back(whole.locations[id]);
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
  called.error.where = fmt::format("prepare kernel {}", kernel_->name);
  return fail(std::move(called.error));
}

Status PreparedKernel::run(const quoin_run& run) const {
  auto called = host::call(provider_, [&](quoin_error* error) { return kernel_->run(host_, state_, &run, error); });
  if (called.ok()) return {};
  // What a kernel finds invalid once it runs is in the data: an index out of range.
  if (called.status == QUOIN_INVALID) called.error.code = Code::input;
  called.error.where = fmt::format("kernel {}", kernel_->name);
  return fail(std::move(called.error));
}

Result<Bound> bind(const program::Model& model, const Options& options, const quoin_host& host,
                   Diagnostics& diagnostics) {
  return Binder(model, options, host, diagnostics).run();
}

}  // namespace quoin::runtime
