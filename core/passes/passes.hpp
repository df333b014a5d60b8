// Named rewrites of float graphs. Each leaves the graph's results unchanged (constant folding: bit for bit; batch norm
// folding: up to float rounding) and keeps verify() true.
#pragma once

#include <string>
#include <vector>

#include "base/diagnostics.hpp"
#include "interpret/interpreter.hpp"
#include "ir/graph.hpp"

namespace quoin::passes {

// Removes what does nothing at inference: dropout, contiguous, clone, conversions to the same type, no-op views.
Status remove_noops(ir::Graph& graph);
// Evaluates nodes whose operands are all constants (arange, masks, ...). Dequantize nodes stay (their integer operand
// is the weight to keep), and so do results over a mebibyte larger than their operands (expanded constants), and what
// would bring all results over four times the graph's constants and 64 MiB.
Status fold_constants(ir::Graph& graph, const kernels::KernelSet& kernels, const quoin_host& host);
// conv / conv_transpose / linear followed only by batch_norm: scales weights and bias, drops the batch_norm.
// Source of the formula: W' = W * gamma / sqrt(var + eps), b' = (b - mean) * gamma / sqrt(var + eps) + beta.
Status fold_batch_norm(ir::Graph& graph);
// add.Scalar, mul.Scalar, ... -> the Tensor overload with a constant operand, so that quantizers see one form.
Status scalar_to_constant(ir::Graph& graph);

// By the names plugins ask for ("fold-batch-norm", "scalar-to-constant" ...). Errors (plugin): unknown name + nearest.
Status run(const std::string& name, ir::Graph& graph);
std::vector<std::string> names();
// The standard clean-up after import: remove_noops, fold_constants, fold_batch_norm, erase_dead, verify.
Status standard(ir::Graph& graph, const kernels::KernelSet& kernels, const quoin_host& host);

}  // namespace quoin::passes
