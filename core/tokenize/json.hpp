// Reading the JSON of tokenizers: every access checks the type, every error names the place.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace quoin::tokenize {

using Json = nlohmann::json;

// Errors (model): syntax, nested deeper than 32, a key that occurs twice in an object.
Result<Json> parse_json(std::string_view text, const std::string& where);

// A value, and where it is. Both must outlive the object.
class Place {
 public:
  Place(const Json& value, std::string where) : value_(&value), where_(std::move(where)) {}
  const Json& value() const { return *value_; }
  const std::string& where() const { return where_; }
  bool is_null() const { return value_->is_null(); }

  // A member; a missing one is null. Of something that is no object, every member is missing.
  Place at(std::string_view key) const;
  // All items of a list; null has none.
  Result<std::vector<Place>> items() const;
  Result<std::string> text() const;
  Result<int64_t> integer() const;
  Result<bool> flag(bool absent) const;
  Result<bool> flag() const;
  // "type" of a component.
  Result<std::string> type() const;

  tl::unexpected<Error> expected(std::string_view what) const;
  tl::unexpected<Error> unsupported(std::string what, std::string hint = {}) const;

 private:
  const Json* value_;
  std::string where_;
};

}  // namespace quoin::tokenize
