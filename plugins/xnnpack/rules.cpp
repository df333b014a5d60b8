#include "rules.hpp"

#include <cmath>

#include "presets.hpp"

namespace quoin::xnnpack {
namespace {

using sdk::Match, sdk::PresetSpecs, sdk::Value;

constexpr float kLargestScalar = 3.4028235e15f;  // larger ones overflow the histogram observer's sums

constexpr PresetSpecs kStaticOnly[] = {{kStatic, {}}};
constexpr PresetSpecs kBoth[] = {{kStatic, {}}, {kDynamic, {}}};
constexpr PresetSpecs kAny[] = {{kStatic, {}}, {kDynamic, {}}, {kFollow, {}}};

std::string check_floats(const Match& m) {
  for (const uint32_t id : m.root().inputs()) {
    if (id == QUOIN_NONE) continue;
    const Value v = m.graph.value(id);
    if (v.dtype() != QUOIN_F32) return "operand '" + std::string(sdk::view(v.raw.name)) + "' is not f32";
  }
  return m.output().dtype() == QUOIN_F32 ? "" : "the result is not f32";
}

std::string check_transposed(const Match& m) {
  if (m.root().attrs().integer("groups", 1) != 1) return "transposed convolutions with groups have no channel axis";
  return check_floats(m);
}

std::string check_binary(const Match& m) {
  if (std::string no = check_floats(m); !no.empty()) return no;
  for (const uint32_t id : m.root().inputs()) {
    const Value v = m.graph.value(id);
    if (v.is_constant() && v.numel() == 1 && std::fabs(v.constant<float>()[0]) > kLargestScalar)
      return "a scalar operand is larger than 3.4028235e15, which no histogram holds";
  }
  return "";
}

constexpr Step kSteps[] = {
    {{"linear_relu", "linear > relu", kStaticOnly, 0, "f32", check_floats}, Kind::layer, true},
    {{"linear", "linear", kBoth, 0, "f32", check_floats}, Kind::layer},
    {{"conv", "conv1d|conv2d", kBoth, 0, "f32; dynamic: weights of rank 4, not depthwise", check_floats},
     Kind::layer,
     true},
    {{"conv_transpose", "conv_transpose2d.input", kBoth, 0, "f32, one group", check_transposed}, Kind::layer, true},
    {{"conv_relu", "conv1d|conv2d > relu", kStaticOnly, 0, "f32", check_floats}, Kind::layer, true},
    {{"conv_transpose_relu", "conv_transpose2d.input > relu", kStaticOnly, 0, "f32, one group", check_transposed},
     Kind::layer,
     true},
    {{"adaptive_avg_pool2d", "adaptive_avg_pool2d", kStaticOnly, 0, "f32", check_floats}, Kind::pool},
    {{"add_relu", "add.Tensor > relu", kStaticOnly, 0, "f32, no huge scalar", check_binary}, Kind::binary},
    {{"add", "add.Tensor", kStaticOnly, 0, "f32, no huge scalar", check_binary}, Kind::binary},
    {{"mul_relu", "mul.Tensor > relu", kStaticOnly, 0, "f32, no huge scalar", check_binary}, Kind::binary},
    {{"mul", "mul.Tensor", kStaticOnly, 0, "f32, no huge scalar", check_binary}, Kind::binary},
    {{"cat", "cat", kStaticOnly, 0, "f32", check_floats}, Kind::join},
    {{"movement",
      "relu|relu6|hardtanh|max_pool2d|mean.dim|permute|transpose.int|squeeze.dim|adaptive_avg_pool2d|view|reshape|"
      "slice.Tensor|flatten.using_ints",
      kAny, 0, "f32, behind a quantized node", check_floats, true},
     Kind::movement},
};

}  // namespace

std::span<const Step> steps() { return kSteps; }

constexpr quoin_str kLimits[] = {
    sdk::str("It runs nothing: name a plugin that compiles under `lower.order`, or leave the program to the portable "
             "kernels."),
    sdk::str("3-dimensional convolutions, GRU and LSTM cannot be imported."),
};

constexpr sdk::About kAbout = {
    .summary = "A quantizer alone: the specs of ExecuTorch's XNNPACKQuantizer.",
    .numerics =
        "Activations are s8, affine, one scale per tensor; weights are s8, symmetric, per tensor or per output "
        "channel. Biases stay in float until the layer becomes an integer one. No scale is below 2^-12.",
    .limits = kLimits};

const sdk::RuleTable& rules() {
  static const std::vector<sdk::Rule> listed = [] {
    std::vector<sdk::Rule> out;
    for (const Step& step : kSteps) out.push_back(step.rule);
    return out;
  }();
  static const sdk::RuleTable table("xnnpack", listed, kAbout);
  return table;
}

bool serves(const sdk::Rule& rule, std::string_view preset) {
  return std::any_of(rule.presets.begin(), rule.presets.end(), [&](const auto& p) { return p.preset == preset; });
}

}  // namespace quoin::xnnpack
