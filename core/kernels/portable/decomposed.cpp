// Quantize, dequantize and fake-quantize of the quantized_decomposed and torchao families, as the reference computes
// them. Arithmetic follows its type promotion (number.hpp); per operator:
//   after      q = clamp(round(x * (1 / s)) + z)        per tensor, per channel, torchao
//   before     q = clamp(round(x * (1 / s) + z))        per token, per group
//   midpoint   q = clamp(round((x - (z - s * m)) / s))  torchao, zero points in float; m = (quant_max + quant_min + 1)
//   / 2
// NaN quantizes to the integer nearest to 0.
#include "kernels/portable/kernel.hpp"
#include "kernels/portable/number.hpp"
#include "ops/integer_range.hpp"

namespace quoin::kernels {
namespace {

enum class Rounding { after, before, midpoint };
// How a difference from the zero point is taken: in the result's type, or exactly and only then in that of the scale.
enum class Difference { in_result, exact };

struct Rule {
  Rounding rounding = Rounding::after;
  Difference difference = Difference::in_result;
  bool widens = true;     // halves become f32 first
  bool uses_zero = true;  // torchao's domain NONE has no zero point
  static Rule of(const NodeView& view) {
    const std::string& op = view.schema->name;
    const bool rows = op.find("per_token") != std::string::npos || op.find("channel_group") != std::string::npos;
    if (rows) return {Rounding::before, Difference::exact, false, true};
    if (op.find("per_channel") != std::string::npos) return {Rounding::after, Difference::exact, true, true};
    if (!view.has("zero_point_domain")) return {};
    const std::string& domain = view.get_text("zero_point_domain");
    return {domain == "FLOAT" ? Rounding::midpoint : Rounding::after, Difference::in_result, false, domain != "NONE"};
  }
};

DType storage_of(const NodeView& view) {
  const bool torchao = view.has("zero_point_domain");
  if (!torchao) return *parse_dtype(view.get_text("dtype"));
  for (const char* key : {"input_dtype", "quant_dtype"})
    if (view.has(key)) return *parse_dtype(view.get_text(key));
  return *parse_dtype(view.get_text("output_dtype"));
}

// The integer range: attributes, operands 3 and 4, or the type's own.
struct Limits {
  bool operands = false;
  int64_t low = 0, high = 0;
  static Limits of(const NodeView& view) {
    if (view.schema->inputs.size() > 3) return {true, 0, 0};
    if (view.has("quant_min") && view.has("quant_max"))
      return {false, view.get_int("quant_min"), view.get_int("quant_max")};
    const IntegerRange all = integer_range(storage_of(view));
    return {false, view.has("quant_min") ? view.get_int("quant_min") : all.low,
            view.has("quant_max") ? view.get_int("quant_max") : all.high};
  }
};

// Scale and zero point of each run of elements: operands, or literals.
struct Scales {
  ScaleLayout layout;
  bool literal = false;  // attributes, and one-element tensors that the reference reads as literals
  double scale = 1, zero_point = 0;
  std::optional<DType> scale_type, zero_type;  // of operands

  struct One {
    Number scale, zero;
  };
  One at(const Run& run, int64_t index) const {
    One out{{scale, DType::s64}, {zero_point, DType::s64}};
    if (scale_type) out.scale = {number_at(*scale_type, run.inputs[1], index), literal ? DType::s64 : *scale_type};
    if (zero_type) out.zero = {number_at(*zero_type, run.inputs[2], index), literal ? DType::s64 : *zero_type};
    return out;
  }
  bool all_f32() const {
    const auto fits = [](const std::optional<DType>& type) {
      return !type || !is_floating(*type) || *type == DType::f32;
    };
    return literal || (fits(scale_type) && fits(zero_type));
  }

