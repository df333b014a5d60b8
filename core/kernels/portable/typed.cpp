// quoin.*: what the typed form adds. Formulas are those of numerics.hpp.
#include "kernels/portable/products.hpp"

namespace quoin::kernels {
namespace {

// quantize, dequantize and requantize: the conversion between the types of operand and result.
struct Convert : KernelBase {
  Converter converter;
  static Result<Convert> make(const NodeView& view) {
    QUOIN_TRY(Converter converter, Converter::make(view.in(0), view.out()));
    return Convert{{}, std::move(converter)};
  }
  Status run(const Run& run) const {
    converter.run(run.host, run.inputs[0], run.out());
    return {};
  }
};

// Rows of x are quantized with their own range (or all with one), multiplied with the integer weight, and dequantized:
// y[r][o] = sum over groups of dequantize_product(acc, sx[r], sw[o, group]) + bias[o].
struct LinearDynamic : KernelBase {
  int64_t rows = 0, inner = 0, outputs = 0, group = 0;
  int32_t qmin = -128, qmax = 127;
  float eps = numerics::kDefaultEps;
  numerics::Dynamic scheme = numerics::Dynamic::affine;
  bool per_token = true;
  Centered w;

  static bool accepts(const NodeView& view) {
    if (!real_f32(view.in(0)) || !small_integers(view.in(1)) || !real_f32(view.out())) return false;
    const QParams& q = *view.in(1).qparams;
    const bool rows = q.scheme == Scheme::per_channel && q.axis == 0;
    return (q.scale.size() == 1 || rows || q.scheme == Scheme::per_group) && (!view.has_in(2) || real_f32(view.in(2)));
  }
  static Result<LinearDynamic> make(const NodeView& view) {
    const Shape& shape = view.in_shape(1);
    QUOIN_TRY(Centered w, Centered::of(view.in(1)));
    LinearDynamic out;
    out.outputs = shape[0];
    out.inner = shape[1];
    out.rows = out.inner == 0 ? 0 : numel(view.in_shape(0)) / out.inner;
    out.group = w.type.qparams->scheme == Scheme::per_group ? static_cast<int64_t>(w.type.qparams->group) : out.inner;
    out.qmin = static_cast<int32_t>(get_int(view.attrs, "qmin"));
    out.qmax = static_cast<int32_t>(get_int(view.attrs, "qmax"));
    out.per_token = get_text(view.attrs, "granularity") == "per_token";
    out.eps = static_cast<float>(get_number(view.attrs, "eps"));
    out.scheme = *numerics::dynamic_scheme(get_text(view.attrs, "scheme"));  // checked by the operator's type inference
    out.w = std::move(w);
    return out;
  }

  uint64_t w_bytes() const { return (static_cast<uint64_t>(w.count()) * 4 + 63) & ~uint64_t{63}; }
  uint64_t x_bytes() const { return (static_cast<uint64_t>(rows * inner) * 4 + 63) & ~uint64_t{63}; }
  uint64_t scratch(const quoin_host&) const { return w_bytes() + x_bytes() + static_cast<uint64_t>(rows) * 4; }

  // Centered integers of x, and the scale of each row.
  void quantize_rows(const float* x, Word* out, float* scales) const {
    const int64_t span = per_token ? inner : rows * inner;
    for (int64_t first = 0; first < rows * inner; first += span) {
      float low = x[first], high = x[first];
      for (int64_t i = first; i < first + span; ++i) {
        low = std::min(low, x[i]);
        high = std::max(high, x[i]);
      }
      const numerics::Affine q = numerics::choose_dynamic(scheme, low, high, qmin, qmax, eps);
      for (int64_t i = first; i < first + span; ++i)
        out[i] = static_cast<Word>(numerics::quantize_dynamic(scheme, x[i], q, qmin, qmax) - q.zero_point);
      for (int64_t row = first / inner; row < (first + span) / inner; ++row) scales[row] = q.scale;
    }
  }
  float product(const Word* x, const Word* weight, int64_t output, float scale) const {
    const auto& scales = w.type.qparams->scale;
    float sum = 0;
    for (int64_t k = 0; k < inner; k += group) {
      const auto at = static_cast<size_t>(w.layout(output * inner + k));
      sum += numerics::dequantize_product(static_cast<int32_t>(dot(x + k, weight + k, group)), scale, scales[at]);
    }
    return sum;
  }
  Status run(const Run& run) const {
    auto* weight = reinterpret_cast<Word*>(run.scratch);
    auto* x = reinterpret_cast<Word*>(run.scratch + w_bytes());
    auto* scales = reinterpret_cast<float*>(run.scratch + w_bytes() + x_bytes());
    w.read(run.host, run.inputs[1], weight);
    quantize_rows(run.in<float>(0), x, scales);
    const float* bias = run.in<float>(2);
    parallel(run.host, rows * outputs, inner, [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i / outputs, o = i % outputs;
        const float y = product(x + row * inner, weight + o * inner, o, scales[row]);
        run.out<float>()[i] = bias == nullptr ? y : y + bias[o];
      }
    });
    return {};
  }
};

}  // namespace

Rows typed_rows() {
  return {
      exact_row<Convert>("quoin.quantize.default"),
      exact_row<Convert>("quoin.dequantize.default"),
      exact_row<Convert>("quoin.requantize.default"),
      exact_row<LinearDynamic>("quoin.linear_dynamic.default"),
  };
}

}  // namespace quoin::kernels
