#include "tokenize/bpe.hpp"

#include <queue>

namespace quoin::tokenize {

Result<Bpe> Bpe::read(const Place& model) {
  if (!model["type"].is_null()) {
    QUOIN_TRY(const std::string type, model["type"].text());
    if (type != "BPE") return model.unsupported("a model of type " + type, "BPE is supported");
  } else if (model["merges"].is_null()) {
    return model.unsupported("a model without merges", "BPE is supported");
  }
  if (!model["dropout"].is_null() && model["dropout"].value() != 0)
    return model["dropout"].unsupported("merges that are left out at random (dropout)");
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const Place affix = model[name]; !affix.is_null() && affix.value() != "")
      return affix.unsupported(fmt::format("tokens with a {}", name));
  Bpe out;
  QUOIN_TRY(out.fuse_unknown_, model["fuse_unk"].flag(false));
  QUOIN_TRY(out.byte_fallback_, model["byte_fallback"].flag(false));
  QUOIN_TRY(out.ignore_merges_, model["ignore_merges"].flag(false));
  QUOIN_CHECK(out.read_vocabulary(model["vocab"]));
  QUOIN_CHECK(out.read_merges(model["merges"]));
  if (const Place unknown = model["unk_token"]; !unknown.is_null()) {
    QUOIN_TRY(const std::string token, unknown.text());
    const auto id = out.id(token);
    if (!id) return fail(Code::model, "\"{}\" is not in the vocabulary", token).at("{}", unknown.where());
    out.unknown_ = static_cast<int32_t>(*id);
  }
  return out;
}

Status Bpe::read_vocabulary(const Place& vocabulary) {
  if (!vocabulary.value().is_object()) return vocabulary.expected("an object");
  ids_.reserve(vocabulary.value().size());
  for (const auto& [token, value] : vocabulary.value().items()) {
    const std::string where = fmt::format("{}.\"{}\"", vocabulary.where(), token);
    QUOIN_TRY(const int64_t id, Place(value, where).integer());
    if (id < 0 || id >= kMaxTokenId)
      return fail(Code::model, "id {} is not in 0..{}", id, kMaxTokenId - 1).at("{}", where);
    if (static_cast<size_t>(id) >= tokens_.size()) tokens_.resize(static_cast<size_t>(id) + 1);
    const std::string*& place = tokens_[static_cast<size_t>(id)];
    if (place != nullptr) return fail(Code::model, "id {} is also that of \"{}\"", id, *place).at("{}", where);
    place = &ids_.emplace(token, static_cast<int32_t>(id)).first->first;
  }
  return {};
}

// ["a b", ...] or [["a", "b"], ...]
Status Bpe::read_merges(const Place& merges) {
  if (!merges.value().is_array()) return merges.expected("a list");
  merges_.reserve(merges.value().size());
  for (uint32_t rank = 0; const json::Document& item : merges.value()) {
    const std::string where = fmt::format("{}[{}]", merges.where(), rank);
    if (item.is_string()) {
      const auto& text = item.get_ref<const std::string&>();
      const size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
        return fail(Code::model, "\"{}\" is not two tokens", text).at("{}", where);
      QUOIN_CHECK(add_merge(text.substr(0, space), text.substr(space + 1), rank, where));
    } else if (item.is_array() && item.size() == 2 && item[0].is_string() && item[1].is_string()) {
      QUOIN_CHECK(add_merge(item[0].get_ref<const std::string&>(), item[1].get_ref<const std::string&>(), rank, where));
    } else {
      return Place(item, where).expected("two tokens");
    }
    ++rank;
  }
  return {};
}

Status Bpe::add_merge(const std::string& left, const std::string& right, uint32_t rank, const std::string& where) {
  const auto find = [&](const std::string& token) -> Result<int32_t> {
    const auto found = ids_.find(token);
    if (found == ids_.end()) return fail(Code::model, "\"{}\" is not in the vocabulary", token).at("{}", where);
    return found->second;
  };
  QUOIN_TRY(const int32_t a, find(left));
  QUOIN_TRY(const int32_t b, find(right));
  QUOIN_TRY(const int32_t merged, find(left + right));
  merges_[key(a, b)] = {rank, merged};
  return {};
}

