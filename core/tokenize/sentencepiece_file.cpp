#include "tokenize/sentencepiece_file.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <optional>
#include <unordered_set>

#include "base/utf8.hpp"

namespace quoin::tokenize {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr size_t kMaxPieces = size_t{1} << 21, kMaxPieceBytes = 4096;

// One field of a message: a number, or the bytes of a text or message.
struct Field {
  uint32_t number = 0, wire = 0;
  uint64_t value = 0;
  std::string_view bytes;
};

// Reads fields of a message one after the other.
class Message {
 public:
  explicit Message(std::string_view bytes) : rest_(bytes) {}
  bool done() const { return rest_.empty(); }
  std::optional<Field> next() {
    const auto key = varint();
    if (!key || (*key >> 3) == 0 || (*key >> 3) > 0x1fffffff) return std::nullopt;
    Field field{static_cast<uint32_t>(*key >> 3), static_cast<uint32_t>(*key & 7), 0, {}};
    if (field.wire == 0) {
      const auto value = varint();
      if (!value) return std::nullopt;
      field.value = *value;
      return field;
    }
    uint64_t size = field.wire == 1 ? 8 : 4;
    if (field.wire == 2) {
      const auto length = varint();
      if (!length) return std::nullopt;
      size = *length;
    } else if (field.wire != 1 && field.wire != 5) {
      return std::nullopt;
    }
    if (size > rest_.size()) return std::nullopt;
    field.bytes = rest_.substr(0, size);
    if (field.wire != 2) std::memcpy(&field.value, field.bytes.data(), size);
    rest_.remove_prefix(size);
    return field;
  }

 private:
  std::optional<uint64_t> varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  }
  std::string_view rest_;
};

class Reader {
 public:
  explicit Reader(const std::string& where) : where_(where) {}

  Result<SentencePieceFile> read(std::string_view file) {
    const auto part = [this](const Field& field) -> Status {
      if (field.number == 1) return piece(field);
      if (field.number == 2) return each(field.bytes, "trainer_spec", [this](const Field& f) { return trainer(f); });
      if (field.number == 3) return each(field.bytes, "normalizer_spec", [this](const Field& f) { return rules(f); });
      if (field.number == 5)
        return each(field.bytes, "denormalizer_spec", [this](const Field& f) { return denormalizer(f); });
      return {};
    };
    QUOIN_CHECK(each(file, "model", part));
    if (unknown_ != 1) return bad("{} unknown pieces, expected one", unknown_);
    QUOIN_CHECK(check_bytes());
    return std::move(out_);
  }

