#include "program/external.hpp"

#include <xxhash.h>

#include <cstring>

#include "base/guard.hpp"
#include "base/map.hpp"
#include "program/view/external.hpp"

namespace quoin::program {
namespace {

constexpr size_t kMaxStem = 127;  // bytes: digest and ending fit behind it

class Digest {
 public:
  Digest() : state_(XXH3_createState(), XXH3_freeState) {
    if (!state_) out_of_memory();
    XXH3_128bits_reset(state_.get());
  }
  void add(Bytes bytes) { XXH3_128bits_update(state_.get(), bytes.data(), bytes.size()); }
  std::array<uint64_t, 2> value() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
    return {hash.low64, hash.high64};
  }

 private:
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_;
};

}  // namespace

ExternalWeights describe_weights(const std::vector<Bytes>& pieces, const std::string& stem) {
  ExternalWeights weights;
  Digest digest;
  for (const Bytes piece : pieces) {
    weights.size += piece.size();
    digest.add(piece);
  }
  weights.digest = digest.value();
  std::string plain;
  for (const char c : stem)
    if (view::is_plain_file_name("x" + std::string(1, c))) plain += c;
  plain = plain.substr(0, kMaxStem);
  if (!view::is_plain_file_name(plain)) plain = "program";
  weights.name = fmt::format("{}.{:016x}.weights", plain, weights.digest[0]);
  return weights;
}

std::vector<std::byte> encode_reference(const ExternalWeights& weights) {
  std::vector<std::byte> out(view::kReferenceBytes + weights.name.size());
  const auto length = static_cast<uint32_t>(weights.name.size());
  std::memcpy(out.data(), &weights.size, 8);
  std::memcpy(out.data() + 8, weights.digest.data(), 16);
  std::memcpy(out.data() + 24, &length, 4);
  std::memcpy(out.data() + view::kReferenceBytes, weights.name.data(), weights.name.size());
  return out;
}

Result<Content> open_weights(const std::string& folder, const std::string& name) {
  Bytes bytes;
  Fault fault;
  if (map_file_in(folder.c_str(), name.c_str(), bytes, fault))
    return Content{{bytes.data(), [bytes](const void*) { unmap(bytes); }}, bytes};
  fault.at("weights file {}", name);
  fault.hint("keep it beside the program");
  return fault.failure();
}

}  // namespace quoin::program
