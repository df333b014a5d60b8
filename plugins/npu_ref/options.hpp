// Compile-time options: builds of the device differ in their memories. Set per program (`lower.params`) or, as the
// default for later programs, on the backend.
#pragma once

#include <quoin/plugin.hpp>

#include "limits.hpp"

namespace quoin::npu {

class Options {
 public:
  // Throws Failure: NOT_FOUND for a name that is no option, INVALID for a value of another type or out of range.
  void set(const quoin_param& param);
  quoin_param get(std::string_view name) const;  // points into this object; throws NOT_FOUND
  // These with the parameters of one request on top.
  Options with(const sdk::Params& params) const;

  uint64_t sram_bytes() const { return static_cast<uint64_t>(sram_kib_) << 10; }
  uint64_t tensor_bytes() const { return static_cast<uint64_t>(tensor_kib_) << 10; }
  bool fuse() const { return fuse_ != 0; }

 private:
  int64_t sram_kib_ = kSramKib, tensor_kib_ = kTensorKib;
  uint8_t fuse_ = 1;
};

inline constexpr uint8_t kYes = 1;
inline constexpr quoin_param_spec kOptions[] = {
    sdk::param_spec("sram_kib", QUOIN_SCOPE_COMPILE, kSramKib, "on-chip buffer of one core in KiB", kMinSramKib,
                    kMaxSramKib),
    sdk::param_spec("tensor_kib", QUOIN_SCOPE_COMPILE, kTensorKib, "largest tensor in device memory in KiB",
                    kMinTensorKib, kMaxTensorKib),
    sdk::param_spec("fuse", QUOIN_SCOPE_COMPILE, kYes,
                    "compute padding and clamps together with the layer behind and before them"),
};

}  // namespace quoin::npu
