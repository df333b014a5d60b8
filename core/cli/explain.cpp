#include <filesystem>
#include <iostream>

#include "cli/common.hpp"
#include "cli/draw.hpp"
#include "cli/graphviz.hpp"
#include "cli/placement.hpp"
#include "cli/terminal.hpp"

namespace quoin::cli {
namespace {

void add_options(po::options_description& options) {
  options.add_options()("model", po::value<std::string>()->value_name("FILE"), "the trained model (.pt2 or .onnx)")(
      "dot", po::value<std::string>()->value_name("FILE"), "also draw the graph, as text for Graphviz")(
      "svg", po::value<std::string>()->value_name("FILE"),
      "also draw the graph, as SVG (runs Graphviz: package graphviz)");
  add_recipe_options(options);
}

struct Row {
  std::string node, op, module, backend, verdict, reason;
};

// One row per node of the cleaned-up float graph. The backend of a float node is who would run it in the float program.
std::vector<Row> rows_of(const flow::Annotated& annotated) {
  std::vector<Row> rows;
  for (const ir::NodeId id : annotated.graph.order()) {
    const ir::Node& node = annotated.graph.node(id);
    Row row{node.name, node.op(), node.module_path(), "", "", ""};
    if (const auto found = annotated.annotations.verdicts.find(id); found != annotated.annotations.verdicts.end()) {
      const quantize::Verdict& verdict = found->second;
      const bool quantized = verdict.kind == quantize::Verdict::Kind::quantized;
      row.backend = quantized ? verdict.plugin : "float";
      row.verdict = name(verdict.kind);
      const bool by_rule = quantized && !verdict.rule.empty();
      row.reason = by_rule ? fmt::format("rule {} of preset {}", verdict.rule, verdict.preset) : verdict.reason;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Status write_drawing(const Invocation& call, const flow::Annotated& annotated, const std::string& model) {
  if (!call.has("dot") && !call.has("svg")) return {};
  QUOIN_TRY(const quantize::Prepared prepared, quantize::prepare(annotated.graph, annotated.annotations, {}));
  const std::string dot = draw(annotated, prepared, std::filesystem::path(model).filename().string());
  if (call.has("dot")) QUOIN_CHECK(write_file(call.text("dot"), as_bytes(dot)));
  if (!call.has("svg")) return {};
  QUOIN_TRY(const std::string svg, to_svg(dot));
  return write_file(call.text("svg"), as_bytes(svg));
}

Status run(Invocation& call) {
  QUOIN_TRY(const recipe::Recipe recipe, recipe_of(call, {}));
  QUOIN_TRY(const std::string model, model_of(call, recipe));
  QUOIN_CHECK(check_outputs(call, model));
  QUOIN_TRY(const auto context, context_of(call, recipe));
  QUOIN_TRY(const flow::Annotated annotated, flow::annotate(model, recipe, *context, call.diagnostics));
  QUOIN_CHECK(check_strict(call));
  if (call.has("strict")) QUOIN_CHECK(check_intended(annotated.annotations));
  QUOIN_CHECK(write_drawing(call, annotated, model));
  Json json = Json::array();
  Table table({"node", "operator", "module", "verdict", "reason"});
  for (const Row& row : rows_of(annotated)) {
    json.push_back({{"node", row.node},
                    {"op", row.op},
                    {"module", row.module},
                    {"backend", row.backend},
                    {"verdict", row.verdict},
                    {"reason", row.reason}});
    const std::string by = row.verdict == "quantized" ? row.backend + ": " : std::string();
    table.row({row.node, row.op, row.module, row.verdict, by + row.reason});
  }
  if (call.json)
    print(json);
  else
    std::cout << table.text();
  return {};
}

}  // namespace

Verb explain_verb() {
  return {"explain",
          "what will be quantized, by whom, and why the rest is not",
          "MODEL -c RECIPE [--svg FILE]",
          "Imports and annotates without calibrating, and prints a verdict for every node: the rule that covers it, or "
          "the\n"
          "reason why it stays in float. --strict fails when a node is in float though the recipe wants it quantized; "
          "nodes\n"
          "that the recipe leaves in float, and operators that no rule is about, are intended.\n\n"
          "  quoin explain effnet.pt2 -c configs/recipes/effnet_lite0.yaml --svg effnet.svg",
          {"model"},
          add_options,
          run};
}

}  // namespace quoin::cli
