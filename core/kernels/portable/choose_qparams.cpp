// choose_qparams of the quantized_decomposed and torchao families: scales and zero points from the range of each block,
// in the arithmetic of the reference (number.hpp). A NaN in the input is an error: no range covers it.
#include <quoin/numerics.hpp>

#include "kernels/portable/kernel.hpp"
#include "kernels/portable/number.hpp"
#include "ops/integer_range.hpp"

namespace quoin::kernels {
namespace {

// Numbers without a type: literals of the formulas.
Number literal(double value) { return {value, DType::s64}; }
Number smaller(Number a, Number b) { return {std::min(a.value, b.value), promote(a.type, b.type)}; }
Number larger(Number a, Number b) { return {std::max(a.value, b.value), promote(a.type, b.type)}; }
Number clamp(Number x, int64_t low, int64_t high) {
  return smaller(larger(x, literal(static_cast<double>(low))), literal(static_cast<double>(high)));
}
Number negated(Number x) { return {-x.value, x.type}; }

struct Extremes {
  Number min, max;
};

struct Chosen {
  Number scale, zero_point;
};

// How the range of a block becomes a scale and a zero point.
struct Formula {
  enum class Kind {
    affine,           // s = max((max - min) / steps, eps), z = clamp(qmin - round(min / s))
    symmetric,        // s = max(|x| / (steps / 2), eps), z = middle
    no_clipping,      // s = max(min / qmin, max / qmax, eps), z = middle
    real_zero,        // s as affine, z = min + s * m: the real number in the middle of the range
    token,            // s as affine; z from the end of the range whose rounding error is smaller
    token_symmetric,  // s = max(|x|, 1e-5) / 127, z = 0
  };
  Kind kind = Kind::affine;
  int64_t low = -128, high = 127;
  Number eps;
  double middle = 0;  // zero point of symmetric kinds
  bool keeps_zero = true;

  Number range_scale(const Extremes& x) const {
    return larger((x.max - x.min) / literal(static_cast<double>(high - low)), eps);
  }
  Chosen affine(const Extremes& x) const {
    const Number scale = range_scale(x);
    return {scale, clamp(literal(static_cast<double>(low)) - round_even(x.min / scale), low, high)};
  }
  Chosen symmetric(const Extremes& x) const {
    if (kind == Kind::no_clipping) {
      const Number below = x.min / literal(static_cast<double>(low)),
                   above = x.max / literal(static_cast<double>(high));
      return {larger(below.value > above.value ? below : above, eps), literal(middle)};
    }
    const Number reach = larger(negated(x.min), x.max);
    if (kind == Kind::token_symmetric) return {larger(reach, eps) / literal(127), literal(0)};
    return {larger(reach / literal(static_cast<double>(high - low) / 2), eps), literal(middle)};
  }
  Chosen token(const Extremes& x) const {
    const Number scale = range_scale(x), from_min = x.min / scale, from_max = x.max / scale;
    const Number bottom = literal(static_cast<double>(low)), top = literal(static_cast<double>(high));
    const Number error = (bottom + from_min) + (top + from_max);
    return {scale, round_even(clamp(error.value > 0 ? bottom - from_min : top - from_max, low, high))};
  }
  Chosen operator()(Extremes x) const {
    if (keeps_zero) x = {smaller(x.min, literal(0)), larger(x.max, literal(0))};
    switch (kind) {
      case Kind::affine:
        return affine(x);
      case Kind::token:
        return token(x);
      case Kind::real_zero: {
        const Number scale = range_scale(x), middle_step = literal(static_cast<double>(low + high + 1) / 2);
        return {scale, x.min + scale * middle_step};
      }
      default:
        return symmetric(x);
    }
  }

