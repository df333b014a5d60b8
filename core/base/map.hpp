// Files mapped read-only, for devices: what MappedFile stands on.
#pragma once

#include <cstddef>
#include <span>

#include "base/fault.hpp"

namespace quoin {

// The whole of a regular file, until unmap(); of an empty one no bytes at no address. Errors: not_found, io.
bool map_file(const char* path, std::span<const std::byte>& out, Fault& fault);
// The file of a plain name in `folder` ("": the current one). A symbolic link in its place is an error.
bool map_file_in(const char* folder, const char* name, std::span<const std::byte>& out, Fault& fault);
void unmap(std::span<const std::byte> bytes);

}  // namespace quoin
