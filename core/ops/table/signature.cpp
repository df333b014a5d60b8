#include "ops/table/signature.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace quoin::table {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

class Parser {
 public:
  explicit Parser(std::string_view signature) : begin_(signature.data()), rest_(signature) {}
  OpSchema parse();

 private:
  [[noreturn]] void malformed() const;
  char next();                        // after blanks; 0 at the end
  bool take(std::string_view token);  // false: something else is next
  void expect(std::string_view token);
  std::string_view word();
  double number();
  int64_t integer();

  void slots(OpSchema& schema);
  AttrSpec attribute();
  AttrKind kind();
  void fallback(AttrSpec& spec);

  const char* begin_;
  std::string_view rest_;
};

void Parser::malformed() const {
  std::fprintf(stderr, "malformed signature: %.*s<here>%.*s\n", static_cast<int>(rest_.data() - begin_), begin_,
               static_cast<int>(rest_.size()), rest_.data());
  std::abort();
}

char Parser::next() {
  while (rest_.starts_with(' ')) rest_.remove_prefix(1);
  return rest_.empty() ? '\0' : rest_[0];
}

bool Parser::take(std::string_view token) {
  next();
  if (!rest_.starts_with(token)) return false;
  rest_.remove_prefix(token.size());
  return true;
}

void Parser::expect(std::string_view token) {
  if (!take(token)) malformed();
}

std::string_view Parser::word() {
  if (!is_letter(next())) malformed();
  size_t size = 1;
  while (size < rest_.size() && (is_letter(rest_[size]) || is_digit(rest_[size]))) ++size;
  const std::string_view out = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return out;
}

double Parser::number() {
  next();
  double out = 0;
  const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), out);
  if (error != std::errc()) malformed();
  rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
  return out;
}

int64_t Parser::integer() {
  const double value = number();
  if (std::abs(value) > 0x1p53 || value != std::trunc(value)) malformed();
  return static_cast<int64_t>(value);
}

void Parser::slots(OpSchema& schema) {
  do {
    const std::string_view name = word();
    schema.inputs.push_back({std::string(name), take("?")});
    schema.variadic = take("...");
  } while (!schema.variadic && take(","));
}

AttrKind Parser::kind() {
  const std::string_view name = word();
  if (name == "bool") return AttrKind::boolean;
  if (name == "str") return AttrKind::text;
  const bool whole = name == "int";
  if (!whole && name != "float") malformed();
  if (!take("[")) return whole ? AttrKind::integer : AttrKind::number;
  return whole ? AttrKind::integers : AttrKind::numbers;
}

AttrSpec Parser::attribute() {
  AttrSpec spec{};
  spec.name = word();
  expect(":");
  spec.kind = kind();
  if (spec.kind == AttrKind::integers && is_digit(next())) spec.length = static_cast<uint32_t>(integer());
  if (spec.kind == AttrKind::integers || spec.kind == AttrKind::numbers) expect("]");
  spec.optional = take("?");
  if (!spec.optional && take("=")) fallback(spec);
  return spec;
}

void Parser::fallback(AttrSpec& spec) {
  if (spec.kind == AttrKind::boolean) {
    const bool yes = take("true");
    if (!yes) expect("false");
    spec.fallback = yes;
  } else if (spec.kind == AttrKind::integer) {
    spec.fallback = integer();
  } else if (spec.kind == AttrKind::number) {
    spec.fallback = number();
  } else if (spec.kind == AttrKind::text) {
    spec.fallback = std::string(word());
  } else if (spec.length == 0) {
    malformed();
  } else if (is_letter(next())) {
    spec.like = word();
  } else {
    spec.fallback = std::vector<int64_t>(spec.length, integer());
  }
}

OpSchema Parser::parse() {
  OpSchema schema;
  if (is_letter(next())) slots(schema);
  if (take(";")) {
    do schema.attrs.push_back(attribute());
    while (take(","));
  }
  if (take("->")) {
    schema.outputs = 0;
    do {
      word();
      ++schema.outputs;
    } while (take(","));
  }
  if (next() != '\0') malformed();
  return schema;
}

}  // namespace

OpSchema parse_signature(std::string_view signature) { return Parser(signature).parse(); }

}  // namespace quoin::table
