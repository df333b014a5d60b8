#include "match.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace quoin::parity {
namespace {

constexpr double kTolerance = 1e-6;    // relative, of scales and float constants
constexpr double kRounding = 1e-5;     // of the largest result: float sums in another order
constexpr double kEqualShare = 0.995;  // of an output's elements

template <class T>
std::vector<double> widened(const Tensor& tensor) {
  const auto elements = tensor.as<T>();
  return {elements.begin(), elements.end()};
}
std::vector<double> numbers(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::f32:
      return widened<float>(tensor);
    case DType::f64:
      return widened<double>(tensor);
    case DType::s8:
      return widened<int8_t>(tensor);
    case DType::s32:
      return widened<int32_t>(tensor);
    case DType::s64:
      return widened<int64_t>(tensor);
    default:
      return {};
  }
}
// A number among a node's attributes, whether integer or not; NaN when it is none.
double attribute(const Attrs& attrs, const std::string& name) {
  const auto found = attrs.find(name);
  if (found == attrs.end()) return NAN;
  if (const auto* integer = std::get_if<int64_t>(&found->second)) return static_cast<double>(*integer);
  const auto* number = std::get_if<double>(&found->second);
  return number ? *number : NAN;
}
double largest(const std::vector<double>& elements) {
  double most = 0;
  for (const double x : elements) most = std::max(most, std::fabs(x));
  return most;
}

class Matcher {
 public:
  Matcher(const Golden& golden, const ir::Graph& ours) : golden_(golden), ours_(ours) {}

  std::vector<std::string> run() {
    const GoldenNode& result = golden_.nodes.back();
    if (result.operands.size() != ours_.outputs().size())
      say("{} outputs, expected {}", ours_.outputs().size(), result.operands.size());
    else
      for (size_t i = 0; i < result.operands.size(); ++i)
        values(std::get<Ref>(result.operands[i]), ours_.outputs()[i], "output");
    compare_counts();
    return std::move(differences_);
  }

