// Whether this process may use the tile registers of AMX, which Linux gives on request only.
#pragma once

#include <cstdint>
#include <string>

namespace quoin::host {

enum class Amx : uint8_t {
  absent,     // the processor has none
  not_saved,  // the operating system does not keep tiles when it switches threads
  refused,    // it does, but not for this process
  granted
};
// Asks for them; asking again is answered again.
Amx amx();
// Why the AMX of this processor stays unused; empty where it is used, or where there is none.
std::string amx_obstacle(Amx state);

}  // namespace quoin::host
