#pragma once

#include <chrono>
#include <utility>

#include "flow/flow.hpp"

namespace quoin::flow {

// Measures the stages of a flow one after the other and announces them.
class Stopwatch {
 public:
  Stopwatch(std::vector<StageTime>& times, Progress* progress) : times_(times), progress_(progress) {}
  void start(const std::string& stage) {
    stop();
    if (progress_ != nullptr) progress_->stage(stage, 0);
    stage_ = stage;
    begin_ = std::chrono::steady_clock::now();
  }
  void stop() {
    if (stage_.empty()) return;
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin_;
    times_.push_back({std::exchange(stage_, {}), spent.count()});
  }

 private:
  std::vector<StageTime>& times_;
  Progress* progress_;
  std::string stage_;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace quoin::flow
