// Elementwise operators of one tensor. An operator is a struct whose call computes one element.
#include <algorithm>
#include <array>
#include <cmath>

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

struct Map : Kernel {
  const Function* function = nullptr;
  State state{};
  int64_t count = 0;
  bool integers = false;

  Status prepare(const NodeView& node) override {
    function = std::ranges::find(kFunctions, node.schema->name, &Function::op);
    state = function->state(node.attrs);
    count = numel(node.out_shape());
    integers = node.in(0).dtype == DType::s64;
    return {};
  }
  template <class T>
  Status apply(const Run& run, void (*part)(const State&, const T*, T*, int64_t)) const {
    parallel(run.host, count, 16, [&](int64_t begin, int64_t end, uint32_t) {
      part(state, run.in<T>(0) + begin, run.out<T>() + begin, end - begin);
    });
    return {};
  }
  Status run(const Run& run) const override {
    return integers ? apply(run, function->integers) : apply(run, function->floats);
  }
};

struct LogicalNot : Kernel {
  static constexpr bool kOwnResult = true;
  int64_t count = 0;
  bool integers = false;
  Status prepare(const NodeView& node) override {
    count = numel(node.out_shape());
    integers = node.in(0).dtype == DType::s64;
    return {};
  }
  Status run(const Run& run) const override {
    auto* y = run.out<uint8_t>();
    for (int64_t i = 0; i < count; ++i) y[i] = integers ? run.in<int64_t>(0)[i] == 0 : run.in<float>(0)[i] == 0.0f;
    return {};
  }
};

constexpr Row row_of(const Function& function) {
  return function.integers == nullptr ? float_row<Map>(function.op) : number_row<Map>(function.op);
}
constexpr auto kRows = [] {
  std::array<Row, std::size(kFunctions) + 1> rows;
  std::ranges::transform(kFunctions, rows.begin(), row_of);
  rows.back() = number_row<LogicalNot>("aten.logical_not.default");
  return rows;
}();

}  // namespace

Rows unary_rows() { return kRows; }

}  // namespace quoin::kernels
