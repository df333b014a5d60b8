// Whether threads have a whole core each. The two hardware threads of a core share its arithmetic; which of them a
// virtual machine has, and who uses the other one, changes from one moment to the next and is told to nobody. So it is
// measured: arithmetic on registers alone takes twice the time beside a neighbour that does the same.
#pragma once

#include <cstdint>
#include <vector>

namespace quoin::bench {

class WholeCores {
 public:
  // Of the first `threads` processors that this process may use, which is where host::Services pins its threads.
  explicit WholeCores(uint32_t threads);
  // What the slowest of them reaches now, all at once, of the best speed seen so far. Takes some 0.3 ms.
  double share();
  static constexpr double kWhole = 0.75;  // at least this: no neighbour; what is missing is the clock's

 private:
  std::vector<int> processors_;
  double best_ = 0;  // rounds per second
};

}  // namespace quoin::bench
