#include "program/file.hpp"

#include <algorithm>
#include <cstring>

#include "base/guard.hpp"
#include "program/decode.hpp"
#include "program/encode.hpp"

namespace quoin::program {
namespace {

Result<Encoded> checked_encode(const Model& model) {
  if (auto status = verify(model); !status) return fail(in("program to write", std::move(status).error()));
  return encode(model);
}

// Tensors and blobs are used in place, so the first byte must be as aligned as a file offset of 0 is.
struct Aligned {
  std::shared_ptr<const void> owner;
  Bytes bytes;
};
Aligned aligned(std::shared_ptr<const void> owner, Bytes bytes) {
  if (reinterpret_cast<uintptr_t>(bytes.data()) % kDataAlignment == 0) return {std::move(owner), bytes};
  const Tensor copy(DType::u8, {static_cast<int64_t>(bytes.size())});
  std::memcpy(const_cast<void*>(copy.data()), bytes.data(), bytes.size());
  return {copy.owner(), {static_cast<const std::byte*>(copy.data()), bytes.size()}};
}

Result<Model> read_aligned(const std::shared_ptr<const void>& owner, Bytes bytes, const ReadOptions& options) {
  QUOIN_TRY(const Layout layout, parse_layout(bytes, options.weights == ReadOptions::Weights::trust));
  QUOIN_TRY(Model model, decode(layout.segments, owner));
  if (auto status = verify(model); !status) return fail(in("segment GRPH", std::move(status).error()));
  return model;
}

}  // namespace

Result<std::vector<std::byte>> serialize(const Model& model) {
  return guarded([&]() -> Result<std::vector<std::byte>> {
    QUOIN_TRY(const Encoded encoded, checked_encode(model));
    const Image image = lay_out(encoded.segments);
    std::vector<std::byte> out;
    out.reserve(image.size);
    for (const Bytes piece : image.pieces) out.insert(out.end(), piece.begin(), piece.end());
    return out;
  });
}

Result<uint64_t> write(const std::string& path, const Model& model) {
  return guarded([&]() -> Result<uint64_t> {
    QUOIN_TRY(const Encoded encoded, checked_encode(model));
    const Image image = lay_out(encoded.segments);
    QUOIN_TRY(AtomicFile file, AtomicFile::create(path));
    for (const Bytes piece : image.pieces) QUOIN_CHECK(file.write(piece));
    QUOIN_CHECK(file.commit());
    return image.size;
  });
}

Result<uint64_t> measure(const Model& model) {
  return guarded([&]() -> Result<uint64_t> {
    QUOIN_TRY(const Encoded encoded, checked_encode(model));
    return lay_out(encoded.segments).size;
  });
}

Result<Model> read(const std::string& path, const ReadOptions& options) {
  QUOIN_TRY(MappedFile file, MappedFile::open(path));
  const auto owner = std::make_shared<MappedFile>(std::move(file));
  return read(owner, owner->bytes(), path, options);
}

Result<Model> read(std::shared_ptr<const void> owner, Bytes bytes, const std::string& name,
                   const ReadOptions& options) {
  return guarded([&]() -> Result<Model> {
    const Aligned file = aligned(std::move(owner), bytes);
    auto model = read_aligned(file.owner, file.bytes, options);
    if (!model) return fail(in(name, std::move(model).error()));
    return model;
  });
}

// Also true for a program whose signature was damaged on the way, so that the reader can say so.
bool looks_like_program(Bytes head) {
  return head.size() >= kMagic.size() && std::memcmp(head.data() + 1, kMagic.data() + 1, 3) == 0;
}

}  // namespace quoin::program
