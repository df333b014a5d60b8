// The recipe format as one table: a row per key says its type, default, range, meaning and where its value goes.
// Validation, docs/recipe.md and configs/schema.json all come from it; a new key is one new row.
#pragma once

#include <array>
#include <limits>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "recipe/document.hpp"
#include "recipe/recipe.hpp"

namespace quoin::recipe {

enum class Kind {
  text,
  text_or_null,
  pattern,  // text, see recipe/pattern.hpp
  boolean,
  integer,
  number,
  size,     // one integer, or [height, width]
  numbers,  // one number for all channels, or a list of 1 or 3
  texts,    // list of texts
  path,     // text, resolved against the recipe's folder
  paths,    // list of paths
  counts,   // map of name: integer >= 1
  params,   // map of name: scalar
  nested,   // map of name: map of name: scalar
  digests,  // list of SHA-256 digests
  items,    // list of maps; their keys are the rows under "<path>[]."
};

using Value =
    std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<std::string>, std::vector<double>,
                 std::array<int64_t, 2>, std::map<std::string, int64_t>, Params, std::map<std::string, Params>>;

// The recipe under construction, and the list items being filled.
struct Target {
  Recipe& recipe;
  Quantizer* quantizer = nullptr;
  Rule* rule = nullptr;
  SourceRule* source_rule = nullptr;
  Selector* selector = nullptr;
};

struct Key {
  std::string path;  // "model.input.layout", "quantize.quantizers[].plugin"
  Kind kind;
  std::string fallback;  // the default as YAML; "": none
  std::string doc;       // one or two sentences
  // Puts a checked value into place; for `items` appends an element (the value is empty, `node` the element).
  void (*store)(Target& target, Value value, const Node& node);
  std::vector<std::string> allowed = {};  // texts; empty: any
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool required = false;
};

std::span<const Key> schema();  // in flow order
const Key* find_key(std::string_view path);
// "a whole number", "true or false" ...
std::string kind_name(Kind kind);
// The direct children of a section or item path ("quantize", "quantize.quantizers[]"; "": top level), in flow order.
std::vector<std::string> children_of(std::string_view prefix);

// Type, allowed values and range of `node` under `key`; `folder` is where relative paths start. Errors (recipe).
Result<Value> check_value(const Key& key, const Node& node, const std::string& folder);

}  // namespace quoin::recipe
