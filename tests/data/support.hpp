// Builders for the files that the tests of core/data read.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "../fails_with.hpp"
#include "../temp_folder.hpp"
#include "data/files.hpp"

namespace quoin::data::test {

namespace fs = std::filesystem;

using quoin::test::TempFolder;

inline std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// 0, 1, 2 ... as f32.
inline Tensor counting(Shape shape) {
  Tensor out(DType::f32, std::move(shape));
  std::iota(out.as<float>().begin(), out.as<float>().end(), 0.0f);
  return out;
}

inline Tensor integers(const std::vector<int64_t>& values) {
  return Tensor::of<int64_t>(DType::s64, {static_cast<int64_t>(values.size())}, values);
}

// A safetensors file from its header text and its data.
inline std::string safetensors(const std::string& header, const std::string& data = {}) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + data;
}

// An .npy file from its header dictionary and its data.
inline std::string npy(std::string header, const std::string& data, char major = 1) {
  header += '\n';
  std::string length(major == 1 ? 2 : 4, '\0');
  const uint32_t size = static_cast<uint32_t>(header.size());
  std::memcpy(length.data(), &size, length.size());
  return std::string("\x93NUMPY") + major + '\0' + length + header + data;
}

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// [height, width, 3] with a smooth, coloured pattern.
Tensor pattern(int64_t height, int64_t width);
std::string jpeg_of(const Tensor& image, int quality = 95);
std::string gray_jpeg(int64_t height, int64_t width, uint8_t level);
std::string cmyk_jpeg(int64_t height, int64_t width);
std::string png_of(const Tensor& image);
// An .npz of name -> .npy bytes.
std::string write_npz(const std::string& path, const std::vector<std::pair<std::string, std::string>>& entries,
                      bool deflate = false);

using quoin::test::fails_with;

// The folder with reference models and data.
inline fs::path shared_folder() {
  const char* named = std::getenv("QUOIN_SHARED");
  return named != nullptr ? fs::path(named) : fs::path(QUOIN_SOURCE_ROOT).parent_path() / "shared";
}

}  // namespace quoin::data::test
