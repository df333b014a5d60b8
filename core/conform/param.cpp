#include "conform/param.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "ops/abi_read.hpp"

namespace quoin::conform {
namespace {

using Values = std::vector<Param::Value>;

template <class T>
T at(const quoin_param& param, uint32_t i) {
  T out;
  std::memcpy(&out, static_cast<const char*>(param.data) + i * sizeof(T), sizeof out);
  return out;
}

std::string element(const quoin_param& param, uint32_t i) {
  switch (param.kind) {
    case QUOIN_PARAM_BOOL:
      return at<uint8_t>(param, i) != 0 ? "true" : "false";
    case QUOIN_PARAM_INT:
      return fmt::to_string(at<int64_t>(param, i));
    case QUOIN_PARAM_FLOAT:
      return fmt::to_string(at<double>(param, i));
    case QUOIN_PARAM_STR:
      return '"' + text(at<quoin_str>(param, i)) + '"';
    default:
      return fmt::format("kind {}", param.kind);
  }
}

}  // namespace

Param::Param(std::string name, Value value)
    : name_(std::move(name)), value_(std::move(value)), truth_(value_ == Value(true)), text_{} {
  if (const auto* words = std::get_if<std::string>(&value_)) text_ = {words->data(), words->size()};
}

quoin_param Param::get() const {
  const void* const data[] = {&truth_, std::get_if<int64_t>(&value_), std::get_if<double>(&value_), &text_};
  return {{name_.data(), name_.size()}, kind(), 1, data[value_.index()]};
}

std::string describe(const quoin_param& param) {
  if (param.data == nullptr || param.count == 0) return "nothing";
  if (param.count == 1) return element(param, 0);
  constexpr uint32_t kMaxShown = 8;
  std::string out;
  for (uint32_t i = 0; i < param.count && i < kMaxShown; ++i) out += (i == 0 ? "" : ", ") + element(param, i);
  return "[" + out + (param.count > kMaxShown ? ", ...]" : "]");
}

bool same_value(const quoin_param& a, const quoin_param& b) {
  if (a.kind != b.kind || a.count != b.count || (a.data == nullptr) != (b.data == nullptr)) return false;
  for (uint32_t i = 0; a.data != nullptr && i < a.count; ++i)
    if (element(a, i) != element(b, i)) return false;
  return true;
}

std::vector<Param::Value> legal_values(const quoin_param_spec& spec) {
  const bool bounded = spec.low <= spec.high;
  switch (spec.kind) {
    case QUOIN_PARAM_BOOL:
      return {false, true};
    case QUOIN_PARAM_INT:
      return bounded ? Values{static_cast<int64_t>(std::ceil(spec.low)), static_cast<int64_t>(std::floor(spec.high))}
                     : Values{};
    case QUOIN_PARAM_FLOAT:
      return bounded ? Values{spec.low, spec.high} : Values{};
    default: {
      Values out;
      for (const quoin_str& choice : elements<quoin_str>(spec.choices)) out.emplace_back(text(choice));
      return out;
    }
  }
}

std::vector<Param::Value> illegal_values(const quoin_param_spec& spec) {
  const bool bounded = spec.low <= spec.high;
  if (spec.kind == QUOIN_PARAM_STR && spec.choices.count != 0)
    return {std::string("no such choice"), std::string(), std::string(kLongText, 'x')};
  Values out;
  if (spec.kind == QUOIN_PARAM_FLOAT && bounded)
    out = {std::nextafter(spec.low, -HUGE_VAL), std::nextafter(spec.high, HUGE_VAL),
           std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()};
  constexpr double kEnd = 9.2e18;  // about the end of int64; what ends there cannot be passed
  if (spec.kind == QUOIN_PARAM_INT && bounded && spec.low > -kEnd)
    out = {static_cast<int64_t>(std::ceil(spec.low)) - 1, std::numeric_limits<int64_t>::min()};
  if (spec.kind == QUOIN_PARAM_INT && bounded && spec.high < kEnd) {
    out.emplace_back(static_cast<int64_t>(std::floor(spec.high)) + 1);
    out.emplace_back(std::numeric_limits<int64_t>::max());
  }
  return out;
}

}  // namespace quoin::conform
