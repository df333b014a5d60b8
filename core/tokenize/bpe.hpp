// Byte pair encoding of Hugging Face's tokenizer.json: the "model" of type BPE.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenize/component.hpp"
#include "tokenize/text.hpp"

namespace quoin::tokenize {

inline constexpr int64_t kMaxTokenId = int64_t{1} << 22;

class Bpe {
 public:
  // Errors: unsupported (another type, dropout, affixes of words), model (ids out of range or used twice, merges that
  // name no token).
  static Result<Bpe> read(const Place& model);

  // Appends the ids of one word. Errors (input): a character without a token.
  Status encode(std::string_view word, std::vector<int64_t>& out) const;
  std::optional<int64_t> id(std::string_view token) const;
  const std::string* token(int64_t id) const;  // null: none
  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }

 private:
  struct Symbol {
    int32_t id, previous, next;  // id -1: merged into the one before
  };
  struct Merge {
    uint32_t rank;
    int32_t id;
  };
  static uint64_t key(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  Status read_vocabulary(const Place& vocabulary);
  Status read_merges(const Place& merges);
  Status add_merge(const std::string& left, const std::string& right, uint32_t rank, const std::string& where);
  Result<std::vector<Symbol>> symbols(std::string_view word) const;
  bool append_bytes(std::string_view character, std::vector<Symbol>& out) const;
  void merge(std::vector<Symbol>& symbols) const;

  std::unordered_map<std::string, int32_t, TextHash, std::equal_to<>> ids_;
  std::vector<const std::string*> tokens_;  // by id, keys of ids_
  std::unordered_map<uint64_t, Merge> merges_;
  std::optional<int32_t> unknown_;
  bool fuse_unknown_ = false, byte_fallback_ = false, ignore_merges_ = false;
};

}  // namespace quoin::tokenize
