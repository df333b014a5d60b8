#include "source/config.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "base/text.hpp"

namespace quoin::source {
namespace {

using Target = LayerConfig::Target;

template <class T>
struct Named {
  std::string_view name;
  T value;
};
constexpr std::array<Named<Algorithm>, 6> kAlgorithms{{{"min_max", Algorithm::min_max},
                                                       {"clip_search", Algorithm::clip_search},
                                                       {"hqq", Algorithm::hqq},
                                                       {"hqq_affine", Algorithm::hqq_affine},
                                                       {"gptq", Algorithm::gptq},
                                                       {"awq", Algorithm::awq}}};
constexpr std::array<Named<WeightMapping>, 3> kMappings{
    {{"symmetric", WeightMapping::symmetric},
     {"symmetric_no_clipping", WeightMapping::symmetric_no_clipping},
     {"asymmetric", WeightMapping::asymmetric}}};
constexpr std::array<Named<Uneven>, 4> kPolicies{{{"pad", Uneven::pad},
                                                  {"smaller_group", Uneven::smaller_group},
                                                  {"float", Uneven::leave_float},
                                                  {"error", Uneven::error}}};
constexpr std::array<Named<DType>, 3> kTypes{{{"f32", DType::f32}, {"f16", DType::f16}, {"bf16", DType::bf16}}};

template <class T, size_t N>
std::string_view name_in(const std::array<Named<T>, N>& rows, T value) {
  return std::ranges::find(rows, value, &Named<T>::value)->name;
}

// -- values of parameters

Failure expected(std::string_view what) { return fail(Code::recipe, "{} expected", what); }

template <class T, size_t N>
Status choose(const std::array<Named<T>, N>& rows, const recipe::Scalar& scalar, T& to) {
  const auto* text = std::get_if<std::string>(&scalar);
  std::vector<std::string> names;
  for (const auto& row : rows) names.emplace_back(row.name);
  const auto found = text == nullptr ? rows.end() : std::ranges::find(rows, *text, &Named<T>::name);
  if (found == rows.end())
    return fail(Code::recipe, "{}", "one of " + join(names, ", ") + " expected")
        .hint(text == nullptr ? std::string() : did_you_mean(*text, names));
  to = found->value;
  return {};
}

Result<int64_t> integer(const recipe::Scalar& scalar, int64_t low, int64_t high) {
  const auto* value = std::get_if<int64_t>(&scalar);
  if (value == nullptr || *value < low || *value > high)
    return expected(fmt::format("a whole number from {} to {}", low, high));
  return *value;
}
Result<double> number(const recipe::Scalar& scalar) {
  if (const auto* value = std::get_if<double>(&scalar)) return *value;
  if (const auto* value = std::get_if<int64_t>(&scalar)) return static_cast<double>(*value);
  return expected("a number");
}
Status boolean(const recipe::Scalar& scalar, bool& to) {
  const auto* value = std::get_if<bool>(&scalar);
  if (value == nullptr) return expected("true or false");
  to = *value;
  return {};
}

constexpr int64_t kMaxGroup = std::numeric_limits<int32_t>::max();

struct Param {
  std::string_view name;
  Status (*store)(LayerConfig&, const recipe::Scalar&);
};
constexpr Param kBits{"bits", [](LayerConfig& c, const recipe::Scalar& s) -> Status {
                        QUOIN_TRY(const int64_t bits, integer(s, 1, 8));
                        c.bits = static_cast<uint32_t>(bits);
                        return {};
                      }};
constexpr std::array<Param, 13> kCommon{{
    {"group",
     [](LayerConfig& c, const recipe::Scalar& s) -> Status {
       if (const auto* text = std::get_if<std::string>(&s); text != nullptr && *text == "row") {
         c.group = 0;
         return {};
       }
       auto group = integer(s, 1, kMaxGroup);
       if (!group) return expected("a positive whole number, or row for one scale per row,");
       c.group = *group;
       return {};
     }},
    {"mapping", [](LayerConfig& c, const recipe::Scalar& s) { return choose(kMappings, s, c.mapping); }},
    {"scales", [](LayerConfig& c, const recipe::Scalar& s) { return choose(kTypes, s, c.scale_dtype); }},
    {"precision", [](LayerConfig& c, const recipe::Scalar& s) { return choose(kTypes, s, c.precision); }},
    {"algorithm", [](LayerConfig& c, const recipe::Scalar& s) { return choose(kAlgorithms, s, c.algorithm); }},
    {"uneven", [](LayerConfig& c, const recipe::Scalar& s) { return choose(kPolicies, s, c.uneven); }},
    {"bias_correction", [](LayerConfig& c, const recipe::Scalar& s) { return boolean(s, c.bias_correction); }},
    {"damping",
     [](LayerConfig& c, const recipe::Scalar& s) -> Status {
       QUOIN_TRY(c.gptq.damping, number(s));
       return {};
     }},
    {"act_order", [](LayerConfig& c, const recipe::Scalar& s) { return boolean(s, c.gptq.act_order); }},
    {"sweeps",
     [](LayerConfig& c, const recipe::Scalar& s) -> Status {
       QUOIN_TRY(c.gptq.sweeps, integer(s, 0, 1000));
       return {};
     }},
    {"correction",
     [](LayerConfig& c, const recipe::Scalar& s) -> Status {
       QUOIN_TRY(c.gptq.correction, number(s));
       return {};
     }},
    {"clip", [](LayerConfig& c, const recipe::Scalar& s) { return boolean(s, c.gptq.clip); }},
    kBits,
}};

struct Preset {
  std::string_view name;
  LayerConfig config;
  bool takes_bits;
};
const std::array<Preset, 4>& presets() {
  static const std::array<Preset, 4> rows = [] {
    LayerConfig int4, int8, only, embedding;
    int4.dynamic_activations = int8.dynamic_activations = true;
    int8.bits = only.bits = embedding.bits = 8;
    int8.group = only.group = 0;
    embedding.target = Target::embedding;
    return std::array<Preset, 4>{{{"int8-dynamic-int4-weight", int4, false},
                                  {"int8-dynamic-int8-weight", int8, false},
                                  {"weight-only", only, true},
                                  {"embedding", embedding, true}}};
  }();
  return rows;
}

// Parameters that change nothing with another algorithm.
constexpr std::array<std::string_view, 5> kOfGptq{"damping", "act_order", "sweeps", "correction", "clip"};

Status store(LayerConfig& config, const Preset& preset, const std::string& key, const recipe::Scalar& value) {
  std::vector<std::string> known;
  for (const Param& param : kCommon) {
    if (!preset.takes_bits && param.name == kBits.name) continue;
    known.emplace_back(param.name);
    if (param.name != key) continue;
    QUOIN_CHECK_AT(param.store(config, value), "parameter {}", key);
    return {};
  }
  std::string hint = did_you_mean(key, known);
  return fail(Code::recipe, "{} has no parameter \"{}\"", preset.name, key)
      .hint(hint.empty() ? "its parameters are " + join(known, ", ") : std::move(hint));
}

}  // namespace

bool is_calibrated(Algorithm algorithm) { return algorithm == Algorithm::gptq || algorithm == Algorithm::awq; }
std::string_view name(Algorithm algorithm) { return name_in(kAlgorithms, algorithm); }
std::string_view name(WeightMapping mapping) { return name_in(kMappings, mapping); }

Status check(const LayerConfig& config) {
  if (config.bits < 1 || config.bits > 8) return fail(Code::recipe, "{} bits per weight, expected 1 to 8", config.bits);
  if (config.group < 0 || config.group > kMaxGroup)
    return fail(Code::recipe, "groups of {} weights, expected 1 to {}, or 0 for one scale per row", config.group,
                kMaxGroup);
  for (const DType dtype : {config.scale_dtype, config.precision})
    if (std::ranges::find(kTypes, dtype, &Named<DType>::value) == kTypes.end())
      return fail(Code::recipe, "scales or weights in {}, expected f32, f16 or bf16", quoin::name(dtype));
  const bool one_sided = config.bits == 1 && config.mapping == WeightMapping::symmetric_no_clipping;
  if (one_sided)
    return fail(Code::recipe, "one bit holds -1 and 0: no symmetric scale keeps positive weights from being cut off");
  if (config.algorithm == Algorithm::hqq && config.mapping != WeightMapping::symmetric)
    return fail(Code::recipe, "hqq fits scales of symmetric weights, found mapping {}", name(config.mapping))
        .hint("leave the mapping out, or use hqq_affine");
  if (config.target == Target::embedding && is_calibrated(config.algorithm))
    return fail(Code::recipe, "{} needs the inputs of a linear layer, and an embedding has none",
                name(config.algorithm));
  if (config.target == Target::embedding && config.dynamic_activations)
    return fail(Code::recipe, "an embedding has no activations to quantize");
  if (!(config.gptq.damping > 0 && config.gptq.damping <= 1))
    return fail(Code::recipe, "damping {}, expected more than 0 and at most 1", config.gptq.damping);
  if (!(config.gptq.correction >= 0 && config.gptq.correction <= 1))
    return fail(Code::recipe, "correction {}, expected 0 to 1", config.gptq.correction);
  return {};
}

std::vector<std::string> quantizer_names() {
  std::vector<std::string> out;
  for (const Preset& preset : presets()) out.emplace_back(preset.name);
  return out;
}

Result<LayerConfig> config_from(const std::string& quantizer, const recipe::Params& params) {
  const auto preset = std::ranges::find(presets(), quantizer, &Preset::name);
  if (preset == presets().end()) {
    const auto names = quantizer_names();
    std::string hint = did_you_mean(quantizer, names);
    return fail(Code::recipe, "no quantizer \"{}\"", quantizer)
        .hint(hint.empty() ? "there are " + join(names, ", ") : std::move(hint));
  }
  LayerConfig config = preset->config;
  for (const auto& [key, value] : params) QUOIN_CHECK(store(config, *preset, key, value));
  for (const std::string_view key : kOfGptq)
    if (params.contains(std::string(key)) && config.algorithm != Algorithm::gptq)
      return fail(Code::recipe, "parameter {} is of algorithm gptq, not of {}", key, name(config.algorithm));
  QUOIN_CHECK(check(config));
  return config;
}

std::string summary(const LayerConfig& config) {
  const std::string group = config.group == 0 ? "one scale per row" : fmt::format("groups of {}", config.group);
  return fmt::format("{} bits, {}, {}, {}{}", config.bits, group, name(config.mapping), name(config.algorithm),
                     config.dynamic_activations ? ", activations int8 per token" : "");
}

Result<Grouping> grouping(const LayerConfig& config, int64_t columns) {
  if (config.group == 0 || columns % config.group == 0) return Grouping{config.group, columns, {}};
  const std::string what = fmt::format("groups of {} do not divide rows of {}", config.group, columns);
  switch (config.uneven) {
    case Uneven::pad: {
      const int64_t padded = (columns + config.group - 1) / config.group * config.group;
      return Grouping{config.group, padded, fmt::format("{}: padded with zeros to {}", what, padded)};
    }
    case Uneven::smaller_group: {
      int64_t group = std::min(config.group, columns);
      while (columns % group != 0) --group;
      return Grouping{group, columns, fmt::format("{}: groups of {} instead", what, group)};
    }
    case Uneven::leave_float:
      return Grouping{config.group, columns, what + ": left in float", false};
    case Uneven::error:
      break;
  }
  return fail(Code::input, "{}", what).hint("choose another group, or uneven: pad, smaller_group or float");
}

}  // namespace quoin::source
