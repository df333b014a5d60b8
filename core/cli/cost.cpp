#include "cli/cost.hpp"

#include "lower/placement.hpp"
#include "program/length.hpp"

namespace quoin::cli {
namespace {

// An id may stand for a product and the conversions that were put around it, and for what a pass made of one node.
class Known {
 public:
  Known(const program::Model& model, size_t method, int64_t length) {
    const program::Graph& graph = model.methods[method].graph;
    add(graph, length);
    for (const program::Node& call : graph.nodes) {
      if (!call.op.empty()) continue;
      const program::Delegate& delegate = model.delegates[call.delegate];
      if (length == program::longest(graph))
        for (size_t i = 0; i < delegate.macs.size(); ++i)
          if (delegate.macs[i] > 0) products_[delegate.debug_ids[i]] = {delegate.macs[i], 0};
      if (delegate.original) add(*delegate.original, length);
    }
  }
  const Cost* product(uint64_t id) const { return find(products_, id); }
  // Bytes of the one node that `op` can be, or 0.
  uint64_t bytes(uint64_t id, const std::string& op) const {
    const Lone* lone = find(converts(op) ? conversions_ : others_, id);
    return lone == nullptr || lone->nodes != 1 ? 0 : lone->bytes;
  }

 private:
  struct Lone {
    size_t nodes = 0;
    uint64_t bytes = 0;
  };
  template <class T>
  static const T* find(const std::map<uint64_t, T>& in, uint64_t id) {
    const auto found = in.find(id);
    return found == in.end() ? nullptr : &found->second;
  }
  void add(const program::Graph& graph, int64_t length);

  std::map<uint64_t, Cost> products_;
  std::map<uint64_t, Lone> conversions_, others_;
};

uint64_t bytes_of(const program::Graph& graph, const program::Node& node, int64_t length) {
  uint64_t out = 0;
  for (const auto* list : {&node.inputs, &node.outputs})
    for (const uint32_t id : *list) {
      if (id == program::kNone) continue;
      const TensorType type = program::type_at(graph.values[id], length);
      out += static_cast<uint64_t>(byte_size(type.dtype, type.shape));
    }
  return out;
}

void Known::add(const program::Graph& graph, int64_t length) {
  for (const program::Node& node : graph.nodes) {
    if (node.op.empty()) continue;
    const uint64_t bytes = bytes_of(graph, node, length);
    if (const int64_t macs = lower::macs(graph, node, length); macs > 0) {
      products_[node.debug_id] = {static_cast<uint64_t>(macs), bytes};
      continue;
    }
    Lone& lone = (converts(node.op) ? conversions_ : others_)[node.debug_id];
    lone = {lone.nodes + 1, bytes};
  }
}

// The length of the run, or that of the longest one where nothing follows it.
int64_t length_of(const program::Graph& graph, std::span<const Tensor> inputs) {
  size_t next = 0;
  for (size_t i = 0; i < graph.inputs.size() && next < inputs.size(); ++i) {
    if (std::ranges::any_of(graph.states, [&](const program::State& state) { return state.input == i; })) continue;
    const program::Value& value = graph.values[graph.inputs[i]];
    const Shape& shape = inputs[next++].shape();
    for (size_t dim = 0; dim < shape.size(); ++dim)
      if ((value.dynamic >> dim & 1) != 0) return shape[dim];
  }
  return program::longest(graph);
}

// Of events with one debug id, the longest one that converts nothing is the product.
std::map<uint64_t, size_t> products(const std::vector<runtime::Event>& events, const Known& known) {
  std::map<uint64_t, size_t> out;
  for (size_t i = 0; i < events.size(); ++i) {
    const runtime::Event& event = events[i];
    if (event.op == "delegate" || converts(event.op) || known.product(event.debug_id) == nullptr) continue;
    const auto [at, is_new] = out.try_emplace(event.debug_id, i);
    if (!is_new && us_of(event) > us_of(events[at->second])) at->second = i;
  }
  return out;
}

}  // namespace

bool converts(std::string_view op) {
  return op.find("quantize") != std::string_view::npos || op.find("choose_qparams") != std::string_view::npos;
}

std::vector<Cost> costs_of(const program::Model& model, size_t method, std::span<const Tensor> inputs,
                           const std::vector<runtime::Event>& events) {
  const Known known(model, method, length_of(model.methods[method].graph, inputs));
  std::vector<Cost> out;
  for (const runtime::Event& event : events) {
    const bool lookup = event.bytes == 0 && event.op != "delegate";
    out.push_back({0, lookup ? known.bytes(event.debug_id, event.op) : event.bytes});
  }
  for (const auto& [id, i] : products(events, known)) {
    out[i].macs = known.product(id)->macs;
    if (events[i].bytes == 0) out[i].bytes = known.product(id)->bytes;
  }
  return out;
}

}  // namespace quoin::cli
