#include "cli/report.hpp"

#include <algorithm>

#include "cli/placement.hpp"

namespace quoin::cli {
namespace {

constexpr const char* kStyle = R"(
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1c2430}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}td,th{padding:.25rem .6rem;border-bottom:1px solid #dde3ea;text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{font-weight:600}td.n{text-align:right;font-variant-numeric:tabular-nums}
.bar{background:#3c78b4;height:.8rem;display:inline-block;vertical-align:middle}.muted{color:#66707c}
)";

std::string escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string bar(double value, double largest) {
  return fmt::format("<span class=\"bar\" style=\"width:{:.1f}%\"></span>", largest <= 0 ? 0 : 80 * value / largest);
}

std::string bar_rows(const std::vector<std::pair<std::string, double>>& rows,
                     const std::function<std::string(double)>& text) {
  double largest = 0;
  for (const auto& [name, value] : rows) largest = std::max(largest, value);
  std::string out = "<table>";
  for (const auto& [name, value] : rows)
    out +=
        fmt::format("<tr><td style=\"width:14rem\">{}</td><td class=\"n\" style=\"width:7rem\">{}</td><td>{}</td></tr>",
                    escape(name), escape(text(value)), bar(value, largest));
  return out + "</table>";
}

std::string times_section(const flow::Quantized& result) {
  std::vector<std::pair<std::string, double>> rows;
  for (const flow::StageTime& time : result.times) rows.emplace_back(time.stage, time.seconds);
  return "<h2>Time per stage</h2>" + bar_rows(rows, [](double s) { return fmt::format("{:.2f} s", s); });
}

std::string sizes_section(const QuantizeSummary& summary) {
  const std::vector<std::pair<std::string, double>> rows = {{"model file", static_cast<double>(summary.model_bytes)},
                                                            {"program", static_cast<double>(summary.program_bytes)}};
  return "<h2>Size</h2>" + bar_rows(rows, [](double b) { return human_bytes(static_cast<uint64_t>(b)); });
}

std::string verdict_section(const flow::Quantized& result) {
  std::string out =
      "<h2>Verdict per node</h2><table><tr><th>node</th><th>operator</th><th>module</th><th>verdict</th><th>rule or "
      "reason</th></tr>";
  for (const auto& [id, verdict] : result.annotations.verdicts) {
    const bool quantized = verdict.kind == quantize::Verdict::Kind::quantized;
    out += fmt::format("<tr><td>{}</td><td>{}</td><td class=\"muted\">{}</td><td>{}</td><td>{}</td></tr>",
                       escape(verdict.node), escape(verdict.op), escape(verdict.module), name(verdict.kind),
                       escape(quantized ? verdict.rule : verdict.reason));
  }
  return out + "</table>";
}

std::string placement_section(const flow::Quantized& result) {
  std::string out =
      "<h2>Placement in the "
      "program</h2><table><tr><th>node</th><th>operator</th><th>backend</th><th>integer</th><th>multiply-adds</"
      "th><th>reason</th></tr>";
  for (const lower::Placement& row : result.lowered.placement)
    out += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
                       escape(row.name), escape(row.op),
                       escape(row.kernel.empty() ? row.backend : row.backend + ": " + row.kernel),
                       row.integer ? "yes" : "no", row.macs, escape(row.reason));
  return out + "</table>";
}

std::string notes_section(const std::vector<Note>& notes) {
  if (notes.empty()) return "<h2>Notes</h2><p>None.</p>";
  std::string out = "<h2>Notes</h2><ul>";
  for (const Note& note : notes) out += "<li>" + escape(note.text()) + "</li>";
  return out + "</ul>";
}

}  // namespace

Status write_report(const std::string& path, const QuantizeSummary& summary, const flow::Quantized& result,
                    const std::vector<Note>& notes) {
  const std::string title = escape(summary.program.empty() ? summary.model : summary.program);
  std::string page = fmt::format(
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title><style>{1}</style><h1>{0}</h1>",
      title, kStyle);
  page += fmt::format(
      "<p>Quantized from {} with {} calibration samples in {:.2f} s ({}, {} thread(s)), peak memory {}.</p>",
      escape(summary.model), result.samples, summary.seconds, escape(summary.isa), summary.threads,
      human_bytes(summary.peak_rss));
  page += sizes_section(summary) + times_section(result) + notes_section(notes) + verdict_section(result) +
          placement_section(result);
  return write_file(path, as_bytes(page + "</html>\n"));
}

}  // namespace quoin::cli
