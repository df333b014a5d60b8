#include "quantize/observer.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "base/text.hpp"
#include "quantize/observers.hpp"

namespace quoin::quantize {
namespace {

struct ParamRule {
  const char* name;
  double low, high, fallback;
  bool integer;
};

struct Entry {
  const char* name;
  bool per_tensor_only;
  std::optional<ParamRule> param;
  std::unique_ptr<Observer> (*make)(const Spec& spec, double param);
};

// One row per observer.
const std::array<Entry, 7> kObservers{{
    {"minmax", false, std::nullopt, [](const Spec& spec, double) { return make_minmax(spec); }},
    {"moving_average", false, ParamRule{"averaging_constant", 1e-6, 1.0, 0.01, false},
     [](const Spec& spec, double constant) { return make_moving_average(spec, static_cast<float>(constant)); }},
    {"histogram", true, ParamRule{"bins", 2, 65536, 2048, true},
     [](const Spec& spec, double bins) { return make_histogram(spec, static_cast<size_t>(bins)); }},
    {"mse", false, std::nullopt, [](const Spec& spec, double) { return make_mse(spec); }},
    {"percentile", true, ParamRule{"percent", 50, 100, 99.99, false}, make_percentile},
    {"entropy", true, std::nullopt, [](const Spec& spec, double) { return make_entropy(spec); }},
    {"fixed", true, std::nullopt, [](const Spec& spec, double) { return make_fixed(spec); }},
}};

std::optional<double> number(const recipe::Scalar& scalar, bool integer) {
  if (const auto* whole = std::get_if<int64_t>(&scalar)) return static_cast<double>(*whole);
  if (const auto* real = std::get_if<double>(&scalar); real && !integer) return *real;
  return std::nullopt;
}

Result<double> read_params(const Entry& entry, const recipe::Params& params) {
  double value = entry.param ? entry.param->fallback : 0;
  for (const auto& [key, scalar] : params) {
    if (!entry.param || key != entry.param->name) {
      std::vector<std::string> known;
      if (entry.param) known.emplace_back(entry.param->name);
      return fail(Code::recipe, "observer {} has no parameter \"{}\"", entry.name, key)
          .hint(known.empty() ? "it takes none" : fmt::format("it takes {}", known.front()));
    }
    const auto given = number(scalar, entry.param->integer);
    if (!given || !(*given >= entry.param->low && *given <= entry.param->high))
      return fail(Code::recipe, "observer {}: {} must be {} from {} to {}", entry.name, key,
                  entry.param->integer ? "an integer" : "a number", entry.param->low, entry.param->high);
    value = *given;
  }
  return value;
}

}  // namespace

std::vector<std::string> observer_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kObservers) names.emplace_back(entry.name);
  return names;
}

Result<std::unique_ptr<Observer>> make_observer(const Spec& spec) {
  if (spec.kind == SpecKind::observed && spec.backend != nullptr) {
    QUOIN_TRY(auto observer, make_plugin_observer(spec));
    if (observer != nullptr) return observer;
  }
  const std::string wanted = spec.kind == SpecKind::fixed ? "fixed" : spec.observer.empty() ? "minmax" : spec.observer;
  for (const Entry& entry : kObservers) {
    if (wanted != entry.name) continue;
    if (entry.per_tensor_only && spec.scheme != Scheme::per_tensor)
      return fail(Code::recipe, "observer {} gives one scale per tensor, the spec asks for more", wanted)
          .hint("use minmax, moving_average or, for weights, mse");
    if (wanted == "fixed" && spec.kind != SpecKind::fixed)
      return fail(Code::recipe, "observer fixed needs a spec that gives scale and zero point");
    QUOIN_TRY(const double param, read_params(entry, spec.observer_params));
    return entry.make(spec, param);
  }
  std::vector<std::string> known = observer_names();
  std::ranges::move(plugin_observer_names(spec), std::back_inserter(known));
  return fail(Code::recipe, "observer \"{}\" is not known", wanted).hint(did_you_mean(wanted, known));
}

}  // namespace quoin::quantize
