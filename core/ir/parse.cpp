#include "ir/parse.hpp"

#include <xxhash.h>

#include <cstring>
#include <unordered_map>

#include "base/guard.hpp"
#include "ir/lexer.hpp"
#include "ir/literal.hpp"
#include "ir/parse_type.hpp"
#include "ir/verify.hpp"

namespace quoin::ir {
namespace {

constexpr size_t kMaxText = size_t{1} << 30;  // bytes
constexpr size_t kMaxStatements = size_t{1} << 20, kMaxOperands = size_t{1} << 16, kMaxFrames = size_t{1} << 10;

class Parser {
 public:
  Parser(std::string_view text, const ParseOptions& options) : options_(options), lexer_(text, options.name) {}

  Result<Graph> run() {
    QUOIN_CHECK(lexer_.expect("graph"));
    if (lexer_.peek().kind == Token::Kind::text && lexer_.peek().text.empty()) {
      lexer_.take();
    } else {
      QUOIN_TRY(graph_.name, lexer_.name("the name of the graph"));
    }
    QUOIN_CHECK(lexer_.expect('{'));
    for (size_t count = 0; !lexer_.accept("return"); ++count) {
      if (count == kMaxStatements) return fail(limit("statements", kMaxStatements));
      QUOIN_CHECK(statement());
    }
    if (!lexer_.next_is('}') && !lexer_.next_is("state")) QUOIN_CHECK(outputs());
    for (size_t count = 0; lexer_.accept("state"); ++count) {
      if (count == kMaxStatements) return fail(limit("states", kMaxStatements));
      QUOIN_CHECK(state());
    }
    QUOIN_CHECK(lexer_.expect('}'));
    if (lexer_.peek().kind != Token::Kind::end) return fail(lexer_.unexpected("the end of the text"));
    QUOIN_CHECK_AT(verify(graph_), "{}", options_.name);
    return std::move(graph_);
  }

 private:
  struct Declaration {  // what stands left of "=" in a node
    std::string name;
    TensorType type;
    uint32_t dynamic = 0;
    Token at;
  };

  Error limit(std::string_view what, size_t most) const {
    return {Code::limit, fmt::format("more than {} {}", most, what), lexer_.place(lexer_.peek()), {}};
  }

  Status statement() {
    if (lexer_.accept("input")) return input();
    if (lexer_.accept("constant")) return constant();
    if (lexer_.next_is('%')) return node();
    return fail(lexer_.unexpected("input, constant, a node or return"));
  }

  // "%name: type" of something new.
  Result<Declaration> declaration() {
    const Token at = lexer_.peek();
    QUOIN_CHECK(lexer_.expect('%'));
    QUOIN_TRY(std::string name, lexer_.name("a name"));
    if (values_.contains(name)) return fail(lexer_.error(at, fmt::format("the name %{} is taken", name_text(name))));
    QUOIN_CHECK(lexer_.expect(':'));
    QUOIN_TRY(DeclaredType declared, parse_type(lexer_));
    return Declaration{std::move(name), std::move(declared.type), declared.dynamic, at};
  }

  // An earlier value, or kNone for "none".
  Result<ValueId> operand() {
    if (lexer_.accept("none")) return kNone;
    const Token at = lexer_.peek();
    QUOIN_CHECK(lexer_.expect('%'));
    QUOIN_TRY(const std::string name, lexer_.name("a name"));
    const auto found = values_.find(name);
    if (found == values_.end())
      return fail(lexer_.error(at, fmt::format("there is no %{} so far", name_text(name)),
                               "values must be defined before they are used"));
    return found->second;
  }

  Status input() {
    QUOIN_TRY(Declaration declared, declaration());
    const ValueId id = graph_.add_input(declared.name, std::move(declared.type));
    graph_.value(id).dynamic = declared.dynamic;
    values_[declared.name] = id;
    return {};
  }

  Status constant() {
    QUOIN_TRY(Declaration declared, declaration());
    if (declared.dynamic != 0) return fail(lexer_.error(declared.at, "a constant has no length of the run"));
    QUOIN_TRY(Tensor tensor, content(declared));
    values_[declared.name] = graph_.add_constant(declared.name, std::move(tensor), std::move(declared.type.qparams));
    return {};
  }

