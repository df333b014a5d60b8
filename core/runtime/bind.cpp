#include "runtime/bind.hpp"

#include <algorithm>

#include "base/checked.hpp"
#include "ops/schema.hpp"
#include "program/view/length.hpp"
#include "program/view/lifetime.hpp"
#include "runtime/delegate.hpp"
#include "runtime/graph_view.hpp"

namespace quoin::runtime {
namespace {

constexpr uint64_t kMaxMemory = uint64_t{1} << 48;  // bytes of an arena

// One graph on its way to steps: where each of its values lies.
struct Frame {
  const Source* source;
  std::span<Location> locations;
  std::span<bool> in_arena;
  uint32_t delegate;  // whose original this is
};

// Whether it is among run()'s inputs and outputs.
bool is_of_run(const Location& at) { return at.kind == Location::input || at.kind == Location::output; }

class Binder {
 public:
  Binder(const view::Program& program, const view::Method& of, Setting& setting, const quoin_host& host, Arena& arena,
         Scratch& scratch, Method& out, Fault& fault)
      : program_(program),
        graph_(of.graph()),
        setting_(setting),
        host_(host),
        arena_(arena),
        scratch_(scratch),
        out_(out),
        fault_(fault) {
    out.of = &of;
  }
  bool run();

 private:
  bool check_arena(const view::Graph& graph) {
    return graph.arena_size <= kMaxMemory || fault_.fail(Code::limit, "an arena of {} bytes", graph.arena_size);
  }
  bool make_frame(const view::Graph& graph, std::span<const Location> inputs, std::span<const Location> outputs,
                  uint64_t base, Frame& frame);
  bool list(std::span<const Location> places, const view::List<uint32_t>& ids, std::span<uint32_t>& out);
  bool place_states(std::span<Location> inputs, std::span<Location> outputs);
  bool add_graph(const Frame& frame);
  bool make_step(const Frame& frame, uint32_t index, Step*& step);
  bool bind_tensor(const Frame& frame, uint32_t id, quoin_tensor& tensor, Location& location);
  bool add_kernel(const Frame& frame, uint32_t index);
  bool add_call(const Frame& frame, uint32_t index);
  bool add_original(const Frame& outer, const view::Node& node);
  bool keep(Step* step);
  bool find_patches();
  bool describe_outputs(const Frame& whole);

