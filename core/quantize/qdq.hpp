// The quantized_decomposed and torchao operators as quantize writes them and reads them back.
#pragma once

#include <optional>

#include "quantize/annotation.hpp"

namespace quoin::quantize {

// Adds quantize and dequantize nodes to a graph, before `before`. Constants for scales and zero points are shared by
// all nodes of one Emitter that use the same qparams object.
class Emitter {
 public:
  explicit Emitter(ir::Graph& graph) : graph_(graph) {}
  Result<ir::ValueId> quantize(ir::ValueId value, const QParams& qparams, ir::Provenance provenance, ir::NodeId before);
  Result<ir::ValueId> dequantize(ir::ValueId value, const QParams& qparams, ir::Provenance provenance,
                                 ir::NodeId before);

  // choose_qparams -> quantize -> dequantize under a dynamic spec; returns the dequantized value.
  // Errors (unsupported): per token with another type or range than s8 in -128..127.
  Result<ir::ValueId> dynamic(ir::ValueId value, const Spec& spec, const ir::Provenance& provenance, ir::NodeId before);

 private:
  Result<ir::ValueId> emit(bool quantize, ir::ValueId value, const QParams& qparams, ir::Provenance provenance,
                           ir::NodeId before);
  // `shape`: of the scales.
  std::pair<ir::ValueId, ir::ValueId> constants(ir::ValueId value, const QParams& qparams, Shape shape);

  ir::Graph& graph_;
  std::map<const QParams*, std::pair<ir::ValueId, ir::ValueId>> constants_;
};

enum class QdqKind { quantize, dequantize };

// Static qparams of a quantize_per_*, dequantize_per_*, quantize_affine or dequantize_affine node between f32 and
// integers; block sizes become the most specific scheme that they mean. Nothing for other nodes and for qparams that are
// computed at run time. Errors (model): qparams that make no sense (scale not positive, counts).
struct Qdq {
  QdqKind kind;
  QParams qparams;
};
Result<std::optional<Qdq>> read_qdq(const ir::Graph& graph, ir::NodeId node);

// A dequantize node of the dynamic chain choose_qparams -> quantize -> dequantize, as seen from its f32 source.
struct DynamicChain {
  ir::ValueId source;
  const char* granularity;  // "per_tensor" or "per_token"
  const char* scheme;       // numerics::dynamic_scheme
  int64_t qmin, qmax;
  double eps;
};
std::optional<DynamicChain> read_dynamic(const ir::Graph& graph, ir::NodeId dequantize);

}  // namespace quoin::quantize
