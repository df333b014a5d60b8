// A prefix tree over texts, for finding which of many texts begins at a place.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>

namespace quoin::tokenize {

class Trie {
 public:
  // `value` >= 0. The text is not empty; a second one that is equal replaces the value.
  void add(std::string_view text, int64_t value) {
    uint32_t node = 0;
    for (const char c : text) {
      const auto [place, fresh] = edges_.try_emplace(key(node, c), next_);
      if (fresh) ++next_;
      node = place->second;
    }
    values_[node] = value;
    first_[static_cast<unsigned char>(text.front())] = true;
  }
  bool empty() const { return values_.empty(); }

  // Calls visit(length, value) for every text at the start of `text`, shortest first.
  template <class Visit>
  void prefixes(std::string_view text, Visit&& visit) const {
    if (text.empty() || !first_[static_cast<unsigned char>(text.front())]) return;
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      const auto edge = edges_.find(key(node, text[i]));
      if (edge == edges_.end()) return;
      node = edge->second;
      if (const auto value = values_.find(node); value != values_.end()) visit(i + 1, value->second);
    }
  }

  struct Match {
    size_t length = 0;
    int64_t value = 0;
  };
  std::optional<Match> longest(std::string_view text) const {
    std::optional<Match> out;
    prefixes(text, [&](size_t length, int64_t value) { out = Match{length, value}; });
    return out;
  }

 private:
  static uint64_t key(uint32_t node, char c) { return uint64_t{node} << 8 | static_cast<unsigned char>(c); }
  std::unordered_map<uint64_t, uint32_t> edges_;
  std::unordered_map<uint32_t, int64_t> values_;  // of the nodes where a text ends
  std::array<bool, 256> first_{};
  uint32_t next_ = 1;
};

}  // namespace quoin::tokenize
