// What a compiler under test is given: generated graphs in float, and quantized as the plugin's own quantizer wants it.
#pragma once

#include <string>
#include <vector>

#include "conform/group.hpp"
#include "ir/graph.hpp"
#include "kernels/select.hpp"
#include "quantize/annotation.hpp"

namespace quoin::conform {

// How a float graph is quantized.
struct Form {
  std::string name;    // in names of cases: "float", a preset, or "int8"
  std::string preset;  // of the plugin; empty: float, or the kit's own int8
  bool integer = false;
};
// Float, then every preset of the plugin. A plugin without a quantizer gets "int8": activations affine per tensor,
// weights symmetric per output channel, biases s32.
std::vector<Form> forms(const quoin_plugin& table);

struct Formed {
  ir::Graph graph;
  std::string why_float;  // of an integer form: nothing was quantized, because
};
// Runs the passes that the plugin asks for, and for integer forms annotates, calibrates on two random samples and
// converts; graphs with empty inputs are calibrated on larger ones. Errors: those of the quantization, above all of the
// plugin.
Result<Formed> form(const Form& how, ir::Graph graph, const std::shared_ptr<host::Backend>& backend,
                    const quoin_host& host, uint64_t seed);

// The kit's own int8 annotation. Errors: those of Annotations::set.
Result<quantize::Annotations> annotate_int8(const ir::Graph& graph);

}  // namespace quoin::conform
