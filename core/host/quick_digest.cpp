#include <xxhash.h>

#include <memory>

#include "host/digest.hpp"

namespace quoin::host {

Result<std::string> quick_digest(const PluginFile& file) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
  if (state == nullptr || XXH3_128bits_reset(state.get()) != XXH_OK) return fail(Code::limit, "out of memory");
  QUOIN_CHECK(file.read([&](std::span<const char> bytes) -> Status {
    XXH3_128bits_update(state.get(), bytes.data(), bytes.size());
    return {};
  }));
  const XXH128_hash_t digest = XXH3_128bits_digest(state.get());
  return fmt::format("{:016x}{:016x}", digest.high64, digest.low64);
}

}  // namespace quoin::host
