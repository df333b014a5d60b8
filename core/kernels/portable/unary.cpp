// Elementwise operators of one tensor. An operator is a struct whose call computes one element.
#include <algorithm>
#include <cmath>

#include <quoin/numerics.hpp>

#include "kernels/portable/kernel.hpp"

namespace quoin::kernels {
namespace {

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }
float clamp(float x, float low, float high) { return x < low ? low : (x > high ? high : x); }  // NaN stays

struct LeakyRelu {
  float slope = 0;
  static LeakyRelu make(const Attrs& attrs) { return {static_cast<float>(get_number(attrs, "negative_slope"))}; }
  float operator()(float x) const { return x > 0 ? x : x * slope; }
};
// scale * (x > 0 ? x : alpha * (exp(x * input_scale) - 1))
struct Elu {
  float alpha = 1, scale = 1, input_scale = 1;
  static Elu make(const Attrs& attrs) {
    const auto number = [&](const char* name) { return static_cast<float>(get_number(attrs, name)); };
    return {number("alpha"), number("scale"), number("input_scale")};
  }
  float operator()(float x) const { return x > 0 ? x * scale : std::expm1(x * input_scale) * (alpha * scale); }
};
struct Hardswish {
  float operator()(float x) const { return x * clamp(x + 3.0f, 0.0f, 6.0f) / 6.0f; }
};
struct Hardsigmoid {
  float operator()(float x) const { return clamp(x + 3.0f, 0.0f, 6.0f) / 6.0f; }
};
struct Sigmoid {
  float operator()(float x) const { return sigmoid(x); }
};
struct Silu {
  float operator()(float x) const { return x * sigmoid(x); }
};
// none: x / 2 * (1 + erf(x / sqrt(2))); tanh: x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
struct Gelu {
  bool approximate = false;
  static Gelu make(const Attrs& attrs) { return {get_text(attrs, "approximate") == "tanh"}; }
  float operator()(float x) const {
    constexpr float kSqrtHalf = 0.70710678118654752440f, kSqrtTwoOverPi = 0.79788456080286535588f;
    if (approximate) return 0.5f * x * (1.0f + std::tanh(kSqrtTwoOverPi * (x + 0.044715f * x * x * x)));
    return x * 0.5f * (1.0f + std::erf(x * kSqrtHalf));
  }
};
struct Tanh {
  float operator()(float x) const { return std::tanh(x); }
};
struct Exp {
  float operator()(float x) const { return std::exp(x); }
};
struct Log {
  float operator()(float x) const { return std::log(x); }
};
struct Sqrt {
  float operator()(float x) const { return std::sqrt(x); }
};
struct Rsqrt {
  float operator()(float x) const { return 1.0f / std::sqrt(x); }
};
struct Erf {
  float operator()(float x) const { return std::erf(x); }
};
struct Sin {
  float operator()(float x) const { return std::sin(x); }
};
struct Cos {
  float operator()(float x) const { return std::cos(x); }
};
struct Reciprocal {
  float operator()(float x) const { return 1.0f / x; }
};
struct Floor {
  float operator()(float x) const { return std::floor(x); }
};
struct Round {
  float operator()(float x) const { return std::nearbyint(x); }
};

// Integers wrap instead of overflowing.
struct Neg {
  float operator()(float x) const { return -x; }
  int64_t operator()(int64_t x) const { return static_cast<int64_t>(0 - static_cast<uint64_t>(x)); }
};
struct Abs {
  float operator()(float x) const { return std::fabs(x); }
  int64_t operator()(int64_t x) const { return x < 0 ? Neg{}(x) : x; }
};
struct Power {
  double exponent = 1;
  static Power make(const Attrs& attrs) { return {get_number(attrs, "exponent")}; }
  float operator()(float x) const {
    if (exponent == 2.0) return x * x;
    if (exponent == 0.5) return std::sqrt(x);
    return std::pow(x, static_cast<float>(exponent));
  }
  int64_t operator()(int64_t x) const {
    if (exponent < 0) return x == 1 ? 1 : x == -1 ? (std::fmod(exponent, 2.0) == 0 ? 1 : -1) : 0;
    uint64_t result = 1, base = static_cast<uint64_t>(x);
    for (auto left = static_cast<uint64_t>(std::min(exponent, 9e18)); left != 0; left >>= 1, base *= base)
      if ((left & 1u) != 0) result *= base;
    return static_cast<int64_t>(result);
  }
};

// An F, whatever it is.
using State = std::array<double, 3>;
template <class F>
State state_of(const Attrs& attrs) {
  static_assert(sizeof(F) <= sizeof(State) && std::is_trivially_copyable_v<F>);
  State out{};
  if constexpr (requires { F::make(attrs); }) {
    const F function = F::make(attrs);
    std::memcpy(out.data(), &function, sizeof function);
  }
  return out;
}
template <class F, class T>
void apply(const State& state, const T* x, T* y, int64_t count) {
  F function;
  std::memcpy(static_cast<void*>(&function), state.data(), sizeof function);
  for (int64_t i = 0; i < count; ++i) y[i] = function(x[i]);
}

// y[i] = F(x[i]) in f32, or s64 where F is made for it.
struct Function {
  const char* op;
  State (*state)(const Attrs&);
  void (*floats)(const State&, const float* x, float* y, int64_t count);
  void (*integers)(const State&, const int64_t* x, int64_t* y, int64_t count);  // null: none
};
template <class F>
constexpr Function real(const char* op) {
  return {op, state_of<F>, apply<F, float>, nullptr};
}
template <class F>
constexpr Function number(const char* op) {
  return {op, state_of<F>, apply<F, float>, apply<F, int64_t>};
}
constexpr Function kFunctions[] = {
    real<LeakyRelu>("aten.leaky_relu.default"),
    real<Elu>("aten.elu.default"),
    real<Hardswish>("aten.hardswish.default"),
    real<Hardsigmoid>("aten.hardsigmoid.default"),
    real<Sigmoid>("aten.sigmoid.default"),
    real<Silu>("aten.silu.default"),
    real<Gelu>("aten.gelu.default"),
    real<Tanh>("aten.tanh.default"),
    real<Exp>("aten.exp.default"),
    real<Log>("aten.log.default"),
    real<Sqrt>("aten.sqrt.default"),
    real<Rsqrt>("aten.rsqrt.default"),
    real<Erf>("aten.erf.default"),
    real<Sin>("aten.sin.default"),
    real<Cos>("aten.cos.default"),
    real<Reciprocal>("aten.reciprocal.default"),
    real<Floor>("aten.floor.default"),
    real<Round>("aten.round.default"),
    number<Neg>("aten.neg.default"),
    number<Abs>("aten.abs.default"),
    number<Power>("aten.pow.Tensor_Scalar"),
};

struct Map : KernelBase {
  const Function* function = nullptr;
  State state{};
  int64_t count = 0;
  bool integers = false;

