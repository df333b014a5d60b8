// Hugging Face's tokenizer.json: added tokens, normalizer, pre-tokenizer, model, post-processor, decoder.
#include <unordered_map>

#include "tokenize/added_tokens.hpp"
#include "tokenize/codec.hpp"
#include "tokenize/decoder.hpp"
#include "tokenize/pre_tokenizer.hpp"

namespace quoin::tokenize {
namespace {

// Tokens around a text.
struct Template {
  std::vector<int64_t> before, after;
};

Result<std::vector<int64_t>> special_ids(const Place& processor, const std::string& token) {
  const Place place = processor["special_tokens"][token];
  std::vector<int64_t> out;
  QUOIN_TRY(const std::vector<Place> items, place["ids"].items());
  for (const Place& item : items) {
    QUOIN_TRY(const int64_t id, item.integer());
    out.push_back(id);
  }
  if (out.empty()) return place.expected("the ids of " + token);
  return out;
}

Status read_template(const Place& from, Template& out) {
  if (!out.before.empty() || !out.after.empty()) return from.unsupported("a second template");
  QUOIN_TRY(const std::vector<Place> items, from["single"].items());
  bool after = false;
  for (const Place& item : items) {
    if (!item["Sequence"].is_null()) {
      if (after) return item.unsupported("a template that holds the text twice");
      after = true;
      continue;
    }
    QUOIN_TRY(const std::string token, item["SpecialToken"]["id"].text());
    QUOIN_TRY(const std::vector<int64_t> ids, special_ids(from, token));
    std::vector<int64_t>& side = after ? out.after : out.before;
    side.insert(side.end(), ids.begin(), ids.end());
  }
  if (!after) return from["single"].expected("a template with the text");
  return {};
}

Status read_processor(const Place& from, Template& out) {
  if (from.is_null()) return {};
  QUOIN_TRY(const std::string type, from["type"].text());
  if (type == "ByteLevel") return {};  // moves offsets only
  if (type == "TemplateProcessing") return read_template(from, out);
  if (type != "Sequence") return from.unsupported("the post-processor " + type);
  QUOIN_TRY(const std::vector<Place> items, from["processors"].items());
  for (const Place& item : items) QUOIN_CHECK(read_processor(item, out));
  return {};
}

// The ids of words met before, within one text.
class Cache {
 public:
  explicit Cache(const Bpe& bpe) : bpe_(bpe) {}
  Status encode(const std::string& word, std::vector<int64_t>& out) {
    if (word.size() > kMaxWord) return bpe_.encode(word, out);
    auto found = ids_.find(word);
    if (found == ids_.end()) {
      std::vector<int64_t> ids;
      QUOIN_CHECK(bpe_.encode(word, ids));
      if (ids_.size() == kMaxWords) ids_.clear();
      found = ids_.emplace(word, std::move(ids)).first;
    }
    out.insert(out.end(), found->second.begin(), found->second.end());
    return {};
  }

 private:
  static constexpr size_t kMaxWord = 64, kMaxWords = size_t{1} << 16;
  const Bpe& bpe_;
  std::unordered_map<std::string, std::vector<int64_t>> ids_;
};

class HuggingFace : public Codec {
 public:
  static Result<HuggingFace> read(const Place& file) {
    for (const char* name : {"truncation", "padding"})
      if (!file[name].is_null())
        return file[name].unsupported(fmt::format("a tokenizer with {}", name), "set it to null in the file");
    HuggingFace out;
    QUOIN_TRY(out.bpe_, Bpe::read(file["model"]));
    QUOIN_TRY(out.normalizer_, Normalizer::read(file["normalizer"]));
    QUOIN_TRY(out.pre_tokenizer_, PreTokenizer::read(file["pre_tokenizer"]));
    QUOIN_TRY(out.decoder_, Decoder::read(file["decoder"]));
    QUOIN_TRY(out.added_, AddedTokens::read(file["added_tokens"], out.bpe_, out.normalizer_));
    QUOIN_CHECK(read_processor(file["post_processor"], out.template_));
    for (const std::vector<int64_t>* side : {&out.template_.before, &out.template_.after})
      for (const int64_t id : *side)
        if (!out.token(id))
          return fail(Code::model, "there is no token {}", id).at("{}", file["post_processor"].where());
    return out;
  }

  Result<std::vector<int64_t>> encode(std::string_view text, bool special) const override {
    std::vector<int64_t> out;
    if (special) out = template_.before;
    Cache cache(bpe_);
    QUOIN_TRY(std::vector<AddedTokens::Segment> segments, added_.split(text, normalizer_));
    for (AddedTokens::Segment& segment : segments) {
      if (segment.id) {
        out.push_back(*segment.id);
        continue;
      }
      QUOIN_TRY(const std::vector<Word> words, pre_tokenizer_.apply({std::move(segment.text), segment.first}));
      for (const Word& word : words) QUOIN_CHECK(cache.encode(word.text, out));
    }
    if (special) out.insert(out.end(), template_.after.begin(), template_.after.end());
    return out;
  }

  std::string bytes(std::span<const int64_t> ids) const override { return decoder_.apply(tokens(ids), true); }
  std::string text(std::span<const int64_t> ids) const override { return decoder_.apply(tokens(ids), false); }
  int64_t size() const override { return std::max(bpe_.size(), added_.size()); }
  std::optional<int64_t> id(std::string_view token) const override {
    const auto added = added_.id(token);
    return added ? added : bpe_.id(token);
  }
  std::optional<std::string> token(int64_t id) const override {
    const std::string* added = added_.token(id);
    const std::string* text = added != nullptr ? added : bpe_.token(id);
    return text == nullptr ? std::nullopt : std::optional(*text);
  }
  bool is_control(int64_t id) const override { return added_.is_special(id); }

  // The file does not say what its tokens are for: the one before every text begins it, and those that models end their
  // texts with have well-known names.
  std::optional<int64_t> bos() const override {
    return template_.before.empty() ? std::nullopt : std::optional(template_.before.front());
  }
  std::vector<int64_t> stop() const override {
    std::vector<int64_t> out;
    for (const char* name : {"</s>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|im_end|>", "<eos>"})
      if (const auto found = added_.id(name)) out.push_back(*found);
    return out;
  }
  bool has_special() const override { return !template_.before.empty() || !template_.after.empty(); }
  std::string_view kind() const override { return "tokenizer.json"; }

 private:
  std::vector<std::string> tokens(std::span<const int64_t> ids) const {
    std::vector<std::string> out;
    for (const int64_t id : ids)
      if (!is_control(id)) out.push_back(*token(id));
    return out;
  }

  Bpe bpe_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  Decoder decoder_;
  AddedTokens added_;
  Template template_;
};

}  // namespace

Result<std::shared_ptr<const Codec>> open_hugging_face(std::string_view file, const std::string& where) {
  QUOIN_TRY(const json::Document document, json::parse_object(file, where));
  QUOIN_TRY(HuggingFace codec, HuggingFace::read(Place(document, where)));
  return std::make_shared<const HuggingFace>(std::move(codec));
}

}  // namespace quoin::tokenize
