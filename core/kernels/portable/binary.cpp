// Elementwise operators of two tensors, or of a tensor and a number.
#include <quoin/numerics.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "kernels/portable/products.hpp"
#include "kernels/portable/walk.hpp"

namespace quoin::kernels {
namespace {

// Walks result, left and right operand. With a number instead of a right operand that is a single repeated element.
Walk walk_of(const NodeView& node, bool with_number) {
  const Shape& out = node.out_shape();
  return Walk(out, {Dims::dense(out), Dims::broadcast(node.in_shape(0), out),
                    with_number ? Dims() : Dims::broadcast(node.in_shape(1), out)});
}

uint64_t wrap(int64_t value) { return static_cast<uint64_t>(value); }

// Integer arithmetic wraps.
struct Mul {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(wrap(a) * wrap(b));
    else
      return a * b;
  }
};
struct Add {
  static constexpr bool kScales = true;  // by the attribute alpha
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(wrap(a) + wrap(b));
    else
      return a + b;
  }
};
struct Sub {
  static constexpr bool kScales = true;
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(wrap(a) - wrap(b));
    else
      return a - b;
  }
};
struct Div {
  float operator()(float a, float b) const { return a / b; }
};
struct Maximum {
  template <class T>
  T operator()(T a, T b) const {
    return a != a || a > b ? a : b;  // NaN wins
  }
};
struct Minimum {
  template <class T>
  T operator()(T a, T b) const {
    return a != a || a < b ? a : b;
  }
};
struct BitAnd {
  int64_t operator()(int64_t a, int64_t b) const { return a & b; }
};
struct BitOr {
  int64_t operator()(int64_t a, int64_t b) const { return a | b; }
};

struct And {
  template <class T>
  bool operator()(T a, T b) const {
    return a != T{} && b != T{};
  }
};
struct Or {
  template <class T>
  bool operator()(T a, T b) const {
    return a != T{} || b != T{};
  }
};

// One row. Steps of 0 repeat an element.
struct Line {
  const void *a, *b;
  void* y;
  int64_t count, a_step, b_step;
  double factor;  // of b
};

template <class F, class T>
constexpr bool is_predicate = std::is_same_v<std::invoke_result_t<F, T, T>, bool>;

// What an operator does with a row: y = F(a, factor * b). Predicates give 0 or 1.
template <class F, class T>
void apply(const Line& line) {
  auto* y = static_cast<std::conditional_t<is_predicate<F, T>, uint8_t, T>*>(line.y);
  const auto *a = static_cast<const T*>(line.a), *b = static_cast<const T*>(line.b);
  for (int64_t i = 0; i < line.count; ++i) {
    const T right = b[i * line.b_step];
    if constexpr (requires { F::kScales; })
      y[i] = F{}(a[i * line.a_step], Mul{}(static_cast<T>(line.factor), right));
    else
      y[i] = F{}(a[i * line.a_step], right);
  }
}

struct Operation {
  const char *tensors, *number;  // operators: of two tensors; of a tensor and the attribute `other`, or ""
  void (*floats)(const Line&);
  void (*integers)(const Line&);
  bool predicate;
};
template <class F>
constexpr Operation operation(const char* tensors, const char* number = "") {
  return {tensors, number, apply<F, float>, apply<F, int64_t>, is_predicate<F, float>};
}
constexpr Operation kOperations[] = {
    operation<Add>("aten.add.Tensor", "aten.add.Scalar"),
    operation<Sub>("aten.sub.Tensor", "aten.sub.Scalar"),
    operation<Mul>("aten.mul.Tensor", "aten.mul.Scalar"),
    {"aten.div.Tensor", "aten.div.Scalar", apply<Div, float>, nullptr, false},
    operation<Maximum>("aten.maximum.default"),
    operation<Minimum>("aten.minimum.default"),
    operation<std::equal_to<>>("aten.eq.Tensor", "aten.eq.Scalar"),
    operation<std::not_equal_to<>>("aten.ne.Tensor", "aten.ne.Scalar"),
    operation<std::less<>>("aten.lt.Tensor", "aten.lt.Scalar"),
    operation<std::less_equal<>>("aten.le.Tensor", "aten.le.Scalar"),
    operation<std::greater<>>("aten.gt.Tensor", "aten.gt.Scalar"),
    operation<std::greater_equal<>>("aten.ge.Tensor", "aten.ge.Scalar"),
    operation<And>("aten.logical_and.default"),
    operation<Or>("aten.logical_or.default"),
    {"aten.bitwise_and.Tensor", "", nullptr, apply<BitAnd, int64_t>, false},
    {"aten.bitwise_or.Tensor", "", nullptr, apply<BitOr, int64_t>, false},
};

// A number as an operand of one element.
class Literal {
 public:
  Literal() = default;
  Literal(double number, bool integer) {
    if (integer)
      set(static_cast<int64_t>(number));
    else
      set(static_cast<float>(number));
  }
  const std::byte* data() const { return bytes_.data(); }

 private:
  template <class T>
  void set(T value) {
    std::memcpy(bytes_.data(), &value, sizeof value);
  }
  alignas(int64_t) std::array<std::byte, sizeof(int64_t)> bytes_{};
};

// y = operation(a, alpha * b); b is operand 1 or the attribute `other`.
struct Binary : Kernel {
  const Operation* operation = nullptr;
  Walk walk;
  Literal number;
  double alpha = 1;
  bool with_number = false, integers = false;

