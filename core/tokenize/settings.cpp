#include "tokenize/settings.hpp"

#include <filesystem>

#include "base/file.hpp"
#include "json/parse.hpp"

namespace quoin::tokenize {
namespace {

using json::Place;

constexpr size_t kMaxStops = 64;

// "<s>", or {"content": "<s>", ...}; null where there is none.
Status read_token(const Place& from, std::optional<std::string>& out) {
  if (from.is_null()) return {};
  QUOIN_TRY(out, from.value().is_object() ? from["content"].text() : from.text());
  return {};
}

// An id or a list of ids.
Status read_ids(const Place& from, std::vector<int64_t>& out) {
  if (from.is_null()) return {};
  std::vector<Place> items = {from};
  if (from.value().is_array()) {
    QUOIN_TRY(items, from.items());
  }
  if (items.size() > kMaxStops) return from.expected(fmt::format("at most {} ids", kMaxStops));
  for (const Place& item : items) {
    QUOIN_TRY(const int64_t id, item.integer());
    out.push_back(id);
  }
  return {};
}

Status read_flag(const Place& from, std::optional<bool>& out) {
  if (from.is_null()) return {};
  QUOIN_TRY(out, from.flag());
  return {};
}

// Calls visit(Place) with the content of a file, if there is one.
template <class Visit>
Result<bool> with_file(const std::string& folder, const char* name, Visit&& visit) {
  const std::string path = (std::filesystem::path(folder) / name).string();
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return false;
  QUOIN_TRY(const std::string text, read_text(path));
  QUOIN_TRY(const json::Document document, json::parse(text, path));
  QUOIN_CHECK(visit(Place(document, path)));
  return true;
}

}  // namespace

Result<Settings> read_settings(const std::string& folder) {
  Settings out;
  const auto read_names = [&](const Place& file) -> Status {
    QUOIN_CHECK(read_token(file["bos_token"], out.bos));
    QUOIN_CHECK(read_token(file["eos_token"], out.eos));
    return read_flag(file["add_bos_token"], out.add_bos);
  };
  QUOIN_CHECK(with_file(folder, "tokenizer_config.json", read_names));
  const auto read_stop = [&](const Place& file) { return read_ids(file["eos_token_id"], out.stop); };
  QUOIN_TRY(const bool found, with_file(folder, "generation_config.json", read_stop));
  if (!found) QUOIN_CHECK(with_file(folder, "config.json", read_stop));
  return out;
}

std::string to_json(const Settings& settings) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  if (settings.bos) out["bos_token"] = *settings.bos;
  if (settings.eos) out["eos_token"] = *settings.eos;
  if (settings.add_bos) out["add_bos_token"] = *settings.add_bos;
  if (!settings.stop.empty()) out["eos_token_id"] = settings.stop;
  return out.dump();
}

Result<Settings> settings_from_json(const std::string& text, const std::string& where) {
  Settings out;
  if (text.empty()) return out;
  QUOIN_TRY(const json::Document document, json::parse(text, where));
  const Place file(document, where);
  QUOIN_CHECK(read_token(file["bos_token"], out.bos));
  QUOIN_CHECK(read_token(file["eos_token"], out.eos));
  QUOIN_CHECK(read_flag(file["add_bos_token"], out.add_bos));
  QUOIN_CHECK(read_ids(file["eos_token_id"], out.stop));
  return out;
}

}  // namespace quoin::tokenize
