#include "quantize/fake_quantize.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include "quantize/existing.hpp"
#include "quantize/group_qparams.hpp"
#include "quantize/guard.hpp"
#include "quantize/qdq.hpp"

namespace quoin::quantize {
namespace {

bool observes(FakeMode mode) { return mode == FakeMode::observe || mode == FakeMode::fake_quantize; }
bool rounds(FakeMode mode) { return mode == FakeMode::fake_quantize || mode == FakeMode::freeze; }

// The float graph with a node that renames a value (aten.clone, which costs nothing) wherever a group sees one; readers
// that the group rounds for read the new name. Same places as the quantize nodes of convert().
struct Plan {
  struct Stop {
    size_t group;
    ir::Place place;
  };
  ir::Graph graph;
  std::map<ir::ValueId, Stop> stops;  // by the new name
};

class Planner {
 public:
  Planner(const ir::Graph& graph, const Prepared& prepared, const std::vector<FakeMode>& modes)
      : source_(graph), prepared_(prepared), modes_(modes), plan_{graph, {}}, emit_(plan_.graph) {}

  Result<Plan> run() {
    for (const auto& [place, group] : prepared_.group_of) {
      QUOIN_TRY(const auto existing, existing_spec(source_, place));
      if (existing) existing_.insert(place);
    }
    const auto& order = source_.order();
    for (size_t i = 0; i < order.size(); ++i) {
      const ir::NodeId id = order[i], next = i + 1 < order.size() ? order[i + 1] : ir::kNone;
      for (uint32_t slot = 0; slot < source_.node(id).inputs.size(); ++slot)
        if (const auto group = group_at({id, slot, false})) QUOIN_CHECK(input({id, slot, false}, *group));
      for (uint32_t slot = 0; slot < source_.node(id).outputs.size(); ++slot)
        if (const auto group = group_at({id, slot, true})) QUOIN_CHECK(output({id, slot, true}, *group, next));
    }
    return std::move(plan_);
  }

 private:
  // The group that acts at a place; none where the graph itself quantizes.
  std::optional<size_t> group_at(ir::Place place) const {
    const auto found = prepared_.group_of.find(place);
    if (found == prepared_.group_of.end() || existing_.contains(place)) return std::nullopt;
    return modes_[found->second] == FakeMode::off ? std::nullopt : std::optional(found->second);
  }

  Result<ir::ValueId> stop(ir::ValueId value, size_t group, ir::Place place, ir::NodeId before) {
    QUOIN_TRY(const ir::NodeId node, plan_.graph.add_node("aten.clone.default", {value}, {}, {},
                                                          ir::provenance(source_.node(place.node)), before));
    const ir::ValueId seen = plan_.graph.output(node);
    plan_.stops.emplace(seen, Plan::Stop{group, place});
    return seen;
  }

  Status output(ir::Place place, size_t group, ir::NodeId next) {
    const ir::ValueId value = source_.output(place.node, place.slot);
    QUOIN_TRY(const ir::ValueId seen, stop(value, group, place, next));
    const ir::NodeId own = plan_.graph.value(seen).producer;
    if (rounds(modes_[group]))
      plan_.graph.replace_uses(value, seen, [&](const ir::Use& use) { return use.node != own; });
    return {};
  }

  Status input(ir::Place place, size_t group) {
    const ir::ValueId value = source_.input(place.node, place.slot);
    const ir::Value& origin = source_.value(value);
    if (origin.producer != ir::kNone && group_at({origin.producer, origin.output_index, true}) == group) return {};
    const auto [found, fresh] = seen_.emplace(std::pair(value, group), ir::kNone);
    const ir::ValueId current = plan_.graph.input(place.node, place.slot);
    const Spec& spec = prepared_.groups[group].spec;
    if (fresh) {
      auto made = spec.dynamic ? dynamic(current, spec, group, place.node) : stop(current, group, place, place.node);
      if (!made) return std::move(made).failure().at("{}", describe(source_, place));
      found->second = *made;
    }
    if (rounds(modes_[group])) plan_.graph.set_input(place.node, place.slot, found->second);
    return {};
  }

  // Qparams of this run come from nodes; there is nothing to observe.
  Result<ir::ValueId> dynamic(ir::ValueId value, const Spec& spec, size_t group, ir::NodeId before) {
    if (!rounds(modes_[group])) return value;
    return emit_.dynamic(value, spec, ir::provenance(source_.node(before)), before);
  }

  const ir::Graph& source_;
  const Prepared& prepared_;
  const std::vector<FakeMode>& modes_;
  std::set<ir::Place> existing_;
  Plan plan_;
  Emitter emit_;
  std::map<std::pair<ir::ValueId, size_t>, ir::ValueId> seen_;  // (value, group) -> what its readers see
};

bool only_constants(const ir::Graph& graph, const Group& group) {
  return std::ranges::all_of(group.places, [&](ir::Place place) { return graph.is_constant(value_at(graph, place)); });
}

}  // namespace

Result<Tensor> fake_quantize(const Tensor& tensor, const QParams& qparams) {
  QUOIN_TRY(const Tensor integers, quantize_constant(tensor, qparams));
  return dequantize_constant(integers, qparams);
}

struct FakeQuantized::State {
  const ir::Graph& graph;
  Prepared& prepared;
  const kernels::KernelSet& kernels;
  const quoin_host& host;
  Diagnostics& diagnostics;
  std::vector<FakeMode> modes;                  // by group
  std::vector<std::optional<QParams>> qparams;  // by group; as they are now, empty where nobody asked yet
  std::vector<bool> observing;                  // by group; in this run
  Plan plan;
  std::optional<interpret::Interpreter> interpreter;  // of plan.graph; made when the modes have settled

