// Told what a run does: for profiles.
#pragma once

#include <quoin/abi.h>

namespace quoin::runtime {

struct Step;

class Observer {
 public:
  // Around one step, on the thread that called run().
  virtual void begin(const Step& step) = 0;
  virtual void end() = 0;
  // Gets the operations inside the step that a delegate or kernel reports, from any thread.
  virtual const quoin_profiler* inner() const = 0;

 protected:
  ~Observer() = default;
};

}  // namespace quoin::runtime
