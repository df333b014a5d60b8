#include "passes/passes.hpp"

#include <array>

#include "base/text.hpp"
#include "ir/verify.hpp"

namespace quoin::passes {
namespace {

struct Pass {
  std::string_view name;
  Status (*run)(ir::Graph&);
};
// The passes a plugin may ask for; a new one is a row here.
constexpr std::array kPasses = {
    Pass{"remove-noops", remove_noops},
    Pass{"fold-batch-norm", fold_batch_norm},
    Pass{"scalar-to-constant", scalar_to_constant},
};

}  // namespace

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const Pass& pass : kPasses) out.emplace_back(pass.name);
  return out;
}

Status run(const std::string& name, ir::Graph& graph) {
  for (const Pass& pass : kPasses) {
    if (pass.name != name) continue;
    if (auto status = pass.run(graph); !status) return fail(in("pass " + name, std::move(status).error()));
    return ir::verify(graph);
  }
  return fail(Error{
      Code::plugin, fmt::format("asks for the unknown graph pass \"{}\"", name), {}, did_you_mean(name, names())});
}

Status standard(ir::Graph& graph, const kernels::KernelSet& kernels, const quoin_host& host) {
  QUOIN_CHECK(remove_noops(graph));
  QUOIN_CHECK(fold_constants(graph, kernels, host));
  QUOIN_CHECK(fold_batch_norm(graph));
  graph.erase_dead();
  return ir::verify(graph);
}

}  // namespace quoin::passes
