// quantized_decomposed.*: the operators of PT2E's Q/DQ graphs, as their reference computes them.
//   per tensor, per channel:  q = clamp(round(x * (1 / s)) + z)         1 / s in binary64, rounded to binary32
//   per token, per group:     q = clamp(round(x * (1 / s) + z))
//   dequantize:               (q - z) * s
#include <quoin/numerics.hpp>

#include <cmath>

#include "kernels/portable/kernel.hpp"

namespace quoin::kernels {
namespace {

// Scale and zero point of each element: operands, or attributes.
struct Params {
  bool operands = false;
  double scale = 1;
  int64_t zero_point = 0;
  DType scale_dtype = DType::f32, zero_dtype = DType::s64;
  ScaleIndex index;

  struct One {
    double scale, zero_point;
  };
  One at(const Run& run, int64_t element) const {
    if (!operands) return {scale, static_cast<double>(zero_point)};
    const int64_t i = index(element);
    const double zero = run.inputs[2] == nullptr ? 0 : number_at(zero_dtype, run.inputs[2], i);
    return {number_at(scale_dtype, run.inputs[1], i), zero};
  }

  static Params of(const NodeView& view) {
    Params out;
    const Shape& x = view.in_shape();
    out.operands = view.inputs.size() > 1;
    if (!out.operands) {
      out.scale = get_number(view.attrs, "scale");
      out.zero_point = get_int(view.attrs, "zero_point");
      return out;
    }
    out.scale_dtype = view.in(1).dtype;
    if (view.has_in(2)) out.zero_dtype = view.in(2).dtype;
    out.index.count = numel(view.in_shape(1));
    if (has(view.attrs, "axis")) {
      const int64_t axis = get_int(view.attrs, "axis");
      for (size_t i = static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(x.size()) : axis) + 1; i < x.size();
           ++i)
        out.index.inner *= x[i];
    } else if (has(view.attrs, "group_size")) {
      out.index.inner = get_int(view.attrs, "group_size");
    } else if (out.index.count > 1) {
      out.index.inner = x.back();
    }
    out.index.inner = std::max<int64_t>(out.index.inner, 1);
    return out;
  }
};

bool adds_zero_before_rounding(std::string_view op) {
  return op.find("per_token") != std::string_view::npos || op.find("channel_group") != std::string_view::npos;
}

struct Quantize : KernelBase {
  Params params;
  TensorType in, out;
  int64_t low = 0, high = 0;
  bool before_rounding = false;

  static Result<Quantize> make(const NodeView& view) {
    return Quantize{{},
                    Params::of(view),
                    view.in(0),
                    view.out(),
                    get_int(view.attrs, "quant_min"),
                    get_int(view.attrs, "quant_max"),
                    adds_zero_before_rounding(view.schema->name)};
  }
  int64_t quantize(float x, const Params::One& p) const {
    const float steps = x * static_cast<float>(1.0 / p.scale), zero = static_cast<float>(p.zero_point);
    const float q = before_rounding ? numerics::round_half_even(steps + zero) : numerics::round_half_even(steps) + zero;
    return static_cast<int64_t>(std::min(
        std::max(static_cast<double>(std::isnan(q) ? 0.0f : q), static_cast<double>(low)), static_cast<double>(high)));
  }
  Status run(const Run& run) const {
    parallel(run.host, numel(in.shape), 32, [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t q = quantize(static_cast<float>(number_at(in.dtype, run.inputs[0], i)), params.at(run, i));
        write_integers(Block::of(out), run.out(), i, 1, &q);
      }
    });
    return {};
  }
};

struct Dequantize : KernelBase {
  Params params;
  TensorType in;
  static Result<Dequantize> make(const NodeView& view) { return Dequantize{{}, Params::of(view), view.in(0)}; }
  Status run(const Run& run) const {
    parallel(run.host, numel(in.shape), 32, [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t i = begin; i < end; ++i) {
        const Params::One p = params.at(run, i);
        const auto q = static_cast<float>(integer_at(in.dtype, run.inputs[0], i));
        run.out<float>()[i] = (q - static_cast<float>(p.zero_point)) * static_cast<float>(p.scale);
      }
    });
    return {};
  }
};

struct Range {
  float min = 0, max = 0;
  static Range of(const float* x, int64_t count) {
    if (count == 0) return {};
    Range out{x[0], x[0]};
    for (int64_t i = 1; i < count; ++i) out = {std::min(out.min, x[i]), std::max(out.max, x[i])};
    return out;
  }
};