  static Result<ScaleLayout> layout_of(const NodeView& view) {
    const Shape& shape = view.in_shape();
    if (view.has("block_size")) return ScaleLayout::of_blocks(shape, view.get_ints("block_size"));
    QParams q;
    if (view.has("axis")) {
      const int64_t axis = view.get_int("axis");
      q.scheme = Scheme::per_channel;
      q.axis = static_cast<int32_t>(axis < 0 ? axis + static_cast<int64_t>(shape.size()) : axis);
    } else if (view.has("group_size")) {
      q.scheme = Scheme::per_group;
      q.group = static_cast<uint32_t>(view.get_int("group_size"));
    } else if (view.schema->name.find("per_token") != std::string::npos) {
      q.scheme = Scheme::per_token;
    }
    return ScaleLayout::of(q, shape);
  }
  Status prepare(const NodeView& view) {
    QUOIN_TRY(layout, layout_of(view));
    literal = view.schema->name.find("per_tensor") != std::string::npos;
    if (view.schema->inputs.size() == 1) {
      scale = view.get_number("scale");
      zero_point = static_cast<double>(view.get_int("zero_point"));
      return {};
    }
    scale_type = view.in(1).dtype;
    if (view.has_in(2) && numel(view.in_shape(2)) > 0) zero_type = view.in(2).dtype;
    return {};
  }
};

constexpr int64_t kBlock = 256;  // elements per stack buffer

// f(scale, first, count) for pieces of at most kBlock elements with one scale, on all threads.
void each_piece(const Run& run, const Scales& scales, int64_t elements,
                Callback<const Scales::One&, int64_t, int64_t> f) {
  parallel(run.host, elements, 32, [&](int64_t begin, int64_t end, uint32_t) {
    scale_runs(scales.layout, begin, end, [&](int64_t scale, int64_t first, int64_t count) {
      const Scales::One one = scales.at(run, scale);
      for (int64_t at = first; at < first + count; at += kBlock) f(one, at, std::min(kBlock, first + count - at));
    });
  });
}

// Everything that a formula needs for one piece.
template <class N>
struct Step {
  N scale, inverse, zero, middle;
  Step(const Scales::One& one, const Limits& limits)
      : scale(as<N>(one.scale)),
        inverse(as<N>(Number{1, DType::s64} / one.scale)),
        zero(as<N>(one.zero)),
        middle(as<N>(Number{static_cast<double>(limits.low + limits.high + 1) / 2, DType::s64})) {}
  N quantize(N x, Rounding rounding) const {
    if (rounding == Rounding::after) return round_even(x * inverse) + zero;
    if (rounding == Rounding::before) return round_even(x * inverse + zero);
    return round_even((x - (zero - scale * middle)) / scale);
  }
};

double clamped(double q, const Limits& limits) {
  const double number = std::isnan(q) ? 0 : q;
  return std::min(std::max(number, static_cast<double>(limits.low)), static_cast<double>(limits.high));
}

struct Affine : Kernel {
  Rule rule;
  Scales scales;
  Limits limits;
  Block in{}, out{};
  int64_t elements = 0;
  std::optional<DType> low_type, high_type;  // of operands 3 and 4

