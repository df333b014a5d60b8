// quoin.linear_dynamic: linear with an integer weight, on rows that are quantized when they come. Formulas are those of
// numerics.hpp.
#include "kernels/portable/products.hpp"

namespace quoin::kernels {
namespace {

// Rows of x are quantized with their own range (or all with one), multiplied with the integer weight, and dequantized:
//   one scale per output   y[r][o] = numerics::dequantize_product(sum of (qx - zx) * (qw - zw), sx[r], sw[o]) + bias[o]
//   groups                 y[r][o] = numerics::dequantize_groups(acc, corr[o], x[r]) + bias[o]
struct LinearDynamic : Kernel {
  int64_t rows = 0, inner = 0, outputs = 0, group = 0;
  DynamicRow dynamic;
  bool per_token = true, grouped = false;
  Centered w;

  static bool accepts(const NodeView& view) {
    if (!real_f32(view.in(0)) || !small_integers(view.in(1)) || !real_f32(view.out())) return false;
    const QParams& q = *view.in(1).qparams;
    const bool rows = q.scheme == Scheme::per_channel && q.axis == 0;
    return (q.scale.size() == 1 || rows || q.scheme == Scheme::per_group) && (!view.has_in(2) || real_f32(view.in(2)));
  }
  Status prepare(const NodeView& node) override {
    const Shape& shape = node.in_shape(1);
    const QParams& q = *node.in(1).qparams;
    outputs = shape[0];
    inner = shape[1];
    rows = inner == 0 ? 0 : numel(node.in_shape(0)) / inner;
    grouped = q.scheme == Scheme::per_group;
    group = grouped ? static_cast<int64_t>(q.group) : inner;
    dynamic.qmin = static_cast<int32_t>(node.get_int("qmin"));
    dynamic.qmax = static_cast<int32_t>(node.get_int("qmax"));
    per_token = node.get_text("granularity") == "per_token";
    dynamic.eps = static_cast<float>(node.get_number("eps"));
    // Checked by the operator's type inference.
    dynamic.scheme = *numerics::dynamic_scheme(node.get_text("scheme"));
    return w.prepare(node.in(1));
  }

  // Scratch: the weight and x as integers, the qparams of each row, the correction of each output.
  uint64_t w_bytes() const { return (static_cast<uint64_t>(w.count()) * sizeof(int16_t) + 63) & ~uint64_t{63}; }
  uint64_t x_bytes() const { return (static_cast<uint64_t>(rows * inner) * sizeof(int16_t) + 63) & ~uint64_t{63}; }
  uint64_t row_bytes() const { return static_cast<uint64_t>(rows) * sizeof(numerics::Affine); }
  uint64_t scratch(const quoin_host&) const override {
    return w_bytes() + x_bytes() + row_bytes() + static_cast<uint64_t>(outputs) * sizeof(float);
  }

  // Integers of x (their zero point taken off where there are no groups), and the qparams of each row.
  void quantize_rows(const float* x, int16_t* out, numerics::Affine* chosen) const {
    const int64_t span = per_token ? inner : rows * inner;
    for (int64_t first = 0; first < rows * inner; first += span) {
      const numerics::Affine q = dynamic.choose(x[first], x + first, span);
      const int32_t zero = grouped ? 0 : q.zero_point;
      for (int64_t i = first; i < first + span; ++i) out[i] = static_cast<int16_t>(dynamic.quantize(x[i], q) - zero);
      for (int64_t row = first / inner; row < (first + span) / inner; ++row) chosen[row] = q;
    }
  }
  float scale_of(int64_t element) const { return w.type->qparams->scale[static_cast<size_t>(w.layout(element))]; }
  const float* group_scales(int64_t output) const {
    return &w.type->qparams->scale[static_cast<size_t>(output * (inner / group))];
  }
  float correction(const int16_t* weight, int64_t output) const {
    float corr = 0;
    const float* scale = group_scales(output);
    for (int64_t k = 0; k < inner; k += group) {
      int32_t sum = 0;
      for (int64_t i = k; i < k + group; ++i) sum += weight[i];
      corr += static_cast<float>(sum) * *scale++;
    }
    return corr;
  }
  float product(const int16_t* x, const int16_t* weight, int64_t output) const {
    float acc = 0;
    const float* scale = group_scales(output);
    for (int64_t k = 0; k < inner; k += group)
      acc += static_cast<float>(static_cast<int32_t>(dot(x + k, weight + k, group))) * *scale++;
    return acc;
  }
  Status run(const Run& run) const override {
    auto* weight = reinterpret_cast<int16_t*>(run.scratch);
    auto* x = reinterpret_cast<int16_t*>(run.scratch + w_bytes());
    auto* chosen = reinterpret_cast<numerics::Affine*>(run.scratch + w_bytes() + x_bytes());
    auto* corr = reinterpret_cast<float*>(run.scratch + w_bytes() + x_bytes() + row_bytes());
    w.read(run.host, run.inputs[1], weight);
    quantize_rows(run.in<float>(0), x, chosen);
    for (int64_t o = 0; grouped && o < outputs; ++o) corr[o] = correction(weight + o * inner, o);
    const float* bias = run.in<float>(2);
    parallel(run.host, rows * outputs, inner, [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i / outputs, o = i % outputs;
        const int16_t *left = x + row * inner, *right = weight + o * inner;
        const float y = grouped ? numerics::dequantize_groups(product(left, right, o), corr[o], chosen[row])
                                : numerics::dequantize_product(static_cast<int32_t>(dot(left, right, inner)),
                                                               chosen[row].scale, scale_of(o * inner));
        run.out<float>()[i] = bias == nullptr ? y : y + bias[o];
      }
    });
    return {};
  }
};

constexpr Row kRows[] = {exact_row<LinearDynamic>("quoin.linear_dynamic.default")};

}  // namespace

Rows typed_rows() { return kRows; }

}  // namespace quoin::kernels