// Source: torch.ao.quantization.utils.determine_qparams, per tensor.
struct ChooseTensor : KernelBase {
  static constexpr bool kOwnResult = true;
  int64_t count = 0, low = 0, high = 0;
  double eps = 0;
  bool symmetric = false;

  static Result<ChooseTensor> make(const NodeView& view) {
    return ChooseTensor{{},
                        numel(view.in_shape()),
                        get_int(view.attrs, "quant_min"),
                        get_int(view.attrs, "quant_max"),
                        get_number(view.attrs, "eps"),
                        view.schema->name.find("symmetric") != std::string::npos};
  }
  Status run(const Run& run) const {
    const Range range = Range::of(run.in<float>(0), count);
    const numerics::Affine q = numerics::choose_qparams(range.min, range.max, static_cast<int32_t>(low),
                                                        static_cast<int32_t>(high), symmetric, static_cast<float>(eps));
    *run.out<double>(0) = static_cast<double>(q.scale);
    *run.out<int64_t>(1) = q.zero_point;
    return {};
  }
};

// One range per row of the last dim. Symmetric: s = max(|x|, 1e-5) / 127. Asymmetric: the zero point is chosen from the
// end of the range whose rounding error is smaller; s >= 2^-23.
struct ChooseTokens : KernelBase {
  static constexpr bool kOwnResult = true;
  int64_t rows = 0, columns = 0;
  bool asymmetric = false;

  static Result<ChooseTokens> make(const NodeView& view) {
    const int64_t columns = view.in_shape().back();
    return ChooseTokens{{},
                        columns == 0 ? 0 : numel(view.in_shape()) / columns,
                        columns,
                        view.schema->name.find("asymmetric") != std::string::npos};
  }
  static numerics::Affine choose(const Range& range) {
    const float low = std::min(range.min, 0.0f), high = std::max(range.max, 0.0f);
    const float scale = std::max((high - low) / 255.0f, numerics::kDefaultEps);
    const float from_low = low / scale, from_high = high / scale;
    const float zero = (-128.0f + from_low) + (127.0f + from_high) > 0 ? -128.0f - from_low : 127.0f - from_high;
    return {scale, static_cast<int32_t>(numerics::round_half_even(numerics::clamp_real(zero, -128.0f, 127.0f)))};
  }
  Status run(const Run& run) const {
    for (int64_t row = 0; row < rows; ++row) {
      const Range range = Range::of(run.in<float>(0) + row * columns, columns);
      if (asymmetric) {
        const numerics::Affine q = choose(range);
        run.out<double>(0)[row] = static_cast<double>(q.scale);
        run.out<int64_t>(1)[row] = q.zero_point;
      } else {
        run.out<float>(0)[row] = std::max(std::max(-range.min, range.max), 1e-5f) / 127.0f;
        run.out<float>(1)[row] = 0;
      }
    }
    return {};
  }
};

}  // namespace

Rows decomposed_rows() {
  Rows rows;
  for (const char* op :
       {"quantized_decomposed.quantize_per_tensor.default", "quantized_decomposed.quantize_per_tensor.tensor",
        "quantized_decomposed.quantize_per_channel.default", "quantized_decomposed.quantize_per_channel_group.default",
        "quantized_decomposed.quantize_per_token.default"})
    rows.push_back(exact_row<Quantize>(op));
  for (const char* op :
       {"quantized_decomposed.dequantize_per_tensor.default", "quantized_decomposed.dequantize_per_tensor.tensor",
        "quantized_decomposed.dequantize_per_channel.default",
        "quantized_decomposed.dequantize_per_channel_group.default",
        "quantized_decomposed.dequantize_per_token.default"})
    rows.push_back(exact_row<Dequantize>(op));
  rows.push_back(float_row<ChooseTensor>("quantized_decomposed.choose_qparams.tensor"));
  rows.push_back(float_row<ChooseTensor>("quantized_decomposed.choose_qparams_symmetric.tensor"));
  rows.push_back(float_row<ChooseTokens>("quantized_decomposed.choose_qparams_per_token.default"));
  rows.push_back(float_row<ChooseTokens>("quantized_decomposed.choose_qparams_per_token_asymmetric.default"));
  return rows;
}

}  // namespace quoin::kernels
