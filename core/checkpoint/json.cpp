#include "checkpoint/json.hpp"

#include <set>

namespace quoin::checkpoint {
namespace {

using Json = nlohmann::json;

// Looks for what the parser would let pass: duplicate keys (it keeps the last one) and deep nesting. A pass of its own,
// because parsing with a callback takes time quadratic in the number of keys.
class Check final : public nlohmann::json_sax<Json> {
 public:
  explicit Check(size_t depth) : depth_(depth) {}
  const std::string& fault() const { return fault_; }
  bool start_object(size_t) override { return enter(); }
  bool start_array(size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    fault_ = "key \"" + name + "\" occurs twice";
    return false;
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    fault_ = fmt::format("not a JSON object: wrong at byte {}", position);
    return false;
  }

 private:
  bool enter() {
    keys_.emplace_back();
    if (keys_.size() > depth_) fault_ = "nested too deeply";
    return fault_.empty();
  }
  bool leave() {
    keys_.pop_back();
    return true;
  }
  size_t depth_;
  std::vector<std::set<std::string>> keys_;  // of every open object or list
  std::string fault_;
};

}  // namespace

Result<Json> parse_object(Bytes text, const std::string& where, Code code, size_t depth) {
  const char* first = reinterpret_cast<const char*>(text.data());
  Check check(depth);
  Json::sax_parse(first, first + text.size(), &check);
  if (!check.fault().empty()) return fail(Error{code, check.fault(), where, {}});
  Json object = Json::parse(first, first + text.size(), nullptr, false);
  if (object.is_discarded() || !object.is_object()) return fail(Error{code, "not a JSON object", where, {}});
  return object;
}

}  // namespace quoin::checkpoint
