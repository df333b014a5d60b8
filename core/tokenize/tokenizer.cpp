#include "tokenize/tokenizer.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/file.hpp"
#include "base/guard.hpp"
#include "base/utf8.hpp"
#include "tokenize/codec.hpp"
#include "tokenize/settings.hpp"
#include "tokenize/text.hpp"

namespace quoin::tokenize {
namespace {

namespace fs = std::filesystem;
constexpr std::array kNames = {"tokenizer.json", "tokenizer.model"};

// The file that `path` means: itself, or one in the folder.
Result<fs::path> find_file(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return fs::path(path);
  for (const char* name : kNames)
    if (fs::exists(fs::path(path) / name, ignored)) return fs::path(path) / name;
  return fail(
      Error{Code::not_found, "no tokenizer in this folder", path, "tokenizer.json or tokenizer.model is expected"});
}

// JSON begins with a brace, which is no beginning of a sentencepiece model.
bool is_json(std::string_view file) {
  const size_t first = file.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && file[first] == '{';
}

Status check_utf8(std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t size = utf8_character(rest);
    if (size == 0)
      return fail(
          Error{Code::input, fmt::format("the text is not UTF-8 at byte {}", text.size() - rest.size()), {}, {}});
    rest.remove_prefix(size);
  }
  return {};
}

Status check_ids(const Codec& codec, std::span<const int64_t> ids) {
  for (const int64_t id : ids)
    if (!codec.token(id))
      return fail(Code::input, "id {} is no token of this tokenizer, which has {}", id, codec.size());
  return {};
}

}  // namespace

Result<Tokenizer> Tokenizer::open(const std::string& path) {
  QUOIN_TRY(const Files files, read(path));
  return make(files, path);
}

Result<Files> Tokenizer::read(const std::string& path) {
  return guarded([&]() -> Result<Files> {
    QUOIN_TRY(const fs::path file, find_file(path));
    Files out;
    QUOIN_TRY(out.model, read_text(file.string()));
    QUOIN_TRY(const Settings settings, read_settings(file.parent_path().string()));
    out.settings = to_json(settings);
    return out;
  });
}

Result<Tokenizer> Tokenizer::make(const Files& files, const std::string& where) {
  return guarded([&]() -> Result<Tokenizer> {
    Tokenizer out;
    QUOIN_TRY(out.codec_,
              is_json(files.model) ? open_hugging_face(files.model, where) : open_sentencepiece(files.model, where));
    QUOIN_TRY(const Settings settings, settings_from_json(files.settings, where));
    const auto known = [&](const std::optional<std::string>& token) {
      return token ? out.codec_->id(*token) : std::nullopt;
    };
    const auto bos = known(settings.bos), eos = known(settings.eos);
    out.bos_ = bos ? bos : out.codec_->bos();
    out.prepend_bos_ = settings.add_bos.value_or(false) && out.bos_ && !out.codec_->has_special();
    if (eos) out.stop_.push_back(*eos);
    for (const int64_t id : settings.stop)
      if (out.codec_->token(id)) out.stop_.push_back(id);
    if (out.stop_.empty()) out.stop_ = out.codec_->stop();
    std::ranges::sort(out.stop_);
    out.stop_.erase(std::unique(out.stop_.begin(), out.stop_.end()), out.stop_.end());
    return out;
  });
}

Result<std::vector<int64_t>> Tokenizer::encode(std::string_view text, bool add_bos) const {
  return guarded([&]() -> Result<std::vector<int64_t>> {
    QUOIN_CHECK(check_utf8(text));
    QUOIN_TRY(std::vector<int64_t> out, codec_->encode(text, add_bos));
    if (add_bos && prepend_bos_) out.insert(out.begin(), *bos_);
    return out;
  });
}

Result<std::string> Tokenizer::decode(std::span<const int64_t> ids) const {
  return guarded([&]() -> Result<std::string> {
    QUOIN_CHECK(check_ids(*codec_, ids));
    return codec_->text(ids);
  });
}

int64_t Tokenizer::size() const { return codec_->size(); }
std::optional<int64_t> Tokenizer::bos() const { return bos_; }
const std::vector<int64_t>& Tokenizer::stop() const { return stop_; }
std::optional<int64_t> Tokenizer::id(std::string_view token) const { return codec_->id(token); }
std::optional<std::string> Tokenizer::token(int64_t id) const { return codec_->token(id); }
std::string_view Tokenizer::kind() const { return codec_->kind(); }

Stream::Stream(const Tokenizer& tokenizer) : codec_(tokenizer.codec_) {}

// The text of an id depends on those before it only by whether they gave any text: a few of them are enough to know.
Result<std::string> Stream::push(int64_t id) {
  constexpr size_t kLongest = 64, kKept = 8;
  QUOIN_CHECK(check_ids(*codec_, std::span(&id, 1)));
  return guarded([&]() -> Result<std::string> {
    window_.push_back(id);
    const std::string bytes = codec_->bytes(window_);
    if (bytes.size() > given_) rest_ += bytes.substr(given_);
    given_ = std::max(given_, bytes.size());
    const size_t kept = unfinished(rest_);
    std::string out = replace_bad_bytes(std::string_view(rest_).substr(0, rest_.size() - kept));
    rest_.erase(0, rest_.size() - kept);
    if (window_.size() > kLongest) {
      const std::span<const int64_t> last = std::span(window_).last(kKept);
      const size_t size = codec_->bytes(last).size();
      if (size != 0) {
        window_.assign(last.begin(), last.end());
        given_ = size;
      }
    }
    return out;
  });
}

std::string Stream::finish() { return replace_bad_bytes(std::exchange(rest_, {})); }

}  // namespace quoin::tokenize
