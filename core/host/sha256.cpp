// Apart from everything else: quoin-probe does without libcrypto, which takes longer to load than most plugins.
#include <openssl/evp.h>

#include <array>
#include <memory>

#include "host/digest.hpp"

namespace quoin::host {

Result<std::string> sha256(const PluginFile& file) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  bool fine = context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  QUOIN_CHECK(file.read([&](std::span<const char> bytes) -> Status {
    fine = fine && EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1;
    return {};
  }));
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (!fine || EVP_DigestFinal_ex(context.get(), digest.data(), &length) != 1)
    return fail(Code::io, "the library for SHA-256 failed");
  std::string text;
  for (const unsigned char byte : std::span(digest.data(), length)) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace quoin::host
