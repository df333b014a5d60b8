#include "program/external.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/guard.hpp"

namespace quoin::program {
namespace {

constexpr size_t kMaxFileName = 255;
constexpr size_t kFixedBytes = 32;  // size, digest, length of the name, reserved

// No separators, nothing hidden, nothing that a terminal or a script would trip over.
bool is_plain(const std::string& name) {
  const auto plain = [](unsigned char c) { return c > ' ' && c != 0x7f && c != '/' && c != '\\' && c != ':'; };
  return !name.empty() && name.size() <= kMaxFileName && name[0] != '.' && std::ranges::all_of(name, plain);
}

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

Failure bad(const ExternalWeights& weights, std::string what, std::string hint) {
  return Failure(Error{Code::program, std::move(what), "weights file " + weights.name, std::move(hint)});
}

// Through a descriptor of the folder, so that a link in the place of the file is an error.
Result<MappedFile> open_in(const std::string& folder, const std::string& name) {
  const auto failed = [&] {
    const int reason = errno;
    return fail(reason == ENOENT ? Code::not_found : Code::io, "{}",
                reason == ELOOP ? "it is a symbolic link, which is not followed"
                                : fmt::format("cannot be opened: {}", std::strerror(reason)))
        .at("weights file {}", name)
        .hint("keep it beside the program");
  };
  const int at = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (at < 0) return failed();
  const int file = ::openat(at, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  const int reason = errno;
  ::close(at);
  errno = reason;
  if (file < 0) return failed();
  auto mapped = MappedFile::open("/proc/self/fd/" + std::to_string(file));
  ::close(file);
  return mapped;
}

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
    if (is_plain("x" + std::string(1, c))) plain += c;
  plain = plain.substr(0, kMaxFileName / 2);
  if (!is_plain(plain)) plain = "program";
  weights.name = fmt::format("{}.{:016x}.weights", plain, weights.digest[0]);
  return weights;
}

std::vector<std::byte> encode_reference(const ExternalWeights& weights) {
  std::vector<std::byte> out(kFixedBytes + weights.name.size());
  const auto length = static_cast<uint32_t>(weights.name.size());
  std::memcpy(out.data(), &weights.size, 8);
  std::memcpy(out.data() + 8, weights.digest.data(), 16);
  std::memcpy(out.data() + 24, &length, 4);
  std::memcpy(out.data() + kFixedBytes, weights.name.data(), weights.name.size());
  return out;
}

Result<ExternalWeights> decode_reference(Bytes bytes) {
  const auto broken = [](std::string what) { return fail(Code::program, "{}", what).at("segment XWGT"); };
  ExternalWeights weights;
  uint32_t length = 0, reserved = 0;
  if (bytes.size() < kFixedBytes) return broken(fmt::format("{} bytes, fewer than {}", bytes.size(), kFixedBytes));
  std::memcpy(&weights.size, bytes.data(), 8);
  std::memcpy(weights.digest.data(), bytes.data() + 8, 16);
  std::memcpy(&length, bytes.data() + 24, 4);
  std::memcpy(&reserved, bytes.data() + 28, 4);
  if (length != bytes.size() - kFixedBytes)
    return broken(fmt::format("a name of {} bytes in {}", length, bytes.size() - kFixedBytes));
  if (reserved != 0) return broken("reserved bytes are not zero");
  weights.name.assign(reinterpret_cast<const char*>(bytes.data()) + kFixedBytes, length);
  if (!is_plain(weights.name)) return broken("the name of the weights file is not a plain file name");
  return weights;
}

Status check_weights(const ExternalWeights& weights, Bytes bytes, bool trust) {
  if (bytes.size() != weights.size)
    return bad(weights, fmt::format("{} bytes, the program needs {}", bytes.size(), weights.size),
               "it belongs to another program, or is truncated");
  if (trust) return {};
  // In one piece: a runtime that only reads gets along without the code for many.
  const XXH128_hash_t digest = XXH3_128bits(bytes.data(), bytes.size());
  if (digest.low64 != weights.digest[0] || digest.high64 != weights.digest[1])
    return bad(weights, "the digest does not match", "it is damaged, or belongs to another program");
  return {};
}

Result<Content> open_weights(const std::string& folder, const std::string& name) {
  QUOIN_TRY(MappedFile mapped, open_in(folder, name));
  const auto file = std::make_shared<const MappedFile>(std::move(mapped));
  return Content{file, file->bytes()};
}

}  // namespace quoin::program
