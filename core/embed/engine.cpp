#include "embed/objects.hpp"

namespace quoin::embed {
namespace {

Status check_host(const quoin_host& host) {
  if (host.abi_major != QUOIN_ABI_MAJOR)
    return fail(Code::plugin_abi, "the host is of ABI {}, this library of {}", host.abi_major, QUOIN_ABI_MAJOR);
  if (host.alloc == nullptr || host.free == nullptr || host.log == nullptr || host.workers == nullptr ||
      host.parallel_for == nullptr || host.now_ns == nullptr || host.find_ext == nullptr)
    return fail(Code::input, "the host lacks a function")
        .at("engine options")
        .hint("start from quoin_host_of_system() and change single entries");
  return {};
}

// The plugin's own reason, or what is wrong with its table.
Result<const quoin_plugin*> table_of(quoin_plugin_entry_fn entry, const quoin_host& host) {
  if (entry == nullptr) return fail(Code::input, "its entry function is null");
  quoin_error why{};
  why.struct_size = sizeof why;
  const quoin_plugin* table = entry(&host, &why);
  if (table == nullptr && why.code != QUOIN_OK) {
    Failure refused = host::plugin_error({}, why.code, why);
    refused->where = "its entry function";
    return refused;
  }
  QUOIN_CHECK(host::check_table(table, host));
  return table;
}

void add_kernels(Engine& engine, const quoin_plugin& table, const std::shared_ptr<host::Backend>& backend) {
  if (table.kernels.count == 0) return;
  if (all_ops().empty())
    return engine.log(QUOIN_LOG_INFO,
                      fmt::format("plugin {}: its kernels are not used: this runtime knows no operators", table.name));
  Diagnostics diagnostics;
  engine.kernels.add(table.name, table.kernels, diagnostics, backend);
  for (const Note& note : diagnostics.notes()) engine.log(QUOIN_LOG_WARN, note.text());
}

Status add_plugin(Engine& engine, quoin_plugin_entry_fn entry) {
  QUOIN_TRY(const quoin_plugin* table, table_of(entry, engine.host));
  for (const auto& backend : engine.backends)
    if (backend->name() == table->name) return fail(Code::plugin, "two plugins are named {}", table->name);
  QUOIN_TRY(auto backend, host::Backend::open(table, nullptr, engine.host));
  add_kernels(engine, *table, backend);
  engine.backends.push_back(std::move(backend));
  return {};
}

}  // namespace
}  // namespace quoin::embed

using namespace quoin;
using namespace quoin::embed;

quoin_status quoin_engine_create(const quoin_engine_options* given, quoin_engine** out, quoin_error* error) {
  return answer(error, [&]() -> Status {
    QUOIN_TRY(const auto options, options_of(given));
    auto engine = std::make_shared<Engine>();
    engine->host = options.host == nullptr ? quoin_host_of_system() : widened(options.host);
    engine->files = options.files == nullptr ? system_files() : widened(options.files);
    QUOIN_CHECK(check_host(engine->host));
    if (engine->files.open == nullptr || engine->files.close == nullptr)
      return fail(Code::input, "the files lack a function").at("engine options");
    if (options.num_plugins != 0 && options.plugins == nullptr)
      return fail(Code::input, "{} plugins at no address", options.num_plugins).at("engine options");
    for (uint32_t i = 0; i < options.num_plugins; ++i)
      QUOIN_CHECK_AT(add_plugin(*engine, options.plugins[i]), "plugin {} of the engine options", i);
    *out = new quoin_engine{std::move(engine)};
    return {};
  });
}

void quoin_engine_destroy(quoin_engine* engine) { delete engine; }
