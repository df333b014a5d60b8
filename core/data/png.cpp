// PNG through libpng. Its errors leave by longjmp, so the functions between setjmp and the library hold no objects
// with destructors.
#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include "data/internal.hpp"

namespace quoin::data {
namespace {

constexpr png_alloc_size_t kMaxChunk = 8u << 20;  // bytes of one ancillary chunk in memory

struct Decoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  Bytes rest;
  std::jmp_buf leave{};
  char message[256] = {};

  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }

  [[noreturn]] void stop(const char* reason) {
    std::snprintf(message, sizeof message, "%s", reason);
    std::longjmp(leave, 1);
  }
  static void on_error(png_structp png, png_const_charp reason) {
    static_cast<Decoder*>(png_get_error_ptr(png))->stop(reason);
  }
  // Warnings concern chunks that change no pixel as decoded here (profiles, times, texts).
  static void on_warning(png_structp, png_const_charp) {}
  static void on_read(png_structp png, png_bytep to, png_size_t size) {
    auto& self = *static_cast<Decoder*>(png_get_io_ptr(png));
    if (size > self.rest.size()) self.stop("the file ends too early");
    std::memcpy(to, self.rest.data(), size);
    self.rest = self.rest.subspan(size);
  }
};

bool read_header(Decoder& decoder) {
  if (setjmp(decoder.leave) != 0) return false;
  decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, Decoder::on_error, Decoder::on_warning);
  if (decoder.png != nullptr) decoder.info = png_create_info_struct(decoder.png);
  if (decoder.info == nullptr) decoder.stop("out of memory");
  png_set_read_fn(decoder.png, &decoder, Decoder::on_read);
  png_set_chunk_malloc_max(decoder.png, kMaxChunk);
  png_read_info(decoder.png, decoder.info);
  return true;
}

// Every colour type to 8-bit RGB; alpha is dropped, not blended. Returns false on error.
bool convert(Decoder& decoder, size_t* row_bytes) {
  if (setjmp(decoder.leave) != 0) return false;
  png_set_expand(decoder.png);
  png_set_scale_16(decoder.png);
  png_set_gray_to_rgb(decoder.png);
  png_set_strip_alpha(decoder.png);
  png_set_interlace_handling(decoder.png);
  png_read_update_info(decoder.png, decoder.info);
  *row_bytes = png_get_rowbytes(decoder.png, decoder.info);
  return true;
}

bool read_pixels(Decoder& decoder, png_bytepp rows) {
  if (setjmp(decoder.leave) != 0) return false;
  png_read_image(decoder.png, rows);
  png_read_end(decoder.png, nullptr);
  return true;
}

}  // namespace

Result<Tensor> decode_png(Bytes bytes, const std::string& where) {
  Decoder decoder;
  decoder.rest = bytes;
  if (!read_header(decoder)) return bad_data(where, "PNG: {}", decoder.message);
  const uint64_t width = png_get_image_width(decoder.png, decoder.info);
  const uint64_t height = png_get_image_height(decoder.png, decoder.info);
  QUOIN_CHECK(check_pixels(width, height, where));
  size_t row_bytes = 0;
  if (!convert(decoder, &row_bytes)) return bad_data(where, "PNG: {}", decoder.message);
  if (row_bytes != 3 * width) return bad_data(where, "PNG: {} bytes in a row of {} pixels", row_bytes, width);
  Tensor out(DType::u8, {static_cast<int64_t>(height), static_cast<int64_t>(width), 3});
  std::vector<png_bytep> rows(height);
  for (size_t y = 0; y < height; ++y) rows[y] = out.as<png_byte>().data() + y * row_bytes;
  if (!read_pixels(decoder, rows.data())) return bad_data(where, "PNG: {}", decoder.message);
  return out;
}

}  // namespace quoin::data
