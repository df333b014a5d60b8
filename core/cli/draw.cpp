#include "cli/draw.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "base/text.hpp"
#include "cli/draw_text.hpp"
#include "cli/placement.hpp"

namespace quoin::cli {
namespace {

using quantize::Spec;
using quantize::Verdict;

constexpr std::array kPluginColors{"#b7e1b0", "#aecbfa", "#d7bde2", "#a3e4d7", "#f5cba7"};  // by order of appearance
constexpr const char *kRecipeColor = "#fff2b3", *kRuleColor = "#f4b6b0", *kPresetColor = "#e6e6f5",
                     *kNoRuleColor = "#e8e8e8";
constexpr const char *kQuantizedEdge = "#1f4e9c", *kRequantizedEdge = "#c2410c", *kFloatEdge = "#999999";

constexpr const char* kHeader = R"(digraph quoin {
  graph [fontname="Helvetica", fontsize=11, labelloc=t, labeljust=l, nodesep=0.3, ranksep=0.35]
  node [fontname="Helvetica", fontsize=10, shape=box, style="filled,rounded", margin="0.14,0.07", height=0.3, color="#777777"]
  edge [fontname="Helvetica", fontsize=9, arrowsize=0.6]
)";

// One call of a module with what runs directly in it. A module that is called again later is drawn again: one box for
// all of its calls would tie distant parts of the graph together.
struct Module {
  std::string path, type;
  std::vector<Module> inner;
  std::vector<ir::NodeId> nodes;
  size_t size = 0;    // nodes here and in all inner modules
  bool open = false;  // the last thing that came was inner.back()
};

// What a colour of the drawing means and how often it occurs.
struct Kind {
  std::string text, color;
  size_t count = 0;
};

class Drawing {
 public:
  Drawing(const flow::Annotated& annotated, const quantize::Prepared& prepared)
      : graph_(annotated.graph), annotations_(annotated.annotations), prepared_(prepared) {
    number_groups();
    for (const ir::NodeId id : graph_.order()) {
      Module* module = &root_;
      ++module->size;
      for (const ir::ModuleFrame& frame : frames(id)) module = &enter(*module, frame);
      module->nodes.push_back(id);
      module->open = false;
      kind_of_[id] = classify(id);
    }
  }

  std::string text(const std::string& title) {
    std::string body;
    for (size_t i = 0; i < graph_.inputs().size(); ++i) body += terminal("in", i, graph_.inputs()[i]);
    body += module(root_, "", "  ");
    for (size_t i = 0; i < graph_.outputs().size(); ++i) body += terminal("out", i, graph_.outputs()[i]);
    for (const ir::NodeId id : graph_.order())
      for (uint32_t slot = 0; slot < graph_.node(id).inputs.size(); ++slot) body += edge({id, slot, false});
    for (size_t i = 0; i < graph_.outputs().size(); ++i) body += output_edge(i);
    return kHeader + ("  label=<" + legend(title) + ">\n") + body + "}\n";
  }

 private:
  static constexpr size_t kMaxDepth = 12;  // of boxes; deeper modules are drawn in the last one

  std::vector<ir::ModuleFrame> frames(ir::NodeId id) const {
    std::vector<ir::ModuleFrame> out;
    for (const ir::ModuleFrame& frame : graph_.node(id).modules)
      if (!frame.path.empty() && out.size() < kMaxDepth) out.push_back(frame);
    return out;
  }
  static Module& enter(Module& outer, const ir::ModuleFrame& frame) {
    if (!outer.open || outer.inner.back().path != frame.path)
      outer.inner.push_back({frame.path, frame.type, {}, {}, 0, false});
    outer.open = true;
    ++outer.inner.back().size;
    return outer.inner.back();
  }

  // Groups that hold several values get numbers, in graph order: those are what "shared" is about.
  void number_groups() {
    for (size_t i = 0; i < prepared_.groups.size(); ++i) {
      std::set<ir::ValueId> values;
      for (const ir::Place place : prepared_.groups[i].places) values.insert(quantize::value_at(graph_, place));
      if (values.size() > 1) number_of_.emplace(i, number_of_.size() + 1);
    }
  }

  // -- verdicts

