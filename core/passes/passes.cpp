#include "passes/passes.hpp"

#include "ir/verify.hpp"

namespace quoin::passes {

Status standard(ir::Graph& graph, const kernels::KernelSet& kernels, const quoin_host& host) {
  QUOIN_CHECK(remove_noops(graph));
  QUOIN_CHECK(fold_constants(graph, kernels, host));
  QUOIN_CHECK(fold_batch_norm(graph));
  graph.erase_dead();
  return ir::verify(graph);
}

}  // namespace quoin::passes
