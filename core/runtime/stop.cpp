#include "runtime/stop.hpp"

#include <atomic>

namespace quoin::runtime {

Stop::Stop(const quoin_host& host, uint32_t* word, uint64_t deadline_ns, const quoin_profiler* profiler)
    : host_(host),
      word_(word == nullptr && deadline_ns != 0 ? &own_ : word),
      deadline_(deadline_ns),
      inner_(profiler),
      table_{sizeof(quoin_profiler),
             0,
             this,
             [](void* self, quoin_str name, uint64_t id) -> uint64_t {
               auto& stop = *static_cast<Stop*>(self);
               stop.look_at_clock();
               return stop.inner_ == nullptr ? 0 : stop.inner_->begin(stop.inner_->self, name, id);
             },
             [](void* self, uint64_t token) {
               auto& stop = *static_cast<Stop*>(self);
               if (stop.inner_ != nullptr) stop.inner_->end(stop.inner_->self, token);
             },
             [](void* self, quoin_str name, uint64_t id, uint64_t start, uint64_t end) {
               auto& stop = *static_cast<Stop*>(self);
               if (stop.inner_ != nullptr) stop.inner_->past(stop.inner_->self, name, id, start, end);
             }} {}

void Stop::look_at_clock() noexcept {
  if (deadline_ != 0 && host_.now_ns(host_.self) >= deadline_)
    std::atomic_ref(*word_).store(kDeadlinePassed, std::memory_order_relaxed);
}

bool Stop::check(Fault& fault) {
  if (word_ == nullptr) return true;
  look_at_clock();
  const uint32_t word = std::atomic_ref(*word_).load(std::memory_order_relaxed);
  return word == 0 ||
         fault.fail(Code::cancelled, "{}",
                    word == kDeadlinePassed ? "the deadline of the run passed" : "the caller stopped the run");
}

}  // namespace quoin::runtime
