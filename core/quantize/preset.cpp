#include "quantize/preset.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "ops/abi_read.hpp"

namespace quoin::quantize {
namespace {

const char* kind_name(uint32_t kind) {
  switch (kind) {
    case QUOIN_PARAM_BOOL:
      return "true or false";
    case QUOIN_PARAM_INT:
      return "an integer";
    case QUOIN_PARAM_FLOAT:
      return "a number";
    default:
      return "a text";
  }
}

// The scalar as the kind the plugin declares (integers are numbers, too), or nothing.
std::optional<recipe::Scalar> converted(const recipe::Scalar& scalar, uint32_t kind) {
  if (kind == QUOIN_PARAM_FLOAT && std::holds_alternative<int64_t>(scalar))
    return static_cast<double>(std::get<int64_t>(scalar));
  constexpr uint32_t kKinds[] = {QUOIN_PARAM_BOOL, QUOIN_PARAM_INT, QUOIN_PARAM_FLOAT, QUOIN_PARAM_STR};
  if (kKinds[scalar.index()] != kind) return std::nullopt;
  return scalar;
}

Status check_limits(const quoin_param_spec& spec, const recipe::Scalar& scalar) {
  if (const auto choices = elements<quoin_str>(spec.choices); !choices.empty()) {
    std::vector<std::string> known;
    for (const quoin_str choice : choices) known.push_back(text(choice));
    const auto* given = std::get_if<std::string>(&scalar);
    if (given && std::find(known.begin(), known.end(), *given) == known.end())
      return fail(Error{Code::recipe,
                        fmt::format("\"{}\" is not one of: {}", *given, join(known, ", ")),
                        {},
                        did_you_mean(*given, known)});
  }
  if (spec.low > spec.high) return {};
  const auto* whole = std::get_if<int64_t>(&scalar);
  const auto* real = std::get_if<double>(&scalar);
  if (!whole && !real) return {};
  const double value = whole ? static_cast<double>(*whole) : *real;
  if (value >= spec.low && value <= spec.high) return {};
  return fail(Code::recipe, "{} is outside {} to {}", value, spec.low, spec.high);
}

Result<quoin_preset> find_preset(const quoin_quantizer& quantizer, const std::string& wanted) {
  std::vector<std::string> known;
  for (const quoin_preset& preset : elements<quoin_preset>(quantizer.presets)) {
    known.push_back(text(preset.name));
    if (wanted.empty() || wanted == known.back()) return preset;
  }
  if (known.empty()) return fail(Code::plugin, "the plugin offers no presets");
  return fail(Error{Code::recipe,
                    fmt::format("preset \"{}\" is not known", wanted),
                    {},
                    fmt::format("{}{}the plugin offers: {}", did_you_mean(wanted, known),
                                nearest(wanted, known).empty() ? "" : "; ", join(known, ", "))});
}

Result<recipe::Scalar> checked(const quoin_param_spec& spec, const recipe::Scalar& given) {
  const auto scalar = converted(given, spec.kind);
  const std::string label = fmt::format("parameter {}", text(spec.name));
  if (!scalar)
    return fail(Error{Code::recipe, fmt::format("{} expected", kind_name(spec.kind)), label, text(spec.doc)});
  if (auto status = check_limits(spec, *scalar); !status) return fail(in(label, std::move(status).error()));
  return *scalar;
}

using Complete = std::vector<std::pair<quoin_param_spec, recipe::Scalar>>;

// Every declared parameter: the given value or the default. `owner` is named in errors.
Result<Complete> complete(const std::string& owner, quoin_array specs, const recipe::Params& params) {
  Complete out;
  std::vector<std::string> known;
  for (const quoin_param_spec& spec : elements<quoin_param_spec>(specs)) {
    known.push_back(text(spec.name));
    if (const auto given = params.find(known.back()); given != params.end()) {
      QUOIN_TRY(auto scalar, checked(spec, given->second));
      out.emplace_back(spec, std::move(scalar));
    } else if (spec.fallback.data != nullptr) {
      QUOIN_TRY(auto scalar, scalar_from(spec.fallback));
      out.emplace_back(spec, std::move(scalar));
    }
  }
  for (const auto& [key, scalar] : params)
    if (std::find(known.begin(), known.end(), key) == known.end())
      return fail(Error{Code::recipe,
                        fmt::format("{} has no parameter \"{}\"", owner, key),
                        {},
                        known.empty() ? "it takes none" : did_you_mean(key, known)});
  return out;
}

}  // namespace

Result<recipe::Scalar> scalar_from(const quoin_param& param) {
  const std::string name = text(param.name);
  if (param.data == nullptr || param.count != 1) return fail(Code::plugin, "parameter {} must hold one value", name);
  switch (param.kind) {
    case QUOIN_PARAM_BOOL:
      return recipe::Scalar(*static_cast<const uint8_t*>(param.data) != 0);
    case QUOIN_PARAM_INT:
      return recipe::Scalar(*static_cast<const int64_t*>(param.data));
    case QUOIN_PARAM_FLOAT:
      return recipe::Scalar(*static_cast<const double*>(param.data));
    case QUOIN_PARAM_STR:
      return recipe::Scalar(text(*static_cast<const quoin_str*>(param.data)));
    default:
      return fail(Code::plugin, "parameter {} has the unknown kind {}", name, param.kind);
  }
}

Result<recipe::Params> complete_params(const std::string& owner, quoin_array specs, const recipe::Params& params) {
  QUOIN_TRY(auto values, complete(owner, specs, params));
  recipe::Params out;
  for (auto& [spec, scalar] : values) out.emplace(text(spec.name), std::move(scalar));
  return out;
}

Result<uint32_t> Configs::add(const quoin_quantizer& quantizer, const std::string& preset, const recipe::Params& params,
                              const std::string& where) {
  const auto located = [&](Error error) {
    return where.empty() ? fail(std::move(error)) : fail(in(where, std::move(error)));
  };
  auto found = find_preset(quantizer, preset);
  if (!found) return located(std::move(found).error());
  auto values = complete("preset " + text(found->name), found->params, params);
  if (!values) return located(std::move(values).error());
  const std::string name = text(found->name);
  for (uint32_t i = 0; i < records_.size(); ++i)
    if (names_[i] == name && params_[i] == params) return i;

  std::vector<quoin_param>& list = lists_.emplace_back();
  for (const auto& [spec, scalar] : *values) list.push_back(stored(spec.name, scalar, spec.kind));
  const std::string& kept = preset_names_.emplace_back(name);
  records_.push_back(
      {{kept.data(), kept.size()}, {list.data(), static_cast<uint32_t>(list.size()), sizeof(quoin_param)}});
  names_.push_back(name);
  params_.push_back(params);
  return static_cast<uint32_t>(records_.size() - 1);
}

quoin_param Configs::stored(quoin_str name, const recipe::Scalar& scalar, uint32_t kind) {
  quoin_param out{name, kind, 1, nullptr};
  if (const auto* flag = std::get_if<bool>(&scalar)) out.data = &flags_.emplace_back(*flag ? uint8_t{1} : uint8_t{0});
  if (const auto* whole = std::get_if<int64_t>(&scalar)) out.data = &integers_.emplace_back(*whole);
  if (const auto* real = std::get_if<double>(&scalar)) out.data = &numbers_.emplace_back(*real);
  if (const auto* words = std::get_if<std::string>(&scalar)) {
    const std::string& kept = texts_.emplace_back(*words);
    out.data = &strings_.emplace_back(quoin_str{kept.data(), kept.size()});
  }
  return out;
}

}  // namespace quoin::quantize
