// How a portable kernel is written and becomes a quoin_kernel.
//
// A Mode says which element types a kernel sees; plan.hpp converts the others around it, so that one float kernel also
// defines what its operator means on quantized values.
#pragma once

#include "kernels/portable/plan.hpp"

namespace quoin::kernels {

// Reads everything it needs in prepare() and is immutable afterwards.
struct Kernel {
  // Of the classes derived from this one, where they have no others:
  static constexpr uint64_t kAsIs = 0;       // Conversions::as_is
  static constexpr bool kOwnResult = false;  // Conversions::own_result
  static bool accepts(const NodeView&) { return true; }

  virtual ~Kernel() = default;
  // Types, shapes, attributes. The node outlives the kernel, which may point at its types.
  virtual Status prepare(const NodeView& node) = 0;
  // Pointers in, results out; may run on several threads at once.
  virtual Status run(const Run& run) const = 0;
  // Bytes needed during run.
  virtual uint64_t scratch(const quoin_host&) const { return 0; }
};

// A borrowed function: what takes one is compiled once, whatever it calls.
template <class... Args>
class Callback {
 public:
  template <class F>
  Callback(const F& f)
      : context_(&f), call_([](const void* context, Args... args) { (*static_cast<const F*>(context))(args...); }) {}
  void operator()(Args... args) const { call_(context_, args...); }

 private:
  const void* context_;
  void (*call_)(const void*, Args...);
};

// f(begin, end, worker) over [0, count) in pieces of about 2^17 operations; `cost`: operations per item, roughly. Less
// work than that runs inline. f must not throw.
void parallel(const quoin_host& host, int64_t count, int64_t cost, Callback<int64_t, int64_t, uint32_t> f);
// f(scale, first, count): ScaleLayout::runs.
void scale_runs(const ScaleLayout& layout, int64_t begin, int64_t end, Callback<int64_t, int64_t, int64_t> f);

// What makes one: static storage.
struct Maker {
  Conversions conversions;
  bool (*accepts)(const NodeView&);
  Kernel* (*create)();  // with new
};
template <class K, Mode kMode, uint64_t kAsIs>
inline constexpr Maker kMaker{{kMode, kAsIs, K::kOwnResult}, K::accepts, []() -> Kernel* { return new K; }};

// One row of the portable table.
struct Row {
  const char* op = nullptr;
  const Maker* maker = nullptr;
  bool integer() const { return maker->conversions.mode == Mode::integer; }
};

template <class K>
constexpr Row integer_row(const char* op) {
  return {op, &kMaker<K, Mode::integer, K::kAsIs>};
}
template <class K>
constexpr Row float_row(const char* op) {
  return {op, &kMaker<K, Mode::floats, K::kAsIs>};
}
template <class K>
constexpr Row number_row(const char* op) {
  return {op, &kMaker<K, Mode::numbers, K::kAsIs>};
}
template <class K, uint64_t kAsIs = K::kAsIs>
constexpr Row move_row(const char* op) {
  return {op, &kMaker<K, Mode::moves, kAsIs>};
}
template <class K>
constexpr Row exact_row(const char* op) {
  return {op, &kMaker<K, Mode::exact, K::kAsIs>};
}

// One function per file of kernels. An operator has at most one integer row and one other.
using Rows = std::span<const Row>;
Rows convolution_rows();
Rows matrix_rows();
Rows normalization_rows();
Rows unary_rows();
Rows binary_rows();
Rows clamp_rows();
Rows pooling_rows();
Rows resize_rows();
Rows reduction_rows();
Rows moving_rows();
Rows indexing_rows();
Rows creation_rows();
Rows convert_rows();
Rows decomposed_rows();
Rows choose_qparams_rows();
Rows typed_rows();
Rows language_rows();

// The row of an operator; null: there is none (table.cpp).
const Row* find_row(std::string_view op, bool integer);
// Sets the functions of a row's quoin_kernel (adapter.cpp).
void set_functions(const Row& row, quoin_kernel& kernel);

}  // namespace quoin::kernels
