// What the probe's child tells its parent: "ok", or an error in four fields.
#pragma once

#include <optional>
#include <string>

#include "base/text.hpp"
#include "host/child.hpp"

namespace quoin::host {

inline constexpr int kAnswerDescriptor = Child::kReport;
inline constexpr int kPluginDescriptor = Child::kFirstLent;  // the plugin file, open
inline constexpr char kAnswerSeparator = '\x1f';             // cannot occur: texts of plugins are made printable

inline std::string write_answer(const Status& status) {
  if (status) return "ok";
  const Error& error = status.error();
  return fmt::format("{1}{0}{2}{0}{3}{0}{4}", kAnswerSeparator, static_cast<int>(error.code), error.what, error.where,
                     error.hint);
}

// Nothing when the child ended before its answer was complete.
inline std::optional<Status> read_answer(const std::string& text) {
  if (text == "ok") return Status{};
  const std::vector<std::string> fields = split(text, kAnswerSeparator);
  if (fields.size() != 4) return std::nullopt;
  const int code = std::atoi(fields[0].c_str());
  const bool known = code == static_cast<int>(Code::plugin_abi) || code == static_cast<int>(Code::limit);
  return Status(
      fail(known ? static_cast<Code>(code) : Code::plugin, "{}", fields[1]).at("{}", fields[2]).hint(fields[3]));
}

}  // namespace quoin::host