  size_t kind(std::string text, std::string color) {
    auto found = std::ranges::find(kinds_, text, &Kind::text);
    if (found == kinds_.end()) found = kinds_.insert(found, {std::move(text), std::move(color), 0});
    ++found->count;
    return static_cast<size_t>(found - kinds_.begin());
  }
  size_t classify(ir::NodeId id) {
    const auto found = annotations_.verdicts.find(id);
    if (found == annotations_.verdicts.end()) return kind("no rule covers it", kNoRuleColor);
    const Verdict& verdict = found->second;
    switch (verdict.kind) {
      case Verdict::Kind::quantized: {
        const auto plugin = std::ranges::find(plugins_, verdict.plugin);
        const auto index = static_cast<size_t>(plugin - plugins_.begin());
        if (plugin == plugins_.end()) plugins_.push_back(verdict.plugin);
        return kind("quantized by " + verdict.plugin, kPluginColors[index % kPluginColors.size()]);
      }
      case Verdict::Kind::float_by_recipe:
        return kind("left in float by the recipe", kRecipeColor);
      case Verdict::Kind::float_by_rule:
        return verdict.unintended ? kind("in float: a rule's constraint failed", kRuleColor)
                                  : kind("in float as the preset wants it, or beside float nodes", kPresetColor);
      case Verdict::Kind::no_rule:
        if (verdict.unintended) return kind("in float: the recipe names it, no rule covers it", kRuleColor);
        return kind("no rule covers it", kNoRuleColor);
    }
    return kind("no rule covers it", kNoRuleColor);
  }

  std::string legend(const std::string& title) const {
    std::string out = R"(<table border="0" cellspacing="2" cellpadding="2"><tr><td align="left" colspan="2"><b>)" +
                      html_text(title) + "</b></td></tr>";
    const auto row = [&](const std::string& sample, const std::string& text) {
      out += "<tr>" + sample + R"(<td align="left">)" + text + "</td></tr>";
    };
    for (const Kind& kind : kinds_)
      row(fmt::format(R"(<td border="1" bgcolor="{}" width="26"></td>)", kind.color),
          html_text(fmt::format("{} ({} nodes)", kind.text, kind.count)));
    const auto line = [](const char* color) {
      return fmt::format(R"(<td><font color="{}">&#8212;&#8212;</font></td>)", color);
    };
    row(line(kQuantizedEdge), "quantized; the same #number: shared scale and zero point");
    if (any_anew_) row(line(kRequantizedEdge), "producer and reader differ: the value is quantized anew");
    row(line(kFloatEdge), "no spec: in float, or inside a pattern that becomes one operator");
    return out + "</table>";
  }

  // -- specs

  std::optional<size_t> group_at(ir::Place place) const {
    const auto found = prepared_.group_of.find(place);
    return found == prepared_.group_of.end() ? std::nullopt : std::optional(found->second);
  }
  // "s8 per channel #3"
  std::string words(size_t group) const {
    std::string text = spec_words(prepared_.groups[group].spec);
    if (const auto found = number_of_.find(group); found != number_of_.end())
      text += fmt::format(" #{}", found->second);
    return text;
  }
  std::string details(ir::Place place) const {
    const auto group = group_at(place);
    return group ? quantize::summary(graph_, prepared_.groups[*group].spec) : "float";
  }

  // -- statements

  std::string module(const Module& module, const std::string& outer, const std::string& indent) {
    const bool boxed = !module.path.empty() && module.size > 1 && (module.inner.size() != 1 || !module.nodes.empty());
    std::string out;
    const std::string inside = boxed ? indent + "  " : indent;
    if (boxed) {
      out += fmt::format("{}subgraph cluster_{} {{\n", indent, clusters_++);
      out += fmt::format("{}label={} tooltip={} style=\"rounded,filled\" color=\"#b0b0b0\" fillcolor=\"#00000007\"\n",
                         inside, dot_text(module_words(module.path, module.type, outer)),
                         dot_text(module.path + ": " + module.type));
    }
    for (const ir::NodeId id : module.nodes) out += inside + node(id);
    for (const Module& inner : module.inner) out += this->module(inner, boxed ? module.path : outer, inside);
    return boxed ? out + indent + "}\n" : out;
  }

  std::string node(ir::NodeId id) const {
    const ir::Node& node = graph_.node(id);
    std::string label = node.name;
    if (const std::string op = op_words(node.op()); !node.name.starts_with(op.substr(0, op.find('.'))))
      label += "\n" + op;
    for (uint32_t slot = 0; slot < node.inputs.size(); ++slot)
      if (const auto group = group_at({id, slot, false}); group && graph_.is_constant(node.inputs[slot]))
        label += fmt::format("\n{}: {}", slot_name(node, slot), words(*group));
    return fmt::format("n{} [label={}, fillcolor=\"{}\", tooltip={}]\n", id, dot_text(label),
                       kinds_[kind_of_.at(id)].color, dot_text(tooltip(id)));
  }
  static std::string slot_name(const ir::Node& node, uint32_t slot) {
    const auto& slots = node.schema->inputs;
    return slots[std::min<size_t>(slot, slots.size() - 1)].name;
  }

