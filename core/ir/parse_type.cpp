#include "ir/parse_type.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "ir/literal.hpp"

namespace quoin::ir {
namespace {

constexpr size_t kMaxItems = size_t{1} << 24;  // of a list
constexpr const char* kHowToPrint = "qparams in short are for people; print the graph with all details";

// "[" item {"," item} "]"; `read` gives one item.
template <class T, class Read>
Result<std::vector<T>> list(Lexer& lexer, Read read) {
  std::vector<T> out;
  QUOIN_CHECK(lexer.expect('['));
  while (!lexer.accept(']')) {
    if (out.size() == kMaxItems)
      return fail(Code::limit, "more than {} items", kMaxItems).at("{}", lexer.place(lexer.peek()));
    if (!out.empty()) QUOIN_CHECK(lexer.expect(','));
    QUOIN_TRY(T item, read());
    out.push_back(std::move(item));
  }
  return out;
}

Result<int64_t> integer(Lexer& lexer, int64_t low = std::numeric_limits<int64_t>::min(),
                        int64_t high = std::numeric_limits<int64_t>::max()) {
  const Token at = lexer.peek();
  QUOIN_TRY(const std::string_view word, lexer.word("an integer"));
  const auto value = read_integer(word);
  if (!value || *value < low || *value > high)
    return fail(lexer.error(at, fmt::format("expected an integer in {}..{}, found {}", low, high, quoted(word))));
  return *value;
}

// "512", or "..512" for at most that many.
Result<int64_t> dim(Lexer& lexer, std::vector<bool>& dynamic) {
  const Token at = lexer.peek();
  QUOIN_TRY(std::string_view word, lexer.word("a dim"));
  dynamic.push_back(word.starts_with(".."));
  if (dynamic.back()) word.remove_prefix(2);
  const auto value = read_integer(word);
  if (!value || *value < 0)
    return fail(lexer.error(at, fmt::format("expected a dim such as 512 or ..512, found {}", quoted(at.text))));
  return *value;
}

Result<float> number(Lexer& lexer) {
  const Token at = lexer.peek();
  QUOIN_TRY(const std::string_view word, lexer.word("a number"));
  const auto value = read_float(word);
  if (!value) return fail(lexer.error(at, fmt::format("expected a binary32 number, found {}", quoted(word))));
  return *value;
}

Result<int32_t> small(Lexer& lexer) {
  QUOIN_TRY(const int64_t value,
            integer(lexer, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()));
  return static_cast<int32_t>(value);
}

// One item, or a list of them.
template <class T, class Read>
Result<std::vector<T>> one_or_list(Lexer& lexer, Read read) {
  if (lexer.next_is('[')) return list<T>(lexer, read);
  QUOIN_TRY(T item, read());
  return std::vector<T>{std::move(item)};
}

Status range(Lexer& lexer, QParams& q) {
  const Token at = lexer.peek();
  QUOIN_TRY(const std::string_view word, lexer.word("a range such as -128..127"));
  const size_t dots = std::min(word.find(".."), word.size());
  const auto low = read_small(word.substr(0, dots));
  const auto high = read_small(word.substr(std::min(dots + 2, word.size())));
  if (!low || !high)
    return fail(lexer.error(at, fmt::format("expected a range such as -128..127, found {}", quoted(word))));
  q.qmin = *low;
  q.qmax = *high;
  return {};
}

constexpr std::array<std::pair<std::string_view, Scheme>, 5> kSchemes{{{"per_tensor", Scheme::per_tensor},
                                                                       {"per_channel", Scheme::per_channel},
                                                                       {"per_group", Scheme::per_group},
                                                                       {"per_token", Scheme::per_token},
                                                                       {"per_block", Scheme::per_block}}};

// What follows the key that stood at `at`.
Status item(Lexer& lexer, const Token& at, QParams& q) {
  const std::string_view key = at.text;
  const auto integers = [&] { return integer(lexer, 0); };
  if (key == "range") return range(lexer, q);
  if (key == "axis") {
    QUOIN_TRY(q.axis, small(lexer));
  } else if (key == "group") {
    QUOIN_TRY(const int64_t group, integer(lexer, 0, std::numeric_limits<uint32_t>::max()));
    q.group = static_cast<uint32_t>(group);
  } else if (key == "block") {
    QUOIN_TRY(q.block, list<int64_t>(lexer, integers));
  } else if (key == "scale") {
    QUOIN_TRY(q.scale, one_or_list<float>(lexer, [&] { return number(lexer); }));
  } else if (key == "zero_point") {
    QUOIN_TRY(q.zero_point, one_or_list<int32_t>(lexer, [&] { return small(lexer); }));
  } else {
    const auto found =
        std::find_if(kSchemes.begin(), kSchemes.end(), [&](const auto& row) { return row.first == key; });
    if (found == kSchemes.end())
      return fail(lexer.error(at, fmt::format("{} says nothing about qparams", quoted(key)), kHowToPrint));
    if (q.scheme != Scheme::per_tensor) return fail(lexer.error(at, "a second scheme"));
    q.scheme = found->second;
  }
  return {};
}

Result<std::shared_ptr<const QParams>> qparams(Lexer& lexer, DType dtype) {
  const Token begin = lexer.peek();
  auto q = std::make_shared<QParams>();
  q->dtype = dtype;
  std::vector<std::string_view> seen;
  QUOIN_CHECK(lexer.expect('('));
  do {
    const Token at = lexer.peek();
    QUOIN_TRY(const std::string_view key, lexer.word("range, scale, ..."));
    if (std::find(seen.begin(), seen.end(), key) != seen.end())
      return fail(lexer.error(at, fmt::format("{} stands here twice", quoted(key))));
    seen.push_back(key);
    QUOIN_CHECK(item(lexer, at, *q));
  } while (lexer.accept(','));
  QUOIN_CHECK(lexer.expect(')'));
  for (const std::string_view key : {"range", "scale"})
    if (std::find(seen.begin(), seen.end(), key) == seen.end())
      return fail(lexer.error(begin, fmt::format("the qparams have no {}", key), kHowToPrint));
  return q;
}

// A list of attributes: integers if all are, else numbers.
Attr narrowest(std::vector<Attr> items) {
  const bool integers =
      std::all_of(items.begin(), items.end(), [](const Attr& item) { return std::holds_alternative<int64_t>(item); });
  if (integers) {
    std::vector<int64_t> out;
    for (const Attr& item : items) out.push_back(std::get<int64_t>(item));
    return out;
  }
  std::vector<double> out;
  for (const Attr& item : items) {
    const auto* whole = std::get_if<int64_t>(&item);
    out.push_back(whole != nullptr ? static_cast<double>(*whole) : std::get<double>(item));
  }
  return out;
}

// An integer or a number; a NaN may have its bits behind it.
Result<Attr> numeric(Lexer& lexer) {
  const Token at = lexer.peek();
  QUOIN_TRY(const std::string_view word, lexer.word("a value"));
  if (const auto whole = read_integer(word)) return *whole;
  std::string_view bits;
  if (word == "nan" && lexer.accept('(')) {
    QUOIN_TRY(bits, lexer.word("the bits of a NaN"));
    QUOIN_CHECK(lexer.expect(')'));
  }
  const auto value = read_double(word, bits);
  if (!value) return fail(lexer.error(at, fmt::format("{} is no value", quoted(word))));
  return *value;
}

Result<Attr> attr(Lexer& lexer) {
  if (lexer.peek().kind == Token::Kind::text) return lexer.string("a string");
  if (lexer.accept("true")) return true;
  if (lexer.accept("false")) return false;
  if (!lexer.next_is('[')) return numeric(lexer);
  QUOIN_TRY(std::vector<Attr> items, list<Attr>(lexer, [&] { return numeric(lexer); }));
  return narrowest(std::move(items));
}

template <class T>
Result<Tensor> integers_of(Lexer& lexer, const TensorType& type) {
  const auto read = [&] { return integer(lexer, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()); };
  QUOIN_TRY(const std::vector<int64_t> items, list<int64_t>(lexer, read));
  if (static_cast<int64_t>(items.size()) != numel(type.shape))
    return fail(Code::model, "{} elements where {} has {}", items.size(), to_string(type), numel(type.shape));
  const std::vector<T> narrow(items.begin(), items.end());
  return Tensor::of<T>(type.dtype, type.shape, narrow);
}

Result<Tensor> floats_of(Lexer& lexer, const TensorType& type) {
  QUOIN_TRY(const std::vector<float> items, list<float>(lexer, [&] { return number(lexer); }));
  if (static_cast<int64_t>(items.size()) != numel(type.shape))
    return fail(Code::model, "{} elements where {} has {}", items.size(), to_string(type), numel(type.shape));
  return Tensor::of<float>(type.dtype, type.shape, items);
}

}  // namespace

Result<DeclaredType> parse_type(Lexer& lexer) {
  const Token at = lexer.peek();
  QUOIN_TRY(const std::string_view word, lexer.word("a type such as f32[1, 3]"));
  const auto dtype = parse_dtype(word);
  if (!dtype) return fail(lexer.error(at, fmt::format("there is no element type {}", quoted(word))));
  DeclaredType out{{*dtype, {}, nullptr}, 0};
  TensorType& type = out.type;
  std::vector<bool> dynamic;
  QUOIN_TRY(type.shape, list<int64_t>(lexer, [&] { return dim(lexer, dynamic); }));
  QUOIN_CHECK_AT(checked_numel(type.shape), "{}", lexer.place(at));
  if (lexer.next_is('(')) {
    QUOIN_TRY(type.qparams, qparams(lexer, *dtype));
  }
  for (size_t i = 0; i < dynamic.size(); ++i)
    if (dynamic[i]) out.dynamic |= 1u << i;
  return out;
}

Result<Attrs> parse_attrs(Lexer& lexer) {
  Attrs attrs;
  if (!lexer.accept('{')) return attrs;
  while (!lexer.accept('}')) {
    if (!attrs.empty()) QUOIN_CHECK(lexer.expect(','));
    const Token at = lexer.peek();
    QUOIN_TRY(const std::string key, lexer.name("the name of an attribute"));
    QUOIN_CHECK(lexer.expect('='));
    QUOIN_TRY(Attr value, attr(lexer));
    if (!attrs.emplace(key, std::move(value)).second)
      return fail(lexer.error(at, fmt::format("attribute {} stands here twice", key)));
  }
  return attrs;
}

Result<Tensor> parse_elements(Lexer& lexer, const TensorType& type) {
  const Token at = lexer.peek();
  const auto read = [&]() -> Result<Tensor> {
    switch (type.dtype) {
      case DType::f32:
        return floats_of(lexer, type);
      case DType::s8:
        return integers_of<int8_t>(lexer, type);
      case DType::u8:
        return integers_of<uint8_t>(lexer, type);
      case DType::s32:
        return integers_of<int32_t>(lexer, type);
      case DType::s64:
        return integers_of<int64_t>(lexer, type);
      default:
        return fail(Code::model, "elements of {} can only be given as base64", name(type.dtype));
    }
  };
  if (!lexer.next_is('[')) return fail(lexer.unexpected("a list of numbers, base64 or xxh3"));
  auto tensor = read();
  if (!tensor && tensor.error().where.empty()) return std::move(tensor).failure().at("{}", lexer.place(at));
  return tensor;
}

}  // namespace quoin::ir