 private:
  template <class... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    differences_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }
  std::string describe(ir::ValueId id) const {
    const ir::Value& value = ours_.value(id);
    if (value.producer != ir::kNone) return ours_.describe(value.producer);
    return (value.constant ? "constant " : "input ") + value.name;
  }

  void values(Ref theirs, ir::ValueId id, const std::string& reader) {
    const GoldenNode& node = golden_.nodes[theirs.node];
    const ir::Value& value = ours_.value(id);
    if (node.kind == GoldenNode::Kind::constant) return constants(node, id, reader);
    if (value.constant && is_folded(theirs)) return;
    const auto [pair, fresh] = ours_of_.emplace(theirs, id);
    if (!fresh) {
      if (pair->second != id) say("{} reads {}, expected {}", reader, describe(id), describe(pair->second));
      return;
    }
    if (!taken_.insert(id).second) say("{} reads {} a second time, expected {} apart", reader, describe(id), node.name);
    if (node.kind == GoldenNode::Kind::input) return inputs(theirs, id, reader);
    const bool same = value.producer != ir::kNone && ours_.node(value.producer).op() == node.target;
    if (same && value.output_index == theirs.output) return calls(node, value.producer);
    if (value.producer != ir::kNone && is_import_of(node, value.producer)) return written_out(node, value.producer);
    say("{} reads {}, expected {} ({})", reader, describe(id), node.name, node.target);
  }

  // Constants only; no value of the case tells what it computes.
  bool is_folded(Ref theirs) const {
    const GoldenNode& node = golden_.nodes[theirs.node];
    if (node.kind == GoldenNode::Kind::constant) return true;
    if (node.kind != GoldenNode::Kind::call || node.is_quantization()) return false;
    return std::all_of(node.operands.begin(), node.operands.end(), [&](const auto& operand) {
      return !std::holds_alternative<Ref>(operand) || is_folded(std::get<Ref>(operand));
    });
  }

  // Operators that the importer gives another name (relu_ is relu), or writes out as several. torch names nodes after
  // their operators: "pixel_shuffle_2".
  bool is_import_of(const GoldenNode& node, ir::NodeId id) const {
    const ir::Node& mine = ours_.node(id);
    const size_t start = node.target.find('.') + 1, end = node.target.find('.', start);
    return !node.is_quantization() && !is_quantization(id) && !mine.origins.empty() &&
           mine.origins[0].starts_with(node.target.substr(start, end - start));
  }
  void written_out(const GoldenNode& node, ir::NodeId id) {
    std::vector<ir::ValueId> operands;
    add_operands(id, ours_.node(id).debug_id, operands);
    std::vector<Ref> expected;
    for (const auto& operand : node.operands) {
      if (!std::holds_alternative<Ref>(operand) || is_folded(std::get<Ref>(operand))) continue;
      if (std::find(expected.begin(), expected.end(), std::get<Ref>(operand)) == expected.end())
        expected.push_back(std::get<Ref>(operand));
    }
    if (operands.size() != expected.size()) {
      say("{} has {} operands, expected {} ({})", ours_.describe(id), operands.size(), expected.size(), node.name);
      return;
    }
    for (size_t i = 0; i < operands.size(); ++i)
      values(expected[i], operands[i], fmt::format("operand {} of {}", i, ours_.describe(id)));
  }
  // What the nodes of one imported operator read from others, each once.
  void add_operands(ir::NodeId id, uint64_t imported, std::vector<ir::ValueId>& out) {
    called_.insert(id);
    for (const ir::ValueId value : ours_.node(id).inputs) {
      if (value == ir::kNone || ours_.is_constant(value)) continue;
      const ir::NodeId producer = ours_.value(value).producer;
      if (producer != ir::kNone && ours_.node(producer).debug_id == imported && !is_quantization(producer))
        add_operands(producer, imported, out);
      else if (std::find(out.begin(), out.end(), value) == out.end())
        out.push_back(value);
    }
  }
  bool is_quantization(ir::NodeId id) const { return ours_.node(id).op().starts_with("quantized_decomposed."); }

  void inputs(Ref theirs, ir::ValueId id, const std::string& reader) {
    size_t index = 0;
    for (size_t i = 0; i < theirs.node; ++i) index += golden_.nodes[i].kind == GoldenNode::Kind::input ? 1 : 0;
    if (index >= ours_.inputs().size() || ours_.inputs()[index] != id)
      say("{} reads {}, expected input {}", reader, describe(id), index);
  }

  void calls(const GoldenNode& node, ir::NodeId id) {
    if (!called_.insert(id).second) return;  // reached through another result
    const ir::Node& mine = ours_.node(id);
    std::vector<ir::ValueId> operands;
    for (const ir::ValueId value : mine.inputs)
      if (value != ir::kNone) operands.push_back(value);
    if (node.is_quantization()) compare_literals(node, mine);
    if (operands.size() != node.operands.size()) {
      say("{} has {} operands, expected {} ({})", ours_.describe(id), operands.size(), node.operands.size(), node.name);
      return;
    }
    for (size_t i = 0; i < operands.size(); ++i) {
      const std::string reader = fmt::format("operand {} of {}", i, ours_.describe(id));
      if (const double* number = std::get_if<double>(&node.operands[i]))
        scalar(*number, operands[i], reader);
      else
        values(std::get<Ref>(node.operands[i]), operands[i], reader);
    }
  }

  void scalar(double number, ir::ValueId id, const std::string& reader) {
    const auto found = ours_.is_constant(id) ? numbers(*ours_.value(id).constant) : std::vector<double>();
    if (found.size() != 1 || found[0] != static_cast<double>(static_cast<float>(number)))
      say("{} reads {}, expected the number {}", reader, describe(id), number);
  }

  void compare_literals(const GoldenNode& node, const ir::Node& mine) {
    for (const auto& [name, expected] : node.literals) {
      const double found = attribute(mine.attrs, name);
      const double allowed = name == "scale" ? kTolerance * std::fabs(expected) : 0;
      if (!(std::fabs(found - expected) <= allowed))
        say("{} ({}): {} {}, expected {} ({})", mine.name, mine.op(), name, found, expected, node.name);
    }
    if (const std::string& dtype = get_text(mine.attrs, "dtype"); dtype != node.dtype)
      say("{}: dtype {}, expected {}", mine.name, dtype, node.dtype);
  }

  void constants(const GoldenNode& node, ir::ValueId id, const std::string& reader) {
    const auto expected = golden_.tensors.find("const." + node.target);
    if (expected == golden_.tensors.end()) return say("the case lacks const.{}", node.target);
    if (!ours_.is_constant(id)) return say("{} reads {}, expected constant {}", reader, describe(id), node.target);
    const Tensor &theirs = expected->second, &mine = *ours_.value(id).constant;
    if (theirs.dtype() != mine.dtype() || theirs.shape() != mine.shape())
      return say("{}: {} {}, expected {} {} ({})", reader, name(mine.dtype()), to_string(mine.shape()),
                 name(theirs.dtype()), to_string(theirs.shape()), node.target);
    const auto a = numbers(mine), b = numbers(theirs);
    const bool scale = reader.find("_per_channel") != std::string::npos;  // each scale counts, not only the largest
    const double floor = scale ? 0 : kTolerance * largest(b);
    size_t unequal = 0;
    for (size_t i = 0; i < b.size(); ++i) {
      const double allowed = mine.dtype() == DType::f32 ? std::max(kTolerance * std::fabs(b[i]), floor) : 0;
      unequal += std::fabs(a[i] - b[i]) <= allowed ? 0 : 1;
    }
    if (unequal > 0 || a.size() != b.size())
      say("{}: {} of {} elements differ from {}", reader, unequal, b.size(), node.target);
  }

  void compare_counts() {
    std::map<std::string, long> excess;
    for (const ir::NodeId id : ours_.order())
      if (is_quantization(id)) ++excess[ours_.node(id).op()];
    for (const GoldenNode& node : golden_.nodes)
      if (node.is_quantization()) --excess[node.target];
    for (const auto& [op, count] : excess)
      if (count != 0) say("{} {} {} than expected", std::abs(count), count > 0 ? "more" : "fewer", op);
  }

  const Golden& golden_;
  const ir::Graph& ours_;
  std::map<Ref, ir::ValueId> ours_of_;
  std::set<ir::ValueId> taken_;
  std::set<ir::NodeId> called_;
  std::vector<std::string> differences_;
};

