#include "recipe/params.hpp"

#include <algorithm>
#include <optional>

#include "base/text.hpp"
#include "ops/abi_read.hpp"

namespace quoin::recipe {
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
std::optional<Scalar> converted(const Scalar& scalar, uint32_t kind) {
  if (kind == QUOIN_PARAM_FLOAT && std::holds_alternative<int64_t>(scalar))
    return static_cast<double>(std::get<int64_t>(scalar));
  constexpr uint32_t kKinds[] = {QUOIN_PARAM_BOOL, QUOIN_PARAM_INT, QUOIN_PARAM_FLOAT, QUOIN_PARAM_STR};
  if (kKinds[scalar.index()] != kind) return std::nullopt;
  return scalar;
}

Status check_limits(const quoin_param_spec& spec, const Scalar& scalar) {
  if (const auto choices = elements<quoin_str>(spec.choices); !choices.empty()) {
    std::vector<std::string> known;
    for (const quoin_str choice : choices) known.push_back(text(choice));
    const auto* given = std::get_if<std::string>(&scalar);
    if (given && std::find(known.begin(), known.end(), *given) == known.end())
      return fail(Code::recipe, "\"{}\" is not one of: {}", *given, join(known, ", "))
          .hint(did_you_mean(*given, known));
  }
  if (spec.low > spec.high) return {};
  const auto* whole = std::get_if<int64_t>(&scalar);
  const auto* real = std::get_if<double>(&scalar);
  if (!whole && !real) return {};
  const double value = whole ? static_cast<double>(*whole) : *real;
  if (value >= spec.low && value <= spec.high) return {};
  return fail(Code::recipe, "{} is outside {} to {}", value, spec.low, spec.high);
}

}  // namespace

Result<Scalar> check_param(const quoin_param_spec& spec, const Scalar& given) {
  const auto scalar = converted(given, spec.kind);
  const std::string label = fmt::format("parameter {}", text(spec.name));
  if (!scalar) return fail(Code::recipe, "{} expected", kind_name(spec.kind)).at("{}", label).hint(text(spec.doc));
  QUOIN_CHECK_AT(check_limits(spec, *scalar), "{}", label);
  return *scalar;
}

Result<Scalar> scalar_from(const quoin_param& param) {
  const std::string name = text(param.name);
  if (param.data == nullptr || param.count != 1) return fail(Code::plugin, "parameter {} must hold one value", name);
  switch (param.kind) {
    case QUOIN_PARAM_BOOL:
      return Scalar(*static_cast<const uint8_t*>(param.data) != 0);
    case QUOIN_PARAM_INT:
      return Scalar(*static_cast<const int64_t*>(param.data));
    case QUOIN_PARAM_FLOAT:
      return Scalar(*static_cast<const double*>(param.data));
    case QUOIN_PARAM_STR:
      return Scalar(text(*static_cast<const quoin_str*>(param.data)));
    default:
      return fail(Code::plugin, "parameter {} has the unknown kind {}", name, param.kind);
  }
}

Result<Params> complete_params(const std::string& owner, quoin_array specs, const Params& params) {
  Params out;
  std::vector<std::string> known;
  for (const quoin_param_spec& spec : elements<quoin_param_spec>(specs)) {
    known.push_back(text(spec.name));
    if (const auto given = params.find(known.back()); given != params.end()) {
      QUOIN_TRY(out[known.back()], check_param(spec, given->second));
    } else if (spec.fallback.data != nullptr) {
      QUOIN_TRY(out[known.back()], scalar_from(spec.fallback));
    }
  }
  for (const auto& [key, scalar] : params)
    if (std::find(known.begin(), known.end(), key) == known.end())
      return fail(Code::recipe, "{} has no parameter \"{}\"", owner, key)
          .hint(known.empty() ? "it takes none" : did_you_mean(key, known));
  return out;
}

Attrs to_attrs(const Params& params) {
  Attrs attrs;
  for (const auto& [key, value] : params)
    attrs.emplace(key, std::visit([](const auto& scalar) { return Attr(scalar); }, value));
  return attrs;
}

}  // namespace quoin::recipe
