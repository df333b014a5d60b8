#include "lower/partition.hpp"

#include <algorithm>
#include <exception>
#include <iterator>
#include <limits>

#include "base/text.hpp"
#include "host/call_result.hpp"
#include "ir/snapshot.hpp"
#include "lower/schedule.hpp"

namespace quoin::lower {
namespace {

std::string names(const ir::Graph& graph, const std::vector<ir::NodeId>& nodes) {
  constexpr size_t kShown = 8;
  std::vector<std::string> out;
  for (size_t i = 0; i < std::min(nodes.size(), kShown); ++i) out.push_back(graph.node(nodes[i]).name);
  if (nodes.size() > kShown) out.push_back(fmt::format("{} more", nodes.size() - kShown));
  return join(out, ", ");
}

// Answers one plugin's callbacks during partition().
class Asking {
 public:
  Asking(const ir::Graph& graph, std::shared_ptr<host::Backend> backend, const std::vector<ir::NodeId>& ids,
         bool sees_paths, Partition& partition)
      : graph_(graph),
        backend_(std::move(backend)),
        ids_(ids),
        partition_(partition),
        sees_paths_(sees_paths),
        position_(graph.node_capacity(), 0),
        claimed_(graph.node_capacity(), false) {
    for (uint32_t i = 0; i < ids.size(); ++i) position_[ids[i]] = i;
  }

  quoin_claims table() {
    return {
        sizeof(quoin_claims), 0, this,
        [](void* self, const uint32_t* nodes, uint32_t count, quoin_str tag) {
          return static_cast<Asking*>(self)->guarded_claim({nodes, count}, tag);
        },
        [](void* self, uint32_t node, quoin_str reason) { static_cast<Asking*>(self)->guarded_decline(node, reason); }};
  }
  // A claim surrounds nodes of earlier plugins: the paths through them were hidden from this one.
  bool surrounds() const { return surrounds_; }
  // The first claim that the plugin should not have made.
  Status fault() const {
    if (fault_.empty()) return {};
    return fail(Code::plugin, "{}", fault_).at("plugin {}", backend_->name()).hint("report it to the plugin's author");
  }

 private:
  // Nothing may throw into the plugin.
  quoin_status guarded_claim(std::span<const uint32_t> nodes, quoin_str tag) noexcept try {
    return claim(nodes, tag);
  } catch (const std::exception&) {
    return QUOIN_OUT_OF_MEMORY;
  }
  void guarded_decline(uint32_t node, quoin_str reason) noexcept try {
    decline(node, reason);
  } catch (const std::exception&) {
    return;  // a lost reason is reported as "gave no reason"
  }

  quoin_status claim(std::span<const uint32_t> nodes, quoin_str tag);
  void decline(uint32_t node, quoin_str reason);
  std::string circle(const std::vector<ir::NodeId>& nodes) const;
  bool fits(const Claim& claim) const;
  quoin_status refuse(std::string why) {
    if (fault_.empty()) fault_ = std::move(why);
    return QUOIN_INVALID;
  }

