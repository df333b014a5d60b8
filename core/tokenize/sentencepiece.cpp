// Encodes and decodes as sentencepiece does: normalization, then pairs of pieces merged by score (bpe) or the path of
// pieces with the largest sum of scores (unigram).
#include <algorithm>
#include <map>
#include <queue>
#include <unordered_map>

#include "base/utf8.hpp"
#include "tokenize/codec.hpp"
#include "tokenize/sentencepiece_file.hpp"
#include "tokenize/text.hpp"
#include "tokenize/trie.hpp"

namespace quoin::tokenize {
namespace {

using Type = Piece::Type;
constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581, a space in pieces
constexpr float kUnknownPenalty = 10.0F;

class SentencePiece : public Codec {
 public:
  explicit SentencePiece(SentencePieceFile file) : file_(std::move(file)) {
    bool first = true;
    for (size_t i = 0; i < file_.pieces.size(); ++i) {
      const Piece& piece = file_.pieces[i];
      const auto id = static_cast<int64_t>(i);
      ids_.emplace(piece.text, id);
      if (piece.type == Type::unknown) unknown_ = id;
      if (piece.type == Type::user_defined) user_defined_.add(piece.text, id);
      if (piece.type == Type::normal) {
        least_ = first ? piece.score : std::min(least_, piece.score);
        most_ = first ? piece.score : std::max(most_, piece.score);
        first = false;
      }
      if (file_.kind == SentencePieceFile::Kind::unigram && in_text(piece.type)) texts_.add(piece.text, id);
    }
  }

  Result<std::vector<int64_t>> encode(std::string_view text, bool special) const override {
    const std::string normal = normalize(text);
    std::vector<int64_t> out;
    if (special && bos()) out.push_back(*bos());
    bool after_unknown = false;
    const auto emit = [&](std::string_view piece, int64_t id) {
      const bool unknown = id == unknown_;
      if (unknown && file_.byte_fallback)
        for (const char c : piece) out.push_back(byte_piece(static_cast<unsigned char>(c)));
      else if (!unknown || !after_unknown)  // a run of unknown pieces is one
        out.push_back(id);
      after_unknown = unknown;
    };
    if (file_.kind == SentencePieceFile::Kind::bpe)
      encode_bpe(normal, emit);
    else
      encode_unigram(normal, emit);
    return out;
  }

  std::string bytes(std::span<const int64_t> ids) const override { return join(ids, true); }
  std::string text(std::span<const int64_t> ids) const override { return join(ids, false); }
  int64_t size() const override { return static_cast<int64_t>(file_.pieces.size()); }
  std::optional<int64_t> id(std::string_view token) const override {
    const auto found = ids_.find(token);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }
  std::optional<std::string> token(int64_t id) const override {
    if (id < 0 || id >= size()) return std::nullopt;
    return file_.pieces[static_cast<size_t>(id)].text;
  }
  bool is_control(int64_t id) const override { return file_.pieces[static_cast<size_t>(id)].type == Type::control; }
  std::optional<int64_t> bos() const override { return control(file_.bos); }
  std::vector<int64_t> stop() const override {
    const auto eos = control(file_.eos);
    return eos ? std::vector{*eos} : std::vector<int64_t>();
  }
  bool has_special() const override { return bos().has_value(); }
  std::string_view kind() const override { return "sentencepiece"; }

 private:
  static bool in_text(Type type) { return type == Type::normal || type == Type::user_defined || type == Type::unused; }
  std::optional<int64_t> control(std::string_view text) const {
    const auto found = id(text);
    return found && is_control(*found) ? found : std::nullopt;
  }
  int64_t byte_piece(unsigned byte) const { return *id(fmt::format("<0x{:02X}>", byte)); }
  const Piece& piece(int64_t id) const { return file_.pieces[static_cast<size_t>(id)]; }