  Status prepare(const NodeView& node) override {
    rule = Rule::of(node);
    QUOIN_CHECK(scales.prepare(node));
    if (!rule.uses_zero) scales.zero_type.reset();
    limits = Limits::of(node);
    if (limits.operands) {
      low_type = node.in(3).dtype;
      high_type = node.in(4).dtype;
    }
    in = Block::of(node.in(0));
    out = Block::of(node.out());
    elements = numel(node.in_shape());
    return {};
  }
  Limits limits_of(const Run& run) const {
    if (!limits.operands) return limits;
    return {true, integer_at(*low_type, run.inputs[3], 0), integer_at(*high_type, run.inputs[4], 0)};
  }
  // What x counts as in the arithmetic.
  DType real_type() const { return rule.widens ? DType::f32 : in.dtype; }
};

struct Quantize : Affine {
  template <class N>
  void piece(const Run& run, const Step<N>& step, const Limits& range, int64_t first, int64_t count) const {
    double x[kBlock];
    int64_t q[kBlock];
    read_numbers(in, run.inputs[0], first, count, x);
    for (int64_t i = 0; i < count; ++i)
      q[i] = static_cast<int64_t>(clamped(value_of(step.quantize(as<N>({x[i], real_type()}), rule.rounding)), range));
    write_integers(out, run.out(), first, count, q);
  }
  Status run(const Run& run) const override {
    const Limits range = limits_of(run);
    const bool single = scales.all_f32() && real_type() == DType::f32;
    each_piece(run, scales, elements, [&](const Scales::One& one, int64_t first, int64_t count) {
      if (single)
        piece(run, Step<float>(one, range), range, first, count);
      else
        piece(run, Step<Number>(one, range), range, first, count);
    });
    return {};
  }
};

struct Dequantize : Affine {
  Number dequantize(int64_t q, const Scales::One& one, const Limits& range) const {
    const auto integer = static_cast<double>(q);
    if (rule.rounding == Rounding::midpoint) {
      const double middle = static_cast<double>(range.low + range.high + 1) / 2;
      const Number centred = cast({integer - middle, DType::s64}, out.dtype);
      return cast(cast(centred * one.scale, out.dtype) + one.zero, out.dtype);
    }
    if (rule.difference == Difference::exact)
      return cast((Number{integer, DType::s64} - one.zero) * one.scale, out.dtype);
    const Number zero = scales.literal ? one.zero : cast(one.zero, out.dtype);
    return cast((cast({integer, DType::s64}, out.dtype) - zero) * one.scale, out.dtype);
  }
  Status run(const Run& run) const override {
    const Limits range = limits_of(run);
    const bool single = scales.all_f32() && out.dtype == DType::f32 && rule.rounding != Rounding::midpoint &&
                        bits(in.dtype) <= 16;  // differences are exact in f32
    each_piece(run, scales, elements, [&](const Scales::One& one, int64_t first, int64_t count) {
      int64_t q[kBlock];
      double x[kBlock];
      read_integers(in, run.inputs[0], first, count, q);
      const float scale = as<float>(one.scale), zero = as<float>(one.zero);
      for (int64_t i = 0; i < count; ++i)
        x[i] = single ? static_cast<double>((static_cast<float>(q[i]) - zero) * scale)
                      : dequantize(q[i], one, range).value;
      write_numbers(out, run.out(), first, count, x);
    });
    return {};
  }
};

// (clamp(round(x * (1 / s)) + z) - z) * s per channel, all in f32.
struct FakeQuantize : Affine {
  Status run(const Run& run) const override {
    each_piece(run, scales, elements, [&](const Scales::One& one, int64_t first, int64_t count) {
      const Step<float> step({cast(one.scale, DType::f32), one.zero}, limits);
      for (int64_t i = first; i < first + count; ++i) {
        const float q = step.quantize(run.in<float>(0)[i], Rounding::after);
        const auto low = static_cast<float>(limits.low), high = static_cast<float>(limits.high);
        // A NaN stays one.
        run.out<float>()[i] = (std::min(std::max(q, low), high) - step.zero) * step.scale;
      }
    });
    return {};
  }
};

constexpr Row kRows[] = {
    exact_row<Quantize>("quantized_decomposed.quantize_per_tensor.default"),
    exact_row<Quantize>("quantized_decomposed.quantize_per_tensor.tensor"),
    exact_row<Quantize>("quantized_decomposed.quantize_per_tensor.tensor2"),
    exact_row<Quantize>("quantized_decomposed.quantize_per_channel.default"),
    exact_row<Quantize>("quantized_decomposed.quantize_per_channel_group.default"),
    exact_row<Quantize>("quantized_decomposed.quantize_per_token.default"),
    exact_row<Quantize>("torchao.quantize_affine.default"),
    exact_row<Dequantize>("quantized_decomposed.dequantize_per_tensor.default"),
    exact_row<Dequantize>("quantized_decomposed.dequantize_per_tensor.tensor"),
    exact_row<Dequantize>("quantized_decomposed.dequantize_per_tensor.tensor2"),
    exact_row<Dequantize>("quantized_decomposed.dequantize_per_channel.default"),
    exact_row<Dequantize>("quantized_decomposed.dequantize_per_channel_group.default"),
    exact_row<Dequantize>("quantized_decomposed.dequantize_per_token.default"),
    exact_row<Dequantize>("torchao.dequantize_affine.default"),
    exact_row<FakeQuantize>("quantized_decomposed.fake_quant_per_channel.default"),
};

}  // namespace

Rows decomposed_rows() { return kRows; }

}  // namespace quoin::kernels
