#include "golden.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "../goldens.hpp"
#include "golden_config.hpp"

namespace quoin::parity {
namespace {

using json = nlohmann::ordered_json;  // the order of setters counts

// Where the operators of quantization keep their numbers: attribute names by position, "" for operands.
const std::map<std::string, std::vector<std::string>>& literal_names() {
  static const std::map<std::string, std::vector<std::string>> table = [] {
    std::map<std::string, std::vector<std::string>> t;
    for (const std::string verb : {"quantize_", "dequantize_"}) {
      t["quantized_decomposed." + verb + "per_tensor.default"] = {"",          "scale",     "zero_point",
                                                                  "quant_min", "quant_max", "dtype"};
      t["quantized_decomposed." + verb + "per_tensor.tensor"] = {"", "", "", "quant_min", "quant_max", "dtype"};
      t["quantized_decomposed." + verb + "per_channel.default"] = {"",          "",          "",     "axis",
                                                                   "quant_min", "quant_max", "dtype"};
    }
    t["quantized_decomposed.choose_qparams.tensor"] = {"", "quant_min", "quant_max", "eps", "dtype"};
    return t;
  }();
  return table;
}

bool takes_numbers(const std::string& target) {
  return target == "aten.add.Tensor" || target == "aten.sub.Tensor" || target == "aten.mul.Tensor" ||
         target == "aten.div.Tensor";
}

class GraphReader {
 public:
  std::vector<GoldenNode> nodes;

  void read(const json& record) {
    const std::string op = record.at("op"), target = record.at("target"), name = record.at("name");
    const json& args = record.at("args");
    if (target == "<built-in function getitem>") {
      refs_[name] = {refs_.at(args.at(0).at("node")).node, args.at(1).get<size_t>()};
      return;
    }
    if (op == "call_module") return;  // checks of the inputs
    GoldenNode node;
    node.name = name;
    node.target = target;
    if (record.contains("shape")) node.shape = record.at("shape").get<Shape>();
    node.kind = op == "placeholder" ? GoldenNode::Kind::input
                : op == "get_attr"  ? GoldenNode::Kind::constant
                : op == "output"    ? GoldenNode::Kind::output
                                    : GoldenNode::Kind::call;
    add_operands(args, node);
    add_literals(args, node);
    if (node.is_quantization() && !node.operands.empty())
      node.shape = nodes[std::get<Ref>(node.operands[0]).node].shape;
    refs_[name] = {nodes.size(), 0};
    nodes.push_back(std::move(node));
  }

