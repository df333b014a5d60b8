#include "data/convert.hpp"

#include <cmath>
#include <limits>

#include "data/internal.hpp"

namespace quoin::data {
namespace {

Shape unravel(size_t flat, const Shape& shape) {
  Shape index(shape.size());
  int64_t rest = static_cast<int64_t>(flat);
  for (size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = rest % shape[axis];
    rest /= shape[axis];
  }
  return index;
}

template <class T>
Status check_elements(const Tensor& tensor, const std::string& where) {
  const auto elements = tensor.as<T>();
  for (size_t i = 0; i < elements.size(); ++i)
    if (!std::isfinite(elements[i]))
      return bad_data(where, "{} at element {}, index {}", std::isnan(elements[i]) ? "NaN" : "Inf", i,
                      to_string(unravel(i, tensor.shape())));
  return {};
}

}  // namespace

Result<Tensor> convert(const Tensor& tensor, DType to, const std::string& where) {
  const DType from = tensor.dtype();
  if (from == to) return tensor;
  Tensor out(to, tensor.shape());
  const size_t count = static_cast<size_t>(tensor.size());
  if (from == DType::f64 && to == DType::f32) {
    for (size_t i = 0; i < count; ++i) out.as<float>()[i] = static_cast<float>(tensor.as<double>()[i]);
    return out;
  }
  if (from == DType::s32 && to == DType::s64) {
    for (size_t i = 0; i < count; ++i) out.as<int64_t>()[i] = tensor.as<int32_t>()[i];
    return out;
  }
  if (from == DType::s64 && to == DType::s32) {
    for (size_t i = 0; i < count; ++i) {
      const int64_t value = tensor.as<int64_t>()[i];
      if (value < std::numeric_limits<int32_t>::min() || value > std::numeric_limits<int32_t>::max())
        return bad_data(where, "element {} is {}, which does not fit s32", i, value);
      out.as<int32_t>()[i] = static_cast<int32_t>(value);
    }
    return out;
  }
  return fail(Code::input, "is {}, the model's input is {}", name(from), name(to))
      .at("{}", where)
      .hint(fmt::format("store it as {}", name(to)));
}

Status check_finite(const Tensor& tensor, const std::string& where) {
  if (tensor.dtype() == DType::f32) return check_elements<float>(tensor, where);
  if (tensor.dtype() == DType::f64) return check_elements<double>(tensor, where);
  return {};
}

}  // namespace quoin::data
