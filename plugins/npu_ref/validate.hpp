// Trust in a blob begins here: a command that passes reads and writes only its arena, its on-chip buffer, its ports and
// its data, whatever the bytes say, and takes a bounded time.
#pragma once

#include <quoin/plugin.hpp>

#include <span>

#include "program.hpp"

namespace quoin::npu {

struct Program {
  Header header;
  std::vector<Port> ports;  // inputs, then outputs
  std::vector<Command> commands;
  const char* data = nullptr;  // in the blob
};

// Copies everything but the data out of the blob. Throws Failure: CORRUPT with the place that is wrong, INCOMPATIBLE
// for another format.
Program read_program(quoin_bytes blob);

// The shape of a port on the device.
Shape shape_of(const Port& port);
uint64_t port_bytes(const Port& port);

}  // namespace quoin::npu
