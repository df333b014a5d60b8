// quoin-probe PLUGIN ISA: goes through a plugin's life up to open() and back, and tells the parent on a pipe how that
// went. Started by host::probe; of no use by hand.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "host/backend.hpp"
#include "host/loader.hpp"
#include "host/manifest.hpp"
#include "host/probe_answer.hpp"
#include "host/services.hpp"

namespace quoin::host {
namespace {

constexpr rlim_t kMaxCpuSeconds = 5;

void limit_process() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core{0, 0}, cpu{kMaxCpuSeconds, kMaxCpuSeconds};
  setrlimit(RLIMIT_CORE, &no_core);
  setrlimit(RLIMIT_CPU, &cpu);
}

Status try_plugin(const std::string& path, uint64_t isa) {
  const Services services(Services::Options{1, isa, {}});
  QUOIN_TRY(PluginFile file, PluginFile::adopt(kPluginDescriptor, path));
  QUOIN_TRY(const Manifest manifest, read_manifest(file));
  QUOIN_TRY(Library library, load_library(std::move(file), services.table()));
  QUOIN_CHECK(check_table(library.table, services.table()));
  QUOIN_CHECK(compare_with_table(manifest, *library.table));
  auto backend = Backend::open(library.table, std::move(library.keep), services.table());
  return backend ? Status{} : fail(std::move(backend).error());
}

}  // namespace
}  // namespace quoin::host

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  quoin::host::limit_process();
  // The backend is closed and the library unloaded before the answer: crashes there count, too.
  const std::string answer =
      quoin::host::write_answer(quoin::host::try_plugin(argv[1], std::strtoull(argv[2], nullptr, 16)));
  const bool written =
      write(quoin::host::kAnswerDescriptor, answer.data(), answer.size()) == static_cast<ssize_t>(answer.size());
  return written ? 0 : 1;
}
