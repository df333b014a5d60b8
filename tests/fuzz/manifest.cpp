// Any bytes as a plugin file: its notes, its manifest, its symbols. None of its code runs.
#include "host/manifest.hpp"
#include "host/elf_file.hpp"
#include "target.hpp"

#include <unistd.h>

using namespace quoin;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static fuzz::MemoryFile memory;
  memory.put({data, size});
  if (const auto elf = host::ElfFile::open(memory.descriptor(), size)) {
    (void)elf->dynamic();
    (void)elf->symbols();
  }
  const auto plugin = host::PluginFile::adopt(::dup(memory.descriptor()), "fuzz.so");
  if (!plugin) return 0;
  const auto manifest = host::read_manifest(*plugin);
  if (!manifest) fuzz::require(manifest.error().code != Code::internal, "an error is not a bug");
  if (manifest) fuzz::accepted();
  (void)plugin->uses_own_folder();
  return 0;
}
