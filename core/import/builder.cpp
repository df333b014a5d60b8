#include "import/builder.hpp"

#include <algorithm>
#include <type_traits>

#include "base/checked.hpp"
#include "base/text.hpp"

namespace quoin::import {
namespace {

// Calls f with a null pointer of the element's C++ type.
template <class F>
void dispatch(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(static_cast<const float*>(nullptr));
    case DType::f64:
      return f(static_cast<const double*>(nullptr));
    case DType::s8:
      return f(static_cast<const int8_t*>(nullptr));
    case DType::u8:
    case DType::boolean:
      return f(static_cast<const uint8_t*>(nullptr));
    case DType::s16:
      return f(static_cast<const int16_t*>(nullptr));
    case DType::u16:
      return f(static_cast<const uint16_t*>(nullptr));
    case DType::s32:
      return f(static_cast<const int32_t*>(nullptr));
    case DType::s64:
      return f(static_cast<const int64_t*>(nullptr));
    default:
      return;
  }
}

template <class To>
std::vector<To> convert(const Tensor& tensor) {
  std::vector<To> out;
  dispatch(tensor.dtype(), [&](auto* tag) {
    using From = std::remove_const_t<std::remove_pointer_t<decltype(tag)>>;
    for (const From value : tensor.as<From>()) out.push_back(static_cast<To>(value));
  });
  return out;
}

}  // namespace

Result<ValueId> Builder::add(std::string_view op, Values inputs, Attrs attrs, const std::string& name) {
  auto node = graph.add_node(op, std::move(inputs), std::move(attrs), name, provenance_);
  if (!node) return fail(std::move(node).error());
  return graph.output(*node);
}

Result<ValueId> Builder::emit(std::string_view op, Values inputs, Attrs attrs) {
  return add(op, std::move(inputs), std::move(attrs), name_);
}

Result<Values> Builder::result(std::string_view op, Values inputs, Attrs attrs) {
  auto node = graph.add_node(op, std::move(inputs), std::move(attrs), name_, provenance_);
  if (!node) return fail(std::move(node).error());
  return graph.node(*node).outputs;
}

Result<ValueId> Builder::step(std::string_view op, Values inputs, Attrs attrs) {
  const std::vector<std::string> parts = quoin::split(op, '.');
  return add(op, std::move(inputs), std::move(attrs), name_ + "." + parts[parts.size() > 1 ? 1 : 0]);
}

ValueId Builder::constant(std::string_view suffix, Tensor tensor) {
  return graph.add_constant(fmt::format("{}.{}", name_, suffix), std::move(tensor));
}

Result<int64_t> Builder::wrap(int64_t dim, size_t rank) const {
  const auto limit = static_cast<int64_t>(std::max<size_t>(rank, 1));
  if (dim < -limit || dim >= limit) return fail(Code::model, "dim {} is out of range for rank {}", dim, rank);
  return dim < 0 ? dim + limit : dim;
}

Result<ValueId> Builder::pad_last(ValueId x, const Shape& before, const Shape& after, double value) {
  const auto zero = [](int64_t amount) { return amount == 0; };
  if (std::ranges::all_of(before, zero) && std::ranges::all_of(after, zero)) return x;
  std::vector<int64_t> pad;  // last dim first
  for (size_t i = before.size(); i-- > 0;) {
    pad.push_back(before[i]);
    pad.push_back(after[i]);
  }
  return step("aten.pad.default", {x}, {{"pad", pad}, {"value", value}});
}

Result<Values> Builder::split(ValueId x, int64_t dim, const Shape& sizes) {
  QUOIN_TRY(const int64_t axis, wrap(dim, rank(x)));
  const int64_t total = rank(x) ? shape(x)[static_cast<size_t>(axis)] : 0;
  Values out;
  int64_t start = 0;
  for (const int64_t size : sizes) {
    const auto end = checked_add(start, size);
    if (size < 0 || !end || *end > total)
      return fail(Code::model, "parts {} do not fit dim {} of {}", to_string(sizes), axis, total);
    QUOIN_TRY(out.emplace_back(), emit("aten.slice.Tensor", {x}, {{"dim", axis}, {"start", start}, {"end", *end}}));
    start = *end;
  }
  if (start != total) return fail(Code::model, "parts {} do not add up to dim {} of {}", to_string(sizes), axis, total);
  return out;
}

std::vector<int64_t> integers(const Tensor& tensor) { return convert<int64_t>(tensor); }
std::vector<double> numbers(const Tensor& tensor) { return convert<double>(tensor); }
bool has_numbers(DType dtype) { return bits(dtype) >= 8 && dtype != DType::f16 && dtype != DType::bf16; }

Tensor integer_tensor(Shape shape, const std::vector<int64_t>& values, DType dtype) {
  Tensor out(dtype, std::move(shape));
  dispatch(dtype, [&](auto* tag) {
    using To = std::remove_const_t<std::remove_pointer_t<decltype(tag)>>;
    const auto elements = out.as<To>();
    for (size_t i = 0; i < elements.size(); ++i) elements[i] = static_cast<To>(values[i]);
  });
  return out;
}

Padding same_padding(const Windows& windows, bool lower) {
  Padding out;
  for (size_t i = 0; i < windows.size.size(); ++i) {
    const int64_t stride = std::max<int64_t>(windows.stride[i], 1);
    const int64_t count = (windows.size[i] + stride - 1) / stride;
    const int64_t reach = (windows.kernel[i] - 1) * windows.dilation[i] + 1;
    const int64_t total = std::max<int64_t>((count - 1) * stride + reach - windows.size[i], 0);
    const int64_t less = total / 2;
    out.before.push_back(lower ? total - less : less);
    out.after.push_back(lower ? less : total - less);
  }
  return out;
}

}  // namespace quoin::import
