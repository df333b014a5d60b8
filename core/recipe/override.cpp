// `--set key.path=value`.
#include <charconv>
#include <optional>

#include "recipe/document.hpp"

namespace quoin::recipe {
namespace {

constexpr size_t kMaxSteps = 32;

struct Step {
  std::string key;
  std::optional<size_t> index;  // `[3]`, or a key of digits
};

std::optional<size_t> as_index(std::string_view text) {
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<std::vector<Step>> split_path(const std::string& path, const Place& place) {
  const auto malformed = [&](std::string_view why) {
    return fail(Code::recipe, "the key {}", why)
        .at("{}", place.text)
        .hint("write quantize.quantizers[0].preset=int8-static");
  };
  std::vector<Step> steps;
  std::string_view rest = path;
  while (true) {
    const size_t end = std::min(rest.find_first_of(".["), rest.size());
    if (end == 0) return malformed("has an empty part");
    const std::string key(rest.substr(0, end));
    steps.push_back({key, as_index(key)});
    rest.remove_prefix(end);
    while (rest.starts_with('[')) {
      const size_t close = rest.find(']');
      const std::string_view digits = close == std::string_view::npos ? std::string_view() : rest.substr(1, close - 1);
      const std::optional<size_t> index = as_index(digits);
      if (!index) return malformed("has brackets without a number");
      steps.push_back({std::string(digits), index});
      rest.remove_prefix(close + 1);
    }
    if (steps.size() > kMaxSteps) return malformed("has too many parts");
    if (rest.empty()) return steps;
    if (!rest.starts_with('.')) return malformed("has text behind a bracket");
    rest.remove_prefix(1);
  }
}

// The child that `step` names, made when missing. A missing parent becomes a list for an index, else a map.
Result<Node*> descend(Node& node, const Step& step, const Place& place) {
  if (node.kind == Node::Kind::null) node.kind = step.index ? Node::Kind::list : Node::Kind::map;
  if (node.kind == Node::Kind::scalar)
    return fail(Code::recipe, "\"{}\" lies below the value \"{}\"", step.key, node.text).at("{}", place.text);
  if (node.kind == Node::Kind::map) {
    if (Node* found = node.find(step.key)) return found;
    Node child;
    child.key = step.key;
    child.key_place = child.place = place;
    node.children.push_back(std::move(child));
    return &node.children.back();
  }
  if (!step.index || *step.index > node.children.size())
    return fail(Code::recipe, "\"{}\" is no index of a list of {}", step.key, node.children.size())
        .at("{}", place.text);
  if (*step.index == node.children.size()) {
    node.children.emplace_back();
    node.children.back().place = place;
  }
  return &node.children[*step.index];
}

void set_place(Node& node, const Place& place) {
  node.place = place;
  for (Node& child : node.children) {
    child.key_place = place;
    set_place(child, place);
  }
}

}  // namespace

Status apply_override(Node& root, const Override& change) {
  const Place place{"--set " + change.key};
  QUOIN_TRY(const std::vector<Step> steps, split_path(change.key, place));
  Node* node = &root;
  for (const Step& step : steps) {
    QUOIN_TRY(node, descend(*node, step, place));
  }
  QUOIN_TRY(Node fresh, parse_yaml(change.value, place.text));
  node->kind = fresh.kind;
  node->text = std::move(fresh.text);
  node->quoted = fresh.quoted;
  node->children = std::move(fresh.children);
  set_place(*node, place);
  return {};
}

}  // namespace quoin::recipe
