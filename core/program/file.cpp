#include "program/file.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/guard.hpp"
#include "program/decode.hpp"
#include "program/encode.hpp"
#include "program/external.hpp"
#include "program/lifetime.hpp"

namespace quoin::program {
namespace {

uint32_t graph_features(const Model& model) {
  bool in_place = false;
  for (const Method& method : model.methods) in_place = in_place || runs_in_place(method.graph);
  for (const Delegate& delegate : model.delegates)
    in_place = in_place || (delegate.original && runs_in_place(*delegate.original));
  return in_place ? uint32_t{kInPlace} : 0;
}

Result<Encoded> checked_encode(const Model& model) {
  QUOIN_CHECK_AT(verify(model), "program to write");
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

Result<Content> open_second_file(const std::string& name, const ReadOptions& options) {
  if (options.open_weights) return options.open_weights(name);
  if (options.folder) return open_weights(*options.folder, name);
  return fail(Code::not_found, "its weights are in the file {}", name).hint("say in which folder that lies");
}

// What constants and named data are spans of; its owner keeps `program`, too.
Result<Content> weights_of(const Layout& layout, const std::shared_ptr<const void>& program,
                           const ReadOptions& options) {
  if ((layout.features & kExternalWeights) == 0) {
    QUOIN_TRY(const Bytes weights, only_segment(layout.segments, kWeightsSegment));
    return Content{program, weights};
  }
  QUOIN_TRY(const Bytes reference, only_segment(layout.segments, kExternalSegment));
  QUOIN_TRY(const ExternalWeights named, decode_reference(reference));
  QUOIN_TRY(Content opened, open_second_file(named.name, options));
  QUOIN_CHECK(check_weights(named, opened.bytes, options.weights == ReadOptions::Weights::trust));
  Aligned weights = aligned(std::move(opened.owner), opened.bytes);
  using Both = std::pair<std::shared_ptr<const void>, std::shared_ptr<const void>>;
  return Content{std::make_shared<Both>(program, std::move(weights.owner)), weights.bytes};
}

// Decoded, but not verified.
Result<Model> decode_file(const Layout& layout, const std::shared_ptr<const void>& owner, const ReadOptions& options) {
  QUOIN_TRY(const Content weights, weights_of(layout, owner, options));
  return decode(layout.segments, weights.bytes, weights.owner);
}

Result<Model> read_aligned(const std::shared_ptr<const void>& owner, Bytes bytes, const ReadOptions& options) {
  QUOIN_TRY(const Layout layout, parse_layout(bytes, options.weights == ReadOptions::Weights::trust));
  QUOIN_TRY(Model model, decode_file(layout, owner, options));
  QUOIN_CHECK_AT(verify(model), "segment GRPH");
  // Without operators, originals of delegates are not read, and nothing else can write over an operand.
  if (!all_ops().empty() && (layout.features & kInPlace) != graph_features(model))
    return fail(Code::program, "the features named are not those of the graph").at("header");
  return model;
}

std::string folder_of(const std::string& path) { return path.substr(0, path.find_last_of('/') + 1); }

Status write_pieces(const std::string& path, const std::vector<Bytes>& pieces) {
  QUOIN_TRY(AtomicFile file, AtomicFile::create(path));
  for (const Bytes piece : pieces) QUOIN_CHECK(file.write(piece));
  return file.commit();
}

// In the folder of the program.
Result<ExternalWeights> write_weights(const std::string& program, const std::vector<Bytes>& pieces) {
  const std::filesystem::path target(program);
  ExternalWeights external = describe_weights(pieces, target.stem().string());
  QUOIN_CHECK(write_pieces((target.parent_path() / external.name).string(), pieces));
  return external;
}

}  // namespace

Result<std::vector<std::byte>> serialize(const Model& model) {
  return guarded([&]() -> Result<std::vector<std::byte>> {
    QUOIN_TRY(const Encoded encoded, checked_encode(model));
    const Image image = lay_out(encoded.segments, graph_features(model));
    std::vector<std::byte> out;
    out.reserve(image.size);
    for (const Bytes piece : image.pieces) out.insert(out.end(), piece.begin(), piece.end());
    return out;
  });
}

Result<uint64_t> write(const std::string& path, const Model& model) {
  QUOIN_TRY(const Written written, write(path, model, {}));
  return written.size;
}

Result<Written> write(const std::string& path, const Model& model, const WriteOptions& options) {
  return guarded([&]() -> Result<Written> {
    QUOIN_TRY(Encoded encoded, checked_encode(model));
    std::vector<std::byte> reference, tests;  // the segments borrow them
    Written written;
    if (options.external_weights) {
      QUOIN_TRY(const ExternalWeights external, write_weights(path, encoded.segments[kWeightsIndex].pieces));
      reference = encode_reference(external);
      encoded.segments[kWeightsIndex] = {kExternalSegment, kDataAlignment, {reference}};
      written.weights_size = external.size;
      written.weights_name = external.name;
    }
    if (!options.tests.empty()) {
      QUOIN_CHECK(verify_tests(options.tests, model));
      tests = encode_tests(options.tests);
      encoded.segments.push_back({kTestSegment, kDataAlignment, {tests}, kOptionalSegment});
    }
    const Image image = lay_out(encoded.segments, graph_features(model));
    QUOIN_CHECK(write_pieces(path, image.pieces));
    written.size = image.size;
    return written;
  });
}

Result<uint64_t> measure(const Model& model) {
  return guarded([&]() -> Result<uint64_t> {
    QUOIN_TRY(const Encoded encoded, checked_encode(model));
    return lay_out(encoded.segments, graph_features(model)).size;
  });
}

Result<Model> read(const std::string& path, const ReadOptions& options) {
  QUOIN_TRY(MappedFile file, MappedFile::open(path));
  const auto owner = std::make_shared<MappedFile>(std::move(file));
  ReadOptions located = options;
  if (!located.folder) located.folder = folder_of(path);
  return read(owner, owner->bytes(), path, located);
}

Result<Model> read(std::shared_ptr<const void> owner, Bytes bytes, const std::string& name,
                   const ReadOptions& options) {
  return guarded([&]() -> Result<Model> {
    const Aligned file = aligned(std::move(owner), bytes);
    auto model = read_aligned(file.owner, file.bytes, options);
    if (!model) return std::move(model).failure().at("{}", name);
    return model;
  });
}

Result<std::map<std::string, std::string>> read_metadata(const std::string& path) {
  return guarded([&]() -> Result<std::map<std::string, std::string>> {
    QUOIN_TRY(MappedFile mapped, MappedFile::open(path));
    const auto file = std::make_shared<const MappedFile>(std::move(mapped));
    ReadOptions options{ReadOptions::Weights::trust};
    options.folder = folder_of(path);
    const auto decode_trusting = [&]() -> Result<Model> {
      QUOIN_TRY(const Layout layout, parse_layout(file->bytes(), true));
      return decode_file(layout, file, options);
    };
    auto model = decode_trusting();
    if (!model) return std::move(model).failure().at("{}", path);
    return std::move(model->metadata);
  });
}

Result<std::vector<TestCase>> read_tests(Bytes file, const Model& model) {
  return guarded([&]() -> Result<std::vector<TestCase>> {
    QUOIN_TRY(const Layout layout, parse_layout(file, true));
    if (std::ranges::find(layout.segments, kTestSegment, &Segment::kind) == layout.segments.end())
      return std::vector<TestCase>();
    QUOIN_TRY(const Bytes segment, only_segment(layout.segments, kTestSegment));
    auto tests = decode_tests(segment, model);
    if (!tests) return std::move(tests).failure().at("segment TEST");
    return tests;
  });
}

// Also true for a program whose signature was damaged on the way, so that the reader can say so.
bool looks_like_program(Bytes head) {
  return head.size() >= kMagic.size() && std::memcmp(head.data() + 1, kMagic.data() + 1, 3) == 0;
}

}  // namespace quoin::program
