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

Failure::Failure(Error error) : error_(new Error(std::move(error))) {}
Failure::Failure(Code code, fmt::string_view format, fmt::format_args args)
    : error_(new Error{code, fmt::vformat(format, args), {}, {}}) {}
Failure::Failure(const Failure& other) : error_(other.error_ == nullptr ? nullptr : new Error(*other.error_)) {}
void Failure::destroy(Error* error) noexcept { delete error; }

void Failure::put_in_front(fmt::string_view format, fmt::format_args args) {
  std::string place = fmt::vformat(format, args);
  if (!error_->where.empty()) place += ": " + error_->where;
  error_->where = std::move(place);
}
Failure&& Failure::hint(std::string text) && {
  error_->hint = std::move(text);
  return std::move(*this);
}
Failure&& Failure::as(Code code) && {
  error_->code = code;
  return std::move(*this);
}

Failure in(std::string_view where, Failure failure) { return std::move(failure).at("{}", where); }

}  // namespace quoin