std::optional<int64_t> Bpe::id(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional<int64_t>(found->second);
}

const std::string* Bpe::token(int64_t id) const {
  return id < 0 || id >= size() ? nullptr : tokens_[static_cast<size_t>(id)];
}

bool Bpe::append_bytes(std::string_view character, std::vector<Symbol>& out) const {
  const size_t before = out.size();
  for (const char byte : character) {
    const auto found = ids_.find(fmt::format("<0x{:02X}>", static_cast<unsigned char>(byte)));
    if (found == ids_.end()) {
      out.resize(before);
      return false;
    }
    out.push_back({found->second, 0, 0});
  }
  return true;
}

// One per character, before any merge.
Result<std::vector<Bpe::Symbol>> Bpe::symbols(std::string_view word) const {
  std::vector<Symbol> out;
  out.reserve(word.size());
  bool pending = false;  // an unknown character that the next one may join; bytes overtake it, as in the reference
  for (std::string_view rest = word; !rest.empty();) {
    const std::string_view character = rest.substr(0, character_size(rest));
    rest.remove_prefix(character.size());
    if (const auto found = ids_.find(character); found != ids_.end()) {
      if (std::exchange(pending, false)) out.push_back({*unknown_, 0, 0});
      out.push_back({found->second, 0, 0});
    } else if (byte_fallback_ && append_bytes(character, out)) {
      continue;
    } else if (unknown_) {
      if (pending && !fuse_unknown_) out.push_back({*unknown_, 0, 0});
      pending = true;
    } else {
      return fail(Code::input, "the tokenizer has no token for \"{}\"", character);
    }
  }
  if (pending) out.push_back({*unknown_, 0, 0});
  return out;
}

// The pair of lowest rank first, of equal ones the leftmost, until none is left.
void Bpe::merge(std::vector<Symbol>& symbols) const {
  struct Candidate {
    uint32_t rank;
    int32_t left, id;
    bool operator<(const Candidate& other) const {  // the top of the queue is the largest
      return rank > other.rank || (rank == other.rank && left > other.left);
    }
  };
  std::vector<Candidate> storage;
  storage.reserve(symbols.size());
  std::priority_queue<Candidate> queue(std::less<Candidate>(), std::move(storage));
  const auto at = [&](int32_t i) -> Symbol& { return symbols[static_cast<size_t>(i)]; };
  const auto find = [&](int32_t left) {
    return left < 0 || at(left).next < 0 ? merges_.end() : merges_.find(key(at(left).id, at(at(left).next).id));
  };
  const auto consider = [&](int32_t left) {
    if (const auto found = find(left); found != merges_.end()) queue.push({found->second.rank, left, found->second.id});
  };
  const auto count = static_cast<int32_t>(symbols.size());
  for (int32_t i = 0; i < count; ++i) {
    at(i).previous = i - 1;
    at(i).next = i + 1 < count ? i + 1 : -1;
  }
  for (int32_t i = 0; i < count; ++i) consider(i);
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    if (at(top.left).id < 0) continue;
    const auto found = find(top.left);
    if (found == merges_.end() || found->second.id != top.id) continue;
    Symbol &left = at(top.left), &right = at(left.next);
    left.id = top.id;
    left.next = right.next;
    if (right.next >= 0) at(right.next).previous = top.left;
    right.id = -1;
    consider(left.previous);
    consider(top.left);
  }
}

Status Bpe::encode(std::string_view word, std::vector<int64_t>& out) const {
  if (ignore_merges_)
    if (const auto whole = id(word)) {
      out.push_back(*whole);
      return {};
    }
  QUOIN_TRY(std::vector<Symbol> parts, symbols(word));
  if (parts.size() > 1) merge(parts);
  for (const Symbol& part : parts)
    if (part.id >= 0) out.push_back(part.id);
  return {};
}

}  // namespace quoin::tokenize
