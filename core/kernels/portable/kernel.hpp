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

// The C functions around K. Exceptions (memory) end here.
template <class K, Mode kMode>
struct Adapter {
  struct State {
    Plan plan;
    K kernel;
  };

  static Result<std::unique_ptr<State>> make(const quoin_graph& graph, uint32_t node) {
    QUOIN_TRY(const NodeView view, view_node(graph, node));
    QUOIN_TRY(Plan plan, Plan::make(view, kMode, K::kAsIs, K::kOwnResult));
    if (!K::accepts(plan.seen)) return fail(Code::unsupported, "{}: these types are not supported", view.schema->name);
    QUOIN_TRY(K kernel, K::make(plan.seen));
    return std::make_unique<State>(State{std::move(plan), std::move(kernel)});
  }

  static int32_t accepts(const quoin_graph* graph, uint32_t node) noexcept try {
    const auto view = view_node(*graph, node);
    if (!view) return -1;
    const auto plan = Plan::make(*view, kMode, K::kAsIs, K::kOwnResult);
    return plan && K::accepts(plan->seen) ? 0 : -1;
  } catch (...) {
    return -1;
  }

  static quoin_status prepare(const quoin_host* host, const quoin_graph* graph, uint32_t node, void** state,
                              quoin_memory_need* need, quoin_error* error) noexcept try {
    auto made = make(*graph, node);
    if (!made) {
      report(error, status_of(made.error()), made.error().text());
      return status_of(made.error());
    }
    need->alignment = 64;
    need->persistent = 0;
    need->scratch = (*made)->plan.scratch + (*made)->kernel.scratch(*host);
    *state = made->release();
    return QUOIN_OK;
  } catch (...) {
    report(error, QUOIN_OUT_OF_MEMORY, "out of memory");
    return QUOIN_OUT_OF_MEMORY;
  }

  static quoin_status run(const quoin_host* host, void* state, const quoin_run* run, quoin_error* error) noexcept try {
    const State& self = *static_cast<const State*>(state);
    Status done = self.plan.check(*run, self.kernel.scratch(*host));
    if (done) {
      const Pointers pointers = self.plan.before(*host, *run);
      done = self.kernel.run({*host, pointers.inputs, pointers.outputs, pointers.scratch});
      if (done) self.plan.after(*host, *run, pointers);
    }
    if (done) return QUOIN_OK;
    report(error, status_of(done.error()), done.error().text());
    return status_of(done.error());
  } catch (...) {
    report(error, QUOIN_OUT_OF_MEMORY, "out of memory");
    return QUOIN_OUT_OF_MEMORY;
  }

  static void release(const quoin_host*, void* state) noexcept { delete static_cast<State*>(state); }
};

// One row of the portable table.
struct Row {
  const char* op;
  const char* variant;  // "float", "integer" ...: the kernel is called "portable_<variant>:<op>"
  int32_t priority;
  decltype(quoin_kernel::accepts) accepts;
  decltype(quoin_kernel::prepare) prepare;
  decltype(quoin_kernel::run) run;
  decltype(quoin_kernel::release) release;
};

template <class K, Mode kMode>
constexpr Row row(const char* op, const char* variant, int32_t priority) {
  using A = Adapter<K, kMode>;
  return {op, variant, priority, A::accepts, A::prepare, A::run, A::release};
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
template <class K>
constexpr Row move_row(const char* op) {
  return row<K, Mode::moves>(op, "move", 0);
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
