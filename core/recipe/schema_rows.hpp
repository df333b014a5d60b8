// How rows of the schema table are written, and its files.
#pragma once

#include <optional>

#include "recipe/schema.hpp"

namespace quoin::recipe {

template <class T>
T as(Value& value) {
  return std::get<T>(std::move(value));
}

inline std::optional<std::string> optional_text(Value& value) {
  if (std::holds_alternative<std::monostate>(value)) return std::nullopt;
  return as<std::string>(value);
}

using V = Value;
using N = const Node&;

std::vector<Key> quantize_rows();

}  // namespace quoin::recipe
