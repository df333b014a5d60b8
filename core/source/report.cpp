#include "source/report.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace quoin::source {

std::string Report::text() const {
  size_t width = 5;
  for (const ReportLine& line : lines) width = std::max(width, line.name.size());
  std::string out = fmt::format("{:<{}}  bits  group  algorithm    weight error  output SQNR\n", "layer", width);
  for (const ReportLine& line : lines) {
    out += fmt::format("{:<{}}  ", line.name, width);
    if (!line.quantized) {
      out += fmt::format("float: {}\n", line.reason);
      continue;
    }
    const std::string group = line.group == 0 ? "row" : std::to_string(line.group);
    const std::string sqnr = line.output_sqnr_db ? fmt::format("{:.1f} dB", *line.output_sqnr_db) : "";
    out += fmt::format("{:>4}  {:>5}  {:<11}  {:>12.4f}  {:>11}", line.bits, group, line.algorithm, line.weight_error,
                       sqnr);
    out += line.reason.empty() ? "\n" : "  " + line.reason + "\n";
  }
  return out;
}

}  // namespace quoin::source
