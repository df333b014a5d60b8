#include "data/files.hpp"
#include "data/internal.hpp"

namespace quoin::data {

Status check_pixels(uint64_t width, uint64_t height, const std::string& where) {
  if (width == 0 || height == 0) return bad_data(where, "an image of {} x {} pixels", width, height);
  if (width > kMaxPixels / height)
    return bad_data(where, "{} x {} pixels, more than the limit of {}", width, height, kMaxPixels);
  return {};
}

Result<Tensor> read_image(const std::string& path) {
  QUOIN_TRY(const MappedFile file, MappedFile::open(path));
  const Bytes bytes = file.bytes();
  if (bytes.size() > kMaxImageFile)
    return bad_data(path, "an image file of {} bytes, the limit is {}", bytes.size(), kMaxImageFile);
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 8));
  if (start.starts_with("\xff\xd8\xff")) return decode_jpeg(bytes, path);
  if (start == "\x89PNG\r\n\x1a\n") return decode_png(bytes, path);
  return bad_data(path, "neither a JPEG nor a PNG file");
}

}  // namespace quoin::data