  static Result<Map> make(const NodeView& view) {
    const Function* function = std::ranges::find(kFunctions, view.schema->name, &Function::op);
    return Map{{}, function, function->state(view.attrs), numel(view.out_shape()), view.in(0).dtype == DType::s64};
  }
  template <class T>
  Status apply(const Run& run, void (*part)(const State&, const T*, T*, int64_t)) const {
    parallel(run.host, count, 16, [&](int64_t begin, int64_t end, uint32_t) {
      part(state, run.in<T>(0) + begin, run.out<T>() + begin, end - begin);
    });
    return {};
  }
  Status run(const Run& run) const { return integers ? apply(run, function->integers) : apply(run, function->floats); }
};

struct LogicalNot : KernelBase {
  static constexpr bool kOwnResult = true;
  int64_t count = 0;
  bool integers = false;
  static Result<LogicalNot> make(const NodeView& view) {
    return LogicalNot{{}, numel(view.out_shape()), view.in(0).dtype == DType::s64};
  }
  Status run(const Run& run) const {
    auto* y = run.out<uint8_t>();
    for (int64_t i = 0; i < count; ++i) y[i] = integers ? run.in<int64_t>(0)[i] == 0 : run.in<float>(0)[i] == 0.0f;
    return {};
  }
};

// The bounds of relu, relu6, hardtanh and clamp*, by operator.
struct Bounds {
  double low = -INFINITY, high = INFINITY;
  static Bounds of(const NodeView& view) {
    const std::string& op = view.schema->name;
    Bounds out;
    if (op == "aten.relu.default" || op == "aten.relu6.default") out.low = 0;
    if (op == "aten.relu6.default") out.high = 6;
    const auto take = [&](const char* name, double& bound) {
      if (has(view.attrs, name)) bound = get_number(view.attrs, name);
    };
    take("min", out.low);
    take("min_val", out.low);
    take("max", out.high);
    take("max_val", out.high);
    return out;
  }
};

// On f32, s64 and NaN: min(max(x, low), high); NaN stays NaN.
struct Clamp : KernelBase {
  Bounds bounds;
  int64_t count = 0;
  bool integers = false;
  static Result<Clamp> make(const NodeView& view) {
    return Clamp{{}, Bounds::of(view), numel(view.out_shape()), view.in(0).dtype == DType::s64};
  }
  Status run(const Run& run) const {
    if (integers) {
      constexpr double kLimit = 0x1p63;
      const int64_t low = bounds.low < -kLimit ? INT64_MIN : static_cast<int64_t>(bounds.low);
      const int64_t high = bounds.high >= kLimit ? INT64_MAX : static_cast<int64_t>(bounds.high);
      for (int64_t i = 0; i < count; ++i) run.out<int64_t>()[i] = std::min(std::max(run.in<int64_t>(0)[i], low), high);
      return {};
    }
    const auto low = static_cast<float>(bounds.low), high = static_cast<float>(bounds.high);
    const float* x = run.in<float>(0);
    float* y = run.out<float>();
    for (int64_t i = 0; i < count; ++i) {
      const float raised = x[i] < low ? low : x[i];
      y[i] = raised > high ? high : raised;
    }
    return {};
  }
};

// Per-tensor quantized in and out: rescale, limited to the integer images of the bounds in the result's qparams.
struct IntegerClamp : KernelBase {
  std::shared_ptr<const QParams> from, to;
  TensorType in, out;
  int32_t low = 0, high = 0;

