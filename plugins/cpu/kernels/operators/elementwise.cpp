// Elementwise and row-wise operators.
#include <algorithm>
#include <limits>

#include "adapter.hpp"

namespace quoin::cpu {
namespace {

constexpr int64_t kGrain = 16 * 1024;  // elements per task

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Defaults of what most operators do not need.
struct Stateless {
  void pack(const sdk::Graph&, const sdk::Node&) {}
  uint64_t scratch(uint32_t) const { return 0; }
};

// f(begin, count) over [0, total) on the host's threads.
template <class F>
void each_piece(const Call& call, int64_t total, int64_t grain, const F& f) {
  sdk::parallel_for(call.host, static_cast<uint64_t>(total), static_cast<uint64_t>(grain),
                    [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
                      f(static_cast<int64_t>(begin), static_cast<int64_t>(end - begin));
                    });
}

// -- one operand

template <UnaryF32 KernelTable::*kFunction>
struct Unary : Stateless {
  int64_t count = 0;
  UnaryF32 KernelTable::*function = kFunction;

  static std::optional<Unary> make(const sdk::Graph& graph, const sdk::Node& node) {
    Unary u;
    u.count = graph.input(node, 0).numel();
    const std::string_view form = node.op() == "aten.gelu.default" ? node.attrs().text("approximate", "none") : "none";
    if (form != "none") {
      if (form != "tanh") return std::nullopt;
      u.function = &KernelTable::gelu_tanh_f32;
    }
    return u;
  }
  void run(const Call& call) const noexcept {
    each_piece(call, count, kGrain,
               [&](int64_t begin, int64_t n) { (call.kernels.*function)(call.in[0] + begin, call.out + begin, n); });
  }
};

struct Clamp : Stateless {
  int64_t count = 0;
  float low = -kInfinity, high = kInfinity;

  static std::optional<Clamp> make(const sdk::Graph& graph, const sdk::Node& node) {
    Clamp c;
    c.count = graph.input(node, 0).numel();
    const std::string_view op = node.op();
    const sdk::Params attrs = node.attrs();
    if (op == "aten.hardtanh.default") {
      c.low = static_cast<float>(attrs.number("min_val", -1)), c.high = static_cast<float>(attrs.number("max_val", 1));
    } else if (op == "aten.clamp.default") {
      c.low = static_cast<float>(attrs.number("min", -kInfinity)),
      c.high = static_cast<float>(attrs.number("max", kInfinity));
    } else {  // relu, relu6
      c.low = 0, c.high = op == "aten.relu6.default" ? 6.0f : kInfinity;
    }
    if (!(c.low <= c.high)) return std::nullopt;
    return c;
  }
  void run(const Call& call) const noexcept {
    each_piece(call, count, kGrain, [&](int64_t begin, int64_t n) {
      call.kernels.clamp_f32({call.in[0] + begin, call.out + begin, n, low, high});
    });
  }
};

// -- two operands: equal shapes, or a right operand that repeats over leading dims, or a single number
// -----------------

using Operation = void (*)(const BinaryF32&);

template <Operation KernelTable::*kOperation>
struct Binary : Stateless {
  int64_t rows = 1, cols = 0;
  bool repeated = false, single = false;

  static std::optional<Binary> make(const sdk::Graph& graph, const sdk::Node& node) {
    if (!node.has_input(1) || node.attrs().number("alpha", 1.0) != 1.0) return std::nullopt;
    const sdk::Value left = graph.input(node, 0), right = graph.input(node, 1), result = graph.output(node);
    const auto a = left.dims();
    auto b = right.dims();
    if (!same(a, result.dims())) return std::nullopt;
    Binary out;
    out.cols = left.numel();
    if (same(a, b)) return out;
    out.single = right.numel() == 1;
    if (out.single) return out;
    while (!b.empty() && b.front() == 1) b = b.subspan(1);
    if (b.size() > a.size() || !same(a.last(b.size()), b) || right.numel() == 0) return std::nullopt;
    out.repeated = true;
    out.cols = right.numel();
    out.rows = left.numel() / out.cols;
    return out;
  }
  void run(const Call& call) const noexcept {
    const auto piece = [&](int64_t row, int64_t count, int64_t begin, int64_t n) {
      BinaryF32 g;
      g.a = call.in[0] + row * cols + begin, g.b = call.in[1] + (single ? 0 : begin),
      g.y = call.out + row * cols + begin;
      g.a_stride = g.y_stride = cols, g.rows = count, g.cols = n, g.b_scalar = single;
      (call.kernels.*kOperation)(g);
    };
    if (repeated) {
      each_piece(call, rows, std::max<int64_t>(kGrain / cols, 1),
                 [&](int64_t row, int64_t n) { piece(row, n, 0, cols); });
    } else {
      each_piece(call, cols, kGrain, [&](int64_t begin, int64_t n) { piece(0, 1, begin, n); });
    }
  }
};

// -- rows over the last dims

struct Softmax : Stateless {
  int64_t rows = 0, cols = 0;

