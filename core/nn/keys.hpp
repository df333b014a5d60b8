// One way to read config.json and GGUF metadata: by the keys of Hugging Face.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.hpp"

namespace quoin::nn {

class Keys {
 public:
  // Reads config.json where the checkpoint has no metadata of its own. Errors: those of read_json_settings.
  static Result<Keys> open(const checkpoint::Checkpoint& checkpoint);

  const std::string& file() const { return file_; }
  checkpoint::Format format() const { return format_; }
  // The key as the file spells it: "hidden_size", "llama.embedding_length".
  std::string spelled(std::string_view key) const;

  // Whether the key is there and not null.
  bool has(std::string_view key);
  bool is_null(std::string_view key);
  // Errors (model): another type; number() takes integers, too.
  Result<std::optional<int64_t>> integer(std::string_view key);
  Result<std::optional<double>> number(std::string_view key);
  Result<std::optional<bool>> flag(std::string_view key);
  Result<std::optional<std::string>> text(std::string_view key);
  Result<std::vector<int64_t>> integers(std::string_view key);  // one or a list; empty: absent
  Result<std::vector<std::string>> texts(std::string_view key);
  // A number of things, at least 1. Errors (model): absent without `fallback`, not positive, over 2^24.
  Result<int64_t> count(std::string_view key, std::optional<int64_t> fallback = {});
  // Keys with a value that were not asked for, as the file spells them; of GGUF those of the architecture only.
  std::vector<std::string> unused() const;

  // "config.json: key hidden_size: ..."
  Failure bad(std::string_view key, std::string what, Code code = Code::model) const;

 private:
  const checkpoint::Setting* find(std::string_view key);
  template <class T>
  Result<std::optional<T>> get(std::string_view key, std::string_view kind);

  checkpoint::Format format_{};
  std::string file_, prefix_;  // prefix_: "llama." of GGUF keys
  checkpoint::Settings settings_;
  std::set<std::string, std::less<>> used_;
};

}  // namespace quoin::nn
