// The "pre_tokenizer" of tokenizer.json: cuts a text into words, which the model encodes one by one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tokenize/component.hpp"

namespace quoin::tokenize {

struct Word {
  std::string text;
  bool first = false;  // at the very beginning of the whole text
};

class PreTokenizer {
 public:
  // `from` may be null: the text is one word. Errors: unsupported (names the component), model.
  static Result<PreTokenizer> read(const Place& from);
  Result<std::vector<Word>> apply(Word text) const;

 private:
  using Step = std::function<Status(Word&, std::vector<Word>&)>;  // appends what a word becomes; may use it up
  std::vector<Step> steps_;
};

}  // namespace quoin::tokenize
