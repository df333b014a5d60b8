#include "host/loader.hpp"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <boost/dll/shared_library.hpp>
#include <filesystem>

#include "base/guard.hpp"
#include "host/backend.hpp"
#include "host/elf_file.hpp"

namespace quoin::host {

namespace dll = boost::dll;

namespace {

// What the dynamic loader calls a library that it has mapped.
struct Mapping {
  std::string name;
  uintptr_t base = 0;

  bool exists() const {
    const auto is_this = [](dl_phdr_info* info, size_t, void* self) {
      const auto& wanted = *static_cast<const Mapping*>(self);
      return static_cast<int>(info->dlpi_addr == wanted.base && wanted.name == info->dlpi_name);
    };
    return dl_iterate_phdr(is_this, const_cast<Mapping*>(this)) != 0;
  }
};

}  // namespace

class LoadedFile {
 public:
  static Result<std::shared_ptr<LoadedFile>> load(PluginFile file);
  const PluginFile& file() const { return file_; }
  dll::shared_library& library() { return library_; }
  Status unload();

 private:
  explicit LoadedFile(PluginFile file) : file_(std::move(file)) {}
  std::string why_it_stays() const;

  PluginFile file_;  // outlives library_, which debuggers know by its descriptor
  dll::shared_library library_;
  Mapping mapping_;
};

// Boost reports every failure as a bad descriptor; the dynamic loader's own text names the dependency or symbol.
Result<std::shared_ptr<LoadedFile>> LoadedFile::load(PluginFile file) {
  QUOIN_TRY(const std::string name, file.load_name());
  const std::shared_ptr<LoadedFile> out(new LoadedFile(std::move(file)));
  boost::dll::fs::error_code failed;
  dlerror();  // forget older failures
  out->library_.load(name, failed, dll::load_mode::rtld_now | dll::load_mode::rtld_local);
  if (failed) {
    const char* text = dlerror();
    std::string why = text != nullptr ? text : failed.message();
    if (why.starts_with(name + ": ")) why = why.substr(name.size() + 2);  // a file that the caller names better
    return fail(
        Error{Code::plugin, "cannot be loaded: " + why, {}, "ldd -r " + out->file_.path() + " lists what is missing"});
  }
  link_map* map = nullptr;
  if (dlinfo(out->library_.native(), RTLD_DI_LINKMAP, &map) != 0 || map == nullptr)
    return fail(Code::plugin, "the dynamic loader does not know what it has loaded");
  out->mapping_ = {map->l_name, map->l_addr};
  return out;
}

Status LoadedFile::unload() {
  library_.unload();
  if (!mapping_.exists()) return {};
  return fail(Code::plugin, "{} stays in memory after it was closed: {}", file_.path(), why_it_stays());
}

std::string LoadedFile::why_it_stays() const {
  const auto elf = ElfFile::open(file_.descriptor(), file_.size());
  if (const auto dynamic = elf ? elf->dynamic() : fail(elf.error()); dynamic && (dynamic->flags_1 & DF_1_NODELETE) != 0)
    return "it was linked with -z nodelete";
  if (const auto symbols = elf ? elf->symbols() : fail(elf.error()); symbols) {
    const auto unique = std::find_if(symbols->begin(), symbols->end(), [](const ElfSymbol& symbol) {
      return symbol.defined && symbol.binding == STB_GNU_UNIQUE;
    });
    if (unique != symbols->end())
      return fmt::format(
          "its symbol {} is unique in the process (STB_GNU_UNIQUE); compile it with -fvisibility=hidden "
          "or -fno-gnu-unique",
          unique->name);
  }
  return "something else still refers to it: a second load of the same file, another library, or a thread that has yet "
         "to destroy a thread_local object of it";
}

namespace {

// A plugin that breaks the contract and throws is reported; its library must still be loaded while what() is read.
Result<const quoin_plugin*> call_entry(quoin_plugin_entry_fn entry, const std::string& path, const quoin_host& host) {
  quoin_error why{};
  why.struct_size = sizeof why;
  const quoin_plugin* table = nullptr;
  if (const auto breach = escaped([&] { table = entry(&host, &why); }))
    return fail(Code::plugin, "its entry function let an exception escape: {}", *breach);
  if (table != nullptr) return table;
  if (why.code == QUOIN_OK) {
    return fail(Code::plugin, "its entry function {} returned no plugin table and no reason", QUOIN_ENTRY_SYMBOL);
  }
  return plugin_error(std::filesystem::path(path).filename().string(), why.code, why);
}

}  // namespace

// Boost throws when memory runs out; its header says so for every function.
Result<Library> load_library(PluginFile file, const quoin_host& host) try {
  QUOIN_TRY(std::shared_ptr<LoadedFile> loaded, LoadedFile::load(std::move(file)));
  if (!loaded->library().has(QUOIN_ENTRY_SYMBOL)) {
    return fail(Code::plugin, "does not export the entry function {}", QUOIN_ENTRY_SYMBOL);
  }
  const auto entry = &loaded->library().get<const quoin_plugin*(const quoin_host*, quoin_error*)>(QUOIN_ENTRY_SYMBOL);
  QUOIN_TRY(const quoin_plugin* table, call_entry(entry, loaded->file().path(), host));
  return Library{std::move(loaded), table};
} catch (const std::exception& e) {
  return fail(Code::plugin, "loading it threw an exception: {}", e.what());
}

Result<Library> load_library(const std::string& path, const quoin_host& host) {
  QUOIN_TRY(PluginFile file, PluginFile::open(path));
  return load_library(std::move(file), host);
}

Status unload_library(Library library) {
  if (library.keep.use_count() != 1)
    return fail(Code::plugin, "{} other object(s) still hold the library", library.keep.use_count() - 1);
  return library.keep->unload();
}

}  // namespace quoin::host