  // `raw`: bytes are kept, else those of a run of byte pieces that form no character become U+FFFD.
  std::string join(std::span<const int64_t> ids, bool raw) const {
    std::string out, run;
    const auto end_run = [&] {
      out += raw ? run : replace_bad_bytes(run);
      run.clear();
    };
    bool begin = true, space_seen = false;
    for (const int64_t id : ids) {
      const Piece& piece = file_.pieces[static_cast<size_t>(id)];
      if (piece.type == Type::byte) {
        run += static_cast<char>(*fallback_byte(piece.text));
        continue;
      }
      end_run();
      if (space_seen || !out.empty()) begin = false;
      space_seen = false;
      if (piece.type == Type::control) continue;
      if (piece.type == Type::unknown) {
        out += file_.unknown_surface;
        continue;
      }
      std::string_view text = piece.text;
      if (begin && (file_.dummy_prefix || file_.remove_extra_whitespaces) && text.starts_with(kSpace)) {
        text.remove_prefix(kSpace.size());
        space_seen = !file_.remove_extra_whitespaces;
      }
      out += replace_all(text, kSpace, " ");
    }
    end_run();
    return out;
  }

  // What the start of `text` becomes, and how many bytes that takes.
  std::pair<std::string_view, size_t> normalize_prefix(std::string_view text) const {
    if (const auto kept = user_defined_.longest(text)) return {text.substr(0, kept->length), kept->length};
    std::string_view replacement;
    if (const size_t length = file_.characters.match(text, replacement)) return {replacement, length};
    const size_t length = character_size(text);
    return {text.substr(0, length), length};
  }

  std::string normalize(std::string_view text) const {
    while (file_.remove_extra_whitespaces && !text.empty()) {
      const auto [normal, consumed] = normalize_prefix(text);
      if (normal != " ") break;
      text.remove_prefix(consumed);
    }
    std::string out;
    if (text.empty()) return out;
    if (file_.dummy_prefix) out = kSpace;
    bool after_space = file_.remove_extra_whitespaces;
    while (!text.empty()) {
      auto [normal, consumed] = normalize_prefix(text);
      while (after_space && normal.starts_with(' ')) normal.remove_prefix(1);
      for (const char c : normal)
        if (c == ' ')
          out += kSpace;
        else
          out += c;
      if (!normal.empty()) after_space = file_.remove_extra_whitespaces && normal.ends_with(' ');
      text.remove_prefix(consumed);
    }
    while (file_.remove_extra_whitespaces && std::string_view(out).ends_with(kSpace))
      out.resize(out.size() - kSpace.size());
    return out;
  }

  // The id of a piece that may stand in a text, or the unknown one.
  int64_t text_piece(std::string_view text) const {
    const auto found = id(text);
    return found ? *found : unknown_;
  }

  struct Symbol {
    int previous = -1, next = -1;
    bool frozen = false;  // a user defined piece is never merged
    std::string_view text;
  };
  struct Pair {
    float score;
    int left, right;
    size_t size;
    friend bool operator<(const Pair& a, const Pair& b) {  // the top of the queue is the largest
      return a.score < b.score || (a.score == b.score && a.left > b.left);
    }
  };
  using Halves = std::map<std::string_view, std::pair<std::string_view, std::string_view>>;

  std::vector<Symbol> characters(std::string_view text) const {
    std::vector<Symbol> out;
    while (!text.empty()) {
      const auto kept = user_defined_.longest(text);
      const size_t length = kept ? kept->length : character_size(text);
      const int index = static_cast<int>(out.size());
      out.push_back({index - 1, length == text.size() ? -1 : index + 1, kept.has_value(), text.substr(0, length)});
      text.remove_prefix(length);
    }
    return out;
  }

