// A quoin_param with storage of its own, and what differs between two of them.
#pragma once

#include <quoin/abi.h>

#include <string>
#include <variant>
#include <vector>

namespace quoin::conform {

class Param {
 public:
  using Value = std::variant<bool, int64_t, double, std::string>;
  Param(std::string name, Value value);
  Param(const Param&) = delete;  // get() points into it
  Param& operator=(const Param&) = delete;
  uint32_t kind() const { return static_cast<uint32_t>(value_.index()) + QUOIN_PARAM_BOOL; }
  const Value& value() const { return value_; }
  quoin_param get() const;  // points into this object

 private:
  std::string name_;
  Value value_;
  uint8_t truth_;
  quoin_str text_;
};

// "true", "3", "0.5", "\"per-token\""; lists in brackets; "nothing" for a param without data.
std::string describe(const quoin_param& param);
bool same_value(const quoin_param& a, const quoin_param& b);  // kind, count and every element

inline constexpr size_t kLongText = 64u << 10;
// Values at the ends of what the spec allows; none where it names no end.
std::vector<Param::Value> legal_values(const quoin_param_spec& spec);
// Values of the right kind that the spec forbids.
std::vector<Param::Value> illegal_values(const quoin_param_spec& spec);

}  // namespace quoin::conform
