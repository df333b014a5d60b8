// Group 13: every way to provoke an error that needs no knowledge of the plugin; what it answers is held against the
// rules for quoin_error.
#include <cstring>

#include "base/guard.hpp"
#include "base/utf8.hpp"
#include "conform/delegate.hpp"
#include "conform/param.hpp"
#include "conform/workbench.hpp"
#include "ops/abi_read.hpp"

namespace quoin::conform {
namespace {

constexpr uint8_t kPoison = 0xee;

struct Raw {
  quoin_status status = QUOIN_OK;
  quoin_error error{};
  std::string escaped;  // an exception
};

template <class F>
Raw provoke(F&& function) {
  Raw raw;
  raw.error.struct_size = sizeof raw.error;
  std::memset(raw.error.message, kPoison, sizeof raw.error.message);
  const auto breach = escaped([&] { raw.status = function(&raw.error); });
  if (breach) raw.escaped = *breach;
  return raw;
}

std::string check_error(const Raw& raw) {
  const quoin_error& error = raw.error;
  if (!raw.escaped.empty()) return "an exception escaped: " + raw.escaped;
  if (raw.status < QUOIN_OK || raw.status > QUOIN_INTERNAL) return fmt::format("status {} is not known", raw.status);
  if (error.struct_size != sizeof error) return "the error's struct_size, which is the caller's, was changed";
  if (error.code != raw.status)
    return fmt::format("it returns {}, but the error says {}", status_name(raw.status), status_name(error.code));
  if (error.message_size == 0) return fmt::format("{} without a message", status_name(raw.status));
  if (error.message_size > sizeof error.message)
    return fmt::format("the message has {} bytes; there is room for {}", error.message_size, sizeof error.message);
  const std::string_view message(error.message, error.message_size);
  if (!valid_utf8(message)) return "the message is not UTF-8 (a character may have been cut in two)";
  if (message.find('\0') != std::string_view::npos) return "the message has a zero byte in it";
  return {};
}

// Twice: the second answer has to have the same status. `must_fail`: success is a fault, too.
template <class F>
Verdict provoked(bool must_fail, F&& function) {
  const Raw first = provoke(function);
  if (first.escaped.empty() && first.status == QUOIN_OK)
    return must_fail ? failed("it succeeds; expected an error") : skipped("the plugin takes it");
  if (const std::string fault = check_error(first); !fault.empty()) return failed(fault);
  const Raw second = provoke(function);
  if (const std::string fault = check_error(second); !fault.empty()) return failed("the second time, " + fault);
  if (first.status != second.status)
    return failed(
        fmt::format("{} the first time, {} the second", status_name(first.status), status_name(second.status)));
  return passed(std::string(first.error.message, first.error.message_size));
}

using Shared = std::shared_ptr<Workbench>;
using Check = Verdict (*)(Workbench&, const host::Backend&);

// -- options

Verdict set_option(const host::Backend& backend, const Param& param) {
  const quoin_param raw = param.get();
  return provoked(true, [&](quoin_error* e) { return backend.table().set_option(backend.handle(), &raw, e); });
}

Verdict set_unknown(Workbench&, const host::Backend& backend) {
  if (backend.table().set_option == nullptr) return skipped("the plugin has no set_option");
  return set_option(backend, Param("org.quoin.no-such-option", int64_t{1}));
}

// A long name in a message is cut, and nowhere within one of its two-byte characters.
Verdict get_long_unknown(Workbench&, const host::Backend& backend) {
  if (backend.table().get_option == nullptr) return skipped("the plugin has no get_option");
  for (const size_t offset : {0u, 1u}) {
    std::string name(offset, 'x');
    for (int i = 0; i < 300; ++i) name += "\xc3\xa9";
    quoin_param out{};
    const Verdict verdict = provoked(true, [&](quoin_error* e) {
      return backend.table().get_option(backend.handle(), {name.data(), name.size()}, &out, e);
    });
    if (verdict.kind == Verdict::fail) return verdict;
  }
  return passed();
}

// A value that is forbidden, to set_option() and to open().
Verdict illegal_option(Workbench& bench, const host::Backend& backend) {
  const quoin_plugin& plugin = backend.table();
  for (const quoin_param_spec& spec : elements<quoin_param_spec>(plugin.options)) {
    const auto values = illegal_values(spec);
    if ((spec.scope & QUOIN_SCOPE_BACKEND) == 0 || values.empty()) continue;
    const Param param(text(spec.name), values.front());
    if (plugin.set_option != nullptr)
      if (const Verdict verdict = set_option(backend, param); verdict.kind == Verdict::fail)
        return failed("set_option(): " + verdict.detail);
    const quoin_param raw = param.get();
    quoin_backend* opened = nullptr;
    return provoked(true, [&](quoin_error* e) {
      return plugin.open(&bench.host(), {&raw, 1, sizeof raw}, &opened, e);
    });
  }
  return skipped("the plugin has no option with a range or choices");
}

// -- quantizer

Verdict derive_unknown(Workbench&, const host::Backend& backend) {
  const quoin_quantizer* quantizer = backend.table().quantizer;
  if (quantizer == nullptr || !QUOIN_HAS(quoin_quantizer, quantizer, derive))
    return skipped("the plugin derives no qparams");
  const float scale = 1;
  quoin_qparams source{};
  source.struct_size = sizeof source;
  source.dtype = QUOIN_S8;
  source.count = 1;
  source.qmin = -128;
  source.qmax = 127;
  source.scale = &scale;
  const quoin_qparams* sources[] = {&source};
  quoin_qparams out{};
  out.struct_size = sizeof out;
  return provoked(true, [&](quoin_error* e) {
    return quantizer->derive(backend.handle(), QUOIN_RULE_PLUGIN + 0x7fff, sources, 1, &out, e);
  });
}

// -- executor

// init() that has to fail.
Verdict refuses_blob(const host::Backend& backend, const quoin_load_request& request) {
  quoin_delegate* delegate = nullptr;
  const Verdict verdict = provoked(
      true, [&](quoin_error* e) { return backend.table().executor->init(backend.handle(), &request, &delegate, e); });
  return delegate == nullptr || verdict.kind == Verdict::fail
             ? verdict
             : failed("init() fails, but hands out a delegate that nobody destroys");
}

Verdict foreign_blob(const host::Backend& backend, std::span<const std::byte> blob) {
  program::Delegate foreign;
  foreign.blob_format = backend.table().executor->newest_blob_format;
  return refuses_blob(backend, load_request(foreign, blob));
}

Verdict empty_blob(Workbench&, const host::Backend& backend) {
  alignas(64) static const std::byte kNothing[64] = {};
  return foreign_blob(backend, std::span(kNothing).first(0));
}

Verdict garbage_blob(Workbench& bench, const host::Backend& backend) {
  alignas(64) std::byte garbage[4096];
  Dice dice(static_cast<uint32_t>(bench.subject().seed()));
  for (std::byte& byte : garbage) byte = static_cast<std::byte>(dice.below(256));
  return foreign_blob(backend, garbage);
}

Verdict half_a_blob(Workbench& bench, const host::Backend& backend) {
  const auto jobs = bench.jobs();
  if (!jobs) return skipped(jobs.error().text());
  const program::Delegate& compiled = (*jobs)->front().compiled.delegate;
  const GuardedMemory half(compiled.blob.size() / 2, 64);
  std::memcpy(half.data(), compiled.blob.data(), half.size());
  return refuses_blob(backend, load_request(compiled, {static_cast<const std::byte*>(half.data()), half.size()}));
}

// open() and, where that needs no memory, init(), on a host that has none.
Verdict out_of_memory(Workbench& bench, const host::Backend& rich) {
  TestHost::Options options;
  options.fail_allocation = 1;
  const TestHost poor(options);
  const quoin_plugin& plugin = rich.table();
  quoin_backend* opened = nullptr;
  const Verdict verdict = provoked(false, [&](quoin_error* e) { return plugin.open(&poor.table(), {}, &opened, e); });
  if (opened != nullptr) plugin.close(opened);
  const auto backend = bench.subject().open(&poor.table());
  const auto jobs = bench.jobs();
  if (verdict.kind != Verdict::skip || plugin.executor == nullptr || !backend || !jobs) return verdict;
  const program::Delegate& compiled = (*jobs)->front().compiled.delegate;
  const quoin_load_request request = load_request(compiled, compiled.blob);
  quoin_delegate* delegate = nullptr;
  const Verdict loaded = provoked(
      false, [&](quoin_error* e) { return plugin.executor->init((*backend)->handle(), &request, &delegate, e); });
  if (delegate != nullptr) plugin.executor->destroy(delegate);
  return loaded.kind == Verdict::skip ? skipped("open() and init() need no memory of the host") : loaded;
}

Case about(const char* name, const Shared& bench, Check check) {
  return {name, [bench, check] {
            const auto backend = bench->backend();
            return backend ? check(*bench, **backend) : failed(backend.error().text());
          }};
}

}  // namespace

std::vector<Case> errors_cases(const Subject& subject) {
  const auto table = subject.table();
  if (!table) return cannot_load(table.error());
  const auto bench = std::make_shared<Workbench>(subject);
  std::vector<Case> cases = {about("unknown-option", bench, set_unknown), about("long-name", bench, get_long_unknown),
                             about("illegal-option", bench, illegal_option),
                             about("unknown-rule", bench, derive_unknown),
                             about("out-of-memory", bench, out_of_memory)};
  if ((*table)->executor == nullptr) return cases;
  cases.push_back(about("empty-blob", bench, empty_blob));
  cases.push_back(about("garbage-blob", bench, garbage_blob));
  cases.push_back(about("half-a-blob", bench, half_a_blob));
  return cases;
}

}  // namespace quoin::conform