  std::string tooltip(ir::NodeId id) const {
    const ir::Node& node = graph_.node(id);
    std::string text = graph_.describe(id) + "\n" + to_string(graph_.value(node.outputs[0]).type);
    if (!node.source.empty()) text += "\n" + node.source;
    if (const auto found = annotations_.verdicts.find(id); found != annotations_.verdicts.end()) {
      const Verdict& verdict = found->second;
      text += fmt::format("\n{}: {}", name(verdict.kind), verdict.reason);
    }
    for (uint32_t slot = 0; slot < node.inputs.size(); ++slot)
      if (group_at({id, slot, false}))
        text += fmt::format("\n{}: {}", slot_name(node, slot), details({id, slot, false}));
    for (uint32_t slot = 0; slot < node.outputs.size(); ++slot)
      if (group_at({id, slot, true})) text += "\nresult: " + details({id, slot, true});
    return text;
  }

  std::string terminal(const char* prefix, size_t index, ir::ValueId id) const {
    const ir::Value& value = graph_.value(id);
    return fmt::format("  {}{} [label={}, shape=ellipse, style=filled, fillcolor=white]\n", prefix, index,
                       dot_text(value.name + "\n" + to_string(value.type)));
  }

  // The drawn thing that a value comes from; "" for constants.
  std::string origin(ir::ValueId id) const {
    const ir::Value& value = graph_.value(id);
    if (value.producer != ir::kNone) return fmt::format("n{}", value.producer);
    const auto found = std::ranges::find(graph_.inputs(), id);
    return found == graph_.inputs().end() ? "" : fmt::format("in{}", found - graph_.inputs().begin());
  }

  std::optional<size_t> group_of_result(ir::ValueId id) const {
    const ir::Value& value = graph_.value(id);
    return value.producer == ir::kNone ? std::nullopt : group_at({value.producer, value.output_index, true});
  }

  std::string edge(ir::Place place) {
    const ir::ValueId id = graph_.input(place.node, place.slot);
    if (id == ir::kNone) return "";
    const std::string from = origin(id);
    if (from.empty()) return "";
    return edge(from, fmt::format("n{}", place.node), id, group_of_result(id), group_at(place));
  }
  std::string output_edge(size_t index) {
    const ir::ValueId id = graph_.outputs()[index];
    const std::string from = origin(id);
    return from.empty() ? "" : edge(from, fmt::format("out{}", index), id, group_of_result(id), std::nullopt);
  }
  std::string edge(const std::string& from, const std::string& to, ir::ValueId id, std::optional<size_t> made,
                   std::optional<size_t> read) {
    const bool anew = made && read && *made != *read;
    any_anew_ = any_anew_ || anew;
    const char* color = anew ? kRequantizedEdge : made || read ? kQuantizedEdge : kFloatEdge;
    std::string label = made ? " " + words(*made) : read ? " " + words(*read) : "";
    if (anew) label += " > " + words(*read);
    const ir::Value& value = graph_.value(id);
    std::string tip = value.name + ": " + to_string(value.type);
    if (made) tip += "\nresult: " + quantize::summary(graph_, prepared_.groups[*made].spec);
    if (read) tip += "\noperand: " + quantize::summary(graph_, prepared_.groups[*read].spec);
    return fmt::format(
        "  {} -> {} [color=\"{}\", fontcolor=\"{}\", penwidth={}, label={}, tooltip={}, labeltooltip={}]\n", from, to,
        color, color, made || read ? "1.6" : "1", dot_text(label), dot_text(tip), dot_text(tip));
  }

  const ir::Graph& graph_;
  const quantize::Annotations& annotations_;
  const quantize::Prepared& prepared_;
  Module root_;
  std::vector<Kind> kinds_;
  std::vector<std::string> plugins_;
  std::map<ir::NodeId, size_t> kind_of_;  // index into kinds_
  std::map<size_t, size_t> number_of_;    // by group
  size_t clusters_ = 0;
  bool any_anew_ = false;
};

}  // namespace

std::string draw(const flow::Annotated& annotated, const quantize::Prepared& prepared, const std::string& title) {
  return Drawing(annotated, prepared).text(title);
}

}  // namespace quoin::cli
