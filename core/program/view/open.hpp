// From the bytes of a program file to a verified program.
#pragma once

#include "base/arena.hpp"
#include "base/fault.hpp"
#include "program/view/layout.hpp"
#include "program/view/view.hpp"

namespace quoin::program::view {

// Gets the file that holds the weights of a split program, by its plain name. Its bytes must outlive the program.
struct SecondFile {
  void* self;
  bool (*open)(void* self, std::string_view name, Bytes& out, Fault& fault);
};

struct Options {
  bool trust_weights = false;  // leave out the checksum of the weights, which reads every byte of them
  SecondFile second{};         // no function: a split program is an error (not_found)
};

// Header, checksums, structure, then meaning. The program lies in `arena` and borrows `file`, which is copied into the
// arena where it is not 64-byte aligned; so are weights in a second file. Null: an error. Errors: program (path to the
// fault), program_version, unsupported, limit, those of `second`.
const Program* open(Bytes file, const Options& options, Arena& arena, Fault& fault);

// The tables of the segment GRPH, which is copied into the arena, and nothing behind them: neither resolved nor
// verified. Errors: program, limit.
bool read_graphs(const Layout& layout, Arena& arena, Program& to, Fault& fault);

// Whether any node writes over an operand: the feature kInPlace. Precondition: the program is legal. Errors: limit.
bool find_in_place(const Program& program, const Allocator& memory, bool& any, Fault& fault);

}  // namespace quoin::program::view
