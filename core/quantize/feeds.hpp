// Feeds the observers of a graph while samples run through it, several samples at a time.
//
// Every value is observed once per sample however many places refer to it, in the order in which the reference's
// observers would run: results after their node, operands before the node that reads them. And every observer sees the
// samples in their order: one that comes too early waits for those before it. So what is observed does not depend on
// the number of samples under way, and samples follow each other through the graph like in a pipeline.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>

#include "quantize/quantize.hpp"

namespace quoin::quantize {

// What one observer is fed with.
struct Feed {
  Feed(const ir::Graph& graph, Group& group, const std::vector<size_t>& position);
  Observer* observer;
  std::vector<ir::ValueId> values;  // in the order in which they are due
  bool constant = false;            // all values are constants: needs no samples
  uint64_t turn = 0;                // the sample that may be observed
};

// `graph` and `prepared` must outlive it.
class Feeds {
 public:
  Feeds(const ir::Graph& graph, Prepared& prepared);
  bool need_samples() const { return !readers_.empty(); }
  size_t groups() const;  // that need samples
  Status observe_constants();
  // One sample on its way through the graph, on one thread. Samples are numbered from 0 without gaps; some thread must
  // be at work on the smallest number that is not finished.
  class Pass;
  // What waits for a sample behind this one gives up.
  void abandon(uint64_t sample);

 private:
  Status observe(Feed& feed, ir::ValueId value, const Tensor& tensor);
  Status await(const Feed& feed, uint64_t sample);
  void pass_on(Feed& feed);
  std::string label(ir::ValueId id) const;

  const ir::Graph& graph_;
  std::vector<Feed> feeds_;
  std::map<ir::ValueId, std::vector<size_t>> readers_;  // indices into feeds_
  std::mutex mutex_;                                    // of the turns and of `abandoned_`
  std::condition_variable changed_;
  uint64_t abandoned_ = UINT64_MAX;  // the smallest sample that failed
  std::mutex alone_;                 // of observers that share code which is not thread safe
};

class Feeds::Pass {
 public:
  explicit Pass(Feeds& feeds) : feeds_(feeds), cursors_(feeds.feeds_.size()) {}
  void begin(uint64_t sample);
  // The value was computed. Errors: data; cancelled: a sample before this one was abandoned.
  Status offer(ir::ValueId value, const Tensor& tensor);
  // All values of all feeds were offered. Errors (internal): one was not.
  Status finish() const;

 private:
  struct Cursor {
    size_t next = 0;  // in Feed::values
    bool its_turn = false;
    std::map<ir::ValueId, Tensor> held;  // copies of values that came before those due earlier
  };
  Status offer(size_t feed, ir::ValueId value, const Tensor& tensor);
  Status observe(Feed& feed, Cursor& cursor, const Tensor& tensor);
  Status drain(Feed& feed, Cursor& cursor);

  Feeds& feeds_;
  std::vector<Cursor> cursors_;  // of each feed
  uint64_t sample_ = 0;
};

}  // namespace quoin::quantize
