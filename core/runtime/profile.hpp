#pragma once

#include <map>
#include <mutex>

#include "runtime/executable.hpp"
#include "runtime/step.hpp"

namespace quoin::runtime {

// Collects the events of one run. Delegates report their inner operations through table(), from any thread.
class Profile {
 public:
  Profile(std::vector<Event>& events, const program::Model& model, const quoin_host& host);
  // Around one step.
  void begin(const Step& step);
  void end();
  const quoin_profiler* table() const { return &table_; }

 private:
  uint64_t begin_inner(quoin_str name, uint64_t debug_id) noexcept;
  void end_inner(uint64_t token) noexcept;
  void past_inner(quoin_str name, uint64_t debug_id, uint64_t start_ns, uint64_t end_ns) noexcept;
  size_t add_inner(quoin_str name, uint64_t debug_id);
  uint64_t now() const { return host_.now_ns(host_.self); }

  std::vector<Event>& events_;
  const program::Model& model_;
  const quoin_host& host_;
  std::mutex mutex_;
  size_t current_ = 0;  // event of the step
  const Step* step_ = nullptr;
  std::map<uint64_t, const program::Node*> nodes_;  // of the current delegate's original, by debug id
  quoin_profiler table_;
};

}  // namespace quoin::runtime
