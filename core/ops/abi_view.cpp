#include "ops/abi_view.hpp"

namespace quoin {

quoin_param AbiParams::param(const std::string& key, const Attr& attr) {
  quoin_param out{abi_str(key), 0, 1, nullptr};
  const auto set = [&](uint32_t kind, const void* data, size_t count = 1) {
    out.kind = kind;
    out.data = data;
    out.count = static_cast<uint32_t>(count);
  };
  static_assert(sizeof(bool) == 1, "QUOIN_PARAM_BOOL is read as uint8_t");
  if (const auto* flag = std::get_if<bool>(&attr)) set(QUOIN_PARAM_BOOL, flag);
  if (const auto* integer = std::get_if<int64_t>(&attr)) set(QUOIN_PARAM_INT, integer);
  if (const auto* number = std::get_if<double>(&attr)) set(QUOIN_PARAM_FLOAT, number);
  if (const auto* text = std::get_if<std::string>(&attr)) set(QUOIN_PARAM_STR, &texts_.emplace_back(abi_str(*text)));
  if (const auto* list = std::get_if<std::vector<int64_t>>(&attr)) set(QUOIN_PARAM_INT, list->data(), list->size());
  if (const auto* list = std::get_if<std::vector<double>>(&attr)) set(QUOIN_PARAM_FLOAT, list->data(), list->size());
  return out;
}

quoin_array AbiParams::list(const Attrs& attrs) {
  std::vector<quoin_param>& params = lists_.emplace_back();
  for (const auto& [key, attr] : attrs) params.push_back(param(key, attr));
  return abi_array(params);
}

}  // namespace quoin