  Result<Tensor> content(const Declaration& declared) {
    if (lexer_.accept("xxh3")) return provided(declared);
    if (!lexer_.accept("base64")) return parse_elements(lexer_, declared.type);
    const Token at = lexer_.peek();
    QUOIN_TRY(const std::string text, lexer_.string("a string"));
    const auto bytes = from_base64(text);
    if (!bytes) return fail(lexer_.error(at, "this is not base64"));
    const auto needed = static_cast<size_t>(byte_size(declared.type.dtype, declared.type.shape));
    if (bytes->size() != needed)
      return fail(
          lexer_.error(at, fmt::format("{} bytes where {} has {}", bytes->size(), to_string(declared.type), needed)));
    Tensor tensor(declared.type.dtype, declared.type.shape);
    if (needed > 0) std::memcpy(tensor.data(), bytes->data(), needed);
    return tensor;
  }

  Result<Tensor> provided(const Declaration& declared) {
    QUOIN_CHECK(lexer_.expect(':'));
    const Token at = lexer_.peek();
    QUOIN_TRY(const std::string_view word, lexer_.word("a digest"));
    const auto digest = read_hex(word);
    if (!digest) return fail(lexer_.error(at, "a digest has up to 16 hexadecimal digits"));
    if (!options_.constants)
      return fail(lexer_.error(at, fmt::format("the elements of %{} are not in the text", name_text(declared.name)),
                               "print the graph with its constants"));
    auto tensor = options_.constants(declared.name, declared.type);
    if (!tensor) return std::move(tensor).failure().at("{}", lexer_.place(at));
    if (tensor->dtype() != declared.type.dtype || tensor->shape() != declared.type.shape)
      return fail(
          lexer_.error(at, fmt::format("%{} is {}, but its elements are {}{}", name_text(declared.name),
                                       to_string(declared.type), name(tensor->dtype()), to_string(tensor->shape()))));
    if (XXH3_64bits(tensor->data(), tensor->bytes()) != *digest)
      return fail(lexer_.error(at, fmt::format("the elements of %{} have another digest", name_text(declared.name)),
                               "they belong to another version of the graph"));
    return tensor;
  }

  Status node() {
    std::vector<Declaration> results;
    do {
      if (results.size() == kMaxOperands) return fail(limit("results", kMaxOperands));
      QUOIN_TRY(Declaration result, declaration());
      results.push_back(std::move(result));
    } while (lexer_.accept(','));
    QUOIN_CHECK(lexer_.expect('='));
    const Token at = lexer_.peek();
    QUOIN_TRY(const std::string_view op, lexer_.word("an operator"));
    QUOIN_TRY(std::vector<ValueId> inputs, operands());
    QUOIN_TRY(Attrs attrs, parse_attrs(lexer_));
    QUOIN_TRY(Provenance origin, provenance());
    std::vector<std::string> names;
    for (const Declaration& result : results) names.push_back(result.name);
    const auto id = graph_.add_named_node(op, std::move(inputs), std::move(attrs), names, std::move(origin));
    if (!id) return fail(in(lexer_.place(at), id.error()));
    for (size_t i = 0; i < results.size(); ++i)
      QUOIN_CHECK(set_type(graph_.output(*id, static_cast<uint32_t>(i)), results[i]));
    return {};
  }

  // The declared type of a result: what the operator gives, or integers that stand for it.
  Status set_type(ValueId id, const Declaration& declared) {
    TensorType& type = graph_.value(id).type;
    if (logical(declared.type) != type)
      return fail(
          lexer_.error(declared.at, fmt::format("%{} is declared as {}, but its operator gives {}",
                                                name_text(declared.name), to_string(declared.type), to_string(type))));
    type = declared.type;
    graph_.value(id).dynamic = declared.dynamic;
    if (!values_.emplace(declared.name, id).second)
      return fail(lexer_.error(declared.at, fmt::format("the name %{} is taken", name_text(declared.name))));
    return {};
  }

