// Token ids from files: what language models are calibrated and evaluated on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tokenize/tokenizer.hpp"

namespace quoin::tokenize {

struct TokenSource {
  std::string path;    // .safetensors, .npy: ids, one row per text (s64 or s32, [T] or [N, T]); else: text
  std::string tensor;  // of a .safetensors file; "": its only integer tensor
  size_t first = 0;    // rows first .. first + count are used
  size_t count = 0;    // 0: all from `first`
};

// Whether `source` is a text, which needs a tokenizer.
bool is_text(const TokenSource& source);

struct TokenData {
  std::vector<std::vector<int64_t>> rows;
  std::string describe;  // "stories.safetensors: stories, 96 rows, 24576 tokens"
};

// A text file is one row, with the tokens that the tokenizer puts around a text. `tokenizer` may be null for files of
// ids. `vocabulary`: ids must be below it; 0: no check. At most 2^28 tokens.
// Errors: not_found, usage (text without a tokenizer; rows that the file lacks), data (not a file of ids, an id out of
// range with its place, no tokens), input (text is not UTF-8), limit.
Result<TokenData> load_tokens(const TokenSource& source, const Tokenizer* tokenizer, int64_t vocabulary);

}  // namespace quoin::tokenize
