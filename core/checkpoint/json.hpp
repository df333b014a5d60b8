// JSON of checkpoints, read without exceptions. Shared inside this module and by the tensor files of core/data.
#pragma once

#include <nlohmann/json.hpp>

#include "base/file.hpp"

namespace quoin::checkpoint {

// Errors (`code`): a key that occurs twice, nesting deeper than `depth`, not an object; each starts with `where`.
Result<nlohmann::json> parse_object(Bytes text, const std::string& where, Code code, size_t depth);

}  // namespace quoin::checkpoint
