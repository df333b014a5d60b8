// Shared by the readers of this module only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/file.hpp"
#include "ops/tensor.hpp"

namespace quoin::data {

// Limits on what a file may claim, so that memory is bounded by what a caller can mean.
inline constexpr uint64_t kMaxTextHeader = 16u << 20;         // bytes of a safetensors or npy header
inline constexpr uint64_t kMaxArchiveEntries = 1u << 16;      // arrays in one .npz
inline constexpr uint64_t kMaxUnpacked = uint64_t{8} << 30;   // bytes of one .npz after inflating
inline constexpr uint64_t kMaxPixels = uint64_t{64} << 20;    // 64 Mpixel: 192 MiB of RGB
inline constexpr uint64_t kMaxImageFile = uint64_t{1} << 30;  // bytes of one image file

template <class... Args>
[[nodiscard]] Failure bad_data(const std::string& where, fmt::format_string<Args...> format, Args&&... args) {
  return fail(Code::data, format, std::forward<Args>(args)...).at("{}", where);
}

// A tensor over `bytes` (exactly byte_size(dtype, shape) of them, kept alive by `owner`). Borrows when the address
// suits the element type, else copies. Errors (data): a bool that is neither 0 nor 1.
Result<Tensor> tensor_over(DType dtype, Shape shape, Bytes bytes, std::shared_ptr<const void> owner,
                           const std::string& where);

// `bytes` is one whole .npy file, kept alive by `owner`; `where` names it in errors.
Result<Tensor> parse_npy(Bytes bytes, std::shared_ptr<const void> owner, const std::string& where);

// Whole image files in memory -> [height, width, 3] u8.
Result<Tensor> decode_jpeg(Bytes bytes, const std::string& where);
Result<Tensor> decode_png(Bytes bytes, const std::string& where);
// Errors (data): no pixels or more than kMaxPixels.
Status check_pixels(uint64_t width, uint64_t height, const std::string& where);

}  // namespace quoin::data
