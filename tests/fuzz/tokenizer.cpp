// Any bytes as the file of a tokenizer, sentencepiece or tokenizer.json, that then encodes and decodes a text.
#include "tokenize/tokenizer.hpp"
#include "target.hpp"

using namespace quoin;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const auto tokenizer = tokenize::Tokenizer::make({bytes, ""}, "fuzz");
  if (!tokenizer) {
    fuzz::require(tokenizer.error().code != Code::internal, "an error is not a bug");
    return 0;
  }
  fuzz::accepted();
  const auto ids = tokenizer->encode("The keeper's 12 ships,\t\u2460 caf\u00e9 \U0001F600 <pad>", true);
  if (!ids) return 0;
  fuzz::require(tokenizer->decode(*ids).has_value(), "ids of encode() can be decoded");
  tokenize::Stream stream(*tokenizer);
  for (const int64_t id : *ids) fuzz::require(stream.push(id).has_value(), "ids of encode() can be decoded one by one");
  (void)stream.finish();
  return 0;
}
