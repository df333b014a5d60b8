#include "tokenize/added_tokens.hpp"

#include "tokenize/unicode.hpp"

namespace quoin::tokenize {
namespace {

// Where the last character before `at` begins. Precondition: at > 0.
size_t before(std::string_view text, size_t at) {
  do --at;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80);
  return at;
}

bool word_before(std::string_view text, size_t at) {
  if (at == 0) return false;
  std::string_view last = text.substr(before(text, at), at - before(text, at));
  return is_word(take_character(last));
}

bool word_after(std::string_view text, size_t at) {
  std::string_view rest = text.substr(at);
  return !rest.empty() && is_word(take_character(rest));
}

size_t skip_spaces_back(std::string_view text, size_t at, size_t least) {
  while (at > least) {
    const size_t begin = before(text, at);
    std::string_view last = text.substr(begin, at - begin);
    if (!is_space(take_character(last))) break;
    at = begin;
  }
  return at;
}

size_t skip_spaces(std::string_view text, size_t at) {
  for (std::string_view rest = text.substr(at); !rest.empty(); at = text.size() - rest.size())
    if (!is_space(take_character(rest))) break;
  return at;
}

}  // namespace

Result<AddedTokens> AddedTokens::read(const Place& from, const Bpe& bpe, const Normalizer& normalizer) {
  AddedTokens out;
  QUOIN_TRY(const std::vector<Place> items, from.items());
  for (const Place& item : items) {
    Token token;
    QUOIN_TRY(token.content, item["content"].text());
    QUOIN_TRY(const int64_t id, item["id"].integer());
    QUOIN_TRY(token.special, item["special"].flag(false));
    QUOIN_TRY(token.single_word, item["single_word"].flag(false));
    QUOIN_TRY(token.lstrip, item["lstrip"].flag(false));
    QUOIN_TRY(token.rstrip, item["rstrip"].flag(false));
    QUOIN_TRY(token.normalized, item["normalized"].flag(!token.special));
    const auto bad = [&](std::string what) { return fail(Code::model, "{}", what).at("{}", item.where()); };
    if (token.content.empty()) return bad("a token without text");
    if (id < 0 || id >= kMaxTokenId) return bad(fmt::format("id {} is not in 0..{}", id, kMaxTokenId - 1));
    const auto in_model = bpe.id(token.content);
    const std::string* taken = bpe.token(id);
    if ((in_model && *in_model != id) || (!in_model && taken != nullptr))
      return bad(fmt::format("\"{}\" has id {}, which the vocabulary gives to \"{}\"", token.content, id,
                             taken == nullptr ? "no token" : *taken));
    std::string searched = token.content;
    if (token.normalized) {
      QUOIN_TRY(searched, normalizer.apply(searched));
    }
    if (!searched.empty()) (token.normalized ? out.normalized_ : out.verbatim_).add(searched, id);
    if (!out.ids_.emplace(token.content, id).second) return bad(fmt::format("\"{}\" is listed twice", token.content));
    if (!out.by_id_.emplace(id, std::move(token)).second) return bad(fmt::format("id {} is listed twice", id));
  }
  return out;
}

// From left to right, the longest token at a place, none within another.
std::vector<AddedTokens::Found> AddedTokens::find(std::string_view text, const Trie& trie) const {
  std::vector<Found> out;
  size_t taken = 0;
  for (size_t at = 0; at < text.size() && !trie.empty();) {
    const auto match = trie.longest(text.substr(at));
    if (!match) {
      ++at;
      continue;
    }
    const Token& token = by_id_.at(match->value);
    size_t begin = at, end = at + match->length;
    at = end;
    if (token.single_word && (word_before(text, begin) || word_after(text, end))) continue;
    if (token.lstrip) begin = skip_spaces_back(text, begin, taken);
    if (token.rstrip) end = skip_spaces(text, end);
    out.push_back({std::max(begin, taken), end, match->value});
    taken = end;
  }
  return out;
}

Result<std::vector<AddedTokens::Segment>> AddedTokens::split(std::string_view text,
                                                             const Normalizer& normalizer) const {
  std::vector<Segment> out;
  // What lies between the tokens of `where` goes to `between`.
  const auto cut = [&](std::string_view where, const Trie& trie, bool first, const auto& between) -> Status {
    size_t at = 0;
    for (const Found& found : find(where, trie)) {
      if (at < found.begin) QUOIN_CHECK(between(where.substr(at, found.begin - at), first && at == 0));
      out.push_back({{}, found.id, false});
      at = found.end;
    }
    return at < where.size() ? between(where.substr(at), first && at == 0) : Status{};
  };
  const auto keep = [&](std::string_view part, bool first) -> Status {
    out.push_back({std::string(part), {}, first});
    return {};
  };
  const auto normalize = [&](std::string_view part, bool first) -> Status {
    QUOIN_TRY(const std::string normal, normalizer.apply(std::string(part)));
    return cut(normal, normalized_, first, keep);
  };
  QUOIN_CHECK(cut(text, verbatim_, true, normalize));
  return out;
}

std::optional<int64_t> AddedTokens::id(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

const std::string* AddedTokens::token(int64_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &found->second.content;
}

bool AddedTokens::is_special(int64_t id) const {
  const auto found = by_id_.find(id);
  return found != by_id_.end() && found->second.special;
}

}  // namespace quoin::tokenize
