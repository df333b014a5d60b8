// docs/recipe.md and configs/schema.json from the schema table.
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "recipe/schema.hpp"

namespace quoin::recipe {
namespace {

using Json = nlohmann::ordered_json;

Json scalar_or_list(const Json& item, int64_t least, int64_t most) {
  return {{"oneOf", {item, {{"type", "array"}, {"items", item}, {"minItems", least}, {"maxItems", most}}}}};
}

void add_range(const Key& key, Json& json) {
  if (std::isfinite(key.min)) json["minimum"] = key.min;
  if (std::isfinite(key.max)) json["maximum"] = key.max;
}

Json schema_of(const std::string& prefix);

Json type_of(const Key& key) {
  Json text = {{"type", "string"}};
  if (!key.allowed.empty()) text["enum"] = key.allowed;
  Json integer = {{"type", "integer"}}, number = {{"type", "number"}};
  add_range(key, integer);
  add_range(key, number);
  const Json params = {{"type", "object"}, {"additionalProperties", {{"type", {"boolean", "number", "string"}}}}};
  switch (key.kind) {
    case Kind::text:
    case Kind::pattern:
    case Kind::path:
      return text;
    case Kind::text_or_null:
      return {{"type", {"string", "null"}}};
    case Kind::boolean:
      return {{"type", "boolean"}};
    case Kind::integer:
      return integer;
    case Kind::number:
      return number;
    case Kind::size:
      return scalar_or_list(integer, 2, 2);
    case Kind::numbers:
      return scalar_or_list(number, 1, 3);
    case Kind::texts:
    case Kind::paths:
      return {{"type", "array"}, {"items", text}};
    case Kind::counts:
      return {{"type", "object"}, {"additionalProperties", {{"type", "integer"}, {"minimum", 1}}}};
    case Kind::params:
      return params;
    case Kind::nested:
      return {{"type", "object"}, {"additionalProperties", params}};
    case Kind::digests:
      return {{"type", "array"}, {"items", {{"type", "string"}, {"pattern", "^[0-9a-fA-F]{64}$"}}}};
    case Kind::items:
      return {{"type", "array"}, {"items", schema_of(key.path + "[]")}};
  }
  return {};
}

Json schema_of(const std::string& prefix) {
  Json out = {{"type", "object"}, {"additionalProperties", false}, {"properties", Json::object()}};
  for (const std::string& name : children_of(prefix)) {
    const std::string path = prefix.empty() ? name : prefix + "." + name;
    const Key* key = find_key(path);
    Json& property = out["properties"][name];
    property = key != nullptr ? type_of(*key) : schema_of(path);
    if (key == nullptr) continue;
    property["description"] = key->doc;
    if (key->required) out["required"].push_back(name);
  }
  return out;
}

std::string constraint(const Key& key) {
  std::string out = kind_name(key.kind);
  if (!key.allowed.empty()) out = join(key.allowed, ", ");
  if (std::isfinite(key.min)) out += fmt::format(", from {}", key.min);
  if (std::isfinite(key.max)) out += fmt::format(" to {}", key.max);
  if (key.required) out += "; required";
  return out;
}

}  // namespace

std::string json_schema() {
  Json out = {{"$schema", "http://json-schema.org/draft-07/schema#"}, {"title", "Quoin recipe"}};
  out.update(schema_of(""));
  return out.dump(2) + "\n";
}

std::string markdown_reference() {
  std::string out =
      "# Recipe keys\n\n"
      "A recipe is one YAML file that says how a model is quantized, lowered and scored. Every key is optional unless "
      "it\n"
      "says otherwise. An unknown key, a wrong type or a value out of range is an error with file, line and column.\n\n"
      "- `--set key.path=value` on the command line changes one value: `--set "
      "quantize.quantizers[0].preset=int8-static`\n"
      "  (or `quantize.quantizers.0.preset`); the value is YAML, and an index one past the end appends.\n"
      "- Relative paths start at the recipe's folder; if nothing is there, at the nearest parent folder with a "
      "README.md\n"
      "  that has the file.\n"
      "- Anchors and aliases work, merge keys (`<<`) do not. A recipe has at most 1 MiB.\n\n"
      "This page is generated from the table in `core/recipe/schema.cpp`, as is `configs/schema.json`.\n";
  std::string section;
  for (const Key& key : schema()) {
    const std::string top = key.path.substr(0, key.path.find('.'));
    if (top != section) out += fmt::format("\n## {}\n\n| key | value | default | meaning |\n|---|---|---|---|\n", top);
    section = top;
    const std::string fallback = key.fallback.empty() ? "" : "`" + key.fallback + "`";
    out += fmt::format("| `{}` | {} | {} | {} |\n", key.path, constraint(key), fallback, key.doc);
  }
  return out;
}

}  // namespace quoin::recipe
