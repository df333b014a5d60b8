// The importers by format; import_model() chooses.
#pragma once

#include "base/file.hpp"
#include "import/builder.hpp"
#include "import/dims.hpp"
#include "import/import.hpp"

namespace quoin::import {

struct Source {
  std::string path;
  Bytes bytes;  // the whole file
  const Options& options;
  Diagnostics& diagnostics;
};

inline constexpr size_t kMaxNodes = 100'000;

// An operator that has no conversion, and where it stands.
struct Unknown {
  std::string op, node, module;
};
// One error (unsupported) that lists all of them. Precondition: not empty.
Error unknown_operators(const std::vector<Unknown>& unknown, const std::string& file,
                        std::span<const std::string> known);
// "node NAME (OP, module PATH)" for messages.
std::string place(std::string_view node, std::string_view op, const std::vector<ir::ModuleFrame>& modules);

Result<ir::Graph> import_pt2(const Source& source);
Result<ir::Graph> import_onnx(const Source& source);

}  // namespace quoin::import
