#include "base/result.hpp"

namespace quoin {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::internal:
      return "internal error";
    case Code::usage:
      return "usage error";
    case Code::recipe:
      return "recipe error";
    case Code::not_found:
      return "not found";
    case Code::io:
      return "input/output error";
    case Code::model:
      return "bad model file";
    case Code::unsupported:
      return "unsupported";
    case Code::data:
      return "bad data";
    case Code::input:
      return "bad input";
    case Code::plugin:
      return "plugin error";
    case Code::plugin_abi:
      return "plugin of another ABI";
    case Code::program:
      return "bad program file";
    case Code::program_version:
      return "program cannot run here";
    case Code::strict:
      return "strict mode";
    case Code::limit:
      return "limit exceeded";
    case Code::cancelled:
      return "cancelled";
    case Code::nonconforming:
      return "nonconforming";
  }
  return "error";
}

std::string Error::text() const {
  std::string out;
  if (!where.empty()) out += where + ": ";
  out += what;
  if (!hint.empty()) out += "; " + hint;
  return out;
}

Error in(std::string_view where, Error error) {
  error.where = error.where.empty() ? std::string(where) : std::string(where) + ": " + error.where;
  return error;
}

}  // namespace quoin
