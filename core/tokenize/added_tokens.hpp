// The "added_tokens" of tokenizer.json: texts that are one token wherever they stand, such as <s>.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "tokenize/bpe.hpp"
#include "tokenize/component.hpp"
#include "tokenize/normalizer.hpp"
#include "tokenize/trie.hpp"

namespace quoin::tokenize {

class AddedTokens {
 public:
  // Errors (model): an id out of range or of another token, a token without text.
  static Result<AddedTokens> read(const Place& from, const Bpe& bpe, const Normalizer& normalizer);

  // A stretch of text that is normalized, or a token.
  struct Segment {
    std::string text;
    std::optional<int64_t> id;
    bool first = false;  // nothing stands before it
  };
  Result<std::vector<Segment>> split(std::string_view text, const Normalizer& normalizer) const;

  std::optional<int64_t> id(std::string_view token) const;
  const std::string* token(int64_t id) const;  // null: none
  bool is_special(int64_t id) const;
  int64_t size() const { return by_id_.empty() ? 0 : by_id_.rbegin()->first + 1; }

 private:
  struct Token {
    std::string content;
    bool special = false, single_word = false, lstrip = false, rstrip = false, normalized = true;
  };
  struct Found {
    size_t begin, end;
    int64_t id;
  };
  std::vector<Found> find(std::string_view text, const Trie& trie) const;

  std::map<int64_t, Token> by_id_;
  std::unordered_map<std::string, int64_t, TextHash, std::equal_to<>> ids_;
  Trie verbatim_, normalized_;  // texts looked for before and after normalization
};

}  // namespace quoin::tokenize
