// The file of a sentencepiece model: protocol buffers wire format (sentencepiece_model.proto) and, for the character
// map, a double array of darts-clone. Why not by the library: docs/decisions/0013-sentencepiece-without-its-library.md
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace quoin::tokenize {

struct Piece {
  enum class Type { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  std::string text;
  float score = 0;
  Type type = Type::normal;
};

// Replaces the longest of its texts at a place. A damaged one replaces by something else, but never leads outside of
// itself.
class CharacterMap {
 public:
  CharacterMap() = default;  // replaces nothing
  // `blob`: u32 size of the array in bytes, the array, replacements that end in NUL. Errors: model.
  static Result<CharacterMap> read(std::string_view blob, const std::string& where);
  // How many bytes at the start of `text` are replaced, and by what; 0: none.
  size_t match(std::string_view text, std::string_view& replacement) const;

 private:
  std::vector<uint32_t> units_;
  std::string replacements_;
};

struct SentencePieceFile {
  enum class Kind { unigram = 1, bpe = 2 };
  Kind kind = Kind::unigram;
  std::vector<Piece> pieces;
  CharacterMap characters;
  bool byte_fallback = false, dummy_prefix = true, remove_extra_whitespaces = true;
  std::string unknown_surface = " \xe2\x81\x87 ";  // U+2047 between spaces
  std::string bos = "<s>", eos = "</s>";
};

// Errors: model: damaged; pieces that are empty, over 4096 bytes, not UTF-8, occur twice or have a score that is not
// finite; more than one unknown piece or none; a character map that is cut off; bytes without a piece of a
// model that falls back to bytes. unsupported: models of words or characters, a decoder's character map, whitespace
// behind words or not escaped. limit: more than 2^21 pieces.
Result<SentencePieceFile> read_sentencepiece(std::string_view file, const std::string& where);

}  // namespace quoin::tokenize