  template <class Emit>
  void encode_bpe(std::string_view text, const Emit& emit) const {
    std::vector<Symbol> symbols = characters(text);
    std::priority_queue<Pair> agenda;
    Halves halves;  // of pieces that are merged on the way only
    const auto consider = [&](int left, int right) {
      if (left == -1 || right == -1) return;
      const Symbol &l = symbols[static_cast<size_t>(left)], &r = symbols[static_cast<size_t>(right)];
      if (l.frozen || r.frozen) return;
      const std::string_view merged(l.text.data(), l.text.size() + r.text.size());
      const auto found = ids_.find(merged);
      if (found == ids_.end() || !in_text(piece(found->second).type)) return;
      agenda.push({piece(found->second).score, left, right, merged.size()});
      if (piece(found->second).type == Type::unused) halves[merged] = {l.text, r.text};
    };
    for (int i = 1; i < static_cast<int>(symbols.size()); ++i) consider(i - 1, i);
    while (!agenda.empty()) {
      const Pair top = agenda.top();
      agenda.pop();
      Symbol &left = symbols[static_cast<size_t>(top.left)], &right = symbols[static_cast<size_t>(top.right)];
      if (left.text.empty() || right.text.empty() || left.text.size() + right.text.size() != top.size) continue;
      left.text = {left.text.data(), top.size};
      left.next = right.next;
      if (right.next >= 0) symbols[static_cast<size_t>(right.next)].previous = top.left;
      right.text = {};
      consider(left.previous, top.left);
      consider(top.left, left.next);
    }
    for (int i = symbols.empty() ? -1 : 0; i != -1; i = symbols[static_cast<size_t>(i)].next)
      split_unused(symbols[static_cast<size_t>(i)].text, halves, emit);
  }

  // An unused piece stands for the pieces it was merged from. Its halves are shorter: this ends.
  template <class Emit>
  void split_unused(std::string_view text, const Halves& halves, const Emit& emit) const {
    std::vector<std::string_view> pending = {text};
    while (!pending.empty()) {
      const std::string_view part = pending.back();
      pending.pop_back();
      const int64_t id = text_piece(part);
      const auto half = halves.find(part);
      if (piece(id).type != Type::unused || half == halves.end()) {
        emit(part, id);
        continue;
      }
      pending.push_back(half->second.second);
      pending.push_back(half->second.first);
    }
  }

  template <class Emit>
  void encode_unigram(std::string_view text, const Emit& emit) const {
    struct Node {
      int64_t id = -1;
      float score = 0;
      std::optional<size_t> from;
    };
    std::vector<Node> best(text.size() + 1);
    const auto reach = [&](size_t from, size_t to, int64_t id, double score) {
      const double sum = score + double{best[from].score};
      if (best[to].from && !(sum > double{best[to].score})) return;
      best[to] = {id, static_cast<float>(sum), from};
    };
    for (size_t at = 0; at < text.size();) {
      const size_t character = character_size(text.substr(at));
      bool single = false;
      texts_.prefixes(text.substr(at), [&](size_t length, int64_t id) {
        const Type type = piece(id).type;
        if (type == Type::unused) return;
        const double score = type == Type::user_defined  // wins over all others
                                 ? static_cast<double>(static_cast<float>(length) * most_) - 0.1
                                 : double{piece(id).score};
        reach(at, at + length, id, score);
        single = single || length == character;
      });
      if (!single) reach(at, at + character, unknown_, double{least_ - kUnknownPenalty});
      at += character;
    }
    std::vector<std::pair<size_t, size_t>> path;
    for (size_t end = text.size(); end > 0; end = *best[end].from) path.emplace_back(*best[end].from, end);
    std::reverse(path.begin(), path.end());
    for (const auto& [begin, end] : path) emit(text.substr(begin, end - begin), best[end].id);
  }

  SentencePieceFile file_;
  std::unordered_map<std::string, int64_t, TextHash, std::equal_to<>> ids_;
  Trie user_defined_;
  Trie texts_;  // of a unigram model
  int64_t unknown_ = 0;
  float least_ = 0, most_ = 0;  // scores of normal pieces
};

}  // namespace

Result<std::shared_ptr<const Codec>> open_sentencepiece(std::string_view file, const std::string& where) {
  QUOIN_TRY(SentencePieceFile content, read_sentencepiece(file, where));
  return std::make_shared<const SentencePiece>(std::move(content));
}

}  // namespace quoin::tokenize
