#include "conform/event.hpp"

#include <nlohmann/json.hpp>

namespace quoin::conform {
namespace {

using nlohmann::json;

constexpr size_t kMaxDetail = 4096;
constexpr const char* kKinds[] = {"cases", "begin", "end", "done"};
constexpr const char* kVerdicts[] = {"pass", "fail", "skip"};

template <size_t N>
std::optional<size_t> index_of(const char* const (&names)[N], const json& value) {
  for (size_t i = 0; i < N; ++i)
    if (value == names[i]) return i;
  return std::nullopt;
}

}  // namespace

std::string write_event(const Event& event) {
  const json line = {{"event", kKinds[event.kind]},
                     {"number", event.number},
                     {"name", event.name},
                     {"verdict", kVerdicts[event.verdict.kind]},
                     {"detail", event.verdict.detail.substr(0, kMaxDetail)}};
  // Bytes of the plugin that are no UTF-8, and characters cut in two, are replaced.
  return line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::optional<Event> read_event(std::string_view text) {
  const json line = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!line.is_object()) return std::nullopt;
  const auto kind = index_of(kKinds, line.value("event", json()));
  const auto verdict = index_of(kVerdicts, line.value("verdict", json()));
  const json number = line.value("number", json()), name = line.value("name", json()),
             detail = line.value("detail", json());
  if (!kind || !verdict || !number.is_number_unsigned() || !name.is_string() || !detail.is_string())
    return std::nullopt;
  return Event{static_cast<Event::Kind>(*kind),
               number.get<uint64_t>(),
               name.get<std::string>(),
               {static_cast<Verdict::Kind>(*verdict), detail.get<std::string>()}};
}

}  // namespace quoin::conform
