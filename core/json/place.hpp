// A value of a JSON document and where it is: every access checks the type, every error names the place.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace quoin::json {

using Document = nlohmann::json;

// Errors of all accesses: model (a value of another type).
class Place {
 public:
  // `value` must outlive the object and everything reached from it.
  Place(const Document& value, std::string where) : value_(&value), where_(std::move(where)) {}
  const Document& value() const { return *value_; }
  const std::string& where() const { return where_; }
  bool is_null() const;
  bool is_text() const;
  bool is_list() const;

  // A member; a missing one is null. Of something that is no object, every member is missing.
  Place operator[](std::string_view key) const;
  // A member that must be there and not null. Of something that is no object: an error.
  Result<Place> at(std::string_view key) const;
  // A member, if it is there and not null.
  std::optional<Place> find(std::string_view key) const;
  Result<std::vector<std::pair<std::string, Place>>> members() const;
  // The only member that is not null.
  Result<std::pair<std::string, Place>> only_member() const;
  // All items of a list; null has none.
  Result<std::vector<Place>> items() const;

  Result<std::string> text() const;
  Result<int64_t> integer() const;
  // May be written as "Infinity", "-Infinity" or "NaN", too.
  Result<double> number() const;
  Result<bool> flag() const;
  // `absent`: what null means.
  Result<bool> flag(bool absent) const;

  Failure expected(std::string_view what) const;
  // Error of code unsupported.
  Failure unsupported(std::string what, std::string hint = {}) const;

 private:
  Place member(std::string_view key, const Document& value) const;
  const Document* value_;
  std::string where_;
};

}  // namespace quoin::json