  static std::optional<Softmax> make(const sdk::Graph& graph, const sdk::Node& node) {
    const sdk::Value x = graph.input(node, 0);
    const auto dims = x.dims();
    const int64_t rank = static_cast<int64_t>(dims.size()), dim = node.attrs().integer("dim", rank);
    if (rank < 1 || (dim != -1 && dim != rank - 1) || dims.back() < 1) return std::nullopt;
    return Softmax{{}, x.numel() / dims.back(), dims.back()};
  }
  void run(const Call& call) const noexcept {
    each_piece(call, rows, std::max<int64_t>(kGrain / cols, 1), [&](int64_t row, int64_t n) {
      call.kernels.softmax_f32({call.in[0] + row * cols, call.out + row * cols, n, cols, cols, cols, 1.0f});
    });
  }
};

struct LayerNorm : Stateless {
  int64_t rows = 0, cols = 0;
  float eps = 1e-5f;

  static std::optional<LayerNorm> make(const sdk::Graph& graph, const sdk::Node& node) {
    const sdk::Value x = graph.input(node, 0);
    const auto dims = x.dims(), shape = node.attrs().integers("normalized_shape");
    if (shape.size() > dims.size() || !same(dims.last(shape.size()), shape)) return std::nullopt;
    LayerNorm l;
    l.cols = product(shape);
    if (l.cols < 1) return std::nullopt;
    for (uint32_t slot : {1u, 2u})
      if (node.has_input(slot) && graph.input(node, slot).numel() != l.cols) return std::nullopt;
    l.rows = x.numel() / l.cols;
    l.eps = static_cast<float>(node.attrs().number("eps", 1e-5));
    return l;
  }
  void run(const Call& call) const noexcept {
    each_piece(call, rows, std::max<int64_t>(kGrain / cols, 1), [&](int64_t row, int64_t n) {
      LayerNormF32 g;
      g.x = call.in[0] + row * cols, g.gamma = call.in[1], g.beta = call.in[2], g.y = call.out + row * cols;
      g.rows = n, g.cols = g.x_stride = g.y_stride = cols, g.eps = eps;
      call.kernels.layer_norm_f32(g);
    });
  }
};

constexpr quoin_kernel kRows[] = {
    in_place_row<Clamp>("aten.relu.default", "cpu:relu"),
    in_place_row<Clamp>("aten.relu6.default", "cpu:relu6"),
    in_place_row<Clamp>("aten.hardtanh.default", "cpu:hardtanh"),
    in_place_row<Clamp>("aten.clamp.default", "cpu:clamp"),
    in_place_row<Unary<&KernelTable::gelu_f32>>("aten.gelu.default", "cpu:gelu"),
    in_place_row<Unary<&KernelTable::tanh_f32>>("aten.tanh.default", "cpu:tanh"),
    in_place_row<Unary<&KernelTable::sigmoid_f32>>("aten.sigmoid.default", "cpu:sigmoid"),
    in_place_row<Unary<&KernelTable::silu_f32>>("aten.silu.default", "cpu:silu"),
    in_place_row<Unary<&KernelTable::hardswish_f32>>("aten.hardswish.default", "cpu:hardswish"),
    in_place_row<Binary<&KernelTable::add_f32>>("aten.add.Tensor", "cpu:add"),
    in_place_row<Binary<&KernelTable::sub_f32>>("aten.sub.Tensor", "cpu:sub"),
    in_place_row<Binary<&KernelTable::mul_f32>>("aten.mul.Tensor", "cpu:mul"),
    in_place_row<Binary<&KernelTable::div_f32>>("aten.div.Tensor", "cpu:div"),
    row<Softmax>("aten.softmax.int", "cpu:softmax"),
    row<LayerNorm>("aten.layer_norm.default", "cpu:layer_norm"),
};

}  // namespace

std::span<const quoin_kernel> elementwise_operators() { return kRows; }

}  // namespace quoin::cpu