  const ir::Graph& graph_;
  std::shared_ptr<host::Backend> backend_;
  const std::vector<ir::NodeId>& ids_;  // snapshot node -> graph node
  Partition& partition_;
  bool sees_paths_;  // every path between two of its nodes is in what it sees
  bool surrounds_ = false;
  std::vector<uint32_t> position_;  // graph node -> snapshot node
  std::vector<bool> claimed_;       // graph nodes that this plugin claimed
  std::string fault_;
};

quoin_status Asking::claim(std::span<const uint32_t> nodes, quoin_str tag) {
  if (nodes.empty() || nodes.data() == nullptr) return refuse("claims no nodes");
  Claim claim{backend_, {}, std::string(tag.data == nullptr ? "" : tag.data, tag.data == nullptr ? 0 : tag.size)};
  for (const uint32_t node : nodes) {
    if (node >= ids_.size()) return refuse(fmt::format("claims node {} of a graph with {}", node, ids_.size()));
    claim.nodes.push_back(ids_[node]);
  }
  std::sort(claim.nodes.begin(), claim.nodes.end(), [&](auto a, auto b) { return position_[a] < position_[b]; });
  if (const auto twice = std::adjacent_find(claim.nodes.begin(), claim.nodes.end()); twice != claim.nodes.end())
    return refuse(fmt::format("claims {} twice in one claim", graph_.describe(*twice)));
  const auto again = std::find_if(claim.nodes.begin(), claim.nodes.end(), [&](auto node) { return claimed_[node]; });
  if (again != claim.nodes.end()) return refuse(fmt::format("claims {} in two claims", graph_.describe(*again)));
  if (!fits(claim)) {
    if (sees_paths_) return refuse(circle(claim.nodes));
    surrounds_ = true;
    return QUOIN_OK;
  }
  for (const ir::NodeId node : claim.nodes) claimed_[node] = true;
  partition_.claims.push_back(std::move(claim));
  return QUOIN_OK;
}

std::string Asking::circle(const std::vector<ir::NodeId>& nodes) const {
  const ir::NodeId back = reentry(graph_, nodes);
  if (back != ir::kNone)
    return fmt::format("claims [{}], which is not convex: a value leaves the claim and comes back at {}",
                       names(graph_, nodes), graph_.describe(back));
  return fmt::format("claims [{}], which depends in a circle on another of its claims", names(graph_, nodes));
}

bool Asking::fits(const Claim& claim) const {
  auto lists = node_lists(partition_.claims);
  lists.push_back(&claim.nodes);
  return schedule(graph_, lists).has_value();
}

void Asking::decline(uint32_t node, quoin_str reason) {
  if (node >= ids_.size()) {
    refuse(fmt::format("declines node {} of a graph with {}", node, ids_.size()));
    return;
  }
  constexpr uint64_t kLongest = 1024;
  const std::string text(reason.data == nullptr ? "" : reason.data,
                         reason.data == nullptr ? 0 : std::min(reason.size, kLongest));
  partition_.reasons[ids_[node]].push_back(backend_->name() + ": " + (text.empty() ? "gave no reason" : text));
}

// One call of partition() about `nodes` (topological). False: a claim surrounds nodes of earlier plugins.
Result<bool> ask_about(const ir::Graph& graph, const std::vector<ir::NodeId>& nodes, bool sees_paths,
                       const std::shared_ptr<host::Backend>& backend, const Options& options, Partition& partition) {
  const bool whole = nodes.size() == graph.order().size();
  const ir::Snapshot snapshot =
      whole ? ir::Snapshot::of(graph, ir::Dims::marked) : ir::Snapshot::of(graph, nodes, ir::Dims::marked);
  Asking asking(graph, backend, snapshot.node_ids(), sees_paths, partition);
  const quoin_lower_request request{
      sizeof request,
      0,
      snapshot.view(),
      {options.params.data(), static_cast<uint32_t>(options.params.size()), sizeof(quoin_param)},
      options.isa};
  const quoin_claims claims = asking.table();
  auto called = host::call(backend->name(), [&](quoin_error* error) {
    return backend->table().compiler->partition(backend->handle(), &request, &claims, error);
  });
  QUOIN_CHECK(asking.fault());
  if (!called.ok()) return std::move(called.done).failure().at("partition");
  return !asking.surrounds();
}

// Nodes that nobody claimed, by how many claims lie on the longest way to them. No path between two nodes of one level
// leads through a claim, so a set that is convex inside its level is convex in the whole graph.
std::vector<std::vector<ir::NodeId>> free_levels(const ir::Graph& graph, const std::vector<Claim>& claims) {
  constexpr size_t kClaimed = std::numeric_limits<size_t>::max();
  std::vector<size_t> level_of(graph.node_capacity(), kClaimed);
  std::vector<size_t> behind(graph.node_capacity(), 0);  // level of what reads the node's results
  size_t count = 0;
  const auto steps = schedule(graph, node_lists(claims));  // claims fit, or they would not be there
  for (const Step& step : *steps) {
    size_t level = 0;
    for (const ir::NodeId node : step.nodes)
      for (const ir::ValueId input : graph.node(node).inputs)
        if (input != ir::kNone && graph.value(input).producer != ir::kNone)
          level = std::max(level, behind[graph.value(input).producer]);
    const bool claimed = step.claim != ir::kNone;
    for (const ir::NodeId node : step.nodes) behind[node] = claimed ? level + 1 : level;
    if (!claimed) level_of[step.nodes.front()] = level;
    count = std::max(count, level + 1);
  }
  std::vector<std::vector<ir::NodeId>> levels(count);
  for (const ir::NodeId node : graph.order())
    if (level_of[node] != kClaimed) levels[level_of[node]].push_back(node);
  return levels;
}

// First about all free nodes at once. Where a claim among them would surround nodes of earlier plugins, level by level.
Status ask(const ir::Graph& graph, const std::shared_ptr<host::Backend>& backend, const Options& options,
           Partition& partition) {
  std::vector<bool> claimed(graph.node_capacity(), false);
  for (const Claim& claim : partition.claims)
    for (const ir::NodeId node : claim.nodes) claimed[node] = true;
  std::vector<ir::NodeId> free;
  std::ranges::copy_if(graph.order(), std::back_inserter(free), [&](ir::NodeId node) { return !claimed[node]; });
  if (free.empty()) return {};
  if (!QUOIN_HAS(quoin_compiler, backend->table().compiler, partition)) {
    for (const ir::NodeId node : free)
      partition.reasons[node].push_back(backend->name() + ": the plugin has no compiler");
    return {};
  }
  Partition at_once = partition;
  QUOIN_TRY(const bool fits, ask_about(graph, free, partition.claims.empty(), backend, options, at_once));
  if (fits) {
    partition = std::move(at_once);
    return {};
  }
  for (const auto& level : free_levels(graph, partition.claims))
    if (!level.empty()) QUOIN_CHECK(ask_about(graph, level, true, backend, options, partition));
  return {};
}

}  // namespace

std::vector<const std::vector<ir::NodeId>*> node_lists(const std::vector<Claim>& claims) {
  std::vector<const std::vector<ir::NodeId>*> lists;
  for (const Claim& claim : claims) lists.push_back(&claim.nodes);
  return lists;
}

Result<Partition> partition(const ir::Graph& graph, const Options& options) {
  Partition out;
  for (const auto& backend : options.order) QUOIN_CHECK(ask(graph, backend, options, out));
  return out;
}

}  // namespace quoin::lower
