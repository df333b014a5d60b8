#include "conform/variant.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace quoin::conform {
namespace {

bool parse(std::string_view text, int64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

Shape dims_of(const std::string& text) {
  Shape shape;
  std::istringstream in(text);
  for (std::string dim; std::getline(in, dim, 'x');)
    if (int64_t size = 0; parse(dim, size)) shape.push_back(size);
  return shape;
}

}  // namespace

Variant::Variant(std::string_view text) : text_(text) {
  std::istringstream in(text_);
  std::string first;
  in >> first;
  shape_ = dims_of(first);
  for (std::string word; in >> word;) words_.push_back(word);
}

bool Variant::has(std::string_view word) const { return std::ranges::find(words_, word) != words_.end(); }

int64_t Variant::number(std::string_view key, int64_t fallback) const {
  for (const std::string& word : words_)
    if (int64_t found = 0; word.starts_with(key) && parse(std::string_view(word).substr(key.size()), found))
      return found;
  return fallback;
}

}  // namespace quoin::conform
