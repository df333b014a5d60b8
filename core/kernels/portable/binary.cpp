// Elementwise operators of two tensors, or of a tensor and a number.
#include <quoin/numerics.hpp>

#include <algorithm>
#include <cmath>
#include <functional>

#include "kernels/portable/products.hpp"
#include "kernels/portable/walk.hpp"
#include "ops/shape.hpp"

namespace quoin::kernels {
namespace {

// Walks result, left and right operand. With a number instead of a right operand that is a single repeated element.
Walk walk_of(const NodeView& view, bool with_number) {
  const Shape& out = view.out_shape();
  const auto strides = [&](size_t slot) { return broadcast_strides(view.in_shape(slot), out); };
  return Walk(out, {strides_of(out), strides(0), with_number ? Shape(out.size(), 0) : strides(1)});
}

uint64_t wrap(int64_t value) { return static_cast<uint64_t>(value); }

// Integer arithmetic wraps.
struct Add {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(wrap(a) + wrap(b));
    else
      return a + b;
  }
};
struct Sub {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(wrap(a) - wrap(b));
    else
      return a - b;
  }
};
struct Mul {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(wrap(a) * wrap(b));
    else
      return a * b;
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

// One row of T. Steps of 0 repeat an element.
template <class T>
struct Line {
  const T *a, *b;
  void* y;
  int64_t count, a_step, b_step;
  T factor;  // of b
};

template <class F, class T>
constexpr bool is_predicate = std::is_same_v<std::invoke_result_t<F, T, T>, bool>;

// What an operator does with a row: y = F(a, factor * b). Predicates give 0 or 1.
template <class F, class T>
void apply(const Line<T>& line) {
  auto* y = static_cast<std::conditional_t<is_predicate<F, T>, uint8_t, T>*>(line.y);
  for (int64_t i = 0; i < line.count; ++i) {
    const T b = line.b[i * line.b_step];
    y[i] = F{}(line.a[i * line.a_step], line.factor == T{1} ? b : Mul{}(line.factor, b));
  }
}

struct Operation {
  const char *tensors, *number;  // operators: of two tensors; of a tensor and the attribute `other`, or ""
  void (*floats)(const Line<float>&);
  void (*integers)(const Line<int64_t>&);
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

// y = operation(a, alpha * b); b is operand 1 or the attribute `other`.
struct Binary : KernelBase {
  const Operation* operation = nullptr;
  Walk walk;
  double number = 0, alpha = 1;
  bool with_number = false, integers = false;

  static Binary of(const NodeView& view) {
    Binary out;
    const std::string& op = view.schema->name;
    out.with_number = has(view.attrs, "other");
    out.operation = std::ranges::find_if(
        kOperations, [&](const Operation& row) { return op == (out.with_number ? row.number : row.tensors); });
    out.walk = walk_of(view, out.with_number);
    if (out.with_number) out.number = get_number(view.attrs, "other");
    if (has(view.attrs, "alpha")) out.alpha = get_number(view.attrs, "alpha");
    out.integers = view.in(0).dtype == DType::s64;
    return out;
  }
  static Result<Binary> make(const NodeView& view) { return of(view); }
  template <class T>
  Status rows(const Run& run, void (*line)(const Line<T>&)) const {
    const T *a = run.in<T>(0), other = static_cast<T>(number), factor = static_cast<T>(alpha);
    const T* b = with_number ? &other : run.in<T>(1);
    auto* y = run.out<std::byte>();
    const auto size = static_cast<int64_t>(operation->predicate ? sizeof(uint8_t) : sizeof(T));
    const auto& steps = walk.row_steps();
    walk.rows(run.host, [&](const auto& first) {
      line({a + first[1], b + first[2], y + first[0] * size, walk.row_length(), steps[1], steps[2], factor});
    });
    return {};
  }
  Status run(const Run& run) const { return integers ? rows(run, operation->integers) : rows(run, operation->floats); }
};
struct Comparison : Binary {
  static constexpr bool kOwnResult = true;
  static Result<Comparison> make(const NodeView& view) { return Comparison{of(view)}; }
};

// where: condition ? a : b; one of them may be a number.
struct Where : KernelBase {
  static constexpr uint64_t kAsIs = 1;  // the condition
  Walk walk;
  std::optional<size_t> left, right;  // operand slots; none: the number
  double number = 0;
  bool integers = false;

