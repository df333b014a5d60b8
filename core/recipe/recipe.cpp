#include "recipe/recipe.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/file.hpp"
#include "base/text.hpp"
#include "recipe/schema.hpp"

namespace quoin::recipe {
namespace {

constexpr uint64_t kMaxFile = 1u << 20;

std::string below(const std::string& prefix, const std::string& key) {
  return prefix.empty() ? key : prefix + "." + key;
}

std::vector<std::string> all_paths() {
  std::vector<std::string> out;
  for (const Key& key : schema()) out.push_back(key.path);
  return out;
}

// Walks the tree beside the schema and fills the recipe.
class Reader {
 public:
  Reader(Recipe& recipe, std::string folder) : target_{recipe}, folder_(std::move(folder)) {}

  Status section(const Node& node, const std::string& prefix) {
    if (node.kind == Node::Kind::null) return check_required(node, prefix);
    if (node.kind != Node::Kind::map)
      return fail(Code::recipe, "{}: expected a map of keys", prefix.empty() ? "the recipe" : prefix)
          .at("{}", node.place.text)
          .hint("its keys are " + join(children_of(prefix), ", "));
    for (const Node& child : node.children) QUOIN_CHECK(entry(child, prefix));
    return check_required(node, prefix);
  }

 private:
  Status entry(const Node& node, const std::string& prefix) {
    const std::string path = below(prefix, node.key);
    if (const Key* key = find_key(path)) return value(*key, node);
    if (!children_of(path).empty()) return section(node, path);
    return unknown(node, prefix);
  }

  static Failure unknown(const Node& node, const std::string& prefix) {
    const std::vector<std::string> siblings = children_of(prefix);
    std::string hint = did_you_mean(node.key, siblings);
    if (hint.empty()) {  // perhaps a known key in the wrong section
      const std::vector<std::string> paths = all_paths();
      const auto moved = std::find_if(paths.begin(), paths.end(),
                                      [&](const std::string& path) { return path.ends_with("." + node.key); });
      hint = moved != paths.end() ? "did you mean \"" + *moved + "\"?" : "known keys here are " + join(siblings, ", ");
    }
    return fail(Code::recipe, "unknown key \"{}\"", below(prefix, node.key))
        .at("{}", node.key_place.text)
        .hint(std::move(hint));
  }

  Status value(const Key& key, const Node& node) {
    QUOIN_TRY(Value checked, check_value(key, node, folder_));
    if (key.kind != Kind::items) {
      key.store(target_, std::move(checked), node);
      return {};
    }
    for (const Node& child : node.children) {
      key.store(target_, {}, child);
      QUOIN_CHECK(section(child, key.path + "[]"));
    }
    return {};
  }

  static Status check_required(const Node& node, const std::string& prefix) {
    for (const Key& key : schema()) {
      if (!key.required || key.path.substr(0, key.path.rfind('.')) != prefix) continue;
      const std::string name = key.path.substr(prefix.size() + 1);
      if (node.find(name) == nullptr)
        return fail(Code::recipe, "the key {} is missing", key.path).at("{}", node.place.text).hint(key.doc);
    }
    return {};
  }

  Target target_;
  std::string folder_;
};

// Digests that nothing compares would look like protection.
Status check_policy(const Recipe& recipe, const Node& root) {
  if (recipe.plugins.policy == "listed" || recipe.plugins.sha256.empty()) return {};
  return fail(Code::recipe, "plugins.sha256 lists files, but plugins.policy is any")
      .at("{}", root.find("plugins")->find("sha256")->place.text)
      .hint("set plugins.policy: listed");
}

Node scalar_node(const std::string& text) {
  Node node;
  node.kind = Node::Kind::scalar;
  node.text = text;
  return node;
}

// What a path is called, without where it lies: "/home/ann/cats/" is "cats".
std::string last_component(const std::string& path) {
  std::filesystem::path given(path);
  while (!given.has_filename() && given.has_relative_path()) given = given.parent_path();  // slashes at the end
  return given.has_filename() ? given.filename().string() : path;
}

void shorten_paths(Node& node) {
  if (node.kind == Node::Kind::scalar) node.text = last_component(node.text);
  for (Node& child : node.children) shorten_paths(child);
}

// The tree in the order of the schema, with every default written out. Of paths only the last component stays: a
// program tells what it was made from, and not where that lay on somebody's disk.
Node canonical(const Node* node, const std::string& prefix) {
  Node out;
  out.kind = Node::Kind::map;
  for (const std::string& name : children_of(prefix)) {
    const std::string path = below(prefix, name);
    const Node* given = node == nullptr ? nullptr : node->find(name);
    const Key* key = find_key(path);
    Node child;
    if (key == nullptr) {
      child = canonical(given, path);
    } else if (given == nullptr) {
      if (key->fallback.empty()) continue;
      child = parse_yaml(key->fallback, path).value_or(scalar_node(key->fallback));
    } else {
      child = *given;
      if (key->kind == Kind::items)
        for (Node& item : child.children) item = canonical(&item, path + "[]");
      else if (child.kind == Node::Kind::map)
        std::sort(child.children.begin(), child.children.end(),
                  [](const Node& a, const Node& b) { return a.key < b.key; });
    }
    child.key = name;
    if (key != nullptr && (key->kind == Kind::path || key->kind == Kind::paths)) shorten_paths(child);
    if (key != nullptr || !child.children.empty()) out.children.push_back(std::move(child));
  }
  return out;
}

}  // namespace

Result<Recipe> parse(const std::string& text, const std::string& path, const std::vector<Override>& overrides) {
  QUOIN_TRY(Node root, parse_yaml(text, path.empty() ? "recipe" : path));
  for (const Override& change : overrides) QUOIN_CHECK(apply_override(root, change));
  Recipe recipe;
  recipe.path = path;
  Reader reader(recipe, std::filesystem::path(path).parent_path().string());
  QUOIN_CHECK(reader.section(root, ""));
  QUOIN_CHECK(check_policy(recipe, root));
  recipe.quantize.calibrate.data.preprocess = recipe.model.preprocess;
  recipe.resolved = to_yaml(canonical(&root, ""));
  return recipe;
}

Result<Recipe> load(const std::string& path, const std::vector<Override>& overrides) {
  QUOIN_TRY(const std::string text, read_text(path, kMaxFile));
  return parse(text, path, overrides);
}

}  // namespace quoin::recipe