 private:
  template <class... Args>
  Failure bad(fmt::format_string<Args...> format, Args&&... args) const {
    return fail(Code::model, format, std::forward<Args>(args)...)
        .at("{}", where_)
        .hint("it is no sentencepiece model, or damaged");
  }
  Status each(std::string_view bytes, std::string_view what, const std::function<Status(const Field&)>& visit) const {
    Message message(bytes);
    while (!message.done()) {
      const auto field = message.next();
      if (!field) return bad("the message {} is cut off or garbled", what);
      QUOIN_CHECK(visit(*field));
    }
    return {};
  }
  Status piece(const Field& from) {
    if (from.wire != 2) return bad("piece {} is no message", out_.pieces.size());
    if (out_.pieces.size() == kMaxPieces) return fail(Code::limit, "more than {} pieces", kMaxPieces).at("{}", where_);
    Piece piece;
    uint64_t type = 1;
    const size_t id = out_.pieces.size();
    const auto part = [&](const Field& field) -> Status {
      if (field.number == 1 && field.wire == 2) piece.text = field.bytes;
      if (field.number == 2 && field.wire == 5) piece.score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
      if (field.number == 3 && field.wire == 0) type = field.value;
      return {};
    };
    QUOIN_CHECK(each(from.bytes, fmt::format("piece {}", id), part));
    if (piece.text.empty() || piece.text.size() > kMaxPieceBytes)
      return bad("piece {} has {} bytes, expected 1 to {}", id, piece.text.size(), kMaxPieceBytes);
    if (!valid_utf8(piece.text)) return bad("piece {} is not UTF-8", id);
    if (!std::isfinite(piece.score)) return bad("the score of piece {} is not finite", id);
    if (type < 1 || type > 6) return bad("piece {} is of the unknown type {}", id, type);
    if (!texts_.insert(piece.text).second) return bad("piece \"{}\" occurs twice", piece.text);
    piece.type = static_cast<Piece::Type>(type);
    unknown_ += piece.type == Piece::Type::unknown ? 1 : 0;
    out_.pieces.push_back(std::move(piece));
    return {};
  }
  Status trainer(const Field& field) {
    constexpr uint32_t kModelType = 3, kSuffix = 24, kByteFallback = 35, kSurface = 44, kBos = 46, kEos = 47;
    if (field.number == kModelType && field.value != 1 && field.value != 2)
      return unsupported("a model of words or characters (model_type)");
    if (field.number == kModelType) out_.kind = static_cast<SentencePieceFile::Kind>(field.value);
    if (field.number == kSuffix && field.value != 0)
      return unsupported("whitespace behind words (treat_whitespace_as_suffix)");
    if (field.number == kByteFallback) out_.byte_fallback = field.value != 0;
    std::string* text = field.number == kSurface ? &out_.unknown_surface
                        : field.number == kBos   ? &out_.bos
                        : field.number == kEos   ? &out_.eos
                                                 : nullptr;
    if (text == nullptr) return {};
    if (!valid_utf8(field.bytes)) return bad("a text of trainer_spec is not UTF-8");
    *text = field.bytes;
    return {};
  }
  Status rules(const Field& field) {
    if (field.number == 2) {
      QUOIN_TRY(out_.characters, CharacterMap::read(field.bytes, where_));
    }
    if (field.number == 3) out_.dummy_prefix = field.value != 0;
    if (field.number == 4) out_.remove_extra_whitespaces = field.value != 0;
    if (field.number == 5 && field.value == 0)
      return unsupported("whitespace that is not escaped (escape_whitespaces)");
    return {};
  }
  Status denormalizer(const Field& field) const {
    if (field.number != 2 || field.bytes.empty()) return {};
    return unsupported("a character map for decoding (denormalizer_spec)");
  }
  Failure unsupported(std::string what) const {
    return fail(Code::unsupported, "{}", what)
        .at("{}", where_)
        .hint("unigram and bpe models with defaults are supported");
  }
  Status check_bytes() const {
    for (unsigned byte = 0; out_.byte_fallback && byte < 256; ++byte)
      if (!texts_.contains(fmt::format("<0x{:02X}>", byte)))
        return bad("byte_fallback is set, but there is no piece <0x{:02X}>", byte);
    return {};
  }

  const std::string& where_;
  SentencePieceFile out_;
  std::unordered_set<std::string> texts_;
  size_t unknown_ = 0;
};

}  // namespace

Result<CharacterMap> CharacterMap::read(std::string_view blob, const std::string& where) {
  const auto bad = [&](std::string what) {
    return fail(Code::model, "{}", "the character map " + std::move(what)).at("{}", where).hint("the file is damaged");
  };
  CharacterMap out;
  if (blob.empty()) return out;
  uint32_t size = 0;
  if (blob.size() <= sizeof size) return bad(fmt::format("has {} bytes", blob.size()));
  std::memcpy(&size, blob.data(), sizeof size);
  if (size % 4 != 0 || size >= blob.size() - sizeof size)
    return bad(fmt::format("has an array of {} bytes in {}", size, blob.size()));
  out.units_.resize(size / 4);
  std::memcpy(out.units_.data(), blob.data() + sizeof size, size);
  out.replacements_ = blob.substr(sizeof size + size);
  if (out.replacements_.back() != '\0') return bad("holds a replacement that does not end");
  return out;
}

// A unit: bit 31 set: a leaf, the low bits say where its replacement starts. Else bits 0-7 are the byte that leads to
// it, bit 8 says that a leaf follows, the others how far its followers are.
size_t CharacterMap::match(std::string_view text, std::string_view& replacement) const {
  constexpr size_t kMaxMatches = 32;  // the reference looks no further
  const auto jump = [](uint32_t unit) { return size_t{unit >> 10} << ((unit & 0x200u) >> 6); };
  size_t length = 0, matches = 0;
  if (units_.empty()) return 0;
  size_t at = jump(units_[0]);
  for (size_t i = 0; i < text.size() && matches < kMaxMatches; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    at ^= byte;
    if (at >= units_.size() || (units_[at] & 0x800000ffu) != byte) break;
    const uint32_t unit = units_[at];
    at ^= jump(unit);
    if ((unit & 0x100u) == 0 || at >= units_.size()) continue;
    const size_t begin = units_[at] & 0x7fffffffu;
    if (begin >= replacements_.size()) continue;
    replacement = std::string_view(replacements_.c_str() + begin);
    length = i + 1;
    ++matches;
  }
  return length;
}

Result<SentencePieceFile> read_sentencepiece(std::string_view file, const std::string& where) {
  return Reader(where).read(file);
}

}  // namespace quoin::tokenize
