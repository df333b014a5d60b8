// Files that come with Quoin: the template of a plugin, the quickstart's model.
#pragma once

#include <string>

#include "base/result.hpp"

namespace quoin::cli {

// share/quoin/NAME beside the running executable's bin, else of the installation; in a build tree, `source` of the
// source tree. Errors: not_found, with the folders that were tried and what to install.
Result<std::string> data_folder(const std::string& name, const std::string& source);

}  // namespace quoin::cli
