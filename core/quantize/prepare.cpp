#include <algorithm>
#include <numeric>

#include "quantize/quantize.hpp"

namespace quoin::quantize {
namespace {

// Annotated places in graph order (inputs of a node, then its outputs), merged into groups.
class Sharing {
 public:
  Sharing(const ir::Graph& graph, const Annotations& annotations) : graph_(graph), annotations_(annotations) {
    for (const ir::NodeId id : graph.order()) {
      const ir::Node& node = graph.node(id);
      for (uint32_t slot = 0; slot < node.inputs.size(); ++slot) add({id, slot, false});
      for (uint32_t slot = 0; slot < node.outputs.size(); ++slot) add({id, slot, true});
    }
    parent_.resize(places_.size());
    std::iota(parent_.begin(), parent_.end(), size_t{0});
  }

  Status merge() {
    for (const ir::Place place : places_) {
      QUOIN_TRY(const Spec* root, root_spec(place));
      const Spec& spec = *annotations_.find(place);
      if (!place.output && spec.implicit_sharing && root->kind != SpecKind::derived)
        QUOIN_CHECK(merge_same_value(place, *root));
      if (spec.kind == SpecKind::shared) unite(spec.sources[0], place);
    }
    return {};
  }

  const std::vector<ir::Place>& places() const { return places_; }
  size_t group_root(ir::Place place) { return find(index_.at(place)); }
  // The spec that a chain of shared specs ends in. Errors (plugin): it ends in an unannotated place or in itself.
  Result<const Spec*> root_spec(ir::Place place) const {
    ir::Place at = place;
    for (size_t steps = 0; steps <= places_.size(); ++steps) {
      const Spec* spec = annotations_.find(at);
      if (spec == nullptr)
        return fail(Code::plugin, "{} shares with {}, which is not annotated", describe(graph_, place),
                    describe(graph_, at));
      if (spec->kind != SpecKind::shared) return spec;
      at = spec->sources[0];
    }
    return fail(Code::plugin, "{}: the chain of shared specs never ends", describe(graph_, place));
  }

 private:
  void add(ir::Place place) {
    if (annotations_.find(place) == nullptr) return;
    index_.emplace(place, places_.size());
    places_.push_back(place);
  }
  // Other places of the value that this input reads share with it when their specs are equal.
  Status merge_same_value(ir::Place place, const Spec& root) {
    const ir::Value& value = graph_.value(value_at(graph_, place));
    std::vector<ir::Place> others;
    for (const ir::Use& use : value.users) others.push_back({use.node, use.slot, false});
    if (value.producer != ir::kNone) others.push_back({value.producer, value.output_index, true});
    for (const ir::Place other : others) {
      if (other == place || !index_.contains(other)) continue;
      QUOIN_TRY(const Spec* found, root_spec(other));
      Spec comparable = *found;
      comparable.implicit_sharing = root.implicit_sharing;
      if (comparable == root) unite(other, place);
    }
    return {};
  }
  size_t find(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void unite(ir::Place a, ir::Place b) {
    const size_t first = find(index_.at(a)), second = find(index_.at(b));
    parent_[std::max(first, second)] = std::min(first, second);
  }

  const ir::Graph& graph_;
  const Annotations& annotations_;
  std::vector<ir::Place> places_;
  std::map<ir::Place, size_t> index_;
  std::vector<size_t> parent_;
};

bool is_weight(const ir::Graph& graph, ir::Place place) {
  if (place.output || !graph.is_constant(value_at(graph, place))) return false;
  const auto& slots = graph.node(place.node).schema->inputs;
  return place.slot < slots.size() && slots[place.slot].name == "weight";
}

// Names the observer where the spec leaves it to the place: minmax for weights and for more than one scale, else the
// recipe's.
void complete_observer(Spec& spec, bool weight, const ObserverDefaults& defaults) {
  if (!spec.observer.empty() || spec.kind != SpecKind::observed) return;
  if (weight || spec.scheme != Scheme::per_tensor) {
    spec.observer = "minmax";
    return;
  }
  spec.observer = defaults.activation;
  spec.observer_params = defaults.params;
}

Status add_observer(const ir::Graph& graph, Group& group, const ObserverDefaults& defaults) {
  complete_observer(group.spec, is_weight(graph, group.places[0]), defaults);
  if (group.spec.kind != SpecKind::observed || group.spec.dynamic) return {};
  auto observer = make_observer(group.spec);
  if (!observer) return std::move(observer).failure().at("{}", describe(graph, group.places[0]));
  group.observer = *std::move(observer);
  return {};
}

Status check_derivations(const ir::Graph& graph, const Prepared& prepared) {
  for (const Group& group : prepared.groups) {
    if (group.spec.kind != SpecKind::derived) continue;
    for (const ir::Place source : group.spec.sources) {
      const auto found = prepared.group_of.find(source);
      const std::string where = describe(graph, group.places[0]);
      if (found == prepared.group_of.end())
        return fail(Code::plugin, "{} is derived from {}, which is not annotated", where, describe(graph, source));
      const Spec& spec = prepared.groups[found->second].spec;
      if (spec.dynamic || spec.kind == SpecKind::derived)
        return fail(Code::plugin, "{} is derived from {}, whose qparams are {}", where, describe(graph, source),
                    spec.dynamic ? "chosen at run time" : "derived, too");
    }
  }
  return {};
}

}  // namespace

Result<Prepared> prepare(const ir::Graph& graph, const Annotations& annotations, const ObserverDefaults& defaults) {
  Sharing sharing(graph, annotations);
  QUOIN_CHECK(sharing.merge());
  Prepared out;
  std::map<size_t, size_t> group_of_root;
  for (const ir::Place place : sharing.places()) {
    const auto [found, fresh] = group_of_root.emplace(sharing.group_root(place), out.groups.size());
    if (fresh) {
      QUOIN_TRY(const Spec* root, sharing.root_spec(place));
      out.groups.push_back({{}, *root, nullptr});
    }
    out.groups[found->second].places.push_back(place);
    out.group_of.emplace(place, found->second);
  }
  for (Group& group : out.groups) QUOIN_CHECK(add_observer(graph, group, defaults));
  QUOIN_CHECK(check_derivations(graph, out));
  return out;
}

}  // namespace quoin::quantize
