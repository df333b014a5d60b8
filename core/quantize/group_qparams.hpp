#pragma once

#include "quantize/quantize.hpp"

namespace quoin::quantize {

// qparams of every group; nothing for dynamic ones. QUOIN_RULE_PRODUCT: the scale is the binary32 product of the
// sources' scales (per channel if one of them is), the zero point 0. Other rules are the plugin's.
// Errors (data): a group that observed nothing; (plugin): derivation failed.
Result<std::vector<std::optional<QParams>>> all_qparams(const ir::Graph& graph, const Prepared& prepared);

// Of one group, which is not dynamic; `known` holds those of its sources if it is derived. Errors: as all_qparams.
Result<QParams> group_qparams(const ir::Graph& graph, const Prepared& prepared, size_t index,
                              const std::vector<std::optional<QParams>>& known);

// The derived groups of all_qparams once more, after the others changed.
Status derive_qparams(const ir::Graph& graph, const Prepared& prepared, std::vector<std::optional<QParams>>& qparams);

// The integers that stand for an f32 constant: clamp(round(x * (1 / scale)) + zero_point); with per_group the zero
// point is added before rounding (as the reference's operator does); s32 rounds x / scale in binary64
// (numerics::quantize_bias). Elements are of qparams.dtype. Precondition: qparams fit the shape.
Result<Tensor> quantize_constant(const Tensor& constant, const QParams& qparams);
// The inverse: (q - zero_point) * scale.
Result<Tensor> dequantize_constant(const Tensor& constant, const QParams& qparams);

// The type that holds integers of `dtype` in graphs: sub-byte types take a byte.
DType byte_storage(DType dtype);

}  // namespace quoin::quantize
