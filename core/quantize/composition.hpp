// Several quantizers on one graph: who left which node in float and why, and where their wishes meet.
#pragma once

#include "quantize/annotation.hpp"

namespace quoin::quantize {

// Why quantizers left nodes in float, in order of asking; becomes the verdicts.
class Refusals {
 public:
  // A later refusal by the same quantizer replaces its earlier one.
  void add(ir::NodeId node, const std::string& by, Verdict refusal);
  // Writes the verdict of every node that is not quantized: its kind is the strongest of the refusals (an unintended
  // one, a constraint, no rule, then the recipe), its reason names every quantizer with its words.
  void settle(const ir::Graph& graph, Annotations& annotations) const;

 private:
  std::map<ir::NodeId, std::vector<std::pair<std::string, Verdict>>> of_node_;
};

// The error of setting a place that another quantizer has annotated otherwise.
Error conflict(const ir::Graph& graph, const Annotations& annotations, ir::Place place, const Spec& wanted,
               const std::string& by);

// Where places of different quantizers come together:
//   a place shares with one of another quantizer whose spec differs from all that its own quantizer asks for: a
//   warning; a value has different specs at places of different quantizers, so it is requantized between them: an info.
void report_meetings(const ir::Graph& graph, const Annotations& annotations, Diagnostics& diagnostics);

}  // namespace quoin::quantize
