#include "program/fault.hpp"

namespace quoin::program {

tl::unexpected<Error> bad(fmt::string_view format, fmt::format_args args) {
  return fail(Error{Code::program, fmt::vformat(format, args), {}, {}});
}

}  // namespace quoin::program
