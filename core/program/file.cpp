#include "program/file.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/guard.hpp"
#include "program/encode.hpp"
#include "program/flatten.hpp"
#include "program/lift.hpp"
#include "program/view/open.hpp"
#include "program/view/verify.hpp"

namespace quoin::program {
namespace {

// A legal model as segments.
struct Checked {
  Encoded encoded;
  uint32_t features = 0;  // of its graphs
};

// Of a legal model the features of its graphs.
Result<uint32_t> verified_features(const Model& model) {
  Arena memory(heap());
  Fault fault;
  bool in_place = false;
  QUOIN_TRY(view::Program* const program, flatten(model, memory));
  if (!view::verify(*program, memory, fault) || !view::find_in_place(*program, heap(), in_place, fault))
    return fault.failure();
  return in_place ? uint32_t{kInPlace} : 0;
}

Result<Checked> checked_encode(const Model& model) {
  auto features = verified_features(model);
  if (!features) return std::move(features).failure().at("program to write");
  QUOIN_TRY(Encoded encoded, encode(model));
  return Checked{std::move(encoded), *features};
}

// What a model that was read borrows.
struct Source {
  std::shared_ptr<const void> file, weights;
  Arena memory{heap()};
};

// The second file of a split program.
struct Second {
  const ReadOptions& options;
  std::shared_ptr<const void>& owner;
  static bool open(void* self, std::string_view name, Bytes& out, Fault& fault) {
    const auto& [options, owner] = *static_cast<const Second*>(self);
    const std::string plain(name);
    auto opened = options.open_weights ? options.open_weights(plain) : open_weights(*options.folder, plain);
    if (!opened) return fault.take(opened.error());
    owner = std::move(opened->owner);
    out = opened->bytes;
    return true;
  }
};

Result<Model> read_source(const std::shared_ptr<Source>& source, Bytes bytes, const ReadOptions& options) {
  Second second{options, source->weights};
  view::Options how{options.weights == ReadOptions::Weights::trust, {}};
  if (options.folder || options.open_weights) how.second = {&second, Second::open};
  Fault fault;
  const view::Program* program = view::open(bytes, how, source->memory, fault);
  if (program == nullptr) return fault.failure();
  return lift(*program, source);
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

Status verify(const Model& model) {
  QUOIN_CHECK(verified_features(model));
  return {};
}

Result<std::vector<std::byte>> serialize(const Model& model) {
  return guarded([&]() -> Result<std::vector<std::byte>> {
    QUOIN_TRY(const Checked checked, checked_encode(model));
    const Image image = lay_out(checked.encoded.segments, checked.features);
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
    QUOIN_TRY(Checked checked, checked_encode(model));
    std::vector<SegmentSource>& segments = checked.encoded.segments;
    std::vector<std::byte> reference, tests;  // the segments borrow them
    Written written;
    if (options.external_weights) {
      QUOIN_TRY(const ExternalWeights external, write_weights(path, segments[kWeightsIndex].pieces));
      reference = encode_reference(external);
      segments[kWeightsIndex] = {kExternalSegment, kDataAlignment, {reference}};
      written.weights_size = external.size;
      written.weights_name = external.name;
    }
    if (!options.tests.empty()) {
      QUOIN_CHECK(verify_tests(options.tests, model));
      tests = encode_tests(options.tests);
      segments.push_back({kTestSegment, kDataAlignment, {tests}, kOptionalSegment});
    }
    const Image image = lay_out(segments, checked.features);
    QUOIN_CHECK(write_pieces(path, image.pieces));
    written.size = image.size;
    return written;
  });
}

Result<uint64_t> measure(const Model& model) {
  return guarded([&]() -> Result<uint64_t> {
    QUOIN_TRY(const Checked checked, checked_encode(model));
    return lay_out(checked.encoded.segments, checked.features).size;
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
    const auto source = std::make_shared<Source>();
    source->file = std::move(owner);
    auto model = read_source(source, bytes, options);
    if (!model) return std::move(model).failure().at("{}", name);
    return model;
  });
}

Result<std::map<std::string, std::string>> read_metadata(const std::string& path) {
  return guarded([&]() -> Result<std::map<std::string, std::string>> {
    QUOIN_TRY(const MappedFile file, MappedFile::open(path));
    Arena memory(heap());
    Fault fault;
    view::Layout layout;
    view::Program program;
    if (!view::read_layout(file.bytes(), true, memory, layout, fault) ||
        !view::read_graphs(layout, memory, program, fault))
      return fault.failure().at("{}", path);
    std::map<std::string, std::string> out;
    for (const view::Pair& pair : program.metadata) out.emplace(pair.key, pair.value);
    return out;
  });
}

Result<std::vector<TestCase>> read_tests(Bytes file, const Model& model) {
  return guarded([&]() -> Result<std::vector<TestCase>> {
    Arena memory(heap());
    Fault fault;
    view::Layout layout;
    Bytes segment;
    if (!view::read_layout(file, true, memory, layout, fault)) return fault.failure();
    const auto kind = [](const view::Segment& each) { return each.entry.kind; };
    if (std::ranges::find(layout.segments, kTestSegment, kind) == layout.segments.end()) return std::vector<TestCase>();
    if (!view::only_segment(layout, kTestSegment, segment, fault)) return fault.failure();
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
