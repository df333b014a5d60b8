// What a kind of tokenizer does; one implementation per file format.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace quoin::tokenize {

class Codec {
 public:
  virtual ~Codec() = default;
  // `text` is UTF-8. `special`: with what the file says to put around a text.
  virtual Result<std::vector<int64_t>> encode(std::string_view text, bool special) const = 0;
  // The bytes that the ids stand for; may end within a character. Every id is one that token() knows.
  virtual std::string bytes(std::span<const int64_t> ids) const = 0;
  // As bytes(), but UTF-8 as the format's reference makes it from bytes that form no character.
  virtual std::string text(std::span<const int64_t> ids) const = 0;
  virtual int64_t size() const = 0;
  virtual std::optional<int64_t> id(std::string_view token) const = 0;
  virtual std::optional<std::string> token(int64_t id) const = 0;
  virtual bool is_control(int64_t id) const = 0;
  // What the file itself says; Settings may say more.
  virtual std::optional<int64_t> bos() const = 0;
  virtual std::vector<int64_t> stop() const = 0;
  // Whether encode() puts something around a text that the file asked for.
  virtual bool has_special() const = 0;
  virtual std::string_view kind() const = 0;
};

// Errors: model, unsupported, limit. `where` names the file.
Result<std::shared_ptr<const Codec>> open_sentencepiece(std::string_view file, const std::string& where);
Result<std::shared_ptr<const Codec>> open_hugging_face(std::string_view file, const std::string& where);

}  // namespace quoin::tokenize
