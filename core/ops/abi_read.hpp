// Reading what a plugin hands over: arrays by their stride, structs by the size their author compiled.
#pragma once

#include <quoin/abi_frozen.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace quoin {

// Element i, widened with zeros or cut to this header's struct.
template <class T>
T element(quoin_array array, uint32_t i) {
  T out{};
  std::memcpy(&out, static_cast<const std::byte*>(array.data) + static_cast<size_t>(i) * array.stride,
              std::min<size_t>(array.stride, sizeof(T)));
  return out;
}

template <class T>
std::vector<T> elements(quoin_array array) {
  std::vector<T> out;
  if (array.data == nullptr || array.stride == 0) return out;
  out.reserve(array.count);
  for (uint32_t i = 0; i < array.count; ++i) out.push_back(element<T>(array, i));
  return out;
}

// A struct that starts with struct_size.
template <class T>
T widened(const T* given) {
  T out{};
  std::memcpy(&out, given, std::min<size_t>(given->struct_size, sizeof(T)));
  return out;
}

inline std::string text(quoin_str str) { return str.data ? std::string(str.data, str.size) : std::string(); }

}  // namespace quoin
