// Conversions around a portable kernel, so that it only sees the element types it is written for.
#pragma once

#include <memory>

#include "kernels/node_view.hpp"
#include "kernels/portable/elements.hpp"

namespace quoin::kernels {

// What a kernel computes on.
enum class Mode {
  exact,    // the types of the node
  floats,   // f32: every operand becomes f32, and the result is made from f32
  numbers,  // f32, or s64 where all operands, results and number attributes are integers or bool
  moves,    // any type, copied as bytes: operands first take the type (and qparams) of the result
};

// Where a kernel finds its operands and puts its results in one call.
struct Pointers {
  const void** inputs = nullptr;
  void** outputs = nullptr;
  std::byte* scratch = nullptr;  // the kernel's own part
};

struct Plan {
  struct Step {
    std::optional<Converter> converter;  // none: the tensor is used as it is
    uint64_t offset = 0;                 // of the converted tensor in scratch
  };
  NodeView seen;  // the node as the kernel sees it
  std::vector<Step> inputs, outputs;
  std::vector<uint64_t> input_bytes, output_bytes;  // of the tensors given to run(); absent operand: 0
  uint64_t scratch = 0;                             // bytes, a multiple of 64; the kernel's own scratch follows

  // Errors (model, unsupported): conversions that do not exist.
  static Result<Plan> make(const NodeView& view, Mode mode, uint64_t as_is, bool own_result);
  // The tensors of a run are as many and as large as planned, and `own` bytes of scratch follow the plan's. Errors
  // (internal).
  Status check(const quoin_run& run, uint64_t own) const;
  Pointers before(const quoin_host& host, const quoin_run& run) const;
  void after(const quoin_host& host, const quoin_run& run, const Pointers& pointers) const;
};

}  // namespace quoin::kernels
