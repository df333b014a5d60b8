#include "passes/registry.hpp"

#include <algorithm>

#include "base/guard.hpp"
#include "base/text.hpp"
#include "ir/verify.hpp"

namespace quoin::passes {

// The built-in passes; a new one is a row here.
Registry::Registry()
    : passes_{
          {"remove-noops", "removes what does nothing at inference: dropout, contiguous, views of the same shape",
           remove_noops},
          {"fold-batch-norm", "folds batch norm into the convolution or linear before it", fold_batch_norm},
          {"scalar-to-constant", "gives add, sub, mul and div of a number a constant operand", scalar_to_constant},
          {"decompose-hardsigmoid", "hardsigmoid(x) = hardtanh(x + 3, 0, 6) * (1/6)", decompose_hardsigmoid, true},
          {"decompose-hardswish", "hardswish(x) = x * (hardtanh(x + 3, 0, 6) * (1/6))", decompose_hardswish, true},
          {"decompose-silu", "silu(x) = x * sigmoid(x)", decompose_silu, true},
          {"constant-arithmetic", "x - c = x + (-c) and x / c = x * (1/c) for a constant c", constant_arithmetic, true},
          {"matmul-to-linear", "mm and matmul with a constant, and a constant added to them, as linear",
           matmul_to_linear, true},
          {"mean-to-pool", "mean over height and width as adaptive_avg_pool2d", mean_to_pool, true},
      } {}

const Pass* Registry::find(std::string_view name) const {
  const auto found = std::find_if(passes_.begin(), passes_.end(), [&](const Pass& pass) { return pass.name == name; });
  return found == passes_.end() ? nullptr : &*found;
}

Status Registry::add(Pass pass) {
  if (pass.name.empty() || !pass.run) return fail(Code::usage, "a graph pass needs a name and a function");
  if (find(pass.name) != nullptr) return fail(Code::usage, "the graph pass \"{}\" exists already", pass.name);
  passes_.push_back(std::move(pass));
  return {};
}

Status Registry::run(std::string_view name, ir::Graph& graph, const NodeFilter& filter, Code unknown) const {
  const Pass* pass = find(name);
  if (pass == nullptr) {
    std::vector<std::string> known;
    for (const Pass& one : passes_) known.push_back(one.name);
    std::string hint = did_you_mean(name, known);
    return fail(unknown, "the graph pass \"{}\" is not known", name)
        .hint(hint.empty() ? "known are " + join(known, ", ") : hint);
  }
  const auto body = [&]() -> Status {
    QUOIN_CHECK(pass->run(graph, filter));
    if (auto sound = ir::verify(graph); !sound)
      return fail(Code::internal, "{}", sound.error().what)
          .at("{}", sound.error().where)
          .hint("the pass broke the graph");
    return {};
  };
  QUOIN_CHECK_AT(guarded(body), "pass {}", pass->name);
  return {};
}

}  // namespace quoin::passes