  Status settle();
  void begin();
  void forget(size_t group);
  Result<const QParams*> current(size_t group);
  Result<Tensor> visit(const Plan::Stop& stop, const Tensor& tensor);
};

// Makes what the modes ask for.
Status FakeQuantized::State::settle() {
  if (interpreter) return {};
  qparams.assign(prepared.groups.size(), std::nullopt);
  if (std::ranges::all_of(modes, [](FakeMode mode) { return mode == FakeMode::freeze; })) {
    QUOIN_TRY(qparams, all_qparams(graph, prepared));
    QUOIN_CHECK(guard_products(graph, prepared, qparams, diagnostics));
  }
  QUOIN_TRY(plan, Planner(graph, prepared, modes).run());
  QUOIN_TRY(interpreter, interpret::Interpreter::create(plan.graph, kernels, host));
  return {};
}

void FakeQuantized::State::begin() {
  for (size_t i = 0; i < modes.size(); ++i) {
    const Group& group = prepared.groups[i];
    const bool done = group.observer && group.observer->seen() && only_constants(graph, group);
    observing[i] = group.observer && observes(modes[i]) && !done;
  }
}

// The observer's range moved: qparams made of it are out of date.
void FakeQuantized::State::forget(size_t group) {
  qparams[group].reset();
  for (size_t i = 0; i < qparams.size(); ++i)
    if (prepared.groups[i].spec.kind == SpecKind::derived) qparams[i].reset();
}

Result<const QParams*> FakeQuantized::State::current(size_t group) {
  if (!qparams[group]) {
    const Spec& spec = prepared.groups[group].spec;
    if (spec.kind == SpecKind::derived)
      for (const ir::Place source : spec.sources) QUOIN_CHECK(current(prepared.group_of.at(source)));
    QUOIN_TRY(qparams[group], group_qparams(graph, prepared, group, qparams));
  }
  return &*qparams[group];
}

Result<Tensor> FakeQuantized::State::visit(const Plan::Stop& stop, const Tensor& tensor) {
  if (observing[stop.group]) {
    Observer& observer = *prepared.groups[stop.group].observer;
    observer.use(&host);
    const Status observed = observer.observe(tensor);
    observer.use(nullptr);
    QUOIN_CHECK(observed);
    forget(stop.group);
  }
  if (!rounds(modes[stop.group])) return tensor;
  QUOIN_TRY(const QParams* now, current(stop.group));
  return fake_quantize(tensor, *now);
}

FakeQuantized::FakeQuantized(std::unique_ptr<State> state) : state_(std::move(state)) {}
FakeQuantized::FakeQuantized(FakeQuantized&&) noexcept = default;
FakeQuantized& FakeQuantized::operator=(FakeQuantized&&) noexcept = default;
FakeQuantized::~FakeQuantized() = default;

Result<FakeQuantized> FakeQuantized::create(const ir::Graph& graph, Prepared& prepared,
                                            const kernels::KernelSet& kernels, const quoin_host& host,
                                            Diagnostics& diagnostics) {
  const size_t groups = prepared.groups.size();
  FakeQuantized out(std::unique_ptr<State>(new State{graph,
                                                     prepared,
                                                     kernels,
                                                     host,
                                                     diagnostics,
                                                     std::vector(groups, FakeMode::observe),
                                                     {},
                                                     std::vector<bool>(groups),
                                                     {},
                                                     {}}));
  QUOIN_CHECK(out.state_->settle());
  return out;
}

void FakeQuantized::set(FakeMode mode) {
  std::ranges::fill(state_->modes, mode);
  state_->interpreter.reset();
}
void FakeQuantized::set(size_t group, FakeMode mode) {
  state_->modes[group] = mode;
  state_->interpreter.reset();
}
FakeMode FakeQuantized::mode(size_t group) const { return state_->modes[group]; }

Result<std::vector<Tensor>> FakeQuantized::run(std::span<const Tensor> inputs) {
  State& state = *state_;
  QUOIN_CHECK(state.settle());
  state.begin();
  return state.interpreter->run(inputs, {}, [&](ir::ValueId value, const Tensor& tensor) -> Result<Tensor> {
    const auto stop = state.plan.stops.find(value);
    if (stop == state.plan.stops.end()) return tensor;
    auto seen = state.visit(stop->second, tensor);
    if (!seen) return std::move(seen).failure().at("{}", describe(state.graph, stop->second.place));
    return seen;
  });
}

}  // namespace quoin::quantize