// Scale of the dequantize node that computes an output; 0 for a float output.
double output_scale(const Golden& golden, size_t index) {
  const GoldenNode& node = golden.nodes[std::get<Ref>(golden.nodes.back().operands.at(index)).node];
  const auto found = node.literals.find("scale");
  return found == node.literals.end() ? 0 : found->second;
}

}  // namespace

std::vector<std::string> graph_differences(const Golden& golden, const ir::Graph& ours) {
  return Matcher(golden, ours).run();
}

std::vector<std::string> output_differences(const Golden& golden, const std::vector<Tensor>& ours) {
  const std::vector<Tensor> expected = golden.numbered("output_quant");
  if (expected.empty() || expected.size() != ours.size())
    return {fmt::format("{} results, expected {}", ours.size(), expected.size())};
  std::vector<std::string> out;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (ours[i].shape() != expected[i].shape()) {
      out.push_back(
          fmt::format("output {}: {}, expected {}", i, to_string(ours[i].shape()), to_string(expected[i].shape())));
      continue;
    }
    const auto a = numbers(ours[i]), b = numbers(expected[i]);
    const auto [low, high] = std::minmax_element(b.begin(), b.end());
    const double scale = output_scale(golden, i), step = scale > 0 ? scale : (*high - *low) / 255;
    const double rounding = kRounding * largest(b);
    size_t equal = 0;
    double worst = 0;
    for (size_t k = 0; k < b.size(); ++k) {
      const double error = std::fabs(a[k] - b[k]);
      equal += error <= rounding ? 1 : 0;
      worst = std::isnan(error) ? INFINITY : std::max(worst, error);
    }
    if (worst > step + rounding) out.push_back(fmt::format("output {}: off by {} steps", i, worst / step));
    if (static_cast<double>(equal) < kEqualShare * static_cast<double>(b.size()))
      out.push_back(fmt::format("output {}: {} of {} elements are equal", i, equal, b.size()));
  }
  return out;
}

}  // namespace quoin::parity