  const view::Program& program_;
  const view::Graph& graph_;
  Setting& setting_;
  const quoin_host& host_;
  Arena& arena_;
  Scratch& scratch_;
  Method& out_;
  Fault& fault_;
  Step** end_ = &out_.steps;  // where the next step goes
  uint64_t base_ = 0;         // bytes of the arena that the method itself takes
};

bool Binder::make_frame(const view::Graph& graph, std::span<const Location> inputs, std::span<const Location> outputs,
                        uint64_t base, Frame& frame) {
  std::span<Source> source;
  std::span<bool> is_result;
  if (!arena_.make(1, source, fault_) || !arena_.make(graph.values.size, frame.locations, fault_) ||
      !arena_.make(graph.values.size, is_result, fault_) ||
      (kHasOperators && !view::in_arena(graph, arena_, frame.in_arena, fault_)))
    return false;
  source[0] = {&graph, kHasOperators ? new GraphView(graph) : nullptr, out_.sources};
  out_.sources = &source[0];
  frame.source = &source[0];
  frame.delegate = QUOIN_NONE;
  for (size_t i = 0; i < graph.values.size; ++i) {
    const view::Value& value = graph.values[i];
    frame.locations[i] = value.constant != nullptr
                             ? Location{Location::constant, reinterpret_cast<uintptr_t>(value.constant)}
                             : Location{Location::arena, base + value.offset};
  }
  for (size_t i = 0; i < inputs.size(); ++i) frame.locations[graph.inputs[i]] = inputs[i];
  for (const view::Node& node : graph.nodes)
    for (const uint32_t id : node.outputs) is_result[id] = true;
  // An output that is an input or a constant, or that is listed twice, is not computed: it stays where it is.
  for (size_t i = outputs.size(); i-- > 0;)
    if (is_result[graph.outputs[i]]) frame.locations[graph.outputs[i]] = outputs[i];
  return true;
}

bool Binder::bind_tensor(const Frame& frame, uint32_t id, quoin_tensor& tensor, Location& location) {
  if (id == QUOIN_NONE) return true;
  const view::Value& value = frame.source->graph->values[id];
  std::span<int64_t> dims;
  if (!arena_.make(value.shape.size, dims, fault_)) return false;
  std::ranges::copy(value.shape, dims.begin());
  location = frame.locations[id];
  tensor = {static_cast<quoin_dtype>(value.dtype),
            static_cast<uint32_t>(dims.size()),
            dims.data(),
            nullptr,
            value.bytes,
            value.abi_qparams()};
  return true;
}

bool Binder::make_step(const Frame& frame, uint32_t index, Step*& step) {
  const view::Graph& graph = *frame.source->graph;
  const view::Node& node = graph.nodes[index];
  std::span<Step> made;
  const uint64_t inputs = node.inputs.size, all = inputs + node.outputs.size;
  if (!arena_.make(1, made, fault_) || !arena_.make(all, made[0].tensors, fault_) ||
      !arena_.make(all, made[0].locations, fault_))
    return false;
  step = made.data();
  step->node = &node;
  step->source = frame.source;
  step->index = index;
  step->dynamic = view::follows_length(graph, node);
  step->delegate = node.is_call() ? node.delegate : frame.delegate;
  step->inputs = static_cast<uint32_t>(inputs);
  for (uint64_t i = 0; i < all; ++i)
    if (!bind_tensor(frame, step->value_id(i), step->tensors[i], step->locations[i])) return false;
  return true;
}

bool Binder::keep(Step* step) {
  *end_ = step;
  end_ = &step->next;
  return true;
}

bool Binder::add_kernel(const Frame& frame, uint32_t index) {
  const view::Graph& graph = *frame.source->graph;
  Step* step = nullptr;
  if (!make_step(frame, index, step)) return false;
  const bool renames = step->inputs != 0 &&
                       view::sharing(graph, *step->node, 0, frame.in_arena) == view::Sharing::view &&
                       step->locations[0] == step->locations[step->inputs];
  if (!renames && prepare_kernel(*step, setting_.kernels, host_, scratch_, fault_)) return keep(step);
  close(*step);
  return renames;
}

bool Binder::add_call(const Frame& frame, uint32_t index) {
  const view::Node& node = frame.source->graph->nodes[index];
  const view::Delegate& delegate = program_.delegates[node.delegate];
  Step* step = nullptr;
  if (!make_step(frame, index, step)) return false;
  quoin_memory_need memory{};
  memory.struct_size = sizeof memory;
  Outcome ready = load_delegate(delegate, setting_, host_, *step, fault_);
  if (ready == Outcome::done) ready = plan_delegate(*step, view::longest(graph_), memory, fault_);
  if (ready == Outcome::done && scratch_.add(memory, fault_)) return keep(step);
  close(*step);
  return ready == Outcome::unable && fall_back(delegate, node.delegate, setting_, fault_) &&
         (!kHasOperators || add_original(frame, node));
}

// Its inputs and outputs are those of the call; its intermediates lie behind everything that the method itself needs.
bool Binder::add_original(const Frame& outer, const view::Node& node) {
  const view::Graph& original = program_.delegates[node.delegate].originals[0];
  std::span<Location> inputs, outputs;
  if (!check_arena(original)) return false;
  if (!arena_.make(node.inputs.size, inputs, fault_) || !arena_.make(node.outputs.size, outputs, fault_)) return false;
  for (size_t i = 0; i < inputs.size(); ++i) inputs[i] = outer.locations[node.inputs[i]];
  for (size_t i = 0; i < outputs.size(); ++i) outputs[i] = outer.locations[node.outputs[i]];
  Frame inner;
  if (!make_frame(original, inputs, outputs, base_, inner)) return false;
  inner.delegate = node.delegate;
  out_.arena = std::max(out_.arena, base_ + original.arena_size);
  return add_graph(inner);
}

bool Binder::add_graph(const Frame& frame) {
  for (uint32_t i = 0; i < frame.source->graph->nodes.size; ++i) {
    const view::Node& node = frame.source->graph->nodes[i];
    const bool added = node.is_call() ? add_call(frame, i) : kHasOperators && add_kernel(frame, i);
    if (!added) return at_node(node, fault_);
  }
  return true;
}

// A state that is not updated in place gets its new content behind the arena, from where it is moved after the run.
bool Binder::place_states(std::span<Location> inputs, std::span<Location> outputs) {
  if (!arena_.make(graph_.states.size, out_.copies, fault_)) return false;
  size_t copies = 0;
  for (const view::State& state : graph_.states) {
    const view::Buffer& buffer = program_.buffers[state.buffer];
    const Location here{Location::state, buffer.offset};
    inputs[state.input] = outputs[state.output] = here;
    if (state.in_place != 0 || graph_.inputs[state.input] == graph_.outputs[state.output]) continue;
    outputs[state.output] = {Location::arena, base_};
    out_.copies[copies++] = {base_, buffer.offset, buffer.value->bytes};
    base_ += align_up(buffer.value->bytes, view::kArenaAlignment);
  }
  out_.copies = out_.copies.first(copies);
  return true;
}

// The ids whose places are of run()'s lists.
bool Binder::list(std::span<const Location> places, const view::List<uint32_t>& ids, std::span<uint32_t>& out) {
  if (!arena_.make(ids.size, out, fault_)) return false;
  size_t count = 0;
  for (size_t i = 0; i < places.size(); ++i)
    if (is_of_run(places[i])) out[count++] = ids[i];
  out = out.first(count);
  return true;
}

bool Binder::find_patches() {
  size_t most = 0, count = 0;
  for (const Step* step = out_.steps; step != nullptr; step = step->next) most += step->tensors.size();
  if (!arena_.make(most, out_.patches, fault_)) return false;
  for (const Step* step = out_.steps; step != nullptr; step = step->next)
    for (size_t i = 0; i < step->tensors.size(); ++i)
      if (is_of_run(step->locations[i])) out_.patches[count++] = {&step->tensors[i], step->locations[i]};
  out_.patches = out_.patches.first(count);
  return true;
}

bool Binder::describe_outputs(const Frame& whole) {
  const size_t count = out_.outputs.size();
  if (!arena_.make(count, out_.output_locations, fault_) || !arena_.make(count, out_.output_dims, fault_)) return false;
  for (size_t i = 0; i < count; ++i) {
    const view::List<int64_t>& shape = out_.output(i).shape;
    std::span<int64_t> dims;
    if (!arena_.make(shape.size, dims, fault_)) return false;
    std::ranges::copy(shape, dims.begin());
    out_.output_dims[i] = dims.data();
    out_.output_locations[i] = whole.locations[out_.outputs[i]];
  }
  return true;
}

bool Binder::run() {
  if (!check_arena(graph_)) return false;
  base_ = graph_.arena_size;
  std::span<Location> inputs, outputs;
  if (!arena_.make(graph_.inputs.size, inputs, fault_) || !arena_.make(graph_.outputs.size, outputs, fault_))
    return false;
  if (!place_states(inputs, outputs)) return false;
  uint64_t given = 0, made = 0;
  for (Location& at : inputs)
    if (at.kind == Location::absent) at = {Location::input, given++};
  for (Location& at : outputs)
    if (at.kind == Location::absent) at = {Location::output, made++};
  out_.arena = base_;
  Frame whole;
  if (!list(inputs, graph_.inputs, out_.inputs) || !list(outputs, graph_.outputs, out_.outputs) ||
      !make_frame(graph_, inputs, outputs, 0, whole) || !add_graph(whole) || !describe_outputs(whole) ||
      !find_patches())
    return false;
  out_.longest = out_.length = view::longest(graph_);
  if (kHasOperators && out_.longest != 0) keep_ahead(out_);
  return true;
}

}  // namespace

bool bind(const view::Program& program, size_t index, Setting& setting, const quoin_host& host, Arena& arena,
          Scratch& scratch, Method& method, Fault& fault) {
  const view::Method& of = program.methods[index];
  if (Binder(program, of, setting, host, arena, scratch, method, fault).run()) return true;
  return program.methods.size > 1 && fault.at("method {}", of.name);
}

}  // namespace quoin::runtime
