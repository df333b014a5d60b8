// Ready-made specs for the placements of a rule table. Header-only; a backend that needs others writes a function.
//
//   observe(operand(0), int8_activation)     kInt8Layer: a whole convolution or linear layer
#pragma once

#include <quoin/rules.hpp>

namespace quoin::sdk {

// Observed, so that the recipe chooses the observer. `axis`: of PER_CHANNEL, else -1. `flags`: QUOIN_SYMMETRIC | ...
constexpr quoin_qspec observed(quoin_dtype dtype, int32_t qmin, int32_t qmax, uint32_t flags = 0, int32_t axis = -1) {
  quoin_qspec s{};
  s.struct_size = sizeof s;
  s.kind = QUOIN_OBSERVED;
  s.dtype = dtype;
  s.scheme = axis < 0 ? QUOIN_PER_TENSOR : QUOIN_PER_CHANNEL;
  s.axis = axis;
  s.qmin = qmin;
  s.qmax = qmax;
  s.flags = flags;
  return s;
}

// -- data that flows between nodes: one scale per tensor

inline quoin_qspec int8_activation(const Match&, const Params&) { return observed(QUOIN_S8, -128, 127); }
inline quoin_qspec uint8_activation(const Match&, const Params&) { return observed(QUOIN_U8, 0, 255); }
// Zero point 0, for hardware that cannot subtract one.
inline quoin_qspec int8_symmetric_activation(const Match&, const Params&) {
  return observed(QUOIN_S8, -127, 127, QUOIN_SYMMETRIC);
}
inline quoin_qspec int16_activation(const Match&, const Params&) {
  return observed(QUOIN_S16, -32767, 32767, QUOIN_SYMMETRIC);
}

// -- weights: zero point 0, without -128, so that the range is the same on both sides

inline quoin_qspec int8_weight_per_channel(const Match&, const Params&) {  // of dim 0, the output channels
  return observed(QUOIN_S8, -127, 127, QUOIN_SYMMETRIC, 0);
}
inline quoin_qspec int8_weight_per_tensor(const Match&, const Params&) {
  return observed(QUOIN_S8, -127, 127, QUOIN_SYMMETRIC);
}

// A float bias becomes s32 in steps of (scale of operand * scale of weight) without any spec when the layer is lowered.

// Operand, weight and result of a convolution or linear layer.
inline constexpr Placement kInt8Layer[] = {observe(operand(0), int8_activation),
                                           observe(operand(1), int8_weight_per_channel),
                                           observe(result(), int8_activation)};

}  // namespace quoin::sdk