  static bool accepts(const NodeView& view) {
    const auto fits = [](const TensorType& type) {
      return type.qparams && type.qparams->scale.size() == 1 && bits(type.dtype) >= 8;
    };
    return fits(view.in(0)) && fits(view.out());
  }
  static Result<IntegerClamp> make(const NodeView& view) {
    const Bounds bounds = Bounds::of(view);
    const QParams& q = *view.out().qparams;
    const auto image = [&](double bound) {
      return numerics::clamp_bound(static_cast<float>(bound), q.scale[0], q.zero_point_at(0), q.qmin, q.qmax);
    };
    return IntegerClamp{{},         view.in(0).qparams, view.out().qparams, view.in(0),
                        view.out(), image(bounds.low),  image(bounds.high)};
  }
  Status run(const Run& run) const {
    const float ratio = from->scale[0] / to->scale[0];
    parallel(run.host, numel(out.shape), 16, [&](int64_t begin, int64_t end, uint32_t) {
      int64_t block[256];
      for (int64_t first = begin; first < end; first += 256) {
        const int64_t size = std::min<int64_t>(256, end - first);
        read_integers(Block::of(in), run.inputs[0], first, size, block);
        for (int64_t i = 0; i < size; ++i) {
          const int32_t q = numerics::rescale(static_cast<int32_t>(block[i]), from->zero_point_at(0), ratio,
                                              to->zero_point_at(0), to->qmin, to->qmax);
          block[i] = std::min(std::max(q, low), high);
        }
        write_integers(Block::of(out), run.out(), first, size, block);
      }
    });
    return {};
  }
};

// Conversion of numbers: the plan's converter does it, on the types of the node.
struct Cast : KernelBase {
  Converter converter;
  static Result<Cast> make(const NodeView& view) {
    QUOIN_TRY(Converter converter, Converter::make(view.in(0), view.out()));
    return Cast{{}, std::move(converter)};
  }
  Status run(const Run& run) const {
    converter.run(run.host, run.inputs[0], run.out());
    return {};
  }
};

}  // namespace

Rows unary_rows() {
  Rows rows{
      number_row<LogicalNot>("aten.logical_not.default"),
      exact_row<Cast>("aten.to.dtype"),
      exact_row<Cast>("quantized_decomposed.convert_element_type.no_fuse"),
  };
  for (const Function& function : kFunctions)
    rows.push_back(function.integers == nullptr ? float_row<Map>(function.op) : number_row<Map>(function.op));
  for (const char* op : {"aten.relu.default", "aten.relu6.default", "aten.hardtanh.default", "aten.clamp.default",
                         "aten.clamp_min.default", "aten.clamp_max.default"}) {
    rows.push_back(integer_row<IntegerClamp>(op));
    rows.push_back(number_row<Clamp>(op));
  }
  return rows;
}

}  // namespace quoin::kernels
