#include "cli/plugin_page.hpp"

#include "base/markdown.hpp"

namespace quoin::cli {
namespace {

// Text inside a table cell.
std::string cell(const std::string& text) { return join(split(text, '|'), "\\|"); }
std::string code(const std::string& text) { return text.empty() ? "" : "`" + cell(text) + "`"; }

std::string codes(const Json& names) {
  std::vector<std::string> out;
  for (const Json& name : names) out.push_back(code(name.get<std::string>()));
  return join(out, ", ");
}

std::string values_of(const Json& param) {
  if (param.contains("choices")) return codes(param["choices"]);
  if (param.contains("range")) return fmt::format("{} to {}", param["range"][0].dump(), param["range"][1].dump());
  return param["type"] == "bool" ? "true, false" : "any";
}

std::vector<std::string> param_cells(const Json& param) {
  return {code(param["name"]), param["type"], code(param["default"].dump()), values_of(param), cell(param["doc"])};
}

std::string options(const Json& d) {
  if (d["options"].empty()) return {};
  std::string out = "\n## Options\n\n" + markdown_head({"option", "type", "default", "values", "given in", "meaning"});
  for (const Json& option : d["options"]) {
    std::vector<std::string> cells = param_cells(option);
    cells.insert(cells.end() - 1, join(option["scopes"].get<std::vector<std::string>>(), ", "));
    out += markdown_row(cells);
  }
  return out;
}

std::string presets(const Json& d) {
  if (d["presets"].empty()) return {};
  std::string out = "\n## Presets\n\nThe first one is the default.\n\n" + markdown_head({"preset", "quantizes"});
  std::string params;
  for (const Json& preset : d["presets"]) {
    out += markdown_row({code(preset["name"]), cell(preset["doc"])});
    for (const Json& param : preset["params"]) {
      std::vector<std::string> cells = param_cells(param);
      cells.insert(cells.begin(), code(preset["name"]));
      params += markdown_row(cells);
    }
  }
  return params.empty()
             ? out
             : out + "\n" + markdown_head({"preset", "parameter", "type", "default", "values", "meaning"}) + params;
}

std::string rules(const Json& d) {
  if (d["rules"].empty()) return {};
  std::string out =
      "\n## Rules\n\n"
      "A pattern matches a chain of nodes: `a > b` is a node and its only reader, `[…]` may be missing, `x|y` is "
      "either.\n"
      "Operators are written without `aten.` and `.default`. Presets are those that quantize what matches; a rule "
      "without\n"
      "presets only runs what is there. *Runs* says in which form the plugin computes it. `quoin explain` gives the "
      "reason\n"
      "for every node that no rule takes.\n\n" +
      markdown_head({"rule", "pattern", "presets", "runs", "holds when"});
  for (const Json& rule : d["rules"]) {
    std::vector<std::string> forms;
    if (rule["integer"].get<bool>()) forms.push_back("integer");
    if (rule["float"].get<bool>()) forms.push_back("float");
    out += markdown_row({code(rule["rule"]), code(rule["pattern"]), codes(rule["presets"]), join(forms, ", "),
                         cell(rule["constraint"])});
  }
  return out;
}

std::string kernels(const Json& d) {
  if (d["kernels"].empty()) return {};
  std::string out = "\n## Kernels for single operators\n\n" + markdown_head({"kernel", "operator", "needs"});
  for (const Json& kernel : d["kernels"])
    out += markdown_row({code(kernel["name"]), code(kernel["op"]), kernel["isa"]});
  return out;
}

std::string prose(const Json& d) {
  std::string out;
  if (const std::string numerics = d["numerics"]; !numerics.empty()) out += "\n## Numerics\n\n" + numerics + "\n";
  if (!d["limits"].empty()) out += "\n## Known limits\n\n";
  for (const Json& limit : d["limits"]) out += "- " + limit.get<std::string>() + "\n";
  return out;
}

std::string roles(const Json& d) {
  std::vector<std::string> names;
  for (const char* role : {"quantizer", "compiler", "executor"})
    if (d[role].get<bool>()) names.push_back(role);
  if (!d["kernels"].empty()) names.push_back("kernels");
  return join(names, ", ");
}

}  // namespace

std::string plugin_page(const Json& d) {
  std::string out = fmt::format("Version {}, plugin ABI {}; roles: {}.\n", d["version"].get<std::string>(),
                                d["abi"].get<std::string>(), roles(d));
  if (const std::string summary = d["summary"]; !summary.empty()) out += "\n" + summary + "\n";
  return out + options(d) + presets(d) + rules(d) + kernels(d) + prose(d);
}

}  // namespace quoin::cli
