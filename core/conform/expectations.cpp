// conform.yaml.
#include <algorithm>
#include <charconv>

#include "base/file.hpp"
#include "base/text.hpp"
#include "conform/conform.hpp"
#include "recipe/document.hpp"

namespace quoin::conform {
namespace {

using recipe::Node;

constexpr uint64_t kMaxFile = 1u << 20;
constexpr int kMaxTolerance = 255;

Failure wrong(const Node& node, std::string what, std::string hint = {}) {
  return fail(Code::recipe, "{}", what).at("{}", node.place.text).hint(std::move(hint));
}

Status check_keys(const Node& map, const std::vector<std::string>& known) {
  for (const Node& child : map.children)
    if (std::ranges::find(known, child.key) == known.end())
      return fail(Code::recipe, "unknown key \"{}\"; the keys are {}", child.key, join(known, ", "))
          .at("{}", child.key_place.text)
          .hint(did_you_mean(child.key, known));
  return {};
}

Result<std::string> text_of(const Node& map, const std::string& key, const std::string& why) {
  const Node* node = map.find(key);
  if (node == nullptr) return wrong(map, fmt::format("a tag needs \"{}\": {}", key, why));
  if (node->kind != Node::Kind::scalar || node->text.empty())
    return wrong(*node, fmt::format("{}: expected a text: {}", key, why));
  return node->text;
}

// `why`: the key that says why, and what has to stand there.
Result<std::vector<Tag>> tags_of(const Node& root, const std::string& list,
                                 const std::pair<std::string, std::string>& why) {
  std::vector<Tag> tags;
  const Node* node = root.find(list);
  if (node == nullptr || node->kind == Node::Kind::null) return tags;
  if (node->kind != Node::Kind::list) return wrong(*node, fmt::format("{}: expected a list of tags", list));
  for (const Node& row : node->children) {
    if (row.kind != Node::Kind::map)
      return wrong(row, fmt::format("{}: expected a tag with the keys cases and {}", list, why.first));
    QUOIN_CHECK(check_keys(row, {"cases", why.first}));
    Tag tag;
    tag.place = row.place.text;
    QUOIN_TRY(tag.cases, text_of(row, "cases", "the name of a case, \"GROUP/CASE\", a glob or re:"));
    QUOIN_TRY(tag.reason, text_of(row, why.first, why.second));
    tags.push_back(std::move(tag));
  }
  return tags;
}

Result<int> tolerance_of(const Node& root) {
  const Node* node = root.find("tolerance");
  if (node == nullptr) return 0;
  int value = -1;
  const char* end = node->text.data() + node->text.size();
  const auto [stop, error] = std::from_chars(node->text.data(), end, value);
  if (node->kind != Node::Kind::scalar || error != std::errc() || stop != end || value < 0 || value > kMaxTolerance)
    return wrong(*node,
                 fmt::format("tolerance: expected a whole number of quantization steps from 0 to {}", kMaxTolerance));
  return value;
}

}  // namespace

Result<Expectations> read_expectations(const std::string& path) {
  QUOIN_TRY(const std::string text, read_text(path, kMaxFile));
  QUOIN_TRY(const Node root, recipe::parse_yaml(text, path));
  Expectations out;
  if (root.kind == Node::Kind::null) return out;
  if (root.kind != Node::Kind::map) return wrong(root, "expected the keys tolerance, unsupported and xfail");
  QUOIN_CHECK(check_keys(root, {"tolerance", "unsupported", "xfail"}));
  QUOIN_TRY(out.tolerance, tolerance_of(root));
  QUOIN_TRY(out.unsupported, tags_of(root, "unsupported", {"reason", "why the device never will do this"}));
  QUOIN_TRY(out.xfail, tags_of(root, "xfail", {"link", "the issue that this failure waits for"}));
  return out;
}

}  // namespace quoin::conform
