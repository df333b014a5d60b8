// Rewrites of float graphs. Each leaves the graph's results unchanged (noops, constant folding and scalar operands: bit
// for bit; the others: up to float rounding) and keeps verify() true. Plugins, recipes and applications ask for them by
// name, see passes/registry.hpp.
#pragma once

#include <functional>

#include "base/diagnostics.hpp"
#include "interpret/interpreter.hpp"
#include "ir/graph.hpp"

namespace quoin::passes {

// Which nodes a pass may rewrite; empty: all.
using NodeFilter = std::function<bool(const ir::Graph&, ir::NodeId)>;
inline bool allowed(const NodeFilter& filter, const ir::Graph& graph, ir::NodeId node) {
  return !filter || filter(graph, node);
}

// Removes what does nothing at inference: dropout, contiguous, clone, conversions to the same type, no-op views.
Status remove_noops(ir::Graph& graph, const NodeFilter& filter = {});
// Evaluates nodes whose operands are all constants (arange, masks, ...). Dequantize nodes stay (their integer operand
// is the weight to keep), and so do results over a mebibyte larger than their operands (expanded constants), and what
// would bring all results over four times the graph's constants and 64 MiB.
Status fold_constants(ir::Graph& graph, const kernels::KernelSet& kernels, const quoin_host& host);
// conv / conv_transpose / linear followed only by batch_norm: scales weights and bias, drops the batch_norm.
// Source of the formula: W' = W * gamma / sqrt(var + eps), b' = (b - mean) * gamma / sqrt(var + eps) + beta.
Status fold_batch_norm(ir::Graph& graph, const NodeFilter& filter = {});
// add.Scalar, mul.Scalar, ... -> the Tensor overload with a constant operand, so that quantizers see one form.
Status scalar_to_constant(ir::Graph& graph, const NodeFilter& filter = {});

// -- decompositions: operators that a quantizer has no rule for, in terms of those that it has

// hardsigmoid(x) = hardtanh(x + 3, 0, 6) * (1/6)
Status decompose_hardsigmoid(ir::Graph& graph, const NodeFilter& filter = {});
// hardswish(x) = x * hardsigmoid(x), with hardsigmoid decomposed as above
Status decompose_hardswish(ir::Graph& graph, const NodeFilter& filter = {});
// silu(x) = x * sigmoid(x), bit for bit
Status decompose_silu(ir::Graph& graph, const NodeFilter& filter = {});
// x - a*c = x + (-a*c), bit for bit; x / c = x * (1/c) where every 1/c is a normal number. c: a constant.
Status constant_arithmetic(ir::Graph& graph, const NodeFilter& filter = {});
// mm and matmul with a constant [K, N] as second operand -> linear with the transposed weight; a sum with a constant
// [N] that alone reads the product becomes the bias (what addmm stands for).
Status matmul_to_linear(ir::Graph& graph, const NodeFilter& filter = {});
// mean over the last two dims of [N, C, H, W], dims kept -> adaptive_avg_pool2d to 1 x 1
Status mean_to_pool(ir::Graph& graph, const NodeFilter& filter = {});

// The standard clean-up after import: remove_noops, fold_constants, fold_batch_norm, erase_dead, verify.
Status standard(ir::Graph& graph, const kernels::KernelSet& kernels, const quoin_host& host);

}  // namespace quoin::passes
