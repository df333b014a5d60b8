#include "tokenize/json.hpp"

#include <unordered_set>

namespace quoin::tokenize {
namespace {

constexpr size_t kMaxDepth = 32;

// Looks for what the parser would let pass: keys that occur twice (it keeps the last one) and deep nesting.
class Check final : public nlohmann::json_sax<Json> {
 public:
  const std::string& fault() const { return fault_; }
  bool start_object(size_t) override { return enter(); }
  bool start_array(size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    fault_ = fmt::format("key \"{}\" occurs twice", name);
    return false;
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) override {
    fault_ = fmt::format("not readable JSON: {}", error.what());
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
  std::vector<std::unordered_set<std::string>> keys_;  // of every open object or list
  std::string fault_;
};

const Json& null() {
  static const Json value;
  return value;
}

}  // namespace

Result<Json> parse_json(std::string_view text, const std::string& where) {
  Check check;
  const bool good = Json::sax_parse(text, &check);
  if (!good || !check.fault().empty()) return fail(Error{Code::model, check.fault(), where, {}});
  return Json::parse(text, nullptr, false);
}

Place Place::at(std::string_view key) const {
  std::string where = fmt::format("{}.{}", where_, key);
  if (!value_->is_object()) return {null(), std::move(where)};
  const auto found = value_->find(key);
  return {found == value_->end() ? null() : *found, std::move(where)};
}

Result<std::vector<Place>> Place::items() const {
  std::vector<Place> out;
  if (is_null()) return out;
  if (!value_->is_array()) return expected("a list");
  for (size_t i = 0; i < value_->size(); ++i) out.emplace_back((*value_)[i], fmt::format("{}[{}]", where_, i));
  return out;
}

Result<std::string> Place::text() const {
  if (!value_->is_string()) return expected("a text");
  return value_->get<std::string>();
}

Result<int64_t> Place::integer() const {
  if (!value_->is_number_integer() || (value_->is_number_unsigned() && value_->get<uint64_t>() >> 63 != 0))
    return expected("a whole number");
  return value_->get<int64_t>();
}

Result<bool> Place::flag() const {
  if (!value_->is_boolean()) return expected("true or false");
  return value_->get<bool>();
}

Result<bool> Place::flag(bool absent) const { return is_null() ? Result<bool>(absent) : flag(); }

Result<std::string> Place::type() const { return at("type").text(); }

tl::unexpected<Error> Place::expected(std::string_view what) const {
  return fail(Error{Code::model, fmt::format("expected {}, found {}", what, value_->type_name()), where_, {}});
}

tl::unexpected<Error> Place::unsupported(std::string what, std::string hint) const {
  return fail(Error{Code::unsupported, std::move(what), where_, std::move(hint)});
}

}  // namespace quoin::tokenize
