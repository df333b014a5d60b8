// YAML text as a plain tree. The only place that knows yaml-cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "recipe/recipe.hpp"

namespace quoin::recipe {

struct Node {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  std::string text;     // of a scalar
  bool quoted = false;  // a quoted scalar is always text
  Place place;
  std::string key;  // of a map's child
  Place key_place;
  std::vector<Node> children;  // of a list or map, in file order

  const Node* find(std::string_view name) const;
  Node* find(std::string_view name);
};

// One document of at most 1 MiB; an empty text is a null. Errors (recipe), with file:line:column: syntax, duplicate
// keys, keys that are not plain scalars, merge keys, control characters, over 32 levels, over 100000 nodes once aliases
// are expanded, a second document.
Result<Node> parse_yaml(const std::string& text, const std::string& file);

// Applies `--set key.path=value` to the tree; `a.b[0].c` and `a.b.0.c` index lists, one past the end appends. The value
// is YAML. Errors (recipe): empty key, a path through a scalar, an index out of range, a value that does not parse.
Status apply_override(Node& root, const Override& change);

// YAML of the tree as it stands, one style, without comments.
std::string to_yaml(const Node& root);

}  // namespace quoin::recipe
