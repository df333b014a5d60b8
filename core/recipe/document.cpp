#include "recipe/document.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

namespace quoin::recipe {
namespace {

constexpr size_t kMaxBytes = 1u << 20;
constexpr size_t kMaxDepth = 32;
constexpr size_t kMaxNodes = 100000;

struct Refused {  // thrown through yaml-cpp, caught in parse_yaml
  Error error;
};

size_t count_nodes(const Node& node) {
  size_t count = 1;
  for (const Node& child : node.children) count += count_nodes(child);
  return count;
}

// Builds the tree from parser events: unlike yaml-cpp's own nodes they keep duplicate keys visible, and aliases are
// expanded under a budget.
class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(std::string file) : file_(std::move(file)) {}

  Node take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(make(Node::Kind::null, mark), anchor); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_tag(tag, mark);
    Node node = make(Node::Kind::scalar, mark);
    node.text = value;
    node.quoted = tag == "!";
    add(std::move(node), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) refuse(mark, "an alias inside the node that it names");
    spend(count_nodes(found->second), mark);
    add(found->second, 0);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::Kind::list, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node::Kind::map, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Node node;
    YAML::anchor_t anchor = 0;
    bool has_key = false;
    std::string key;
    Place key_place;
    std::set<std::string> keys;
  };

  Place place(const YAML::Mark& mark) const { return {fmt::format("{}:{}:{}", file_, mark.line + 1, mark.column + 1)}; }
  [[noreturn]] static void refuse_at(const Place& where, std::string what, std::string hint = {}) {
    throw Refused{{Code::recipe, std::move(what), where.text, std::move(hint)}};
  }
  [[noreturn]] void refuse(const YAML::Mark& mark, std::string what) const { refuse_at(place(mark), std::move(what)); }
  void check_tag(const std::string& tag, const YAML::Mark& mark) const {
    if (tag != "?" && tag != "!" && !tag.empty()) refuse(mark, "the tag \"" + tag + "\" means nothing in a recipe");
  }
  void spend(size_t nodes, const YAML::Mark& mark) {
    nodes_ += nodes;
    if (nodes_ > kMaxNodes) refuse(mark, fmt::format("more than {} values once aliases are expanded", kMaxNodes));
  }
  Node make(Node::Kind kind, const YAML::Mark& mark) {
    spend(1, mark);
    Node node;
    node.kind = kind;
    node.place = place(mark);
    return node;
  }
  void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    check_tag(tag, mark);
    if (stack_.size() >= kMaxDepth) refuse(mark, fmt::format("nested more than {} levels deep", kMaxDepth));
    stack_.push_back({make(kind, mark), anchor, false, {}, {}, {}});
  }
  void close() {
    Open done = std::move(stack_.back());
    stack_.pop_back();
    add(std::move(done.node), done.anchor);
  }
  void add(Node node, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = node;
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = stack_.back();
    if (parent.node.kind == Node::Kind::map && !parent.has_key) {
      take_key(parent, node);
      return;
    }
    node.key = std::exchange(parent.key, {});
    node.key_place = std::exchange(parent.key_place, {});
    parent.has_key = false;
    parent.node.children.push_back(std::move(node));
  }
  static void take_key(Open& parent, const Node& node) {
    if (node.kind != Node::Kind::scalar) refuse_at(node.place, "a key must be a plain word");
    if (node.text == "<<" && !node.quoted)
      refuse_at(node.place, "merge keys (<<) are not part of the recipe format", "write the keys out");
    if (!parent.keys.insert(node.text).second) refuse_at(node.place, "the key \"" + node.text + "\" occurs twice");
    parent.has_key = true;
    parent.key = node.text;
    parent.key_place = node.place;
  }

  std::string file_;
  Node root_;
  std::vector<Open> stack_;
  std::map<YAML::anchor_t, Node> anchors_;
  size_t nodes_ = 0;
};

// yaml-cpp takes some control characters for the end of the file, and a carriage return inside of a line now for a part
// of a word, now for space.
Status check_characters(const std::string& text, const std::string& file) {
  size_t line = 1, column = 1;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool ends_line = c == '\n' || (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n');
    if (static_cast<unsigned char>(c) < 0x20 && c != '\t' && !ends_line)
      return fail(Code::recipe, "control character 0x{:02x}", static_cast<unsigned char>(c))
          .at("{}:{}:{}", file, line, column);
    column = c == '\n' ? 1 : column + 1;
    line += c == '\n' ? 1 : 0;
  }
  return {};
}

Result<Node> parse_documents(const std::string& text, const std::string& file) {
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    Builder builder(file);
    parser.HandleNextDocument(builder);
    Node root = builder.take();
    Builder second(file);
    if (parser.HandleNextDocument(second))
      return fail(Code::recipe, "a second YAML document").at("{}", file).hint("keep one recipe per file");
    return root;
  } catch (Refused& refused) {
    return fail(std::move(refused.error));
  } catch (const YAML::Exception& problem) {
    return fail(Code::recipe, "YAML: {}", problem.msg)
        .at("{}:{}:{}", file, problem.mark.line + 1, problem.mark.column + 1);
  } catch (const std::exception& problem) {
    return fail(Code::recipe, "{}", std::string("YAML: ") + problem.what()).at("{}", file);
  }
}

void emit(YAML::Emitter& out, const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      out << YAML::Null;
      return;
    case Node::Kind::scalar:
      if (node.quoted) out << YAML::DoubleQuoted;
      out << node.text;
      return;
    case Node::Kind::list:
      if (node.children.empty()) out << YAML::Flow;
      out << YAML::BeginSeq;
      for (const Node& child : node.children) emit(out, child);
      out << YAML::EndSeq;
      return;
    case Node::Kind::map:
      if (node.children.empty()) out << YAML::Flow;
      out << YAML::BeginMap;
      for (const Node& child : node.children) {
        out << YAML::Key << child.key << YAML::Value;
        emit(out, child);
      }
      out << YAML::EndMap;
  }
}

}  // namespace

const Node* Node::find(std::string_view name) const {
  const auto found =
      std::find_if(children.begin(), children.end(), [&](const Node& child) { return child.key == name; });
  return kind == Kind::map && found != children.end() ? &*found : nullptr;
}

Node* Node::find(std::string_view name) { return const_cast<Node*>(std::as_const(*this).find(name)); }

Result<Node> parse_yaml(const std::string& text, const std::string& file) {
  if (text.size() > kMaxBytes)
    return fail(Code::recipe, "{} bytes, a recipe has at most {}", text.size(), kMaxBytes).at("{}", file);
  QUOIN_CHECK(check_characters(text, file));
  return parse_documents(text, file);
}

std::string to_yaml(const Node& root) {
  YAML::Emitter out;
  emit(out, root);
  return std::string(out.c_str(), out.size()) + "\n";
}

}  // namespace quoin::recipe
