#pragma once

#include "presets.hpp"
#include "rules.hpp"

namespace quoin::xnnpack {

// One annotate() call. Looks for one pattern after the other in the whole graph, as the reference does; a node belongs
// to the first pattern that takes it. Then data movement takes over the scales of quantized operands, front to back.
class Quantizer {
 public:
  Quantizer(const sdk::QuantRequest& request, sdk::Annotator& out);
  void run();

 private:
  const Settings* settings(uint32_t node) const;  // null: leave in float
  bool is_free(uint32_t node) const { return !done_[node] && settings(node) != nullptr; }

  bool joins(uint32_t root, uint32_t node) const;
  bool is_part(const sdk::Node& node) const;

  void look_for(const Step& step);
  void try_at(const Step& step, const sdk::Pattern& pattern, uint32_t node);
  // The settings that the step works with at a node; null: they do not look for it.
  const Settings* serving(const Step& step, uint32_t node) const;
  std::string refuse(const Step& step, const sdk::Match& match, const Settings& settings) const;
  std::string refuse_as_reference(const Step& step, const sdk::Match& match, const Settings& settings) const;
  std::string refuse_convolution(const sdk::Match& match, const Settings& settings) const;

  bool apply(Kind kind, const sdk::Match& match, const Settings& settings);
  bool layer(const sdk::Match& match, const Settings& settings);
  bool pool(const sdk::Match& match, const Settings& settings);
  bool binary(const sdk::Match& match, const Settings& settings);
  bool join(const sdk::Match& match, const Settings& settings);
  bool movement(const sdk::Match& match);

  bool observe(quoin_place place, quoin_qspec spec);
  bool share(quoin_place place, quoin_place with);
  bool has_spec(uint32_t producer) const { return producer != QUOIN_NONE && result_specs_[producer]; }

  const sdk::QuantRequest& request_;
  const sdk::Graph& graph_;
  sdk::Annotator& out_;
  std::vector<Settings> settings_;  // per config
  const Settings* first_static_ = nullptr;
  std::vector<bool> done_, result_specs_;  // per node: in a pattern; its result has a spec
  std::vector<std::string> reasons_;       // per node: why the first pattern that fits does not take it
  std::map<uint64_t, uint32_t> parts_;     // debug id: number of nodes, all made of one operator of the model
  std::set<uint32_t> layer_constants_;     // values: weights and biases of convolutions that are quantized
};

}  // namespace quoin::xnnpack
