#include "tokenize/pre_tokenizer.hpp"

#include <array>

#include "tokenize/byte_level.hpp"
#include "tokenize/metaspace.hpp"
#include "tokenize/pattern.hpp"
#include "tokenize/text.hpp"

namespace quoin::tokenize {
namespace {

using Step = std::function<Status(Word&, std::vector<Word>&)>;

// What becomes of the parts of a text that match.
enum class Behavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

Result<Behavior> behavior_of(const Place& from) {
  constexpr std::array<std::string_view, 5> kNames = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
                                                      "Contiguous"};
  QUOIN_TRY(const std::string text, from.text());
  for (size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == text) return static_cast<Behavior>(i);
  return from.unsupported("the behavior " + text);
}

struct Part {
  Range range;
  bool match = false;
};

// Matches and what is between them; the other way round if inverted.
std::vector<Part> parts_of(size_t size, const std::vector<Range>& matches, bool invert) {
  std::vector<Part> out;
  size_t at = 0;
  for (const Range& match : matches) {
    if (at < match.begin) out.push_back({{at, match.begin}, invert});
    out.push_back({match, !invert});
    at = match.end;
  }
  if (at < size) out.push_back({{at, size}, invert});
  return out;
}

std::vector<Range> joined(const std::vector<Part>& parts, Behavior behavior) {
  std::vector<Range> out;
  if (behavior == Behavior::merged_with_next) {
    for (size_t i = 0; i < parts.size(); ++i) {
      // A match joins what follows, unless that is a match as well.
      const bool joins = !out.empty() && !parts[i].match && parts[i - 1].match;
      if (joins)
        out.back().end = parts[i].range.end;
      else
        out.push_back(parts[i].range);
    }
    return out;
  }
  bool after_match = false;
  for (const Part& part : parts) {
    const bool joins = !out.empty() && (behavior == Behavior::contiguous             ? part.match == after_match
                                        : behavior == Behavior::merged_with_previous ? part.match && !after_match
                                                                                     : false);
    if (joins)
      out.back().end = part.range.end;
    else if (!part.match || behavior != Behavior::removed)
      out.push_back(part.range);
    after_match = part.match;
  }
  return out;
}

void split(const Word& word, const std::vector<Range>& matches, Behavior behavior, bool invert,
           std::vector<Word>& out) {
  for (const Range& range : joined(parts_of(word.text.size(), matches, invert), behavior))
    out.push_back({word.text.substr(range.begin, range.end - range.begin), word.first && range.begin == 0});
}

Step pattern_step(const Pattern& pattern, Behavior behavior, bool invert) {
  return [pattern, behavior, invert](const Word& word, std::vector<Word>& out) -> Status {
    QUOIN_TRY(const std::vector<Range> matches, pattern.matches(word.text));
    split(word, matches, behavior, invert, out);
    return {};
  };
}

// Every character with the property is a match.
Step character_step(bool (*property)(char32_t), Behavior behavior) {
  return [property, behavior](const Word& word, std::vector<Word>& out) -> Status {
    std::vector<Range> matches;
    for (std::string_view rest = word.text; !rest.empty();) {
      const size_t begin = word.text.size() - rest.size();
      if (property(take_character(rest))) matches.push_back({begin, word.text.size() - rest.size()});
    }
    split(word, matches, behavior, false, out);
    return {};
  };
}

Result<Step> split_step(const Place& from) {
  QUOIN_TRY(const Pattern pattern, Pattern::read(from["pattern"]));
  QUOIN_TRY(const Behavior behavior, behavior_of(from["behavior"]));
  QUOIN_TRY(const bool invert, from["invert"].flag(false));
  return pattern_step(pattern, behavior, invert);
}

Result<Step> digits_step(const Place& from) {
  QUOIN_TRY(const bool individual, from["individual_digits"].flag(false));
  return character_step(is_numeric, individual ? Behavior::isolated : Behavior::contiguous);
}

Result<Step> punctuation_step(const Place& from) {
  if (from["behavior"].is_null()) return character_step(is_punctuation, Behavior::isolated);
  QUOIN_TRY(const Behavior behavior, behavior_of(from["behavior"]));
  return character_step(is_punctuation, behavior);
}

Result<Step> whitespace_split_step(const Place&) { return character_step(is_space, Behavior::removed); }

Result<Step> whitespace_step(const Place&) {
  return Step([](const Word& word, std::vector<Word>& out) -> Status {
    enum class Class { none, space, letters, other };
    Class before = Class::none;
    size_t begin = 0;
    const auto end_run = [&](size_t end) {
      if (before == Class::letters || before == Class::other)
        out.push_back({word.text.substr(begin, end - begin), word.first && begin == 0});
      begin = end;
    };
    for (std::string_view rest = word.text; !rest.empty();) {
      const size_t at = word.text.size() - rest.size();
      const char32_t c = take_character(rest);
      const Class now = is_word(c) ? Class::letters : is_space(c) ? Class::space : Class::other;
      if (now != before) end_run(at);
      before = now;
    }
    end_run(word.text.size());
    return {};
  });
}

Result<Step> byte_level_step(const Place& from) {
  constexpr std::string_view kWords =
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";  // GPT-2's
  QUOIN_TRY(const bool prefix, from["add_prefix_space"].flag(true));
  QUOIN_TRY(const bool use_regex, from["use_regex"].flag(true));
  QUOIN_TRY(const Regex regex, Regex::compile(kWords, from.where()));
  return Step([prefix, use_regex, regex](Word& word, std::vector<Word>& out) -> Status {
    if (prefix && !word.text.starts_with(' ')) word.text.insert(0, 1, ' ');
    const size_t before = out.size();
    if (use_regex) {
      QUOIN_TRY(const std::vector<Range> matches, regex.matches(word.text));
      split(word, matches, Behavior::isolated, false, out);
    } else {
      out.push_back(std::move(word));
    }
    for (size_t i = before; i < out.size(); ++i) out[i].text = to_byte_level(out[i].text);
    return {};
  });
}

Result<Step> metaspace_step(const Place& from) {
  QUOIN_TRY(const Metaspace metaspace, Metaspace::read(from));
  QUOIN_TRY(const bool splits, from["split"].flag(true));
  return Step([metaspace, splits](Word& word, std::vector<Word>& out) -> Status {
    word.text = replace_all(word.text, " ", metaspace.replacement);
    const bool prepends =
        metaspace.prepend == Metaspace::always || (metaspace.prepend == Metaspace::first && word.first);
    if (prepends && !word.text.starts_with(metaspace.replacement)) word.text.insert(0, metaspace.replacement);
    if (!splits) {
      out.push_back(std::move(word));
      return {};
    }
    QUOIN_TRY(const std::vector<Range> matches, Pattern::literal(metaspace.replacement).matches(word.text));
    split(word, matches, Behavior::merged_with_next, false, out);
    return {};
  });
}

struct Row {
  std::string_view type;
  Result<Step> (*make)(const Place&);
};
constexpr std::array kRows = {
    Row{"ByteLevel", byte_level_step},    Row{"Split", split_step},
    Row{"Digits", digits_step},           Row{"Metaspace", metaspace_step},
    Row{"Whitespace", whitespace_step},   Row{"WhitespaceSplit", whitespace_split_step},
    Row{"Punctuation", punctuation_step},
};

}  // namespace

Result<PreTokenizer> PreTokenizer::read(const Place& from) {
  PreTokenizer out;
  if (!from.is_null()) QUOIN_CHECK(add_steps(from, "pre-tokenizer", "pretokenizers", kRows, out.steps_));
  return out;
}

Result<std::vector<Word>> PreTokenizer::apply(Word text) const {
  std::vector<Word> words;
  if (!text.text.empty()) words.push_back(std::move(text));
  for (const Step& step : steps_) {
    std::vector<Word> next;
    for (Word& word : words) QUOIN_CHECK(step(word, next));
    words = std::move(next);
  }
  return words;
}

}  // namespace quoin::tokenize
