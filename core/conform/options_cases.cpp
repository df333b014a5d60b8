// Group 4: options as quoin_param_spec declares them. What a host sets before open() and between calls are those of
// QUOIN_SCOPE_BACKEND; the others travel in requests and are looked at here as declarations only.

#include "conform/declared.hpp"
#include "conform/delegate.hpp"
#include "conform/group.hpp"
#include "conform/param.hpp"
#include "host/call_result.hpp"
#include "ops/abi_read.hpp"

namespace quoin::conform {
namespace {

constexpr const char* kUnknown = "org.quoin.no-such-option";

// The functions of one opened backend, with their statuses in words.
class Opened {
 public:
  static Result<Opened> open(const Subject& subject, const std::vector<quoin_param>& params = {}) {
    const quoin_array array{params.data(), static_cast<uint32_t>(params.size()), sizeof(quoin_param)};
    QUOIN_TRY(auto backend, subject.open(nullptr, array));
    return Opened(std::move(backend));
  }
  bool can_set() const { return table().set_option != nullptr; }
  bool can_get() const { return table().get_option != nullptr; }
  quoin_status set(const quoin_param& param) const {
    return host::call(backend_->name(),
                      [&](quoin_error* e) { return table().set_option(backend_->handle(), &param, e); })
        .status;
  }
  // Valid until the next call.
  quoin_status get(quoin_str name, quoin_param& out) const {
    return host::call(backend_->name(),
                      [&](quoin_error* e) { return table().get_option(backend_->handle(), name, &out, e); })
        .status;
  }
  // "" or how get_option() differs from what was set.
  std::string difference(const quoin_param& expected) const {
    if (!can_get()) return {};
    quoin_param found{};
    if (const quoin_status status = get(expected.name, found); status != QUOIN_OK)
      return fmt::format("get_option() answers {}", status_name(status));
    if (same_value(found, expected)) return {};
    return fmt::format("get_option() gives {}; expected {}", describe(found), describe(expected));
  }