  static Result<Where> make(const NodeView& view) {
    Where out;
    const Shape& shape = view.out_shape();
    if (has(view.attrs, "self"))
      out.number = get_number(view.attrs, "self");
    else
      out.left = 1;
    if (has(view.attrs, "other"))
      out.number = get_number(view.attrs, "other");
    else
      out.right = view.schema->inputs.size() - 1;
    const auto strides = [&](std::optional<size_t> slot) {
      return slot ? broadcast_strides(view.in_shape(*slot), shape) : Shape(shape.size(), 0);
    };
    out.walk = Walk(shape, {strides_of(shape), strides(0), strides(out.left), strides(out.right)});
    out.integers = view.out().dtype == DType::s64;
    return out;
  }
  template <class T>
  void apply(const Run& run) const {
    const T other = static_cast<T>(number);
    const T* a = left ? run.in<T>(*left) : &other;
    const T* b = right ? run.in<T>(*right) : &other;
    const auto* condition = run.in<uint8_t>(0);
    T* y = run.out<T>();
    const auto steps = walk.row_steps();
    walk.rows(run.host, [&](const auto& first) {
      for (int64_t i = 0; i < walk.row_length(); ++i)
        y[first[0] + i] =
            condition[first[1] + i * steps[1]] != 0 ? a[first[2] + i * steps[2]] : b[first[3] + i * steps[3]];
    });
  }
  Status run(const Run& run) const {
    if (integers)
      apply<int64_t>(run);
    else
      apply<float>(run);
    return {};
  }
};

// add, sub and mul on per-tensor quantized operands and result; formulas in numerics.hpp.
struct IntegerBinary : KernelBase {
  enum class Kind { sum, product };
  Kind kind = Kind::sum;
  Walk walk;
  TensorType a, b, y;
  float a_ratio = 1, b_ratio = 1;

  static bool accepts(const NodeView& view) {
    return tensor_quantized(view.in(0)) && tensor_quantized(view.in(1)) && tensor_quantized(view.out());
  }
  static Result<IntegerBinary> make(const NodeView& view) {
    IntegerBinary out{{}, Kind::sum, walk_of(view, false), view.in(0), view.in(1), view.out()};
    const float sa = out.a.qparams->scale[0], sb = out.b.qparams->scale[0], sy = out.y.qparams->scale[0];
    if (view.schema->name == "aten.mul.Tensor") {
      out.kind = Kind::product;
      out.a_ratio = numerics::requantize_multiplier(sa, sb, sy);
      return out;
    }
    const float alpha = static_cast<float>(get_number(view.attrs, "alpha"));
    out.a_ratio = sa / sy;
    out.b_ratio = alpha * (sb / sy);
    if (view.schema->name == "aten.sub.Tensor") out.b_ratio = -out.b_ratio;
    return out;
  }
  Status run(const Run& run) const {
    const QParams& q = *y.qparams;
    const auto steps = walk.row_steps();
    const auto centered = [](const TensorType& type, const void* data, int64_t i) {
      return static_cast<int32_t>(integer_at(type.dtype, data, i)) - type.qparams->zero_point_at(0);
    };
    walk.rows(run.host, [&](const auto& first) {
      for (int64_t i = 0; i < walk.row_length(); ++i) {
        const int32_t left = centered(a, run.inputs[0], first[1] + i * steps[1]);
        const int32_t right = centered(b, run.inputs[1], first[2] + i * steps[2]);
        const int32_t result =
            kind == Kind::product
                ? numerics::requantize(int64_t{left} * right, a_ratio, q.zero_point_at(0), q.qmin, q.qmax)
                : numerics::add(left, a_ratio, right, b_ratio, q.zero_point_at(0), q.qmin, q.qmax);
        store_integer(y.dtype, run.out(), first[0] + i, result);
      }
    });
    return {};
  }
};

Row row_of(const Operation& operation, const char* op) {
  if (operation.predicate) return number_row<Comparison>(op);
  return operation.integers == nullptr ? float_row<Binary>(op) : number_row<Binary>(op);
}

}  // namespace

Rows binary_rows() {
  Rows rows;
  for (const char* op : {"aten.add.Tensor", "aten.sub.Tensor", "aten.mul.Tensor"})
    rows.push_back(integer_row<IntegerBinary>(op));
  for (const Operation& operation : kOperations)
    for (const char* op : {operation.tensors, operation.number})
      if (*op != 0) rows.push_back(row_of(operation, op));
  for (const char* op : {"aten.where.self", "aten.where.ScalarOther", "aten.where.ScalarSelf"})
    rows.push_back(number_row<Where>(op));
  return rows;
}

}  // namespace quoin::kernels
