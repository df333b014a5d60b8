// A program file as JSON: what `quoin inspect` and `quoin verify` print, as it is or as text.
#pragma once

#include "cli/command.hpp"
#include "program/layout.hpp"

namespace quoin::cli {

// A program file and what it decodes to. The layout borrows from the file.
struct OpenProgram {
  std::string path;
  std::shared_ptr<const MappedFile> file;
  program::Layout layout;
  program::Model model;
};
// Every check of the reader, and every checksum. Errors: those of program::read.
Result<OpenProgram> open_program(const std::string& path);

// File, format and segments.
Json layout_json(const OpenProgram& program);
// layout_json, and sizes, methods, delegates and metadata.
Json program_json(const OpenProgram& program);

}  // namespace quoin::cli
