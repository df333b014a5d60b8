#include <cstring>

#include "embed/objects.hpp"
#include "host/call.hpp"
#include "ops/schema.hpp"
#include "ops/short_text.hpp"

namespace quoin::embed {
namespace {

bool check_host(const quoin_host& host, Fault& fault) {
  if (host.abi_major != QUOIN_ABI_MAJOR)
    return fault.fail(Code::plugin_abi, "the host is of ABI {}, this library of {}", host.abi_major, QUOIN_ABI_MAJOR);
  if (host.alloc != nullptr && host.free != nullptr && host.log != nullptr && host.workers != nullptr &&
      host.parallel_for != nullptr && host.now_ns != nullptr && host.find_ext != nullptr)
    return true;
  fault.fail(Code::input, "the host lacks a function");
  fault.at("engine options");
  return fault.hint("start from quoin_host_of_system() and change single entries");
}

// The plugin's own reason, or what is wrong with its table; null.
const quoin_plugin* table_of(quoin_plugin_entry_fn entry, const quoin_host& host, Fault& fault) {
  if (entry == nullptr) {
    fault.fail(Code::input, "its entry function is null");
    return nullptr;
  }
  quoin_error why{};
  why.struct_size = sizeof why;
  const quoin_plugin* table = entry(&host, &why);
  if (table == nullptr && why.code != QUOIN_OK) {
    host::plugin_fault({}, why.code, why, fault);
    fault.drop_places();
    fault.at("its entry function");
    return nullptr;
  }
  return host::check_table(table, host, fault) ? table : nullptr;
}

void add_kernels(quoin_engine& engine, const quoin_plugin& table) {
  if (!kHasOperators) {
    ShortText line;
    line.add("plugin {}: its kernels are not used: this runtime knows no operators", table.name);
    return engine.log(QUOIN_LOG_INFO, line.text());
  }
  Diagnostics diagnostics;
  engine.kernels->add(table.name, table.kernels, diagnostics);
  for (const Note& note : diagnostics.notes()) engine.log(QUOIN_LOG_WARN, note.text());
}

bool add_plugin(quoin_engine& engine, quoin_plugin_entry_fn entry, runtime::Plugin& to, Fault& fault) {
  const quoin_plugin* table = table_of(entry, engine.host, fault);
  if (table == nullptr) return false;
  for (const runtime::Plugin& known : engine.plugins)
    if (known.table != nullptr && std::strcmp(known.table->name, table->name) == 0)
      return fault.fail(Code::plugin, "two plugins are named {}", table->name);
  if (!host::open_plugin(table, engine.host, {}, to.handle, fault)) return false;
  to.table = table;
  to.host = &engine.host;
  if (table->kernels.count != 0) add_kernels(engine, *table);
  return true;
}

bool add_plugins(quoin_engine& engine, const quoin_engine_options& options, Fault& fault) {
  if (options.num_plugins != 0 && options.plugins == nullptr) {
    fault.fail(Code::input, "{} plugins at no address", options.num_plugins);
    return fault.at("engine options");
  }
  std::span<runtime::Plugin> plugins;
  if (!engine.arena.make(options.num_plugins, plugins, fault)) return false;
  engine.plugins = plugins;
  for (uint32_t i = 0; i < options.num_plugins; ++i)
    if (!add_plugin(engine, options.plugins[i], engine.plugins[i], fault))
      return fault.at("plugin {} of the engine options", i);
  return true;
}

}  // namespace

void hold(quoin_engine* engine) { engine->holders.fetch_add(1, std::memory_order_relaxed); }
void release(quoin_engine* engine) {
  if (engine->holders.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const quoin_host host = engine->host;  // outlives it
  destroy(engine, host);
}

}  // namespace quoin::embed

using namespace quoin;
using namespace quoin::embed;

quoin_engine::~quoin_engine() {
  if (kHasOperators) delete kernels;
  for (const runtime::Plugin& plugin : plugins)
    if (plugin.table != nullptr) host::call_last(plugin.table->name, host, [&] { plugin.table->close(plugin.handle); });
}

quoin_status quoin_engine_create(const quoin_engine_options* given, quoin_engine** out, quoin_error* error) {
  return answer(error, [&](Fault& fault) {
    quoin_engine_options options;
    if (!options_of(given, options, fault)) return false;
    quoin_host host;
    if (options.host == nullptr)
      host = quoin_host_of_system();  // asks the processor and the system: not where the caller has asked already
    else if (!options_of(options.host, host, fault))
      return false;
    if (!check_host(host, fault)) return false;
    quoin_files files = system_files();
    if (options.files != nullptr && !options_of(options.files, files, fault)) return false;
    if (files.open == nullptr || files.close == nullptr) {
      fault.fail(Code::input, "the files lack a function");
      return fault.at("engine options");
    }
    auto* engine = make<quoin_engine>(host, fault, host);
    if (engine == nullptr) return false;
    engine->files = files;
    if (kHasOperators) engine->kernels = new kernels::KernelSet;
    if (add_plugins(*engine, options, fault)) {
      *out = engine;
      return true;
    }
    release(engine);
    return false;
  });
}

void quoin_engine_destroy(quoin_engine* engine) {
  if (engine != nullptr) release(engine);
}
