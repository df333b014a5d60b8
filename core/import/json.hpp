// A place in a JSON document, for reading foreign files: every access checks the type, every error names the path.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace quoin::import {

class Json {
 public:
  // `value` must outlive the object and everything reached from it.
  Json(const nlohmann::json& value, std::string where) : value_(&value), where_(std::move(where)) {}

  const std::string& where() const { return where_; }
  bool is_text() const;
  bool is_list() const;
  // Errors (model): not an object, no such key.
  Result<Json> at(std::string_view key) const;
  // Absent if this is no object, or the key is missing or null.
  std::optional<Json> find(std::string_view key) const;
  // Errors (model): another type. Numbers may be written as "Infinity", "-Infinity" or "NaN".
  Result<std::string> text() const;
  Result<int64_t> integer() const;
  Result<double> number() const;
  Result<bool> flag() const;
  Result<std::vector<Json>> items() const;
  Result<std::vector<std::pair<std::string, Json>>> members() const;
  // The only member of an object: how torch.export writes a tagged union, {"as_int": 3}.
  Result<std::pair<std::string, Json>> tagged() const;
  tl::unexpected<Error> expected(std::string_view what) const;

 private:
  const nlohmann::json* value_;
  std::string where_;
};

// Errors (model): syntax, with the line; nested deeper than 100. `file` is for messages.
Result<nlohmann::json> parse_json(std::string_view text, const std::string& file);

}  // namespace quoin::import
