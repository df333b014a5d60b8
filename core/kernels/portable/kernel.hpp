// How a portable kernel is written and becomes a quoin_kernel.
//
// A kernel is a class K that reads everything it needs when it is made and is immutable afterwards:
//   static Result<K> make(const NodeView&);          types, shapes, attributes
//   Status run(const Run&) const;                    pointers in, results out; may run on several threads at once
//   uint64_t scratch(const quoin_host&) const;       bytes needed during run (optional)
//   static bool accepts(const NodeView&);            refuses by type (optional)
// A Mode says which element types K sees; plan.hpp converts the others around it, so that one float kernel also defines
// what its operator means on quantized values.
#pragma once

#include "kernels/portable/plan.hpp"

namespace quoin::kernels {

// Pointers of one call. An absent optional operand is null.
struct Run {
  const quoin_host& host;
  const void* const* inputs;
  void* const* outputs;
  std::byte* scratch;  // 64-byte aligned, of the size K asked for
  template <class T>
  const T* in(size_t slot) const {
    return static_cast<const T*>(inputs[slot]);
  }
  template <class T = void>
  T* out(size_t slot = 0) const {
    return static_cast<T*>(outputs[slot]);
  }
};

// f(begin, end, worker) over [0, count) in pieces of about 2^17 operations; `cost`: operations per item, roughly.
// Less work than that runs inline. f must not throw.
template <class F>
void parallel(const quoin_host& host, int64_t count, int64_t cost, const F& f) {
  constexpr int64_t kPiece = int64_t{1} << 17;
  const int64_t grain = std::max<int64_t>(kPiece / std::max<int64_t>(cost, 1), 1);
  if (count <= grain) {
    if (count > 0) f(int64_t{0}, count, uint32_t{0});
    return;
  }
  const auto call = [](void* context, uint64_t begin, uint64_t end, uint32_t worker) {
    (*static_cast<const F*>(context))(static_cast<int64_t>(begin), static_cast<int64_t>(end), worker);
  };
  host.parallel_for(host.self, static_cast<uint64_t>(count), static_cast<uint64_t>(grain), call, const_cast<F*>(&f));
}

// Defaults of the optional members.
struct KernelBase {
  static constexpr uint64_t kAsIs = 0;       // operands (bits) that are never converted: conditions, indices
  static constexpr bool kOwnResult = false;  // writes the result in its own type: predicates, argmax
  static bool accepts(const NodeView&) { return true; }
  uint64_t scratch(const quoin_host&) const { return 0; }
};

void report(quoin_error* out, quoin_status code, std::string_view message) noexcept;
quoin_status status_of(const Error& error) noexcept;

// A K behind one interface: what is the same for all kernels is compiled once (adapter.cpp).
struct AnyKernel {
  virtual ~AnyKernel() = default;
  virtual Status run(const Run& run) const = 0;
  virtual uint64_t scratch(const quoin_host& host) const = 0;
};

template <class K>
struct Held final : AnyKernel {
  explicit Held(K&& given) : kernel(std::move(given)) {}
  static Result<std::unique_ptr<AnyKernel>> make(const NodeView& view) {
    auto made = K::make(view);
    if (!made) return std::move(made).failure();
    return std::unique_ptr<AnyKernel>(new Held(*std::move(made)));
  }
  Status run(const Run& run) const override { return kernel.run(run); }
  uint64_t scratch(const quoin_host& host) const override { return kernel.scratch(host); }
  K kernel;
};

// What makes one: static storage.
struct Maker {
  Mode mode;
  uint64_t as_is;
  bool own_result;
  bool (*accepts)(const NodeView&);
  Result<std::unique_ptr<AnyKernel>> (*make)(const NodeView&);
};
template <class K, Mode kMode, uint64_t kAsIs>
inline constexpr Maker kMaker{kMode, kAsIs, K::kOwnResult, K::accepts, Held<K>::make};

// The functions of quoin_kernel. Exceptions (memory) end in them.
int32_t accepts_node(const Maker& maker, const quoin_graph* graph, uint32_t node) noexcept;
quoin_status prepare_node(const Maker& maker, const quoin_host* host, const quoin_graph* graph, uint32_t node,
                          void** state, quoin_memory_need* need, quoin_error* error) noexcept;
quoin_status run_node(const quoin_host* host, void* state, const quoin_run* run, quoin_error* error) noexcept;
void release_node(const quoin_host* host, void* state) noexcept;

// One row of the portable table.
struct Row {
  const char* op;
  const char* variant;  // "float", "integer" ...: the kernel is called "portable_<variant>:<op>"
  int32_t priority;
  decltype(quoin_kernel::accepts) accepts;
  decltype(quoin_kernel::prepare) prepare;
};

template <class K, Mode kMode, uint64_t kAsIs = K::kAsIs>
constexpr Row row(const char* op, const char* variant, int32_t priority) {
  return {
      op, variant, priority,
      [](const quoin_graph* graph, uint32_t node) { return accepts_node(kMaker<K, kMode, kAsIs>, graph, node); },
      [](const quoin_host* host, const quoin_graph* graph, uint32_t node, void** state, quoin_memory_need* need,
         quoin_error* error) { return prepare_node(kMaker<K, kMode, kAsIs>, host, graph, node, state, need, error); }};
}
// Integer kernels stand before the row that converts.
template <class K>
constexpr Row integer_row(const char* op) {
  return row<K, Mode::exact>(op, "integer", 1);
}
template <class K>
constexpr Row float_row(const char* op) {
  return row<K, Mode::floats>(op, "float", 0);
}
template <class K>
constexpr Row number_row(const char* op) {
  return row<K, Mode::numbers>(op, "number", 0);
}
template <class K, uint64_t kAsIs = K::kAsIs>
constexpr Row move_row(const char* op) {
  return row<K, Mode::moves, kAsIs>(op, "move", 0);
}
template <class K>
constexpr Row exact_row(const char* op) {
  return row<K, Mode::exact>(op, "exact", 0);
}

// One function per file of kernels.
using Rows = std::vector<Row>;
Rows convolution_rows();
Rows matrix_rows();
Rows normalization_rows();
Rows unary_rows();
Rows binary_rows();
Rows pooling_rows();
Rows resize_rows();
Rows reduction_rows();
Rows moving_rows();
Rows indexing_rows();
Rows creation_rows();
Rows decomposed_rows();
Rows choose_qparams_rows();
Rows typed_rows();
Rows language_rows();

}  // namespace quoin::kernels