  Result<std::vector<ValueId>> operands() {
    std::vector<ValueId> inputs;
    QUOIN_CHECK(lexer_.expect('('));
    while (!lexer_.accept(')')) {
      if (inputs.size() == kMaxOperands) return fail(limit("operands", kMaxOperands));
      if (!inputs.empty()) QUOIN_CHECK(lexer_.expect(','));
      QUOIN_TRY(const ValueId id, operand());
      inputs.push_back(id);
    }
    return inputs;
  }

  Result<Provenance> provenance() {
    Provenance out;
    const auto frame = [&]() -> Status {
      QUOIN_TRY(std::string path, lexer_.string("the path of a module"));
      QUOIN_CHECK(lexer_.expect(':'));
      QUOIN_TRY(std::string type, lexer_.string("the type of a module"));
      out.modules.push_back({std::move(path), std::move(type)});
      return {};
    };
    const auto origin = [&]() -> Status {
      QUOIN_TRY(std::string name, lexer_.string("the name of a node"));
      out.origins.push_back(std::move(name));
      return {};
    };
    if (lexer_.next_is("modules")) QUOIN_CHECK(list(frame));
    if (lexer_.accept("source")) {
      QUOIN_TRY(out.source, lexer_.string("a source"));
    }
    if (lexer_.accept("id")) {
      QUOIN_TRY(out.debug_id, parse_id());
    }
    if (lexer_.next_is("origins")) QUOIN_CHECK(list(origin));
    return out;
  }

  // keyword "[" item {"," item} "]"
  template <class Item>
  Status list(Item item) {
    lexer_.take();
    QUOIN_CHECK(lexer_.expect('['));
    for (size_t count = 0; !lexer_.accept(']'); ++count) {
      if (count == kMaxFrames) return fail(limit("items", kMaxFrames));
      if (count > 0) QUOIN_CHECK(lexer_.expect(','));
      QUOIN_CHECK(item());
    }
    return {};
  }

  // name "input" number "output" number
  Status state() {
    QUOIN_TRY(std::string name, lexer_.name("the name of a state"));
    const auto position = [&](const char* of) -> Result<uint32_t> {
      QUOIN_CHECK(lexer_.expect(std::string_view(of)));
      const Token at = lexer_.peek();
      QUOIN_TRY(const std::string_view word, lexer_.word("a number"));
      const auto number = read_unsigned(word);
      if (!number || *number >= kNone) return fail(lexer_.error(at, fmt::format("{} is no {} of the graph", word, of)));
      return static_cast<uint32_t>(*number);
    };
    QUOIN_TRY(const uint32_t input, position("input"));
    QUOIN_TRY(const uint32_t output, position("output"));
    graph_.states.push_back({std::move(name), input, output});
    return {};
  }

  Result<uint64_t> parse_id() {
    const Token at = lexer_.peek();
    QUOIN_TRY(const std::string_view word, lexer_.word("a number"));
    const auto id = read_unsigned(word);
    if (!id) return fail(lexer_.error(at, "an id is a number of 64 bits without sign"));
    return *id;
  }

  Status outputs() {
    std::vector<ValueId> ids;
    do {
      if (ids.size() == kMaxOperands) return fail(limit("outputs", kMaxOperands));
      const Token at = lexer_.peek();
      QUOIN_TRY(const ValueId id, operand());
      if (id == kNone) return fail(lexer_.error(at, "a graph output cannot be absent"));
      ids.push_back(id);
    } while (lexer_.accept(','));
    graph_.set_outputs(std::move(ids));
    return {};
  }

  const ParseOptions& options_;
  Lexer lexer_;
  Graph graph_;
  std::unordered_map<std::string, ValueId> values_;
};

}  // namespace

Result<Graph> parse(std::string_view text, const ParseOptions& options) {
  if (text.size() > kMaxText)
    return fail(Code::limit, "{} bytes of text, the limit is {}", text.size(), kMaxText).at("{}", options.name);
  return guarded([&]() -> Result<Graph> { return Parser(text, options).run(); });
}

}  // namespace quoin::ir
