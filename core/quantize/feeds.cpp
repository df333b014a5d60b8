#include "quantize/feeds.hpp"

#include <algorithm>
#include <cstring>

namespace quoin::quantize {

Feed::Feed(const ir::Graph& graph, Group& group, const std::vector<size_t>& position) : observer(group.observer.get()) {
  std::map<ir::ValueId, uint64_t> due;
  for (const ir::Place place : group.places) {
    const uint64_t time = (uint64_t{position[place.node]} << 32) + (place.output ? UINT32_MAX : place.slot);
    const auto [found, fresh] = due.emplace(value_at(graph, place), time);
    if (!fresh) found->second = std::min(found->second, time);
  }
  for (const auto& [value, time] : due) values.push_back(value);
  std::sort(values.begin(), values.end(), [&](auto a, auto b) { return due.at(a) < due.at(b); });
  constant = std::all_of(values.begin(), values.end(), [&](auto value) { return graph.is_constant(value); });
}

Feeds::Feeds(const ir::Graph& graph, Prepared& prepared) : graph_(graph) {
  std::vector<size_t> position(graph.node_capacity());
  for (size_t i = 0; i < graph.order().size(); ++i) position[graph.order()[i]] = i;
  for (Group& group : prepared.groups)
    if (group.observer) feeds_.emplace_back(graph, group, position);
  for (size_t i = 0; i < feeds_.size(); ++i) {
    if (feeds_[i].constant) continue;
    for (const ir::ValueId value : feeds_[i].values) readers_[value].push_back(i);
  }
}

size_t Feeds::groups() const {
  return static_cast<size_t>(std::ranges::count_if(feeds_, [](const Feed& feed) { return !feed.constant; }));
}

Status Feeds::observe_constants() {
  for (Feed& feed : feeds_) {
    if (!feed.constant) continue;
    for (const ir::ValueId value : feed.values) QUOIN_CHECK(observe(feed, value, *graph_.value(value).constant));
  }
  return {};
}

Status Feeds::observe(Feed& feed, ir::ValueId value, const Tensor& tensor) {
  std::unique_lock lock(alone_, std::defer_lock);
  if (feed.observer->alone()) lock.lock();
  QUOIN_CHECK_AT(feed.observer->observe(tensor), "{}", label(value));
  return {};
}

std::string Feeds::label(ir::ValueId id) const {
  const ir::Value& value = graph_.value(id);
  if (value.producer != ir::kNone) return graph_.describe(value.producer);
  return (value.constant ? "constant " : "input ") + value.name;
}

Status Feeds::await(const Feed& feed, uint64_t sample) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return feed.turn == sample || sample > abandoned_; });
  return sample > abandoned_ ? fail(Code::cancelled, "a sample before this one failed") : Status{};
}

void Feeds::pass_on(Feed& feed) {
  {
    const std::lock_guard lock(mutex_);
    ++feed.turn;
  }
  changed_.notify_all();
}

void Feeds::abandon(uint64_t sample) {
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = std::min(abandoned_, sample);
  }
  changed_.notify_all();
}

void Feeds::Pass::begin(uint64_t sample) {
  sample_ = sample;
  std::ranges::fill(cursors_, Cursor());
}

Status Feeds::Pass::offer(ir::ValueId value, const Tensor& tensor) {
  const auto found = feeds_.readers_.find(value);
  if (found == feeds_.readers_.end()) return {};
  for (const size_t feed : found->second) QUOIN_CHECK(offer(feed, value, tensor));
  return {};
}

Status Feeds::Pass::offer(size_t index, ir::ValueId value, const Tensor& tensor) {
  Feed& feed = feeds_.feeds_[index];
  Cursor& cursor = cursors_[index];
  if (!cursor.its_turn) QUOIN_CHECK(feeds_.await(feed, sample_));
  cursor.its_turn = true;
  QUOIN_CHECK(drain(feed, cursor));
  if (cursor.next == feed.values.size() || feed.values[cursor.next] != value) {
    Tensor copy(tensor.dtype(), tensor.shape());
    if (tensor.bytes() > 0) std::memcpy(copy.data(), tensor.data(), tensor.bytes());
    cursor.held.emplace(value, std::move(copy));
    return {};
  }
  QUOIN_CHECK(observe(feed, cursor, tensor));
  QUOIN_CHECK(drain(feed, cursor));
  if (cursor.next == feed.values.size()) feeds_.pass_on(feed);
  return {};
}

Status Feeds::Pass::observe(Feed& feed, Cursor& cursor, const Tensor& tensor) {
  QUOIN_CHECK(feeds_.observe(feed, feed.values[cursor.next], tensor));
  ++cursor.next;
  return {};
}

// Observes what is due and there: constants, and values that were held.
Status Feeds::Pass::drain(Feed& feed, Cursor& cursor) {
  while (cursor.next < feed.values.size()) {
    const ir::ValueId value = feed.values[cursor.next];
    if (feeds_.graph_.is_constant(value)) {
      QUOIN_CHECK(observe(feed, cursor, *feeds_.graph_.value(value).constant));
    } else if (const auto held = cursor.held.find(value); held != cursor.held.end()) {
      QUOIN_CHECK(observe(feed, cursor, held->second));
      cursor.held.erase(held);
    } else {
      break;
    }
  }
  return {};
}

Status Feeds::Pass::finish() const {
  for (size_t i = 0; i < cursors_.size(); ++i) {
    const Feed& feed = feeds_.feeds_[i];
    if (!feed.constant && cursors_[i].next < feed.values.size())
      return fail(Code::internal, "{} was never computed", feeds_.label(feed.values[cursors_[i].next]));
  }
  return {};
}

}  // namespace quoin::quantize
