#include "json/parse.hpp"

#include <algorithm>
#include <unordered_set>
#include <vector>

namespace quoin::json {
namespace {

// "line 3, column 7" of the byte before `position`, which is where the parser stopped.
std::string line_and_column(std::string_view text, size_t position) {
  const std::string_view before = text.substr(0, std::min(position, text.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t begin = before.rfind('\n') + 1;  // npos + 1 is 0
  return fmt::format("line {}, column {}", line, before.size() - begin);
}

// Looks for what the parser would let pass: keys that occur twice (it keeps the last one) and deep nesting. A pass of
// its own, because parsing with a callback takes time quadratic in the number of keys.
class Check final : public nlohmann::json_sax<Document> {
 public:
  explicit Check(std::string_view text) : text_(text) {}
  const std::string& fault() const { return fault_; }
  bool start_object(size_t) override { return enter(); }
  bool start_array(size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    if (!keys_.back().insert(name).second) fault_ = fmt::format("key \"{}\" occurs twice", name);
    return fault_.empty();
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    fault_ = "not readable JSON: wrong at " + line_and_column(text_, position);
    return false;
  }

 private:
  bool enter() {
    keys_.emplace_back();
    if (keys_.size() > kMaxDepth) fault_ = fmt::format("nested deeper than {}", kMaxDepth);
    return fault_.empty();
  }
  bool leave() {
    keys_.pop_back();
    return true;
  }
  std::string_view text_;
  std::vector<std::unordered_set<std::string>> keys_;  // of every open object or list
  std::string fault_;
};

}  // namespace

Result<Document> parse(std::string_view text, const std::string& where, Code code) {
  Check check(text);
  Document::sax_parse(text, &check);
  if (!check.fault().empty()) return fail(code, "{}", check.fault()).at("{}", where);
  return Document::parse(text, nullptr, false);
}

Result<Document> parse_object(std::string_view text, const std::string& where, Code code) {
  QUOIN_TRY(Document document, parse(text, where, code));
  if (!document.is_object())
    return fail(code, "not a JSON object but of type {}", document.type_name()).at("{}", where);
  return document;
}

}  // namespace quoin::json
