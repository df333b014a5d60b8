#include "import/json.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace quoin::import {
namespace {
constexpr int kMaxDepth = 100;
}

tl::unexpected<Error> Json::expected(std::string_view what) const {
  return fail(Error{Code::model, fmt::format("expected {}, found {}", what, value_->type_name()), where_, {}});
}

bool Json::is_text() const { return value_->is_string(); }
bool Json::is_list() const { return value_->is_array(); }

std::optional<Json> Json::find(std::string_view key) const {
  if (!value_->is_object()) return std::nullopt;
  const auto found = value_->find(key);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return Json(*found, where_ + "." + std::string(key));
}

Result<Json> Json::at(std::string_view key) const {
  if (!value_->is_object()) return expected("an object");
  if (auto found = find(key)) return *std::move(found);
  return fail(Error{Code::model, fmt::format("key \"{}\" is missing", key), where_, {}});
}

Result<std::string> Json::text() const {
  if (const auto* text = value_->get_ptr<const std::string*>()) return *text;
  return expected("a string");
}

Result<int64_t> Json::integer() const {
  if (const auto* value = value_->get_ptr<const uint64_t*>()) {
    if (*value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return expected("a 64-bit integer");
    return static_cast<int64_t>(*value);
  }
  if (const auto* value = value_->get_ptr<const int64_t*>()) return *value;
  return expected("an integer");
}

Result<double> Json::number() const {
  if (const auto* text = value_->get_ptr<const std::string*>()) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (*text == "Infinity" || *text == "inf") return infinity;
    if (*text == "-Infinity" || *text == "-inf") return -infinity;
    if (*text == "NaN" || *text == "nan") return std::numeric_limits<double>::quiet_NaN();
  }
  if (!value_->is_number()) return expected("a number");
  return value_->get<double>();
}

Result<bool> Json::flag() const {
  if (const auto* value = value_->get_ptr<const bool*>()) return *value;
  return expected("true or false");
}

Result<std::vector<Json>> Json::items() const {
  if (!value_->is_array()) return expected("a list");
  std::vector<Json> out;
  out.reserve(value_->size());
  for (size_t i = 0; i < value_->size(); ++i) out.emplace_back((*value_)[i], fmt::format("{}[{}]", where_, i));
  return out;
}

Result<std::vector<std::pair<std::string, Json>>> Json::members() const {
  if (!value_->is_object()) return expected("an object");
  std::vector<std::pair<std::string, Json>> out;
  for (const auto& [key, value] : value_->items()) out.emplace_back(key, Json(value, where_ + "." + key));
  return out;
}

Result<std::pair<std::string, Json>> Json::tagged() const {
  if (!value_->is_object()) return expected("an object with one key");
  // Older writers list every alternative, null but for one.
  std::optional<std::pair<std::string, Json>> out;
  for (const auto& [key, value] : value_->items()) {
    if (value.is_null()) continue;
    if (out) return expected("an object with one key");
    out.emplace(key, Json(value, where_ + "." + key));
  }
  if (!out) return expected("an object with one key");
  return *std::move(out);
}

Result<nlohmann::json> parse_json(std::string_view text, const std::string& file) {
  const auto guard = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > kMaxDepth) throw std::length_error(fmt::format("nested deeper than {}", kMaxDepth));
    return true;
  };
  try {
    return nlohmann::json::parse(text, guard);
  } catch (const std::bad_alloc&) {
    return fail(Error{Code::limit, "no memory for the document", file, {}});
  } catch (const std::exception& error) {
    return fail(Error{Code::model, fmt::format("not readable JSON: {}", error.what()), file, {}});
  }
}

}  // namespace quoin::import
