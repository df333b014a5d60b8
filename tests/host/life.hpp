// A plugin's life after open(), as a program on this host or on one of another ABI would lead it.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "host/backend.hpp"

namespace quoin::host::testing {

// How much longer (or shorter) than this header's the host's structs are.
struct HostSizes {
  int run = 0, request = 0, tensor = 0;
};

// A struct that begins with struct_size, as long as the other host has it; what lies behind ours is garbage.
template <class T>
class Resized {
 public:
  Resized(const T& from, int more) : bytes_(sizeof(T) + 64, 0xee) {
    T copy = from;
    copy.struct_size = static_cast<uint32_t>(static_cast<int>(sizeof(T)) + more);
    std::memcpy(bytes_.data(), &copy, std::min<size_t>(copy.struct_size, sizeof copy));
  }
  const T* get() const { return reinterpret_cast<const T*>(bytes_.data()); }

 private:
  std::vector<unsigned char> bytes_;
};

class Tensors {
 public:
  Tensors(const quoin_tensor& tensor, int more) : bytes_(sizeof tensor + 64, 0xee), more_(more) {
    std::memcpy(bytes_.data(), &tensor, static_cast<size_t>(static_cast<int>(sizeof tensor) + std::min(more, 0)));
  }
  quoin_array array() const {
    return {bytes_.data(), 1, static_cast<uint32_t>(static_cast<int>(sizeof(quoin_tensor)) + more_)};
  }

 private:
  std::vector<unsigned char> bytes_;
  int more_;
};

// A loaded delegate of the variants in tests/host/plugins: it copies its input.
class CopyDelegate {
 public:
  explicit CopyDelegate(std::shared_ptr<Backend> backend, const HostSizes& sizes = {})
      : use_(std::move(backend), Use::delegate), sizes_(sizes) {
    quoin_load_request request{};
    request.blob_format = 1;
    request.blob = {"blob", 4};
    const Resized<quoin_load_request> sized(request, sizes.request);
    quoin_error error{sizeof error, 0, 0, 0, {}};
    status_ = executor()->init(use_.backend().handle(), sized.get(), &handle_, &error);
  }
  CopyDelegate(const CopyDelegate&) = delete;
  CopyDelegate& operator=(const CopyDelegate&) = delete;
  ~CopyDelegate() {
    if (handle_ != nullptr) executor()->destroy(handle_);
  }
  quoin_status status() const { return status_; }
  bool copies() const {
    int64_t dims[] = {4};
    float input[4] = {1, 2, 3, 4}, output[4] = {};
    const quoin_tensor in{QUOIN_F32, 1, dims, input, sizeof input, nullptr};
    const quoin_tensor out{QUOIN_F32, 1, dims, output, sizeof output, nullptr};
    const Tensors inputs(in, sizes_.tensor), outputs(out, sizes_.tensor);
    quoin_run run{};
    run.inputs = inputs.array();
    run.outputs = outputs.array();
    const Resized<quoin_run> sized(run, sizes_.run);
    quoin_error error{sizeof error, 0, 0, 0, {}};
    return executor()->run(handle_, sized.get(), &error) == QUOIN_OK && std::memcmp(input, output, sizeof input) == 0;
  }

 private:
  const quoin_executor* executor() const { return use_.backend().table().executor; }
  Use use_;
  HostSizes sizes_;
  quoin_delegate* handle_ = nullptr;
  quoin_status status_ = QUOIN_OK;
};

// Whether a file of this name is mapped into the process: the kernel's own list, not the dynamic loader's.
inline bool is_mapped(const std::string& file_name) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.find(file_name) != std::string::npos) return true;
  return false;
}

}  // namespace quoin::host::testing
