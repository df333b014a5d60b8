// The "decoder" of tokenizer.json: makes text of tokens.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tokenize/component.hpp"

namespace quoin::tokenize {

class Decoder {
 public:
  // `from` may be null: tokens with spaces between them. Errors: unsupported (names the component), model.
  static Result<Decoder> read(const Place& from);
  // `raw`: bytes that form no character are kept, else they become U+FFFD.
  std::string apply(std::vector<std::string> tokens, bool raw) const;

 private:
  using Step = std::function<void(std::vector<std::string>&, bool raw)>;
  std::vector<Step> steps_;
  bool spaces_ = false;
};

}  // namespace quoin::tokenize
