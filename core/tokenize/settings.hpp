// What stands beside a tokenizer's file: which of its tokens begin and end a text.
#pragma once

#include <string>

#include "tokenize/tokenizer.hpp"

namespace quoin::tokenize {

struct Settings {
  std::optional<std::string> bos, eos;  // texts of tokens
  std::vector<int64_t> stop;            // ids that end a text, beside eos
  std::optional<bool> add_bos;
};

// From tokenizer_config.json and from generation_config.json, or config.json where that is missing.
// Errors (model): a file that is there and damaged.
Result<Settings> read_settings(const std::string& folder);
std::string to_json(const Settings& settings);
Result<Settings> settings_from_json(const std::string& text, const std::string& where);

}  // namespace quoin::tokenize
