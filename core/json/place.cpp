#include "json/place.hpp"

#include <limits>
#include <nlohmann/json.hpp>

namespace quoin::json {
namespace {

const Document& null() {
  static const Document value;
  return value;
}

}  // namespace

bool Place::is_null() const { return value_->is_null(); }
bool Place::is_text() const { return value_->is_string(); }
bool Place::is_list() const { return value_->is_array(); }

Place Place::member(std::string_view key, const Document& value) const {
  return {value, fmt::format("{}.{}", where_, key)};
}

Place Place::operator[](std::string_view key) const {
  if (!value_->is_object()) return member(key, null());
  const auto found = value_->find(key);
  return member(key, found == value_->end() ? null() : *found);
}

std::optional<Place> Place::find(std::string_view key) const {
  Place found = (*this)[key];
  if (found.is_null()) return std::nullopt;
  return found;
}

Result<Place> Place::at(std::string_view key) const {
  if (!value_->is_object()) return expected("an object");
  if (auto found = find(key)) return *std::move(found);
  return fail(Code::model, "key \"{}\" is missing", key).at("{}", where_);
}

Result<std::vector<std::pair<std::string, Place>>> Place::members() const {
  if (!value_->is_object()) return expected("an object");
  std::vector<std::pair<std::string, Place>> out;
  for (const auto& [key, value] : value_->items()) out.emplace_back(key, member(key, value));
  return out;
}

Result<std::pair<std::string, Place>> Place::only_member() const {
  constexpr std::string_view kOne = "an object with one key";
  if (!value_->is_object()) return expected(kOne);
  std::optional<std::pair<std::string, Place>> out;
  for (const auto& [key, value] : value_->items()) {
    if (value.is_null()) continue;
    if (out) return expected(kOne);
    out.emplace(key, member(key, value));
  }
  if (!out) return expected(kOne);
  return *std::move(out);
}

Result<std::vector<Place>> Place::items() const {
  std::vector<Place> out;
  if (is_null()) return out;
  if (!value_->is_array()) return expected("a list");
  out.reserve(value_->size());
  for (size_t i = 0; i < value_->size(); ++i) out.emplace_back((*value_)[i], fmt::format("{}[{}]", where_, i));
  return out;
}

Result<std::string> Place::text() const {
  if (const auto* text = value_->get_ptr<const std::string*>()) return *text;
  return expected("a text");
}

Result<int64_t> Place::integer() const {
  if (const auto* value = value_->get_ptr<const uint64_t*>()) {
    if (*value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return expected("a whole number of 64 bits");
    return static_cast<int64_t>(*value);
  }
  if (const auto* value = value_->get_ptr<const int64_t*>()) return *value;
  return expected("a whole number");
}

Result<double> Place::number() const {
  if (const auto* text = value_->get_ptr<const std::string*>()) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (*text == "Infinity" || *text == "inf") return infinity;
    if (*text == "-Infinity" || *text == "-inf") return -infinity;
    if (*text == "NaN" || *text == "nan") return std::numeric_limits<double>::quiet_NaN();
  }
  if (!value_->is_number()) return expected("a number");
  return value_->get<double>();
}

Result<bool> Place::flag() const {
  if (const auto* value = value_->get_ptr<const bool*>()) return *value;
  return expected("true or false");
}

Result<bool> Place::flag(bool absent) const { return is_null() ? Result<bool>(absent) : flag(); }

Failure Place::expected(std::string_view what) const {
  return fail(Code::model, "expected {}, found {}", what, value_->type_name()).at("{}", where_);
}

Failure Place::unsupported(std::string what, std::string hint) const {
  return fail(Code::unsupported, "{}", what).at("{}", where_).hint(std::move(hint));
}

}  // namespace quoin::json
