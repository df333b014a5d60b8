#include "import/provenance.hpp"

#include <cctype>

namespace quoin::import {

std::string innermost_line(const std::string& trace) {
  const size_t at = trace.rfind("File \"");
  if (at == std::string::npos) return {};
  const size_t start = at + 6, quote = trace.find("\", line ", start);
  if (quote == std::string::npos) return {};
  size_t end = quote + 8;
  while (end < trace.size() && std::isdigit(static_cast<unsigned char>(trace[end]))) ++end;
  return trace.substr(start, quote - start) + ":" + trace.substr(quote + 8, end - quote - 8);
}

}  // namespace quoin::import
