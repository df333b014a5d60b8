// Elementwise operators of two tensors, or of a tensor and a number.
#include <quoin/numerics.hpp>

#include <cmath>

#include "kernels/portable/products.hpp"
#include "kernels/portable/walk.hpp"
#include "ops/shape.hpp"

namespace quoin::kernels {
namespace {

// Walks result, left and right operand. With a number instead of a right operand that is a single repeated element.
Walk<3> walk_of(const NodeView& view, size_t left, std::optional<size_t> right) {
  const Shape& out = view.out_shape();
  const auto strides = [&](size_t slot) {
    return broadcast_strides(view.in_shape(slot), strides_of(view.in_shape(slot)), out);
  };
  return Walk<3>(out, {strides_of(out), strides(left), right ? strides(*right) : Shape(out.size(), 0)});
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
  float operator()(float, float) const { return 0; }  // not reached: operands are integers
};
struct BitOr {
  int64_t operator()(int64_t a, int64_t b) const { return a | b; }
  float operator()(float, float) const { return 0; }
};

// Predicates give 0 or 1.
template <class Compare>
struct Predicate {
  template <class T>
  uint8_t operator()(T a, T b) const {
    return Compare{}(a, b) ? 1 : 0;
  }
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

template <class F>
constexpr bool is_predicate = false;
template <class C>
constexpr bool is_predicate<Predicate<C>> = true;

struct Operands : KernelBase {
  Walk<3> walk;
  double number = 0, alpha = 1;
  bool integers = false;

  static Operands of(const NodeView& view, bool with_number) {
    Operands out;
    out.walk = walk_of(view, 0, with_number ? std::nullopt : std::optional<size_t>(1));
    if (with_number) out.number = get_number(view.attrs, "other");
    if (has(view.attrs, "alpha")) out.alpha = get_number(view.attrs, "alpha");
    out.integers = view.in(0).dtype == DType::s64;
    return out;
  }
};

// y = F(a, alpha * b); b is operand 1 or the attribute `other`.
template <class F, bool kNumber>
struct Binary : Operands {
  static constexpr bool kOwnResult = is_predicate<F>;
  static Result<Binary> make(const NodeView& view) { return Binary{of(view, kNumber)}; }
  template <class T>
  void apply(const Run& run) const {
    using Y = std::conditional_t<is_predicate<F>, uint8_t, T>;
    const T *a = run.in<T>(0), other = static_cast<T>(number), factor = static_cast<T>(alpha);
    const T* b = &other;
    if constexpr (!kNumber) b = run.in<T>(1);
    Y* y = run.out<Y>();
    const auto [y_step, a_step, b_step] = walk.row_steps();
    walk.rows(run.host, [&, a_step = a_step, b_step = b_step](const auto& first) {
      const T *left = a + first[1], *right = b + first[2];
      Y* to = y + first[0];
      for (int64_t i = 0; i < walk.row_length(); ++i)
        to[i] = F{}(left[i * a_step], factor == T{1} ? right[i * b_step] : Mul{}(factor, right[i * b_step]));
    });
  }
  Status run(const Run& run) const {
    if constexpr (!std::is_same_v<F, Div>) {
      if (integers) {
        apply<int64_t>(run);
        return {};
      }
    }
    apply<float>(run);
    return {};
  }
};

// where: condition ? a : b; one of them may be a number.
struct Where : KernelBase {
  static constexpr uint64_t kAsIs = 1;  // the condition
  Walk<4> walk;
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
      return slot ? broadcast_strides(view.in_shape(*slot), strides_of(view.in_shape(*slot)), shape)
                  : Shape(shape.size(), 0);
    };
    out.walk = Walk<4>(shape, {strides_of(shape), strides(0), strides(out.left), strides(out.right)});
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
  Walk<3> walk;
  TensorType a, b, y;
  float a_ratio = 1, b_ratio = 1;

  static bool accepts(const NodeView& view) {
    return tensor_quantized(view.in(0)) && tensor_quantized(view.in(1)) && tensor_quantized(view.out());
  }
  static Result<IntegerBinary> make(const NodeView& view) {
    IntegerBinary out{{}, Kind::sum, walk_of(view, 0, 1), view.in(0), view.in(1), view.out()};
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

template <class F>
void add_pair(Rows& rows, const char* tensors, const char* number) {
  rows.push_back(number_row<Binary<F, false>>(tensors));
  if (number != nullptr) rows.push_back(number_row<Binary<F, true>>(number));
}

}  // namespace

Rows binary_rows() {
  Rows rows;
  for (const char* op : {"aten.add.Tensor", "aten.sub.Tensor", "aten.mul.Tensor"})
    rows.push_back(integer_row<IntegerBinary>(op));
  add_pair<Add>(rows, "aten.add.Tensor", "aten.add.Scalar");
  add_pair<Sub>(rows, "aten.sub.Tensor", "aten.sub.Scalar");
  add_pair<Mul>(rows, "aten.mul.Tensor", "aten.mul.Scalar");
  rows.push_back(float_row<Binary<Div, false>>("aten.div.Tensor"));
  rows.push_back(float_row<Binary<Div, true>>("aten.div.Scalar"));
  add_pair<Maximum>(rows, "aten.maximum.default", nullptr);
  add_pair<Minimum>(rows, "aten.minimum.default", nullptr);
  add_pair<Predicate<std::equal_to<>>>(rows, "aten.eq.Tensor", "aten.eq.Scalar");
  add_pair<Predicate<std::not_equal_to<>>>(rows, "aten.ne.Tensor", "aten.ne.Scalar");
  add_pair<Predicate<std::less<>>>(rows, "aten.lt.Tensor", "aten.lt.Scalar");
  add_pair<Predicate<std::less_equal<>>>(rows, "aten.le.Tensor", "aten.le.Scalar");
  add_pair<Predicate<std::greater<>>>(rows, "aten.gt.Tensor", "aten.gt.Scalar");
  add_pair<Predicate<std::greater_equal<>>>(rows, "aten.ge.Tensor", "aten.ge.Scalar");
  add_pair<Predicate<And>>(rows, "aten.logical_and.default", nullptr);
  add_pair<Predicate<Or>>(rows, "aten.logical_or.default", nullptr);
  add_pair<BitAnd>(rows, "aten.bitwise_and.Tensor", nullptr);
  add_pair<BitOr>(rows, "aten.bitwise_or.Tensor", nullptr);
  for (const char* op : {"aten.where.self", "aten.where.ScalarOther", "aten.where.ScalarSelf"})
    rows.push_back(number_row<Where>(op));
  return rows;
}

}  // namespace quoin::kernels