  Status prepare(const NodeView& node) override {
    with_number = node.has("other");
    operation =
        std::ranges::find(kOperations, node.schema->name, with_number ? &Operation::number : &Operation::tensors);
    walk = walk_of(node, with_number);
    integers = node.in(0).dtype == DType::s64;
    if (with_number) number = Literal(node.get_number("other"), integers);
    if (node.has("alpha")) alpha = node.get_number("alpha");
    return {};
  }
  Status run(const Run& run) const override {
    const int64_t size = integers ? 8 : 4, result_size = operation->predicate ? 1 : size;
    const auto *a = run.in<std::byte>(0), *b = with_number ? number.data() : run.in<std::byte>(1);
    const auto& steps = walk.row_steps();
    walk.rows(run.host, [&](const Walk::Offsets& first) {
      const Line line{a + first[1] * size,
                      b + first[2] * size,
                      run.out<std::byte>() + first[0] * result_size,
                      walk.row_length(),
                      steps[1],
                      steps[2],
                      alpha};
      (integers ? operation->integers : operation->floats)(line);
    });
    return {};
  }
};
struct Comparison : Binary {
  static constexpr bool kOwnResult = true;
};

// where: condition ? a : b; one of them may be a number.
struct Where : Kernel {
  static constexpr uint64_t kAsIs = 1;  // the condition
  Walk walk;
  size_t left = 0, right = 0;  // operand slots; 0: the number
  Literal number;
  bool integers = false;

  Status prepare(const NodeView& node) override {
    const Shape& shape = node.out_shape();
    integers = node.out().dtype == DType::s64;
    const auto take = [&](const char* name, size_t slot) {
      if (!node.has(name)) return slot;
      number = Literal(node.get_number(name), integers);
      return size_t{0};
    };
    left = take("self", 1);
    right = take("other", node.schema->inputs.size() - 1);
    const auto strides = [&](size_t slot) { return Dims::broadcast(node.in_shape(slot), shape); };
    walk = Walk(shape, {Dims::dense(shape), strides(0), left == 0 ? Dims() : strides(left),
                        right == 0 ? Dims() : strides(right)});
    return {};
  }
  template <class T>
  void apply(const Run& run) const {
    const auto operand = [&](size_t slot) {
      return static_cast<const T*>(slot == 0 ? static_cast<const void*>(number.data()) : run.inputs[slot]);
    };
    const T *a = operand(left), *b = operand(right);
    const auto* condition = run.in<uint8_t>(0);
    T* y = run.out<T>();
    const auto& steps = walk.row_steps();
    walk.rows(run.host, [&](const Walk::Offsets& first) {
      for (int64_t i = 0; i < walk.row_length(); ++i)
        y[first[0] + i] =
            condition[first[1] + i * steps[1]] != 0 ? a[first[2] + i * steps[2]] : b[first[3] + i * steps[3]];
    });
  }
  Status run(const Run& run) const override {
    if (integers)
      apply<int64_t>(run);
    else
      apply<float>(run);
    return {};
  }
};

// add, sub and mul on per-tensor quantized operands and result; formulas in numerics.hpp.
struct IntegerBinary : Kernel {
  bool product = false;  // of sums the ratios are those of the operands
  Walk walk;
  PerTensor a, b, y;
  float a_ratio = 1, b_ratio = 1;

  static bool accepts(const NodeView& view) {
    return tensor_quantized(view.in(0)) && tensor_quantized(view.in(1)) && tensor_quantized(view.out());
  }
  Status prepare(const NodeView& node) override {
    walk = walk_of(node, false);
    a = PerTensor::of(node.in(0));
    b = PerTensor::of(node.in(1));
    y = PerTensor::of(node.out());
    product = node.is("aten.mul.Tensor");
    if (product) {
      a_ratio = numerics::requantize_multiplier(a.scale, b.scale, y.scale);
      return {};
    }
    a_ratio = a.scale / y.scale;
    b_ratio = static_cast<float>(node.get_number("alpha")) * (b.scale / y.scale);
    if (node.is("aten.sub.Tensor")) b_ratio = -b_ratio;
    return {};
  }
  Status run(const Run& run) const override {
    const auto& steps = walk.row_steps();
    walk.rows(run.host, [&](const Walk::Offsets& first) {
      for (int64_t i = 0; i < walk.row_length(); ++i) {
        const int64_t left = a.read(run.inputs[0], first[1] + i * steps[1]),
                      right = b.read(run.inputs[1], first[2] + i * steps[2]), at = first[0] + i;
        if (product)
          y.write(left * right, a_ratio, run.out(), at);
        else
          store_integer(y.dtype, run.out(), at,
                        numerics::add(static_cast<int32_t>(left), a_ratio, static_cast<int32_t>(right), b_ratio,
                                      y.zero_point, y.qmin, y.qmax));
      }
    });
    return {};
  }
};

constexpr Row row_of(const Operation& operation, const char* op) {
  if (operation.predicate) return number_row<Comparison>(op);
  return operation.integers == nullptr ? float_row<Binary>(op) : number_row<Binary>(op);
}

constexpr size_t operators() {
  size_t count = 0;
  for (const Operation& operation : kOperations) count += *operation.number == 0 ? 1 : 2;
  return count;
}

constexpr auto kRows = [] {
  std::array<Row, operators() + 6> rows{
      integer_row<IntegerBinary>("aten.add.Tensor"), integer_row<IntegerBinary>("aten.sub.Tensor"),
      integer_row<IntegerBinary>("aten.mul.Tensor"), number_row<Where>("aten.where.self"),
      number_row<Where>("aten.where.ScalarOther"),   number_row<Where>("aten.where.ScalarSelf"),
  };
  size_t at = 6;
  for (const Operation& operation : kOperations)
    for (const char* op : {operation.tensors, operation.number})
      if (*op != 0) rows[at++] = row_of(operation, op);
  return rows;
}();

}  // namespace

Rows binary_rows() { return kRows; }

}  // namespace quoin::kernels
