// Conversions around a portable kernel, so that it only sees the element types it is written for.
#pragma once

#include "kernels/node_view.hpp"
#include "kernels/portable/elements.hpp"

namespace quoin::kernels {

// What a kernel computes on.
enum class Mode {
  exact,    // the types of the node
  integer,  // the same, in integers: preferred to a row that converts
  floats,   // f32: every operand becomes f32, and the result is made from f32
  numbers,  // f32, or s64 where all operands, results and number attributes are integers or bool
  moves,    // any type, copied as bytes: operands first take the type (and qparams) of the result
};

// What is converted around a kernel.
struct Conversions {
  Mode mode;
  uint64_t as_is;   // operands (bits) that never are: conditions, indices
  bool own_result;  // nor is the result: predicates, argmax
  bool keeps(size_t operand) const { return (as_is >> std::min<size_t>(operand, 63) & 1u) != 0; }
  bool exact() const { return mode == Mode::exact || mode == Mode::integer; }
};

// Pointers of one call. An absent optional operand is null.
struct Run {
  const quoin_host& host;
  const void** inputs;
  void** outputs;
  std::byte* scratch;  // 64-byte aligned, of the size the kernel asked for
  template <class T>
  const T* in(size_t slot) const {
    return static_cast<const T*>(inputs[slot]);
  }
  template <class T = void>
  T* out(size_t slot = 0) const {
    return static_cast<T*>(outputs[slot]);
  }
};

struct Plan {
  // What becomes of one operand or result.
  struct Step {
    Converter converter;  // one that copies: the tensor is used as it is
    uint64_t offset = 0;  // of the converted tensor in scratch
    uint64_t bytes = 0;   // of the tensor given to run(); absent operand: 0
  };
  NodeView seen;  // the node as the kernel sees it
  std::vector<Step> inputs, outputs;
  uint64_t scratch = 0;  // bytes, a multiple of 64; the kernel's own scratch follows

  // `seen` comes in as the node is. Errors (model, unsupported): conversions that do not exist.
  Status make(const Conversions& conversions);
  // The tensors of a run are as many and as large as planned, and `own` bytes of scratch follow the plan's. Errors
  // (internal).
  Status check(const quoin_run& run, uint64_t own) const;
  Run before(const quoin_host& host, const quoin_run& run) const;
  void after(const Run& pointers, const quoin_run& run) const;
};

}  // namespace quoin::kernels
