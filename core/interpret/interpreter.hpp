// Runs a graph (float, QDQ or typed) node by node with the best kernels at hand: calibration, comparison, folding.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "ir/graph.hpp"
#include "kernels/select.hpp"

namespace quoin::interpret {

// Sees every value right after it was computed (and graph inputs first). The tensor is valid during the call only.
using Tap = std::function<Status(ir::ValueId, const Tensor&)>;

// Sees every node's result right after it was computed and returns the tensor that its readers see instead: itself, or
// another of the same type that nobody writes any more.
using Rewrite = std::function<Result<Tensor>(ir::ValueId, const Tensor&)>;

// Kernels are prepared once per graph; buffers of dead values are reused, so memory does not grow with run() calls.
// One run() at a time per object. `graph`, `kernels` and `host` must outlive it.
class Interpreter {
 public:
  static Result<Interpreter> create(const ir::Graph& graph, const kernels::KernelSet& kernels, const quoin_host& host);
  Interpreter(Interpreter&&) noexcept;
  Interpreter& operator=(Interpreter&&) noexcept;
  ~Interpreter();
  // `inputs` in graph order; the tap sees what `rewrite` returned. Errors: input (count, dtype, shape; names the
  // input), the kernel's own, those of `tap` and `rewrite`.
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs, const Tap& tap = {}, const Rewrite& rewrite = {});

 private:
  struct State;
  explicit Interpreter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace quoin::interpret