 private:
  void add_operands(const json& args, GoldenNode& node) {
    for (const json& arg : args) {
      if (arg.is_object() && arg.contains("node"))
        node.operands.push_back(refs_.at(arg.at("node")));
      else if (arg.is_array())
        add_operands(arg, node);
      else if (arg.is_number() && takes_numbers(node.target))
        node.operands.push_back(arg.get<double>());
    }
  }
  static void add_literals(const json& args, GoldenNode& node) {
    const auto found = literal_names().find(node.target);
    if (found == literal_names().end()) return;
    for (size_t i = 0; i < args.size(); ++i) {
      const std::string& name = found->second.at(i);
      if (name == "dtype")
        node.dtype = args[i] == "torch.int8" ? "s8" : args[i].get<std::string>();
      else if (!name.empty())
        node.literals[name] = args[i].get<double>();
    }
  }
  std::map<std::string, Ref> refs_;
};

// Nodes that hand their operand through at inference: passes::remove_noops takes them out of our graph.
bool is_noop(const std::vector<GoldenNode>& nodes, const GoldenNode& node) {
  static const std::set<std::string> always{"aten.dropout.default",    "aten.dropout_.default", "aten.clone.default",
                                            "aten.contiguous.default", "aten.detach.default",   "aten.alias.default"};
  static const std::set<std::string> of_one_shape{"aten.view.default", "aten.reshape.default",
                                                  "aten.flatten.using_ints", "aten.expand.default"};
  if (node.operands.empty() || !std::holds_alternative<Ref>(node.operands[0])) return false;
  if (always.contains(node.target)) return true;
  const auto& shape = nodes[std::get<Ref>(node.operands[0]).node].shape;
  return of_one_shape.contains(node.target) && shape && shape == node.shape;
}

// The graph as it is without those nodes. Between two that quantize equally, a third of the same kind says nothing new:
// quantize(dequantize(q)) with equal numbers is q.
std::vector<GoldenNode> without_noops(std::vector<GoldenNode> nodes) {
  std::vector<Ref> instead;
  std::vector<bool> passed_by(nodes.size());  // reached through a removed node
  for (size_t i = 0; i < nodes.size(); ++i) {
    GoldenNode& node = nodes[i];
    bool behind_noop = false;
    for (auto& operand : node.operands) {
      if (!std::holds_alternative<Ref>(operand)) continue;
      const Ref from = std::get<Ref>(operand);
      behind_noop |= passed_by[from.node];
      operand = from.output == 0 ? instead[from.node] : from;
    }
    instead.push_back({i, 0});
    if (node.operands.empty() || !std::holds_alternative<Ref>(node.operands[0])) continue;
    const Ref operand = std::get<Ref>(node.operands[0]);
    const GoldenNode& before = nodes[operand.node];
    if (is_noop(nodes, node)) {
      passed_by[i] = true;
      instead[i] = operand;
    } else if (behind_noop && node.target == "quantized_decomposed.quantize_per_tensor.default" &&
               before.target == "quantized_decomposed.dequantize_per_tensor.default" &&
               before.literals == node.literals) {
      instead[i] = std::get<Ref>(before.operands[0]);
    }
  }
  return nodes;
}

// Without nodes that nothing reads.
std::vector<GoldenNode> live_part(const std::vector<GoldenNode>& nodes) {
  std::vector<bool> live(nodes.size());
  live.back() = true;
  for (size_t i = nodes.size(); i-- > 0;) {
    live[i] = live[i] || nodes[i].kind == GoldenNode::Kind::input;
    if (!live[i]) continue;
    for (const auto& operand : nodes[i].operands)
      if (std::holds_alternative<Ref>(operand)) live[std::get<Ref>(operand).node] = true;
  }
  std::vector<size_t> moved(nodes.size());
  std::vector<GoldenNode> out;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!live[i]) continue;
    moved[i] = out.size();
    GoldenNode& node = out.emplace_back(nodes[i]);
    for (auto& operand : node.operands)
      if (std::holds_alternative<Ref>(operand))
        operand = Ref{moved[std::get<Ref>(operand).node], std::get<Ref>(operand).output};
  }
  return out;
}

Result<Golden> parse(const std::string& folder, const json& document, bool compatible) {
  Golden golden;
  golden.folder = folder;
  QUOIN_TRY(golden.config, config_of(document.at("config"), compatible));
  GraphReader reader;
  for (const json& record : document.at("converted_graph")) reader.read(record);
  if (reader.nodes.empty()) return fail(Code::data, "the graph is empty");
  golden.nodes = live_part(without_noops(std::move(reader.nodes)));
  return golden;
}

}  // namespace

std::vector<Tensor> Golden::numbered(const std::string& prefix) const {
  std::vector<Tensor> out;
  for (auto found = tensors.find(prefix + ".0"); found != tensors.end();
       found = tensors.find(fmt::format("{}.{}", prefix, out.size())))
    out.push_back(found->second);
  return out;
}

bool is_default_folder() { return test::default_goldens(); }

std::string golden_folder() { return test::goldens_folder() + "/xnnpack_quantizer"; }

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(golden_folder(), missing))
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

Result<Golden> load_golden(const std::string& name, bool reference_compatible) {
  const std::string folder = golden_folder() + "/" + name;
  std::ifstream file(folder + "/case.json");
  try {
    QUOIN_TRY(Golden golden, parse(folder, json::parse(file), reference_compatible));
    QUOIN_TRY(golden.tensors, data::read_safetensors(folder + "/tensors.safetensors"));
    return golden;
  } catch (const std::exception& e) {
    return fail(Code::data, "{}/case.json: {}", folder, e.what());
  }
}

}  // namespace quoin::parity
