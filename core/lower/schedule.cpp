#include "lower/schedule.hpp"

#include <functional>
#include <queue>

namespace quoin::lower {
namespace {

template <class F>
void for_each_producer(const ir::Graph& graph, ir::NodeId node, const F& visit) {
  for (const ir::ValueId input : graph.node(node).inputs)
    if (input != ir::kNone && graph.value(input).producer != ir::kNone) visit(graph.value(input).producer);
}

}  // namespace

std::optional<std::vector<Step>> schedule(const ir::Graph& graph,
                                          std::span<const std::vector<ir::NodeId>* const> claims) {
  std::vector<Step> steps;
  std::vector<uint32_t> step_of(graph.node_capacity(), ir::kNone);
  for (uint32_t c = 0; c < claims.size(); ++c) {
    for (const ir::NodeId node : *claims[c]) step_of[node] = c;
    steps.push_back({{}, c});
  }
  std::vector<uint32_t> key(claims.size());  // a claim runs where its last node stood
  for (uint32_t position = 0; position < graph.order().size(); ++position) {
    const ir::NodeId node = graph.order()[position];
    if (step_of[node] == ir::kNone) {
      step_of[node] = static_cast<uint32_t>(steps.size());
      steps.push_back({});
      key.push_back(position);
    }
    steps[step_of[node]].nodes.push_back(node);
    key[step_of[node]] = position;
  }

  std::vector<std::vector<uint32_t>> followers(steps.size());
  std::vector<uint32_t> waiting(steps.size(), 0);
  for (const ir::NodeId node : graph.order())
    for_each_producer(graph, node, [&](ir::NodeId producer) {
      if (step_of[producer] == step_of[node]) return;
      followers[step_of[producer]].push_back(step_of[node]);
      ++waiting[step_of[node]];
    });
  using Ready = std::pair<uint32_t, uint32_t>;  // key, step
  std::priority_queue<Ready, std::vector<Ready>, std::greater<>> ready;
  for (uint32_t s = 0; s < steps.size(); ++s)
    if (waiting[s] == 0) ready.push({key[s], s});
  std::vector<Step> out;
  while (!ready.empty()) {
    const uint32_t s = ready.top().second;
    ready.pop();
    out.push_back(std::move(steps[s]));
    for (const uint32_t follower : followers[s])
      if (--waiting[follower] == 0) ready.push({key[follower], follower});
  }
  if (out.size() != steps.size()) return std::nullopt;
  return out;
}

ir::NodeId reentry(const ir::Graph& graph, const std::vector<ir::NodeId>& nodes) {
  enum : uint8_t { before, inside, after };
  std::vector<uint8_t> side(graph.node_capacity(), before);
  for (const ir::NodeId node : nodes) side[node] = inside;
  for (const ir::NodeId node : graph.order()) {
    bool follows_inside = false, follows_after = false;
    for_each_producer(graph, node, [&](ir::NodeId producer) {
      follows_inside |= side[producer] == inside;
      follows_after |= side[producer] == after;
    });
    if (side[node] == inside && follows_after) return node;
    if (side[node] == before && (follows_inside || follows_after)) side[node] = after;
  }
  return ir::kNone;
}

}  // namespace quoin::lower
