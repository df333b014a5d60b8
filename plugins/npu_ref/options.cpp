#include "options.hpp"

namespace quoin::npu {
namespace {

const quoin_param_spec* find(std::string_view name) {
  for (const quoin_param_spec& spec : kOptions)
    if (sdk::view(spec.name) == name) return &spec;
  return nullptr;
}

}  // namespace

void Options::set(const quoin_param& param) {
  const std::string name(sdk::view(param.name));
  const quoin_param_spec* spec = find(name);
  if (spec == nullptr) throw sdk::Failure(QUOIN_NOT_FOUND, "npu_ref has no option '" + name + "'");
  const sdk::Params value(quoin_array{&param, 1, sizeof param});
  if (spec->kind == QUOIN_PARAM_BOOL) {
    fuse_ = value.boolean(name, false) ? 1 : 0;
    return;
  }
  const int64_t number = value.integer(name, 0);
  const auto low = static_cast<int64_t>(spec->low), high = static_cast<int64_t>(spec->high);
  if (number < low || number > high)
    throw sdk::Failure(QUOIN_INVALID, "'" + name + "' is " + std::to_string(number) + ", but must be " +
                                          std::to_string(low) + " to " + std::to_string(high));
  (name == "sram_kib" ? sram_kib_ : tensor_kib_) = number;
}

quoin_param Options::get(std::string_view name) const {
  const quoin_param_spec* spec = find(name);
  if (spec == nullptr) throw sdk::Failure(QUOIN_NOT_FOUND, "npu_ref has no option '" + std::string(name) + "'");
  const void* data = &fuse_;
  if (spec->kind == QUOIN_PARAM_INT) data = name == "sram_kib" ? &sram_kib_ : &tensor_kib_;
  return {spec->name, spec->kind, 1, data};
}

Options Options::with(const sdk::Params& params) const {
  Options out = *this;
  for (const quoin_param_spec& spec : kOptions)
    if (const auto given = params.find(sdk::view(spec.name))) out.set(*given);
  return out;
}

}  // namespace quoin::npu
