#include "import/dims.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <vector>

#include "base/checked.hpp"
#include "base/text.hpp"

namespace quoin::import {
namespace {

using Bound = std::map<std::string, int64_t, std::less<>>;
constexpr int kMaxDepth = 64;
constexpr size_t kMaxLength = 4096;

int64_t floor_div(int64_t a, int64_t b) { return a / b - ((a % b != 0) && ((a < 0) != (b < 0)) ? 1 : 0); }

// sum := product {(+|-) product};  product := unary {(*|//|/|%) unary};  unary := - unary | power
// power := atom [** unary];  atom := number | symbol | function(sum {, sum}) | ( sum )
class Parser {
 public:
  Parser(std::string_view text, const Bound& bound) : text_(text), bound_(bound) {}

  Result<int64_t> parse() {
    QUOIN_TRY(const int64_t value, sum(0));
    skip();
    if (at_ != text_.size()) return syntax();
    return value;
  }

 private:
  void skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool accept(std::string_view token) {
    skip();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  Failure syntax() const {
    return fail(Code::model, "size expression \"{}\" cannot be read at character {}", text_, at_);
  }
  Result<int64_t> checked(std::optional<int64_t> value) const {
    if (!value) return fail(Code::model, "size expression \"{}\" overflows", text_);
    return *value;
  }

  Result<int64_t> sum(int depth) {
    QUOIN_TRY(int64_t value, product(depth));
    for (;;) {
      const bool plus = accept("+");
      if (!plus && !accept("-")) return value;
      QUOIN_TRY(const int64_t other, product(depth));
      QUOIN_TRY(value, checked(plus ? checked_add(value, other) : subtract(value, other)));
    }
  }

  static std::optional<int64_t> subtract(int64_t a, int64_t b) {
    int64_t out = 0;
    if (__builtin_sub_overflow(a, b, &out)) return std::nullopt;
    return out;
  }

  Result<int64_t> product(int depth) {
    QUOIN_TRY(int64_t value, unary(depth));
    for (;;) {
      const char op = accept("//") ? 'f' : accept("*") ? '*' : accept("/") ? '/' : accept("%") ? 'm' : 0;
      if (!op) return value;
      QUOIN_TRY(const int64_t other, unary(depth));
      QUOIN_TRY(value, apply(op, value, other));
    }
  }

  Result<int64_t> apply(char op, int64_t a, int64_t b) const {
    if (op == '*') return checked(checked_mul(a, b));
    if (b == 0) return fail(Code::model, "size expression \"{}\" divides by zero", text_);
    if (b == -1 && op != 'm') return checked(subtract(0, a));
    if (op == 'm') return b == -1 ? 0 : a - floor_div(a, b) * b;
    if (op == '/' && a % b != 0) return fail(Code::unsupported, "size expression \"{}\" is not whole here", text_);
    return floor_div(a, b);
  }

  Result<int64_t> power(int depth) {
    QUOIN_TRY(const int64_t base, atom(depth));
    if (!accept("**")) return base;
    QUOIN_TRY(const int64_t exponent, unary(depth + 1));
    if (exponent < 0 || exponent > 62)
      return fail(Code::unsupported, "size expression \"{}\" has exponent {}", text_, exponent);
    int64_t value = 1;
    for (int64_t i = 0; i < exponent; ++i) {
      QUOIN_TRY(value, checked(checked_mul(value, base)));
    }
    return value;
  }

  Result<int64_t> unary(int depth) {
    if (depth > kMaxDepth) return fail(Code::model, "size expression is nested too deeply");
    if (!accept("-")) return power(depth);
    QUOIN_TRY(const int64_t value, unary(depth + 1));
    return checked(subtract(0, value));
  }

  Result<int64_t> atom(int depth) {
    if (accept("(")) {
      QUOIN_TRY(const int64_t value, sum(depth + 1));
      if (!accept(")")) return syntax();
      return value;
    }
    skip();
    const size_t start = at_;
    const auto word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.'; };
    while (at_ < text_.size() && word(text_[at_])) ++at_;
    const std::string_view token = text_.substr(start, at_ - start);
    if (token.empty()) return syntax();
    if (std::isdigit(static_cast<unsigned char>(token[0]))) return number(token);
    if (accept("(")) return call(token, depth);
    if (const auto found = bound_.find(token); found != bound_.end()) return found->second;
    return fail(Code::unsupported, "size \"{}\" depends on \"{}\", which is known only when the model runs", text_,
                token);
  }

  Result<int64_t> number(std::string_view token) const {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), value);
    if (error != std::errc() || end != token.data() + token.size()) return syntax();
    return value;
  }

