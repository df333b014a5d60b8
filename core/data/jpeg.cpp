// JPEG through libjpeg. Its errors leave by longjmp, so the functions between setjmp and the library hold no objects
// with destructors.
#include <csetjmp>
#include <cstdio>
// jpeglib.h needs <cstdio> before it.
#include <jerror.h>
#include <jpeglib.h>

#include "data/internal.hpp"

namespace quoin::data {
namespace {

constexpr int kMaxScans = 500;  // a progressive file of a few KB may otherwise decode for minutes

struct Decoder {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf leave{};
  char message[JMSG_LENGTH_MAX] = {};

  Decoder() {
    info.err = jpeg_std_error(&errors);
    info.client_data = this;
    errors.error_exit = [](j_common_ptr c) { self(c).stop(); };
    errors.emit_message = [](j_common_ptr c, int level) { self(c).warn(level); };
    errors.output_message = [](j_common_ptr) {};
    progress.progress_monitor = [](j_common_ptr c) { self(c).check_scans(); };
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { jpeg_destroy_decompress(&info); }

  static Decoder& self(j_common_ptr common) { return *static_cast<Decoder*>(common->client_data); }
  [[noreturn]] void stop() {
    errors.format_message(reinterpret_cast<j_common_ptr>(&info), message);
    std::longjmp(leave, 1);
  }
  // libjpeg fills damaged parts with grey and goes on; such pixels are not data. Negative level: a warning.
  void warn(int level) {
    const bool harmless = errors.msg_code == JWRN_EXTRANEOUS_DATA || errors.msg_code == JWRN_JFIF_MAJOR;
    if (level < 0 && !harmless) stop();
  }
  void check_scans() {
    if (info.input_scan_number <= kMaxScans) return;
    std::snprintf(message, sizeof message, "more than %d scans", kMaxScans);
    std::longjmp(leave, 1);
  }
};

bool read_header(Decoder& decoder, const unsigned char* bytes, unsigned long size) {
  if (setjmp(decoder.leave) != 0) return false;
  jpeg_create_decompress(&decoder.info);
  decoder.info.client_data = &decoder;
  decoder.info.progress = &decoder.progress;
  jpeg_mem_src(&decoder.info, bytes, size);
  jpeg_read_header(&decoder.info, TRUE);
  return true;
}

// `out` has room for height rows of 3 * width bytes.
bool read_pixels(Decoder& decoder, unsigned char* out) {
  if (setjmp(decoder.leave) != 0) return false;
  decoder.info.out_color_space = JCS_RGB;
  decoder.info.dct_method = JDCT_ISLOW;  // exact and the same everywhere
  jpeg_start_decompress(&decoder.info);
  const size_t stride = size_t{3} * decoder.info.output_width;
  while (decoder.info.output_scanline < decoder.info.output_height) {
    JSAMPROW row = out + stride * decoder.info.output_scanline;
    jpeg_read_scanlines(&decoder.info, &row, 1);
  }
  jpeg_finish_decompress(&decoder.info);
  return true;
}

}  // namespace

Result<Tensor> decode_jpeg(Bytes bytes, const std::string& where) {
  Decoder decoder;
  if (!read_header(decoder, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()))
    return bad_data(where, "JPEG: {}", decoder.message);
  QUOIN_CHECK(check_pixels(decoder.info.image_width, decoder.info.image_height, where));
  const J_COLOR_SPACE space = decoder.info.jpeg_color_space;
  if (space != JCS_GRAYSCALE && space != JCS_RGB && space != JCS_YCbCr)
    return fail(Code::data, "JPEG: not greyscale, RGB or YCbCr (CMYK?)").at("{}", where).hint("convert it to RGB");
  Tensor out(DType::u8, {decoder.info.image_height, decoder.info.image_width, 3});
  if (!read_pixels(decoder, out.as<unsigned char>().data())) return bad_data(where, "JPEG: {}", decoder.message);
  return out;
}

}  // namespace quoin::data
