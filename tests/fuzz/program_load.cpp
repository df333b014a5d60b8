// Any bytes as a program file: an error, or a legal program that can be written again.
#include <vector>

#include "program/file.hpp"
#include "target.hpp"

using namespace quoin;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  const auto file = std::make_shared<std::vector<std::byte>>(bytes, bytes + size);
  const auto model = program::read(file, *file, "fuzz.quoin");
  if (!model) {
    fuzz::require(model.error().code != Code::internal, "an error is not a bug");
    fuzz::require(model.error().where.starts_with("fuzz.quoin"), "an error leads from the file to the fault");
    return 0;
  }
  fuzz::accepted();
  const auto written = program::serialize(*model);
  fuzz::require(written.has_value(), "what can be read can be written");
  const auto copy = std::make_shared<std::vector<std::byte>>(*written);
  const auto again = program::read(copy, *copy, "fuzz.quoin");
  fuzz::require(again.has_value(), "what was written can be read");
  fuzz::require(*program::serialize(*again) == *written, "writing again gives the same bytes");
  return 0;
}