  Result<int64_t> call(std::string_view function, int depth) {
    std::vector<int64_t> args;
    do {
      QUOIN_TRY(const int64_t value, sum(depth + 1));
      args.push_back(value);
    } while (accept(","));
    if (!accept(")")) return syntax();
    if (function.starts_with("torch.")) function.remove_prefix(function.rfind('.') + 1);
    if (function == "Max" || function == "max") return *std::max_element(args.begin(), args.end());
    if (function == "Min" || function == "min") return *std::min_element(args.begin(), args.end());
    const bool one = args.size() == 1;
    if (one && (function == "TruncToInt" || function == "ToFloat" || function == "Identity" || function == "int"))
      return args[0];
    if (args.size() != 2) return unknown(function);
    if (function == "FloorDiv") return apply('f', args[0], args[1]);
    if (function == "CleanDiv" || function == "IntTrueDiv") return apply('/', args[0], args[1]);
    if (function == "Mod" || function == "PythonMod") return apply('m', args[0], args[1]);
    if (function == "CeilDiv") {
      QUOIN_TRY(const int64_t negated, checked(subtract(0, args[0])));
      QUOIN_TRY(const int64_t floor, apply('f', negated, args[1]));
      return checked(subtract(0, floor));
    }
    return unknown(function);
  }

  Failure unknown(std::string_view function) const {
    return fail(Code::unsupported, "size expression \"{}\" uses function \"{}\", which is not known", text_, function);
  }

  std::string_view text_;
  const Bound& bound_;
  size_t at_ = 0;
};

std::string describe(Range range) {
  return range.max ? fmt::format("{} to {}", range.min, *range.max) : fmt::format("{} or more", range.min);
}

}  // namespace

Result<int64_t> Dims::bind(const std::string& symbol, Range range, const std::string& where) {
  if (const auto found = bound_.find(symbol); found != bound_.end()) return found->second;
  const auto chosen = options_.dims.find(symbol);
  const bool given = chosen != options_.dims.end();
  const int64_t size = given ? chosen->second : (range.min <= 2 ? 1 : range.min);
  const int64_t least = range.min == 2 ? 1 : std::max<int64_t>(range.min, 0);
  if (size < least || (range.max && size > *range.max))
    return fail(Code::input, "dimension \"{}\" cannot be {}: the model allows {}", symbol, size, describe(range))
        .at("{}", where)
        .hint("choose another size");
  if (!given)
    diagnostics_.info(where, fmt::format("dimension \"{}\" is free ({}); it becomes {}", symbol, describe(range), size),
                      fmt::format("choose another size with dims: {{{}: SIZE}}", symbol));
  bound_.emplace(symbol, size);
  return size;
}

Result<int64_t> Dims::evaluate(std::string_view expression) const {
  if (expression.size() > kMaxLength) return fail(Code::limit, "size expression of {} characters", expression.size());
  return Parser(expression, bound_).parse();
}

void Dims::report_unused(const std::string& file) const {
  std::vector<std::string> names;
  for (const auto& [name, size] : bound_) names.push_back(name);
  for (const auto& [name, size] : options_.dims) {
    if (bound_.contains(name)) continue;
    const std::string hint =
        names.empty() ? "the model has no free dimensions" : "its free dimensions are: " + join(names, ", ");
    diagnostics_.warn(
        file, fmt::format("size {} for dimension \"{}\" is not used: the model has no such dimension", size, name),
        hint);
  }
}

}  // namespace quoin::import
