// A tokenizer inside a program: its file in the metadata.
#pragma once

#include <map>
#include <string>

#include "tokenize/tokenizer.hpp"

namespace quoin::generate {

using Metadata = std::map<std::string, std::string>;  // program::Model::metadata

inline constexpr const char* kTokenizerKey = "tokenizer";  // "tokenizer.0", "tokenizer.1", ... and "tokenizer.settings"

void store_tokenizer(const tokenize::Files& files, Metadata& metadata);

// `path`, if it is not empty, else the tokenizer in the metadata of `program`. Errors: those of Tokenizer; usage:
// neither.
Result<tokenize::Tokenizer> find_tokenizer(const std::string& path, const Metadata& metadata,
                                           const std::string& program);

}  // namespace quoin::generate
