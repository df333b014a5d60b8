#include "checkpoint/settings.hpp"

#include <algorithm>

#include "base/file.hpp"
#include "json/parse.hpp"

namespace quoin::checkpoint {
namespace {

using Json = json::Document;

constexpr uint64_t kMaxSettings = 4u << 20;  // bytes of a JSON file of settings

bool fits(const Json& number) {
  return !number.is_number_unsigned() || number.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX);
}

template <class T>
std::vector<T> elements(const Json& list) {
  std::vector<T> out;
  for (const Json& item : list) out.push_back(item.get<T>());
  return out;
}

// Nothing for lists that a Setting cannot hold.
std::optional<Setting> setting(const Json& value) {
  if (value.is_null()) return std::monostate{};
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer() && fits(value)) return value.get<int64_t>();
  if (value.is_number()) return value.get<double>();
  const auto all = [&](auto&& holds) { return std::all_of(value.begin(), value.end(), holds); };
  if (all([](const Json& item) { return item.is_number_integer() && fits(item); })) return elements<int64_t>(value);
  if (all([](const Json& item) { return item.is_number(); })) return elements<double>(value);
  if (all([](const Json& item) { return item.is_string(); })) return elements<std::string>(value);
  return std::nullopt;
}

void flatten(const Json& object, const std::string& prefix, Settings& out) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object())
      flatten(value, prefix + key + ".", out);
    else if (auto read = setting(value))
      out[prefix + key] = *std::move(read);
  }
}

}  // namespace

Result<Settings> read_json_settings(const std::string& path) {
  QUOIN_TRY(const std::string text, read_text(path, kMaxSettings));
  QUOIN_TRY(const Json object, json::parse_object(text, path));
  Settings out;
  flatten(object, {}, out);
  return out;
}

}  // namespace quoin::checkpoint
