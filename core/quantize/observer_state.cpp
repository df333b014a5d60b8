// Saved states are foreign data: every array is checked before it is believed.
#include <cmath>

#include "quantize/observers.hpp"

namespace quoin::quantize {

namespace {

template <class T>
Result<std::span<const T>> saved_array(const ObserverState& saved, const std::string& name, DType dtype, size_t count) {
  const auto found = saved.find(name);
  if (found == saved.end()) return fail(Code::data, "the saved state has no array \"{}\"", name);
  const Tensor& tensor = found->second;
  const auto size = static_cast<size_t>(tensor.size());
  if (tensor.dtype() != dtype || size == 0 || (count != 0 && size != count))
    return fail(Code::data, "the saved array \"{}\" is {}{}, expected {} of {}", name, quoin::name(tensor.dtype()),
                to_string(tensor.shape()), count == 0 ? "at least one" : std::to_string(count), quoin::name(dtype));
  return tensor.as<T>();
}

}  // namespace

Result<std::span<const float>> saved_floats(const ObserverState& saved, const std::string& name, size_t count) {
  return saved_array<float>(saved, name, DType::f32, count);
}

Result<std::span<const int64_t>> saved_integers(const ObserverState& saved, const std::string& name, size_t count) {
  return saved_array<int64_t>(saved, name, DType::s64, count);
}

Result<std::vector<Range>> saved_ranges(const ObserverState& saved, size_t count) {
  QUOIN_TRY(const auto low, saved_floats(saved, "min", count));
  QUOIN_TRY(const auto high, saved_floats(saved, "max", low.size()));
  std::vector<Range> out;
  out.reserve(low.size());
  for (size_t i = 0; i < low.size(); ++i) {
    if (!std::isfinite(low[i]) || !std::isfinite(high[i]) || low[i] > high[i])
      return fail(Code::data, "the saved range {} is [{}, {}]", i, low[i], high[i]);
    out.push_back({low[i], high[i]});
  }
  return out;
}

ObserverState ranges_state(std::span<const Range> ranges) {
  const Shape shape{static_cast<int64_t>(ranges.size())};
  Tensor low(DType::f32, shape), high(DType::f32, shape);
  for (size_t i = 0; i < ranges.size(); ++i) {
    low.as<float>()[i] = ranges[i].min;
    high.as<float>()[i] = ranges[i].max;
  }
  return {{"min", low}, {"max", high}};
}

}  // namespace quoin::quantize
