// The table reader of program/view beside the verifier that FlatBuffers comes with: what ours accepts, that one does.
#include "program/view/tables.hpp"

#include <gtest/gtest.h>
#include <program_generated.h>

#include <filesystem>
#include <random>

#include "bytes.hpp"
#include "models.hpp"

namespace quoin::program::testing {
namespace {

FileBytes graph_of(const FileBytes& file) {
  const SegmentEntry entry = table_of(file)[0];
  EXPECT_EQ(entry.kind, kGraphSegment);
  const auto begin = file.begin() + static_cast<long>(entry.offset);
  return {begin, begin + static_cast<long>(entry.size)};
}

// Graphs of the seeds of the fuzzer, of every version of the format, and of the small models.
std::vector<std::pair<std::string, FileBytes>> graphs() {
  std::vector<std::pair<std::string, FileBytes>> out;
  const std::filesystem::path tests = QUOIN_SOURCE_ROOT "/tests";
  for (const auto& folder : {tests / "fuzz/corpus/program", tests / "program/versions"})
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (entry.path().extension() != ".quoin") continue;
      const auto file = MappedFile::open(entry.path().string());
      EXPECT_TRUE(file) << entry.path();
      out.emplace_back(entry.path().string(), graph_of({file->bytes().begin(), file->bytes().end()}));
    }
  out.emplace_back("small model", graph_of(*serialize(small_model())));
  out.emplace_back("language model", graph_of(*serialize(language_model())));
  return out;
}

// Bytes at an address that is as aligned as readers need it.
class Aligned {
 public:
  explicit Aligned(size_t size) : memory_(DType::u8, {static_cast<int64_t>(size)}), size_(size) {}
  std::byte* data() { return static_cast<std::byte*>(memory_.data()); }
  void copy(const FileBytes& from) { std::memcpy(data(), from.data(), size_); }
  Bytes bytes() { return {data(), size_}; }

 private:
  Tensor memory_;
  size_t size_;
};

bool accepted_by_flatbuffers(Bytes bytes) {
  flatbuffers::Verifier::Options limits;
  limits.max_depth = 16;
  limits.max_tables = 1u << 30;
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), limits);
  return fb::VerifyProgramBuffer(verifier);
}

bool accepted_by_view(Bytes bytes, std::string& why) {
  Arena memory(heap());
  quoin::Fault fault;
  view::Program program;
  if (view::read_tables(bytes, memory, program, fault)) return true;
  why = fault.failure()->text();
  return false;
}

TEST(Tables, BothReadersAcceptWhatTheWriterMakes) {
  const auto all = graphs();
  EXPECT_GE(all.size(), 15u);
  for (const auto& [name, graph] : all) {
    Aligned copy(graph.size());
    copy.copy(graph);
    std::string why;
    EXPECT_TRUE(accepted_by_flatbuffers(copy.bytes())) << name;
    EXPECT_TRUE(accepted_by_view(copy.bytes(), why)) << name << ": " << why;
  }
}

// Words are what offsets, counts and vtables are made of.
void damage(std::byte* bytes, size_t size, std::mt19937& random) {
  constexpr uint32_t kWords[] = {0, 1, 2, 3, 4, 8, 64, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff};
  for (auto n = 1 + random() % 3; n > 0; --n) {
    const size_t place = random() % (size / 4) * 4;
    uint32_t word = 0;
    std::memcpy(&word, bytes + place, sizeof word);
    switch (random() % 5) {
      case 0:
        word = kWords[random() % std::size(kWords)];
        break;
      case 1:
        word += static_cast<uint32_t>(random() % 17) - 8;
        break;
      case 2:  // a word of another place
        std::memcpy(&word, bytes + random() % (size / 4) * 4, sizeof word);
        break;
      case 3:
        word ^= 1u << random() % 32;
        break;
      default:
        word = static_cast<uint32_t>(random());
    }
    std::memcpy(bytes + place, &word, sizeof word);
  }
}

TEST(Tables, WhatIsReadPassesTheVerifierOfFlatBuffers) {
  std::mt19937 random(2026);
  constexpr size_t kRounds = 20000;
  size_t rounds = 0, both = 0, neither = 0;
  for (const auto& [name, graph] : graphs()) {
    Aligned copy(graph.size());
    for (size_t round = 0; round < kRounds; ++round, ++rounds) {
      copy.copy(graph);
      damage(copy.data(), graph.size(), random);
      std::string why;
      const bool ours = accepted_by_view(copy.bytes(), why), theirs = accepted_by_flatbuffers(copy.bytes());
      ASSERT_FALSE(ours && !theirs) << name << ", round " << round;
      both += ours && theirs;
      neither += !ours && !theirs;
    }
  }
  EXPECT_GT(both, rounds / 20) << "of " << rounds << ": damage that only the meaning tells must be among it";
  EXPECT_GT(neither, rounds / 20) << "of " << rounds;
}

TEST(Tables, EveryTruncationIsRefusedOrLegal) {
  for (const auto& [name, graph] : graphs())
    for (size_t size = 0; size < graph.size(); ++size) {
      Aligned copy(size);
      copy.copy(graph);
      std::string why;
      ASSERT_TRUE(!accepted_by_view(copy.bytes(), why) || accepted_by_flatbuffers(copy.bytes()))
          << name << " of " << size << " bytes";
    }
}

}  // namespace
}  // namespace quoin::program::testing
