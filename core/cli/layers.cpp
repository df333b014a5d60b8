#include "cli/layers.hpp"

#include <algorithm>
#include <map>

#include "cli/terminal.hpp"

namespace quoin::cli {
namespace {

// Layers of one kind that were treated alike.
struct Alike {
  size_t count = 0, padded = 0;
  double error_sum = 0;
  std::optional<double> least_sqnr_db;
  std::string first;
  void add(const source::ReportLine& line) {
    if (count++ == 0) first = line.name;
    padded += line.padding != 0 ? 1 : 0;
    error_sum += line.weight_error;
    if (line.output_sqnr_db)
      least_sqnr_db = std::min(least_sqnr_db.value_or(*line.output_sqnr_db), *line.output_sqnr_db);
  }
};

std::string treatment(const source::ReportLine& line) {
  if (!line.quantized) return "float: " + line.reason;
  const std::string group = line.group == 0 ? "one scale per row" : fmt::format("groups of {}", line.group);
  return fmt::format("int{}, {}, {}{}", line.bits, group, line.algorithm,
                     line.dynamic_activations ? ", activations int8 per token" : "");
}

}  // namespace

std::string layers_text(const source::Report& report, bool each) {
  if (report.lines.empty()) return {};
  if (each) return report.text();
  std::map<std::pair<std::string, std::string>, Alike> groups;
  for (const source::ReportLine& line : report.lines) groups[{line.kind, treatment(line)}].add(line);
  Table table({"layers", "kind", "first", "weights", "mean error", "least SQNR"}, {0, 4, 5});
  for (const auto& [key, alike] : groups) {
    const bool is_float = key.second.starts_with("float");
    const std::string padded = alike.padded == 0 ? "" : fmt::format(", {} padded", alike.padded);
    table.row({std::to_string(alike.count), key.first, alike.first, key.second + padded,
               is_float ? "" : fmt::format("{:.4f}", alike.error_sum / static_cast<double>(alike.count)),
               alike.least_sqnr_db ? fmt::format("{:.1f} dB", *alike.least_sqnr_db) : ""});
  }
  return table.text();
}

Json layers_json(const source::Report& report) {
  Json out = Json::array();
  for (const source::ReportLine& line : report.lines) {
    Json row = {{"name", line.name}, {"kind", line.kind}, {"quantized", line.quantized}};
    if (line.quantized)
      row.update({{"bits", line.bits},
                  {"group", line.group},
                  {"padding", line.padding},
                  {"dynamic_activations", line.dynamic_activations},
                  {"algorithm", line.algorithm},
                  {"weight_error", line.weight_error}});
    if (line.output_sqnr_db) row["output_sqnr_db"] = *line.output_sqnr_db;
    row.update({{"rule", line.rule}, {"reason", line.reason}});
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace quoin::cli
