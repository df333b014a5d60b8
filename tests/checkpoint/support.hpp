// Builders of checkpoint files.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "../fails_with.hpp"
#include "../temp_folder.hpp"
#include "checkpoint/checkpoint.hpp"

namespace quoin::checkpoint::test {

namespace fs = std::filesystem;

using quoin::test::TempFolder;

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}
template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// A safetensors file from its header text and its data.
inline std::string safetensors(const std::string& header, const std::string& data = {}) {
  return raw<uint64_t>(header.size()) + header + data;
}
// One f32 vector.
inline std::string one_tensor(const std::string& name, const std::vector<float>& values = {1, 2}) {
  return safetensors(fmt::format(R"({{"{}":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}}}})", name,
                                 values.size(), 4 * values.size()),
                     raw(values));
}

// A GGUF file, well formed unless a field is set to something else.
class Gguf {
 public:
  // Kinds of metadata and of tensors, as the format numbers them.
  enum Kind : uint32_t { u8, s8, u16, s16, u32, s32, f32, boolean, text, list, u64, s64, f64 };
  enum Type : uint32_t { F32 = 0, F16 = 1, Q4_0 = 2, Q8_0 = 8, Q4_K = 12, Q6_K = 14, BF16 = 30 };

  uint32_t magic = 0x46554747, version = 3;
  std::optional<uint64_t> tensor_count, key_count;
  uint64_t alignment = 32;

  static std::string string(const std::string& value) { return raw<uint64_t>(value.size()) + value; }
  template <class T>
  Gguf& key(const std::string& name, Kind kind, T value) {
    return raw_key(name, raw<uint32_t>(kind) + raw(value));
  }
  Gguf& key(const std::string& name, const std::string& value) {
    return raw_key(name, raw<uint32_t>(text) + string(value));
  }
  Gguf& texts(const std::string& name, const std::vector<std::string>& values) {
    std::string bytes = raw<uint32_t>(list) + raw<uint32_t>(text) + raw<uint64_t>(values.size());
    for (const std::string& value : values) bytes += string(value);
    return raw_key(name, bytes);
  }
  template <class T>
  Gguf& numbers(const std::string& name, Kind kind, const std::vector<T>& values) {
    return raw_key(name, raw<uint32_t>(list) + raw<uint32_t>(kind) + raw<uint64_t>(values.size()) + raw(values));
  }
  Gguf& raw_key(const std::string& name, const std::string& kind_and_value) {
    keys_ += string(name) + kind_and_value;
    ++keys_count_;
    return *this;
  }
  // `shape`: outermost first. `offset`: where the data is said to be, instead of where it is.
  Gguf& tensor(const std::string& name, const std::vector<uint64_t>& shape, uint32_t type, const std::string& bytes,
               std::optional<uint64_t> offset = {}) {
    infos_ += string(name) + raw(static_cast<uint32_t>(shape.size()));
    for (size_t d = shape.size(); d-- > 0;) infos_ += raw(shape[d]);
    infos_ += raw(type) + raw<uint64_t>(offset.value_or(data_.size()));
    data_ += bytes;
    data_.resize((data_.size() + alignment - 1) / alignment * alignment);
    ++tensors_count_;
    return *this;
  }
  std::string bytes() const {
    std::string out = raw(magic) + raw(version) + raw(tensor_count.value_or(tensors_count_)) +
                      raw(key_count.value_or(keys_count_)) + keys_ + infos_;
    out.resize((out.size() + alignment - 1) / alignment * alignment);
    return out + data_;
  }

 private:
  std::string keys_, infos_, data_;
  uint64_t keys_count_ = 0, tensors_count_ = 0;
};

using quoin::test::fails_with;

inline std::vector<float> floats(const Result<Tensor>& tensor) {
  EXPECT_TRUE(tensor) << (tensor ? "" : tensor.error().text());
  if (!tensor) return {};
  const auto view = tensor->as<float>();
  return {view.begin(), view.end()};
}

}  // namespace quoin::checkpoint::test
