// What source-based quantization did to the layers of a model, as tables and JSON.
#pragma once

#include "cli/common.hpp"

namespace quoin::cli {

// One row per kind of result, or per layer if `each`; "" if no layer was looked at.
std::string layers_text(const source::Report& report, bool each);
Json layers_json(const source::Report& report);

}  // namespace quoin::cli
