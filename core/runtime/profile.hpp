#pragma once

#include <map>
#include <mutex>
#include <thread>

#include "runtime/executable.hpp"
#include "runtime/observer.hpp"
#include "runtime/step.hpp"

namespace quoin::runtime {

// Collects the events of one run.
class Profile final : public Observer {
 public:
  Profile(std::vector<Event>& events, const program::view::Program& program, const quoin_host& host);
  void begin(const Step& step) override;
  void end() override;
  const quoin_profiler* inner() const override { return &table_; }

 private:
  uint64_t begin_inner(quoin_str name, uint64_t debug_id) noexcept;
  void end_inner(uint64_t token) noexcept;
  void past_inner(quoin_str name, uint64_t debug_id, uint64_t start_ns, uint64_t end_ns) noexcept;
  size_t add_inner(quoin_str name, uint64_t debug_id);
  uint32_t this_thread();
  uint64_t now() const { return host_.now_ns(host_.self); }

  std::vector<Event>& events_;
  const program::view::Program& program_;
  const quoin_host& host_;
  std::mutex mutex_;
  std::vector<std::thread::id> threads_;  // in the order in which they reported
  size_t current_ = 0;                    // event of the step
  const Step* step_ = nullptr;
  std::map<uint64_t, const program::view::Node*> nodes_;  // of the current delegate's original, by debug id
  quoin_profiler table_;
};

}  // namespace quoin::runtime
