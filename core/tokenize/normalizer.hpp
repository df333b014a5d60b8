// The "normalizer" of tokenizer.json: what happens to a text before it is cut into words.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tokenize/component.hpp"

namespace quoin::tokenize {

class Normalizer {
 public:
  // `from` may be null: changes nothing. Errors: unsupported (names the component), model.
  static Result<Normalizer> read(const Place& from);
  Result<std::string> apply(std::string text) const;

 private:
  using Step = std::function<Result<std::string>(std::string)>;
  std::vector<Step> steps_;
};

}  // namespace quoin::tokenize
