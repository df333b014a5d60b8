#include "golden.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace quoin::parity {
namespace {

using nlohmann::json;

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
    node.kind = op == "placeholder" ? GoldenNode::Kind::input
                : op == "get_attr"  ? GoldenNode::Kind::constant
                : op == "output"    ? GoldenNode::Kind::output
                                    : GoldenNode::Kind::call;
    add_operands(args, node);
    add_literals(args, node);
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

// One call of get_symmetric_quantization_config as preset and parameters. All are given, so that nothing is inherited.
std::pair<std::string, recipe::Params> preset_of(const json& arguments, bool compatible) {
  recipe::Params params{{"per_channel", arguments.value("is_per_channel", false)},
                        {"act_qmin", arguments.value("act_qmin", int64_t{-128})},
                        {"act_qmax", arguments.value("act_qmax", int64_t{127})},
                        {"weight_qmin", arguments.value("weight_qmin", int64_t{-127})},
                        {"weight_qmax", arguments.value("weight_qmax", int64_t{127})},
                        {"is_qat", arguments.value("is_qat", false)},
                        {"reference_compatible", compatible}};
  return {arguments.value("is_dynamic", false) ? "int8-dynamic" : "int8-static", std::move(params)};
}

recipe::Quantizer config_of(const json& config, bool compatible) {
  recipe::Quantizer out{"xnnpack", "follow", {{"reference_compatible", compatible}}, {}, {"case.json"}};
  if (config.contains("set_global")) std::tie(out.preset, out.params) = preset_of(config.at("set_global"), compatible);
  const auto add = [&](const char* setter, bool modules, auto select) {
    if (!config.contains(setter)) return;
    for (const auto& [name, arguments] : config.at(setter).items()) {
      recipe::Rule rule;
      rule.place.text = setter;
      std::tie(rule.preset, rule.params) = preset_of(arguments, compatible);
      if (modules) rule.params["module_scope"] = true;
      select(rule) = name;
      out.rules.push_back(std::move(rule));
    }
  };
  add(
      "set_module_name", true, [](recipe::Rule & rule) -> auto& { return rule.module; });
  add(
      "set_module_type", true, [](recipe::Rule & rule) -> auto& { return rule.module_type; });
  add(
      "set_operator_type", false, [](recipe::Rule & rule) -> auto& { return rule.op; });
  if (!config.contains("filter")) return out;
  for (const std::string name : config.at("filter").at("exclude_module_name")) {
    recipe::Rule rule;
    rule.place.text = "filter";
    rule.module = name;
    rule.preset = "follow";
    rule.params["reference_compatible"] = compatible;
    out.rules.push_back(std::move(rule));
  }
  return out;
}

Golden parse(const std::string& folder, const json& document, bool compatible) {
  Golden golden;
  golden.folder = folder;
  golden.config = config_of(document.at("config"), compatible);
  GraphReader reader;
  for (const json& record : document.at("converted_graph")) reader.read(record);
  golden.nodes = std::move(reader.nodes);
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

std::string golden_folder() {
  if (const char* goldens = std::getenv("QUOIN_GOLDENS")) return goldens + std::string("/xnnpack_quantizer");
  const char* shared = std::getenv("QUOIN_SHARED");
  return std::string(shared ? shared : QUOIN_SOURCE_ROOT "/../shared") + "/goldens/xnnpack_quantizer";
}

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
    Golden golden = parse(folder, json::parse(file), reference_compatible);
    QUOIN_TRY(golden.tensors, data::read_safetensors(folder + "/tensors.safetensors"));
    return golden;
  } catch (const std::exception& e) {
    return fail(Code::data, "{}/case.json: {}", folder, e.what());
  }
}

}  // namespace quoin::parity
