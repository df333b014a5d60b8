// Any bytes as a file of samples: npy, npz, safetensors, JPEG or PNG, by the first bytes; every reader gets its own
// kind.
#include <algorithm>
#include <string_view>

#include "data/files.hpp"
#include "target.hpp"

using namespace quoin;

namespace {

template <class T>
void finish(const Result<T>& result) {
  if (!result) fuzz::require(result.error().code != Code::internal, "an error is not a bug");
  if (result) fuzz::accepted();
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static fuzz::MemoryFile memory;
  const std::string& path = memory.put({data, size});
  const std::string_view head(reinterpret_cast<const char*>(data), std::min<size_t>(size, 8));
  if (head.starts_with("\x93NUM"))
    finish(data::read_npy(path));
  else if (head.starts_with("PK"))
    finish(data::read_npz(path));
  else if (head.starts_with("\xff\xd8") || head.starts_with("\x89PNG"))
    finish(data::read_image(path));
  else
    finish(data::read_safetensors(path));
  return 0;
}
