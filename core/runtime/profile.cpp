#include "runtime/profile.hpp"

#include <algorithm>

#include "base/guard.hpp"

namespace quoin::runtime {
namespace {

constexpr uint64_t kDropped = UINT64_MAX;

}  // namespace

Profile::Profile(std::vector<Event>& events, const program::view::Program& program, const quoin_host& host)
    : events_(events),
      program_(program),
      host_(host),
      table_{sizeof(quoin_profiler),
             0,
             this,
             [](void* self, quoin_str name, uint64_t id) { return static_cast<Profile*>(self)->begin_inner(name, id); },
             [](void* self, uint64_t token) { static_cast<Profile*>(self)->end_inner(token); },
             [](void* self, quoin_str name, uint64_t id, uint64_t start, uint64_t end) {
               static_cast<Profile*>(self)->past_inner(name, id, start, end);
             }} {}

void Profile::begin(const Step& step) {
  step_ = &step;
  nodes_.clear();
  const program::view::Node& node = *step.node;
  Event event{std::string(node.name),
              std::string(node.op),
              std::string(node.module),
              step.runner(),
              node.debug_id,
              0,
              0,
              this_thread(),
              0};
  for (const quoin_tensor& tensor : step.tensors) event.bytes += tensor.size;
  if (step.is_delegate()) {
    event.op = "delegate";
    for (const program::view::Graph& original : program_.delegates[step.delegate].originals)
      for (const program::view::Node& inner : original.nodes) nodes_.emplace(inner.debug_id, &inner);
  }
  current_ = events_.size();
  events_.push_back(std::move(event));
  events_[current_].start_ns = now();
}

void Profile::end() { events_[current_].end_ns = now(); }

uint32_t Profile::this_thread() {
  const auto found = std::ranges::find(threads_, std::this_thread::get_id());
  const auto index = static_cast<uint32_t>(found - threads_.begin());
  if (found == threads_.end()) threads_.push_back(std::this_thread::get_id());
  return index;
}

// Names of nodes where the debug id is known; the plugin's own name then tells the operation.
size_t Profile::add_inner(quoin_str name, uint64_t debug_id) {
  Event event;
  event.op.assign(name.data == nullptr ? "" : name.data, name.data == nullptr ? 0 : name.size);
  event.name = event.op;
  event.backend = step_->runner();
  event.debug_id = debug_id;
  if (const auto node = nodes_.find(debug_id); node != nodes_.end()) {
    event.name = node->second->name;
    event.module = node->second->module;
  }
  events_.push_back(std::move(event));
  return events_.size() - 1;
}

// Nothing may throw into the plugin: an event that finds no memory is lost.
uint64_t Profile::begin_inner(quoin_str name, uint64_t debug_id) noexcept {
  uint64_t token = kDropped;
  static_cast<void>(escaped([&] {
    const std::lock_guard lock(mutex_);
    const size_t added = add_inner(name, debug_id);
    events_[added].thread = this_thread();
    events_[added].start_ns = events_[added].end_ns = now();
    token = added;
  }));
  return token;
}

void Profile::end_inner(uint64_t token) noexcept {
  const std::lock_guard lock(mutex_);
  if (token < events_.size()) events_[token].end_ns = now();
}

void Profile::past_inner(quoin_str name, uint64_t debug_id, uint64_t start_ns, uint64_t end_ns) noexcept {
  static_cast<void>(escaped([&] {
    const std::lock_guard lock(mutex_);
    const size_t token = add_inner(name, debug_id);
    events_[token].thread = Event::kDevice;
    events_[token].start_ns = start_ns;
    events_[token].end_ns = std::max(start_ns, end_ns);
  }));
}

}  // namespace quoin::runtime
