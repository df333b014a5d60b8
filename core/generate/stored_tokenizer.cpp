#include "generate/stored_tokenizer.hpp"

namespace quoin::generate {
namespace {

constexpr size_t kPart = size_t{8} << 20;  // a value of the metadata has a limit

std::string key(const std::string& part) { return fmt::format("{}.{}", kTokenizerKey, part); }

}  // namespace

void store_tokenizer(const tokenize::Files& files, Metadata& metadata) {
  for (size_t at = 0, part = 0; at < files.model.size(); at += kPart, ++part)
    metadata[key(std::to_string(part))] = files.model.substr(at, kPart);
  if (!files.settings.empty()) metadata[key("settings")] = files.settings;
}

Result<tokenize::Tokenizer> find_tokenizer(const std::string& path, const Metadata& metadata,
                                           const std::string& program) {
  if (!path.empty()) return tokenize::Tokenizer::open(path);
  tokenize::Files files;
  for (size_t part = 0;; ++part) {
    const auto found = metadata.find(key(std::to_string(part)));
    if (found == metadata.end()) break;
    files.model += found->second;
  }
  if (files.model.empty())
    return fail(Code::usage, "the program holds no tokenizer")
        .at("{}", program)
        .hint("add --tokenizer with a tokenizer.json, a tokenizer.model or their folder");
  if (const auto settings = metadata.find(key("settings")); settings != metadata.end())
    files.settings = settings->second;
  return tokenize::Tokenizer::make(files, program + ": its tokenizer");
}

}  // namespace quoin::generate
