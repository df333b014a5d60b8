#include "host/loader.hpp"

#include <dlfcn.h>

#include <boost/dll/shared_library.hpp>
#include <filesystem>

#include "host/backend.hpp"

namespace quoin::host {
namespace {

namespace dll = boost::dll;

// Boost reports every failure as a bad descriptor; the dynamic loader's own text names the dependency or symbol.
std::string loader_text(const std::string& otherwise) {
  const char* text = dlerror();
  return text != nullptr ? text : otherwise;
}

Result<std::shared_ptr<dll::shared_library>> load(const std::string& path) {
  boost::dll::fs::error_code failed;
  auto library = std::make_shared<dll::shared_library>();
  dlerror();  // forget older failures
  library->load(path, failed, dll::load_mode::rtld_now | dll::load_mode::rtld_local);
  if (failed) {
    return fail(Error{Code::plugin,
                      "cannot be loaded: " + loader_text(failed.message()),
                      {},
                      "ldd -r on the file lists what is missing"});
  }
  return library;
}

// A plugin that breaks the contract and throws is reported; its library must still be loaded while what() is read.
Result<const quoin_plugin*> call_entry(quoin_plugin_entry_fn entry, const std::string& path, const quoin_host& host) {
  quoin_error why{};
  why.struct_size = sizeof why;
  const quoin_plugin* table = nullptr;
  try {
    table = entry(&host, &why);
  } catch (const std::exception& e) {
    return fail(Code::plugin, "its entry function let an exception escape: {}", e.what());
  } catch (...) {
    return fail(Code::plugin, "its entry function let an exception escape");
  }
  if (table != nullptr) return table;
  if (why.code == QUOIN_OK) {
    return fail(Code::plugin, "its entry function {} returned no plugin table and no reason", QUOIN_ENTRY_SYMBOL);
  }
  return fail(plugin_error(std::filesystem::path(path).filename().string(), why.code, why));
}

}  // namespace

Result<Library> load_library(const std::string& path, const quoin_host& host) {
  // Boost throws when memory runs out; its header says so for every function.
  try {
    QUOIN_TRY(auto library, load(path));
    if (!library->has(QUOIN_ENTRY_SYMBOL)) {
      return fail(Code::plugin, "does not export the entry function {}", QUOIN_ENTRY_SYMBOL);
    }
    const auto entry = &library->get<const quoin_plugin*(const quoin_host*, quoin_error*)>(QUOIN_ENTRY_SYMBOL);
    QUOIN_TRY(const quoin_plugin* table, call_entry(entry, path, host));
    return Library{std::move(library), table};
  } catch (const std::exception& e) {
    return fail(Code::plugin, "loading it threw an exception: {}", e.what());
  }
}

}  // namespace quoin::host
