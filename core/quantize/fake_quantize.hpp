// Fake quantization: runs a prepared graph in float while every annotated place sees only numbers that its integers can
// stand for. Nothing is converted, so groups can be switched one by one and ranges can follow the data meanwhile.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "quantize/quantize.hpp"

namespace quoin::quantize {

// What a sharing group does with the tensors at its places. The reference's two switches of a FakeQuantize module
// (observer, fake quantization) in one.
enum class FakeMode {
  off,            // nothing: the place stays in float
  observe,        // shows them to the group's observer
  fake_quantize,  // shows them to the observer, then rounds them with the range as it has become
  freeze,         // rounds them with the range as it is
};

// x -> (clamp(round(x * (1 / scale)) + zero_point, qmin, qmax) - zero_point) * scale, that is, dequantize(quantize(x))
// with the arithmetic of quantize_constant. The zero point is added after rounding, as
// torch.fake_quantize_per_tensor_affine and its variants do (torch 2.15). f32 in, f32 out. Errors (input): another
// dtype; (model): qparams that do not fit.
Result<Tensor> fake_quantize(const Tensor& tensor, const QParams& qparams);

// A prepared graph with a mode per group; all groups begin in `observe`. With every group in `freeze` the qparams are
// those of convert(), its guard against overflow included, and the results equal those of the converted graph; with no
// group rounding the results are those of the float graph, bit for bit.
//
// Dynamic specs choose their qparams in each run; derived specs follow their sources. Observing and rounding together
// is what training would do; weights are constants here, so groups of constants are observed once.
//
// Shares the graph's constants. A weight is rounded in each run and dropped after the node that reads it; buffers are
// used again, so memory grows neither with run() calls nor with the model. One run() at a time per object.
class FakeQuantized {
 public:
  // All arguments must outlive the object. Whoever changes observers of `prepared` from outside calls set() afterwards.
  static Result<FakeQuantized> create(const ir::Graph& graph, Prepared& prepared, const kernels::KernelSet& kernels,
                                      const quoin_host& host, Diagnostics& diagnostics);
  FakeQuantized(FakeQuantized&&) noexcept;
  FakeQuantized& operator=(FakeQuantized&&) noexcept;
  ~FakeQuantized();

  void set(FakeMode mode);  // every group
  // Precondition: group < prepared.groups.size().
  void set(size_t group, FakeMode mode);
  FakeMode mode(size_t group) const;

  // `inputs` in graph order. Errors: input, the kernels' own, data (NaN or Inf where a group observes, rounding with a
  // range that has seen nothing; both name the place), plugin (derivation failed).
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs);

 private:
  struct State;
  explicit FakeQuantized(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace quoin::quantize
