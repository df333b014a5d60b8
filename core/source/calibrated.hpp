// The node-major run of Engine: every layer sees what the quantized layers before it make of all samples.
#pragma once

#include <set>

#include "source/engine.hpp"

namespace quoin::source {

// Whether samples change what becomes of the layer.
inline bool calibrates(const FoundLayer& layer) {
  return layer.reason.empty() && layer.target == Target::linear && uses_moments(layer.config());
}
inline bool divides(const FoundLayer& layer) { return calibrates(layer) && layer.config().algorithm == Algorithm::awq; }

class Calibrated {
 public:
  Calibrated(Engine& engine, Streams& streams, const std::vector<FoundLayer>& layers);
  Status run();

 private:
  using Results = std::vector<std::vector<Tensor>>;

  // The index of the last layer that needs samples; 0: none does.
  size_t last_calibrated(const std::vector<ir::NodeId>& order) const;
  Status feed();  // the inputs
  Status check_sample(size_t index, const Sample& sample) const;
  Status read_mask();
  Status node(ir::NodeId id);
  Status plain_node(ir::NodeId id);
  Status layer_node(const FoundLayer& layer, ReportLine& line);
  // AWQ: divides what the layer reads, for all layers of the rule's kind that read it at once. Says in `line` where
  // nothing takes the division up.
  Status divide(const FoundLayer& layer, ReportLine& line);
  // The streams of `result` are those of `value` divided by the factors.
  void divide_streams(ir::ValueId value, ir::ValueId result, const Vector& factor, size_t readers);
  Result<Results> run_on(ir::NodeId id, const Stream& stream) const;
  void store(ir::NodeId id, Results results, Stream& stream);
  void release(const std::vector<ir::ValueId>& operands);
  Result<const Moments*> moments_of(const FoundLayer& layer);
  std::optional<double> sqnr_db(ir::ValueId result) const;
  // Calls visit(quantized rows, float rows) for every sample, without the rows that the mask leaves out.
  template <class F>
  Status for_rows(ir::ValueId value, const F& visit) const;
  void collect();  // the outputs

  Engine& engine_;
  ir::Graph& graph_;
  Streams& streams_;
  std::map<ir::NodeId, const FoundLayer*> layers_;
  Stream quantized_, real_;
  std::set<ir::ValueId> differs_;  // values that are not the same in both streams
  std::map<ir::ValueId, size_t> reads_left_;
  std::vector<std::vector<bool>> mask_;    // by sample and row; empty: all rows count
  ir::ValueId moments_value_ = ir::kNone;  // what moments_ is about
  std::optional<Moments> moments_;
  std::set<ir::ValueId> divided_;  // what layers read after AWQ is done with it
  bool needed_ = true;             // the results of the node at hand are read by something that needs samples
};

}  // namespace quoin::source
