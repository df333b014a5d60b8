// The host and the files of an ordinary system: what firmware replaces.
#include <cstdlib>
#include <ctime>

#include "base/checked.hpp"
#include "base/map.hpp"
#include "embed/objects.hpp"
#include "host/services.hpp"

namespace quoin::embed {
namespace {

void* allocate(void*, uint64_t size, uint64_t alignment) {
  if (alignment < sizeof(void*)) alignment = sizeof(void*);
  if (size == 0) size = 1;
  if ((alignment & (alignment - 1)) != 0 || !checked_add(size, alignment - 1)) return nullptr;
  return std::aligned_alloc(alignment, align_up(size, alignment));
}

uint64_t now_ns(void*) {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

quoin_status open_file(void*, const char* path, quoin_bytes* out, void**, quoin_error* error) {
  return answer(error, [&](Fault& fault) {
    Bytes bytes;
    if (!map_file(path, bytes, fault)) return false;
    *out = {bytes.data(), bytes.size()};
    return true;
  });
}

void close_file(void*, void*, quoin_bytes bytes) { unmap({static_cast<const std::byte*>(bytes.data), bytes.size}); }

}  // namespace

quoin_files system_files() { return {sizeof(quoin_files), 0, nullptr, open_file, close_file}; }

}  // namespace quoin::embed

quoin_host quoin_host_of_system(void) {
  quoin_host host{};
  host.struct_size = sizeof host;
  host.abi_major = QUOIN_ABI_MAJOR;
  host.abi_minor = QUOIN_ABI_MINOR;
  host.isa = quoin::host::allowed_isa();
  host.alloc = quoin::embed::allocate;
  host.free = [](void*, void* memory, uint64_t, uint64_t) { std::free(memory); };
  host.log = [](void*, int32_t, quoin_str) {};
  host.workers = [](void*) { return uint32_t{1}; };
  host.parallel_for = [](void*, uint64_t count, uint64_t, quoin_range_fn fn, void* context) {
    if (count != 0) fn(context, 0, count, 0);
  };
  host.now_ns = quoin::embed::now_ns;
  host.find_ext = [](void*, const char*) -> const quoin_ext* { return nullptr; };
  return host;
}
