// One line of the operator grid: the words that name a case are also what builds it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ops/tensor.hpp"

namespace quoin::conform {

// "1x3x7x7 k3 s2 p1 nobias": the dims of the first operand ("scalar": none), then words. A word is a letter and a
// number, or a name.
class Variant {
 public:
  explicit Variant(std::string_view text);
  const std::string& text() const { return text_; }
  const Shape& shape() const { return shape_; }
  int64_t dim(size_t axis) const { return shape_[axis]; }
  bool has(std::string_view word) const;
  // The number behind the letters `key`, or `fallback`.
  int64_t number(std::string_view key, int64_t fallback) const;

 private:
  std::string text_;
  Shape shape_;
  std::vector<std::string> words_;
};

}  // namespace quoin::conform