  static Formula of(const NodeView& view);
};

// f32 whatever the input is: halves meet it in f32.
Number eps_tensor(const NodeView& view) { return cast(literal(view.get_number("eps")), DType::f32); }

double smallest_normal(DType dtype) {
  return dtype == DType::f16 ? 0x1p-14 : static_cast<double>(std::numeric_limits<float>::min());
}

Formula of_torchao(const NodeView& view) {
  Formula out;
  const std::string& mapping = view.get_text("mapping_type");
  if (mapping == "SYMMETRIC") out.kind = Formula::Kind::symmetric;
  if (mapping == "SYMMETRIC_NO_CLIPPING_ERR") out.kind = Formula::Kind::no_clipping;
  if (view.get_text("zero_point_domain") == "FLOAT") out.kind = Formula::Kind::real_zero;
  const IntegerRange all = integer_range(*parse_dtype(view.get_text("target_dtype")));
  out.low = view.has("quant_min") ? view.get_int("quant_min") : all.low;
  out.high = view.has("quant_max") ? view.get_int("quant_max") : all.high;
  const DType type = view.in(0).dtype;
  out.eps = cast(literal(view.has("eps") ? view.get_number("eps") : smallest_normal(type)), type);
  out.middle = static_cast<double>((out.low + out.high + 1) / 2);
  out.keeps_zero = view.get_bool("preserve_zero");
  return out;
}

Formula Formula::of(const NodeView& view) {
  const std::string& op = view.schema->name;
  if (op.starts_with("torchao.")) return of_torchao(view);
  Formula out;
  if (op.find("per_token_asymmetric") != std::string::npos) {
    out.kind = Kind::token;
    out.eps = cast(literal(static_cast<double>(numerics::kDefaultEps)), view.in(0).dtype);
  } else if (op.find("per_token") != std::string::npos) {
    out.kind = Kind::token_symmetric;
    out.eps = cast(literal(1e-5), view.out().dtype);
  } else {
    out.low = view.get_int("quant_min");
    out.high = view.get_int("quant_max");
    out.eps = eps_tensor(view);
    if (op.find("symmetric") != std::string::npos) out.kind = Kind::symmetric;
    if (view.get_text("dtype") == "u8") out.middle = 128;
  }
  return out;
}

struct ChooseQParams : Kernel {
  Block in{};
  int64_t elements = 0;
  DType scale_type = DType::f32, zero_type = DType::s64;
  ScaleLayout layout;
  Formula formula;

  Status prepare(const NodeView& node) override {
    const Shape& shape = node.in_shape();
    in = Block::of(node.in(0));
    elements = numel(shape);
    scale_type = node.out(0).dtype;
    zero_type = node.out(1).dtype;
    formula = Formula::of(node);
    if (node.has("block_size")) {
      QUOIN_TRY(layout, ScaleLayout::of_blocks(shape, node.get_ints("block_size")));
    } else if (node.schema->name.find("per_token") != std::string::npos) {
      QParams q;
      q.scheme = Scheme::per_token;
      QUOIN_TRY(layout, ScaleLayout::of(q, shape));
    }
    return {};
  }
  uint64_t scratch(const quoin_host&) const override {
    return static_cast<uint64_t>(layout.count()) * 2 * sizeof(double);
  }

  // Smallest and largest element of every block, in pairs. Error (data): NaN.
  Status measure(const Run& run, double* ranges) const {
    constexpr int64_t kBlock = 256;
    std::fill_n(ranges, layout.count() * 2, std::numeric_limits<double>::quiet_NaN());
    double x[kBlock];
    int64_t nan = -1;
    scale_runs(layout, 0, elements, [&](int64_t block, int64_t first, int64_t count) {
      double &low = ranges[2 * block], &high = ranges[2 * block + 1];
      for (int64_t at = first; at < first + count; at += kBlock) {
        const int64_t size = std::min(kBlock, first + count - at);
        read_numbers(in, run.inputs[0], at, size, x);
        for (int64_t i = 0; i < size; ++i) {
          if (std::isnan(x[i])) nan = at + i;
          if (!(low <= x[i])) low = x[i];
          if (!(high >= x[i])) high = x[i];
        }
      }
    });
    if (nan < 0) return {};
    return fail(Code::data, "element {} is NaN: no range covers it", nan);
  }
  Status run(const Run& run) const override {
    auto* ranges = reinterpret_cast<double*>(run.scratch);
    QUOIN_CHECK(measure(run, ranges));
    const Block scales{scale_type, 1}, zeros{zero_type, 1};
    for (int64_t i = 0; i < layout.count(); ++i) {
      const Chosen chosen = formula({{ranges[2 * i], in.dtype}, {ranges[2 * i + 1], in.dtype}});
      write_numbers(scales, run.out(0), i, 1, &chosen.scale.value);
      write_numbers(zeros, run.out(1), i, 1, &chosen.zero_point.value);
    }
    return {};
  }
};

constexpr Row kRows[] = {
    exact_row<ChooseQParams>("quantized_decomposed.choose_qparams.tensor"),
    exact_row<ChooseQParams>("quantized_decomposed.choose_qparams_symmetric.tensor"),
    exact_row<ChooseQParams>("quantized_decomposed.choose_qparams_per_token.default"),
    exact_row<ChooseQParams>("quantized_decomposed.choose_qparams_per_token_asymmetric.default"),
    exact_row<ChooseQParams>("quantized_decomposed._choose_qparams_per_token_"
                             "asymmetric_impl.default"),
    exact_row<ChooseQParams>("torchao.choose_qparams_affine.default"),
};

}  // namespace

Rows choose_qparams_rows() { return kRows; }

}  // namespace quoin::kernels
