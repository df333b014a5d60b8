#include "quantize/preset.hpp"

#include "base/text.hpp"
#include "ops/abi_read.hpp"
#include "recipe/params.hpp"

namespace quoin::quantize {
namespace {

Result<quoin_preset> find_preset(const quoin_quantizer& quantizer, const std::string& wanted) {
  std::vector<std::string> known;
  for (const quoin_preset& preset : elements<quoin_preset>(quantizer.presets)) {
    known.push_back(text(preset.name));
    if (wanted.empty() || wanted == known.back()) return preset;
  }
  if (known.empty()) return fail(Code::plugin, "the plugin offers no presets");
  return fail(Code::recipe, "preset \"{}\" is not known", wanted)
      .hint(fmt::format("{}{}the plugin offers: {}", did_you_mean(wanted, known),
                        nearest(wanted, known).empty() ? "" : "; ", join(known, ", ")));
}

}  // namespace

Result<uint32_t> Configs::add(const quoin_quantizer& quantizer, const std::string& preset, const recipe::Params& params,
                              const std::string& where) {
  const auto located = [&](Error error) {
    return where.empty() ? fail(std::move(error)) : fail(in(where, std::move(error)));
  };
  auto found = find_preset(quantizer, preset);
  if (!found) return located(std::move(found).error());
  auto values = recipe::complete_params("preset " + text(found->name), found->params, params);
  if (!values) return located(std::move(values).error());
  const std::string name = text(found->name);
  for (uint32_t i = 0; i < records_.size(); ++i)
    if (names_[i] == name && params_[i] == params) return i;

  const std::string& kept = preset_names_.emplace_back(name);
  const Attrs& attrs = attrs_.emplace_back(recipe::to_attrs(*values));
  records_.push_back({{kept.data(), kept.size()}, storage_.list(attrs)});
  names_.push_back(name);
  params_.push_back(params);
  return static_cast<uint32_t>(records_.size() - 1);
}

}  // namespace quoin::quantize
