#pragma once

#include <string>

namespace quoin::import {

// The innermost 'File "x.py", line 12' of a Python traceback as "x.py:12", or "".
std::string innermost_line(const std::string& trace);

}  // namespace quoin::import
