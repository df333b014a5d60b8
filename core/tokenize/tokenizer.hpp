// Text to token ids and back, as the tokenizer that a language model was trained with does it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace quoin::tokenize {

class Codec;

// The bytes of a tokenizer, to keep in a program.
struct Files {
  std::string model;     // contents of tokenizer.model (sentencepiece) or tokenizer.json (Hugging Face)
  std::string settings;  // JSON: which tokens begin and end a text, from the files beside it; "" for none
};

// Const calls are thread safe.
class Tokenizer {
 public:
  // `path`: tokenizer.model, tokenizer.json, or a folder that holds one (tokenizer.json first). Of a folder, and of the
  // folder around a file, tokenizer_config.json and generation_config.json (else config.json) say which tokens begin
  // and end a text. Errors: not_found, limit (file over 64 MiB), model (damaged), unsupported (names the component).
  static Result<Tokenizer> open(const std::string& path);
  static Result<Files> read(const std::string& path);
  // `where` names the tokenizer in errors.
  static Result<Tokenizer> make(const Files& files, const std::string& where);

  // `add_bos`: with the tokens that the tokenizer puts around a text, which is that of its beginning in most.
  // Errors: input (text is not UTF-8, or holds a character that the tokenizer has no token for).
  Result<std::vector<int64_t>> encode(std::string_view text, bool add_bos) const;
  // Control tokens have no text. Bytes that form no character become U+FFFD. Errors: input (an id without a token).
  Result<std::string> decode(std::span<const int64_t> ids) const;

  int64_t size() const;  // one more than the largest id
  std::optional<int64_t> bos() const;
  const std::vector<int64_t>& stop() const;  // ids that end a text: end of sequence, of turn; may be empty
  std::optional<int64_t> id(std::string_view token) const;
  std::optional<std::string> token(int64_t id) const;  // as the tokenizer writes it ("▁the", "Ġthe", "<s>")
  std::string_view kind() const;                       // "sentencepiece" or "tokenizer.json"

 private:
  friend class Stream;
  std::shared_ptr<const Codec> codec_;
  std::optional<int64_t> bos_;
  std::vector<int64_t> stop_;
  bool prepend_bos_ = false;
};

// Decodes ids as they come. Characters come out as soon as all of their bytes are there, never in part. What push() and
// finish() gave is what decode() gives for all ids, but for ids that form no valid UTF-8: how many U+FFFD they make.
class Stream {
 public:
  explicit Stream(const Tokenizer& tokenizer);
  // The characters that `id` completes. Errors: input (an id without a token).
  Result<std::string> push(int64_t id);
  std::string finish();  // what is left: U+FFFD for a character that never ended

 private:
  std::shared_ptr<const Codec> codec_;
  std::vector<int64_t> window_;  // the last ids
  size_t given_ = 0;             // bytes of the window's text that were given
  std::string rest_;             // bytes of a character that is not complete
};

}  // namespace quoin::tokenize