 private:
  explicit Opened(std::shared_ptr<host::Backend> backend) : backend_(std::move(backend)) {}
  const quoin_plugin& table() const { return backend_->table(); }
  std::shared_ptr<host::Backend> backend_;
};

using Values = std::vector<Param::Value>;

std::string opens_with_default(const Subject& subject, const quoin_param_spec& spec) {
  const auto plain = Opened::open(subject);
  if (!plain) return plain.error().text();
  quoin_param wanted = spec.fallback;
  wanted.name = spec.name;
  if (const std::string found = plain->difference(wanted); !found.empty()) return "opened without options, " + found;
  auto opened = Opened::open(subject, {wanted});
  if (!opened) return fmt::format("open() with the default {} fails: {}", describe(wanted), opened.error().text());
  return opened->difference(wanted);
}

std::string takes_legal(const Subject& subject, const quoin_param_spec& spec) {
  auto opened = Opened::open(subject);
  if (!opened) return opened.error().text();
  for (const Param::Value& value : legal_values(spec)) {
    const Param param(text(spec.name), value);
    if (const quoin_status status = opened->set(param.get()); status != QUOIN_OK)
      return fmt::format("set_option() answers {} for the legal value {}", status_name(status), describe(param.get()));
    if (const std::string found = opened->difference(param.get()); !found.empty())
      return fmt::format("after set_option({}), {}", describe(param.get()), found);
    const auto fresh = Opened::open(subject, {param.get()});
    if (!fresh) return fmt::format("open() with {} fails: {}", describe(param.get()), fresh.error().text());
    if (const std::string found = fresh->difference(param.get()); !found.empty())
      return fmt::format("after open() with {}, {}", describe(param.get()), found);
  }
  return {};
}

std::string short_text(const quoin_param& param) {
  const std::string out = describe(param);
  return out.size() < 80 ? out : out.substr(0, 40) + fmt::format("... ({} bytes)", out.size());
}

std::string refuses(const Subject& subject, const Opened& opened, const quoin_param& bad, const quoin_param& before) {
  const quoin_status status = opened.set(bad);
  if (status == QUOIN_OK) return fmt::format("set_option() takes {}; expected INVALID", short_text(bad));
  if (status != QUOIN_INVALID)
    return fmt::format("set_option() answers {} for {}; expected INVALID", status_name(status), short_text(bad));
  if (const std::string found = opened.difference(before); !found.empty())
    return fmt::format("after a refused set_option({}), {}", short_text(bad), found);
  if (Opened::open(subject, {bad})) return fmt::format("open() takes {}; expected INVALID", short_text(bad));
  return {};
}

std::string refuses_illegal(const Subject& subject, const quoin_param_spec& spec) {
  auto opened = Opened::open(subject);
  if (!opened) return opened.error().text();
  quoin_param before = spec.fallback;
  before.name = spec.name;
  for (const Param::Value& value : illegal_values(spec)) {
    const Param param(text(spec.name), value);
    if (std::string found = refuses(subject, *opened, param.get(), before); !found.empty()) return found;
  }
  return {};
}

// Every other kind, no value, and a list where one value is expected. An integer for a FLOAT option may be taken.
std::string refuses_kinds(const Subject& subject, const quoin_param_spec& spec) {
  auto opened = Opened::open(subject);
  if (!opened) return opened.error().text();
  quoin_param before = spec.fallback;
  before.name = spec.name;
  for (const Param::Value& value : Values{true, int64_t{1}, 1.0, std::string("1")}) {
    const Param param(text(spec.name), value);
    const bool integer_as_number = param.kind() == QUOIN_PARAM_INT && spec.kind == QUOIN_PARAM_FLOAT;
    if (param.kind() == spec.kind || integer_as_number) continue;
    if (std::string found = refuses(subject, *opened, param.get(), before); !found.empty())
      return "of another kind: " + found;
  }
  quoin_param empty = before;
  empty.count = 0;
  if (std::string found = refuses(subject, *opened, empty, before); !found.empty()) return "without a value: " + found;
  quoin_param unknown = before;
  unknown.kind = 99;
  if (std::string found = refuses(subject, *opened, unknown, before); !found.empty()) return "of kind 99: " + found;
  return {};
}

// Texts that any value is legal for: taken as they are or refused, but not cut.
std::string bears_long_text(const Subject& subject, const quoin_param_spec& spec) {
  auto opened = Opened::open(subject);
  if (!opened) return opened.error().text();
  const Param param(text(spec.name), std::string(kLongText, 'x'));
  return opened->set(param.get()) == QUOIN_OK && !opened->difference(param.get()).empty()
             ? fmt::format("set_option() takes a text of {} bytes, but get_option() gives another", kLongText)
             : std::string();
}

std::string knows_its_keys(const Subject& subject) {
  auto opened = Opened::open(subject);
  if (!opened) return opened.error().text();
  for (const std::string& name : {std::string(kUnknown), std::string(), std::string(kLongText, 'x')}) {
    const std::string which = name.size() > 64 ? "a key of 64 KiB" : "the key \"" + name + "\"";
    const Param param(name, int64_t{1});
    const quoin_status set = opened->can_set() ? opened->set(param.get()) : QUOIN_NOT_FOUND;
    if (set != QUOIN_NOT_FOUND)
      return fmt::format("set_option() answers {} for {}; expected NOT_FOUND", status_name(set), which);
    quoin_param out{};
    const quoin_status get = opened->can_get() ? opened->get(param.get().name, out) : QUOIN_NOT_FOUND;
    if (get != QUOIN_NOT_FOUND)
      return fmt::format("get_option() answers {} for {}; expected NOT_FOUND", status_name(get), which);
  }
  return {};
}

Verdict verdict(const std::string& fault) { return fault.empty() ? passed() : failed(fault); }

void add_option(const Subject& subject, const quoin_plugin& table, const quoin_param_spec& spec,
                std::vector<Case>& cases) {
  using Check = std::string (*)(const Subject&, const quoin_param_spec&);
  const auto add = [&](const char* name, Check check) {
    cases.push_back({text(spec.name) + "/" + name, [&subject, spec, check] { return verdict(check(subject, spec)); }});
  };
  add("default", opens_with_default);
  if (table.set_option == nullptr || spec.fallback.count != 1) return;  // a list: its elements have no declared range
  if (!legal_values(spec).empty()) add("legal", takes_legal);
  if (!illegal_values(spec).empty()) add("illegal", refuses_illegal);
  add("kinds", refuses_kinds);
  if (spec.kind == QUOIN_PARAM_STR && spec.choices.count == 0) add("long-text", bears_long_text);
}

}  // namespace

std::vector<Case> options_cases(const Subject& subject) {
  const auto table = subject.table();
  if (!table) return cannot_load(table.error());
  std::vector<Case> cases = {{"declarations", [plugin = *table] { return verdict(check_declarations(*plugin)); }}};
  if ((*table)->set_option != nullptr || (*table)->get_option != nullptr)
    cases.push_back({"unknown-key", [&subject] { return verdict(knows_its_keys(subject)); }});
  for (const quoin_param_spec& spec : elements<quoin_param_spec>((*table)->options))
    if ((spec.scope & QUOIN_SCOPE_BACKEND) != 0) add_option(subject, **table, spec, cases);
  if (cases.size() == 1)
    cases.push_back({"options", [] { return skipped("the plugin has no options that a host sets"); }});
  return cases;
}

}  // namespace quoin::conform
