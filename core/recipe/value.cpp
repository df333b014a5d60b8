// A YAML value against one row of the schema.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>

#include "base/text.hpp"
#include "recipe/pattern.hpp"
#include "recipe/schema.hpp"

namespace quoin::recipe {
namespace {

namespace fs = std::filesystem;

template <class T>
std::optional<T> parse_whole(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// YAML's core schema for plain scalars.
Scalar scalar_of(const Node& node) {
  if (node.quoted) return node.text;
  if (node.text == "true" || node.text == "True") return true;
  if (node.text == "false" || node.text == "False") return false;
  if (const auto whole = parse_whole<int64_t>(node.text)) return *whole;
  if (const auto real = parse_whole<double>(node.text); real && std::isfinite(*real)) return *real;
  return node.text;
}

std::string found_name(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return "null";
    case Node::Kind::list:
      return "a list";
    case Node::Kind::map:
      return "a map";
    case Node::Kind::scalar:
      break;
  }
  constexpr std::array kNames = {"the truth value", "the whole number", "the number", "the text"};
  return fmt::format("{} {}", kNames[scalar_of(node).index()], node.quoted ? '"' + node.text + '"' : node.text);
}

// An empty value has no place of its own; its key has.
Failure wrong(const Key& key, const Node& node, const std::string& expected, std::string hint = {}) {
  const bool empty = node.kind == Node::Kind::null && !node.key_place.text.empty();
  return fail(Code::recipe, "{}: expected {}, found {}", key.path, expected, found_name(node))
      .at("{}", empty ? node.key_place.text : node.place.text)
      .hint(std::move(hint));
}

// A scalar of one of the alternatives of Scalar, as a double where it is a number.
template <class T>
const T* get_scalar(const Node& node, Scalar& storage) {
  if (node.kind != Node::Kind::scalar) return nullptr;
  storage = scalar_of(node);
  return std::get_if<T>(&storage);
}

Result<std::string> check_text(const Key& key, const Node& node) {
  Scalar scalar;
  const std::string* text = get_scalar<std::string>(node, scalar);
  if (text == nullptr)
    return wrong(key, node, "a text", node.kind == Node::Kind::scalar ? "put it in quotes if it is a name" : "");
  if (!key.allowed.empty() && std::find(key.allowed.begin(), key.allowed.end(), *text) == key.allowed.end())
    return wrong(key, node, "one of " + join(key.allowed, ", "), did_you_mean(*text, key.allowed));
  return *text;
}

Result<std::string> check_pattern(const Key& key, const Node& node) {
  QUOIN_TRY(std::string text, check_text(key, node));
  if (text.empty()) return wrong(key, node, kind_name(key.kind), "leave the key out to match everything");
  if (auto parsed = Pattern::parse(text); !parsed)
    return fail(Code::recipe, "{}: {}", key.path, parsed.error().what)
        .at("{}", node.place.text)
        .hint(parsed.error().hint);
  return text;
}

std::string range_text(const Key& key) {
  if (std::isinf(key.min) && std::isinf(key.max)) return "";
  if (std::isinf(key.max)) return fmt::format(" of at least {}", key.min);
  return fmt::format(" from {} to {}", key.min, key.max);
}

Result<double> check_number(const Key& key, const Node& node) {
  Scalar scalar;
  double value = 0;
  if (const auto* whole = get_scalar<int64_t>(node, scalar)) {
    value = static_cast<double>(*whole);
  } else if (const auto* real = get_scalar<double>(node, scalar)) {
    value = *real;
  } else {
    return wrong(key, node, "a number" + range_text(key));
  }
  if (value < key.min || value > key.max) return wrong(key, node, "a number" + range_text(key));
  return value;
}

Result<int64_t> check_integer(const Key& key, const Node& node) {
  Scalar scalar;
  const auto* whole = get_scalar<int64_t>(node, scalar);
  if (whole == nullptr || static_cast<double>(*whole) < key.min || static_cast<double>(*whole) > key.max)
    return wrong(key, node, "a whole number" + range_text(key));
  return *whole;
}

Result<bool> check_boolean(const Key& key, const Node& node) {
  Scalar scalar;
  if (const auto* value = get_scalar<bool>(node, scalar)) return *value;
  return wrong(key, node, "true or false");
}

Result<std::array<int64_t, 2>> check_size(const Key& key, const Node& node) {
  if (node.kind != Node::Kind::list) {
    QUOIN_TRY(const int64_t side, check_integer(key, node));
    return std::array{side, side};
  }
  if (node.children.size() != 2) return wrong(key, node, "a whole number or [height, width]");
  QUOIN_TRY(const int64_t height, check_integer(key, node.children[0]));
  QUOIN_TRY(const int64_t width, check_integer(key, node.children[1]));
  return std::array{height, width};
}

Result<std::vector<double>> check_numbers(const Key& key, const Node& node) {
  if (node.kind != Node::Kind::list) {
    QUOIN_TRY(const double value, check_number(key, node));
    return std::vector<double>(3, value);
  }
  if (node.children.size() != 1 && node.children.size() != 3)
    return wrong(key, node, "a number, or a list of 1 or 3 numbers");
  std::vector<double> out;
  for (const Node& child : node.children) {
    QUOIN_TRY(const double value, check_number(key, child));
    out.push_back(value);
  }
  return out;
}

Result<std::vector<std::string>> check_texts(const Key& key, const Node& node) {
  if (node.kind != Node::Kind::list) return wrong(key, node, "a list of texts", "write [" + node.text + "]");
  std::vector<std::string> out;
  for (const Node& child : node.children) {
    QUOIN_TRY(std::string text, check_text(key, child));
    out.push_back(std::move(text));
  }
  return out;
}

Result<std::map<std::string, int64_t>> check_counts(const Key& key, const Node& node) {
  if (node.kind != Node::Kind::map) return wrong(key, node, "a map of name: whole number");
  Key each = key;
  each.min = 1;
  each.max = 1e12;
  std::map<std::string, int64_t> out;
  for (const Node& child : node.children) {
    each.path = key.path + "." + child.key;
    QUOIN_TRY(out[child.key], check_integer(each, child));
  }
  return out;
}

Result<Params> check_params(const Key& key, const Node& node) {
  if (node.kind != Node::Kind::map) return wrong(key, node, "a map of name: value");
  Params out;
  for (const Node& child : node.children) {
    Key each = key;
    each.path += "." + child.key;
    if (child.kind != Node::Kind::scalar) return wrong(each, child, "a truth value, number or text");
    out.emplace(child.key, scalar_of(child));
  }
  return out;
}

Result<std::map<std::string, Params>> check_nested(const Key& key, const Node& node) {
  if (node.kind != Node::Kind::map) return wrong(key, node, kind_name(key.kind));
  std::map<std::string, Params> out;
  for (const Node& child : node.children) {
    Key each = key;
    each.path += "." + child.key;
    QUOIN_TRY(out[child.key], check_params(each, child));
  }
  return out;
}

// A digest of digits only is a number to YAML; its text counts.
Result<std::vector<std::string>> check_digests(const Key& key, const Node& node) {
  if (node.kind != Node::Kind::list) return wrong(key, node, kind_name(key.kind), "write [" + node.text + "]");
  std::vector<std::string> out;
  for (const Node& child : node.children) {
    auto digest = child.kind == Node::Kind::scalar ? sha256_digits(child.text) : std::nullopt;
    if (!digest)
      return wrong(key, child, "a SHA-256 digest of 64 hex digits",
                   "`quoin plugin list --json` prints that of every plugin");
    out.push_back(*std::move(digest));
  }
  return out;
}

// Against the recipe's folder, then every parent folder with a README.md (repository roots), whichever has the file.
// When none has, the recipe's folder: the later "not found" names that.
std::string resolve(const std::string& path, const std::string& folder) {
  if (path.empty() || fs::path(path).is_absolute()) return path;
  std::error_code error;
  const fs::path start = fs::absolute(folder.empty() ? "." : folder, error);
  const fs::path beside = (start / path).lexically_normal();
  if (fs::exists(beside, error)) return beside.string();
  for (fs::path root = start;; root = root.parent_path()) {
    const fs::path candidate = (root / path).lexically_normal();
    if (fs::exists(root / "README.md", error) && fs::exists(candidate, error)) return candidate.string();
    if (!root.has_relative_path()) return beside.string();
  }
}

Result<Value> check_null(const Key& key, const Node& node) {
  if (key.kind == Kind::text_or_null) return Value{};
  return wrong(key, node, kind_name(key.kind), "leave the key out for its default");
}

}  // namespace

std::string kind_name(Kind kind) {
  switch (kind) {
    case Kind::text:
      return "a text";
    case Kind::text_or_null:
      return "a text or null";
    case Kind::pattern:
      return "a name, a glob or re:EXPRESSION";
    case Kind::boolean:
      return "true or false";
    case Kind::integer:
      return "a whole number";
    case Kind::number:
      return "a number";
    case Kind::size:
      return "a whole number or [height, width]";
    case Kind::numbers:
      return "a number, or a list of 1 or 3";
    case Kind::texts:
      return "a list of texts";
    case Kind::path:
      return "a path";
    case Kind::paths:
      return "a list of paths";
    case Kind::counts:
      return "a map of name: whole number";
    case Kind::params:
      return "a map of name: value";
    case Kind::nested:
      return "a map of name: {name: value}";
    case Kind::digests:
      return "a list of SHA-256 digests";
    case Kind::items:
      return "a list of maps";
  }
  return {};
}

Result<Value> check_value(const Key& key, const Node& node, const std::string& folder) {
  if (node.kind == Node::Kind::null) return check_null(key, node);
  switch (key.kind) {
    case Kind::text:
    case Kind::text_or_null:
      return check_text(key, node).map([](std::string v) { return Value(std::move(v)); });
    case Kind::pattern:
      return check_pattern(key, node).map([](std::string v) { return Value(std::move(v)); });
    case Kind::boolean:
      return check_boolean(key, node).map([](bool v) { return Value(v); });
    case Kind::integer:
      return check_integer(key, node).map([](int64_t v) { return Value(v); });
    case Kind::number:
      return check_number(key, node).map([](double v) { return Value(v); });
    case Kind::size:
      return check_size(key, node).map([](std::array<int64_t, 2> v) { return Value(v); });
    case Kind::numbers:
      return check_numbers(key, node).map([](std::vector<double> v) { return Value(std::move(v)); });
    case Kind::texts:
      return check_texts(key, node).map([](std::vector<std::string> v) { return Value(std::move(v)); });
    case Kind::path:
      return check_text(key, node).map([&](const std::string& v) { return Value(resolve(v, folder)); });
    case Kind::paths:
      return check_texts(key, node).map([&](std::vector<std::string> v) {
        for (std::string& path : v) path = resolve(path, folder);
        return Value(std::move(v));
      });
    case Kind::counts:
      return check_counts(key, node).map([](std::map<std::string, int64_t> v) { return Value(std::move(v)); });
    case Kind::params:
      return check_params(key, node).map([](Params v) { return Value(std::move(v)); });
    case Kind::nested:
      return check_nested(key, node).map([](std::map<std::string, Params> v) { return Value(std::move(v)); });
    case Kind::digests:
      return check_digests(key, node).map([](std::vector<std::string> v) { return Value(std::move(v)); });
    case Kind::items:
      break;
  }
  if (node.kind != Node::Kind::list) return wrong(key, node, kind_name(key.kind));
  return Value{};
}

}  // namespace quoin::recipe
