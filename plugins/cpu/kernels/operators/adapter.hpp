// How a float operator becomes a quoin_kernel. A class K
//   static std::optional<K> make(const sdk::Graph&, const sdk::Node&)   shapes and attributes; nothing: not handled
//   void pack(const sdk::Graph&, const sdk::Node&)                      copies constants in kernel order (once)
//   uint64_t scratch(uint32_t workers) const                            bytes
//   void run(const Call&) const noexcept                                may run on several threads at once
// is wrapped by row<K>(); dtype, static shape and buffer sizes are checked here.
#pragma once

#include <quoin/plugin.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "../kernels.hpp"

namespace quoin::cpu {

constexpr uint32_t kMaxOperands = 4;

struct Call {
  const quoin_host& host;
  const KernelTable& kernels;
  std::array<const float*, kMaxOperands> in{};  // null: absent
  float* out = nullptr;
  std::byte* scratch = nullptr;
};

// float32, static, not quantized.
inline bool is_plain(const sdk::Value& v) {
  return v.dtype() == QUOIN_F32 && v.is_static() && v.raw.qparams == nullptr;
}

inline int64_t product(std::span<const int64_t> dims) {
  int64_t n = 1;
  for (const int64_t d : dims) n *= d;
  return n;
}

inline bool same(std::span<const int64_t> a, std::span<const int64_t> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

template <class K>
struct Adapter {
  struct State {
    const KernelTable* kernels;
    K kernel;
    uint64_t scratch = 0, out_bytes = 0;
    std::array<uint64_t, kMaxOperands> in_bytes{};
  };

  static std::optional<K> make(const quoin_graph* raw, uint32_t id) {
    const sdk::Graph graph(raw);
    const sdk::Node node = graph.node(id);
    if (node.inputs().empty() || node.inputs().size() > kMaxOperands || node.outputs().size() != 1) return std::nullopt;
    for (uint32_t i = 0; i < node.inputs().size(); ++i)
      if (node.has_input(i) && !is_plain(graph.input(node, i))) return std::nullopt;
    if (!node.has_input(0) || !is_plain(graph.output(node))) return std::nullopt;
    return K::make(graph, node);
  }

  static int32_t accepts(const quoin_graph* graph, uint32_t node) noexcept try {
    return make(graph, node) ? 0 : -1;
  } catch (...) {
    return -1;  // ill-formed attributes: the portable kernel explains them
  }

  static quoin_status prepare(const quoin_host* host, const quoin_graph* raw, uint32_t id, void** state,
                              quoin_memory_need* need, quoin_error* error) noexcept {
    return sdk::guard(error, [&] {
      std::optional<K> kernel = make(raw, id);
      if (!kernel) throw sdk::Failure(QUOIN_UNSUPPORTED, "this shape is not handled by the cpu operator kernels");
      const sdk::Graph graph(raw);
      const sdk::Node node = graph.node(id);
      kernel->pack(graph, node);
      auto made = std::make_unique<State>(State{&select(host->isa), std::move(*kernel)});
      made->scratch = made->kernel.scratch(host->workers(host->self));
      made->out_bytes = static_cast<uint64_t>(graph.output(node).numel()) * sizeof(float);
      for (uint32_t i = 0; i < node.inputs().size(); ++i)
        if (node.has_input(i)) made->in_bytes[i] = static_cast<uint64_t>(graph.input(node, i).numel()) * sizeof(float);
      need->alignment = 64;
      need->persistent = 0;
      need->scratch = made->scratch;
      *state = made.release();
    });
  }

  static quoin_status run(const quoin_host* host, void* state, const quoin_run* raw, quoin_error* error) noexcept {
    return sdk::guard(error, [&] {
      const State& self = *static_cast<const State*>(state);
      const sdk::Run run(raw);
      Call call{*host, *self.kernels, {}, nullptr, static_cast<std::byte*>(run.raw.scratch)};
      if (run.raw.scratch_size < self.scratch) throw sdk::Failure(QUOIN_INVALID, "less scratch than prepare asked for");
      for (uint32_t i = 0; i < kMaxOperands; ++i) {
        if (self.in_bytes[i] == 0) continue;
        if (i >= run.inputs.size() || run.inputs[i].data == nullptr || run.inputs[i].size < self.in_bytes[i])
          throw sdk::Failure(QUOIN_INVALID, "operand " + std::to_string(i) + " is absent or too small");
        call.in[i] = static_cast<const float*>(run.inputs[i].data);
      }
      if (self.out_bytes == 0) return;
      if (run.outputs.size() == 0 || run.outputs[0].data == nullptr || run.outputs[0].size < self.out_bytes)
        throw sdk::Failure(QUOIN_INVALID, "the result's buffer is absent or too small");
      call.out = static_cast<float*>(run.outputs[0].data);
      self.kernel.run(call);
    });
  }

  static void release(const quoin_host*, void* state) noexcept { delete static_cast<State*>(state); }
};

// Above the portable kernels (priorities 0 and 1).
constexpr int32_t kPriority = 10;

template <class K>
constexpr quoin_kernel row(const char* op, const char* name) {
  using A = Adapter<K>;
  return {op, 1, 0, nullptr, 0, kPriority, 0, name, A::accepts, A::prepare, A::run, A::release};
}

// Of an elementwise operator.
template <class K>
constexpr quoin_kernel in_place_row(const char* op, const char* name) {
  quoin_kernel out = row<K>(op, name);
  out.flags = QUOIN_IN_PLACE;
  return out;
}

// One function per file of operators.
std::span<const quoin_kernel> convolution_operators();
std::span<const quoin_kernel> matrix_operators();
std::span<const quoin_kernel> elementwise_operators();

}  // namespace quoin::cpu
