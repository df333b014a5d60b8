#include "support.hpp"

#include <cstdio>
// jpeglib.h needs <cstdio> before it.
#include <jpeglib.h>
#include <png.h>
#include <zip.h>

namespace quoin::data::test {
namespace {

std::string encode_jpeg(const uint8_t* pixels, int64_t height, int64_t width, int channels, J_COLOR_SPACE space,
                        int quality) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &out, &size);
  info.image_width = static_cast<JDIMENSION>(width);
  info.image_height = static_cast<JDIMENSION>(height);
  info.input_components = channels;
  info.in_color_space = space;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  std::vector<uint8_t> row(static_cast<size_t>(width * channels));
  for (int64_t y = 0; y < height; ++y) {
    std::copy_n(pixels + y * width * channels, row.size(), row.begin());
    JSAMPROW line = row.data();
    jpeg_write_scanlines(&info, &line, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string bytes(reinterpret_cast<char*>(out), size);
  std::free(out);
  return bytes;
}

}  // namespace

Tensor pattern(int64_t height, int64_t width) {
  Tensor out(DType::u8, {height, width, 3});
  uint8_t* to = out.as<uint8_t>().data();
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      *to++ = static_cast<uint8_t>(255 * y / height);
      *to++ = static_cast<uint8_t>(255 * x / width);
      *to++ = static_cast<uint8_t>(255 * (x + y) / (height + width));
    }
  return out;
}

std::string jpeg_of(const Tensor& image, int quality) {
  return encode_jpeg(image.as<uint8_t>().data(), image.shape()[0], image.shape()[1], 3, JCS_RGB, quality);
}

std::string gray_jpeg(int64_t height, int64_t width, uint8_t level) {
  const std::vector<uint8_t> pixels(static_cast<size_t>(height * width), level);
  return encode_jpeg(pixels.data(), height, width, 1, JCS_GRAYSCALE, 95);
}

std::string cmyk_jpeg(int64_t height, int64_t width) {
  const std::vector<uint8_t> pixels(static_cast<size_t>(height * width * 4), 100);
  return encode_jpeg(pixels.data(), height, width, 4, JCS_CMYK, 95);
}

std::string png_of(const Tensor& image) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.height = static_cast<png_uint_32>(image.shape()[0]);
  png.width = static_cast<png_uint_32>(image.shape()[1]);
  png.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  png_image_write_to_memory(&png, nullptr, &size, 0, image.data(), 0, nullptr);
  std::string out(size, '\0');
  EXPECT_NE(png_image_write_to_memory(&png, out.data(), &size, 0, image.data(), 0, nullptr), 0);
  out.resize(size);
  return out;
}

std::string write_npz(const std::string& path, const std::vector<std::pair<std::string, std::string>>& entries,
                      bool deflate) {
  int error = 0;
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &error);
  EXPECT_NE(archive, nullptr);
  for (const auto& [name, bytes] : entries) {
    zip_source_t* source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
    const zip_int64_t index = zip_file_add(archive, (name + ".npy").c_str(), source, ZIP_FL_ENC_UTF_8);
    EXPECT_GE(index, 0);
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
  }
  EXPECT_EQ(zip_close(archive), 0);
  return path;
}

}  // namespace quoin::data::test
