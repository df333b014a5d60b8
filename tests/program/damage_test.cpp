// Hostile files: truncated, flipped, or damaged under checksums that were made right again. Never a crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "bytes.hpp"
#include "models.hpp"

namespace quoin::program::testing {
namespace {

class Damage : public ::testing::Test {
 protected:
  const FileBytes file = *serialize(small_model());
};

// A graph with a delegate, and methods with states and dynamic dims.
class AnyDamage : public ::testing::TestWithParam<Model (*)()> {
 protected:
  const FileBytes file = *serialize(GetParam()());
};
INSTANTIATE_TEST_SUITE_P(Models, AnyDamage, ::testing::Values(small_model, language_model));

TEST_P(AnyDamage, EveryTruncationIsAnError) {
  for (size_t size = 0; size < file.size(); ++size) {
    const auto result = read_bytes(FileBytes(file.begin(), file.begin() + static_cast<long>(size)));
    ASSERT_FALSE(result) << "cut to " << size;
    ASSERT_EQ(result.error().code, Code::program) << result.error().text();
  }
}

TEST_F(Damage, AppendedBytesAreAnError) {
  FileBytes longer = file;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(read_bytes(longer));
}

TEST_P(AnyDamage, EverySingleBitFlipIsAnError) {
  FileBytes flipped = file;
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    const std::byte mask{static_cast<unsigned char>(1u << (bit % 8))};
    flipped[bit / 8] ^= mask;
    ASSERT_FALSE(read_bytes(flipped)) << "bit " << bit % 8 << " of byte " << bit / 8;
    flipped[bit / 8] ^= mask;
  }
}

// What passes the checksums must pass the verifiers or be refused; a model that is accepted is legal and can be
// written again.
void expect_error_or_legal(const FileBytes& damaged, size_t& accepted) {
  const auto result = read_bytes(damaged);
  if (!result) {
    EXPECT_FALSE(result.error().text().empty());
    EXPECT_THAT(result.error().where, ::testing::StartsWith("small.quoin"));
    return;
  }
  ++accepted;
  EXPECT_TRUE(verify(*result));
  EXPECT_TRUE(serialize(*result));
}

std::byte hostile_byte(std::mt19937& random) {
  constexpr std::array<unsigned char, 8> kLikely = {0x00, 0x01, 0x7f, 0x80, 0xff, 0x40, 0x04, 0xfe};
  const auto roll = static_cast<uint32_t>(random());
  return std::byte{roll % 2 == 0 ? kLikely[roll / 2 % kLikely.size()] : static_cast<unsigned char>(roll >> 8)};
}

TEST_P(AnyDamage, GraphBytesUnderRepairedChecksumsNeverCrash) {
  std::mt19937 random(20240);
  const SegmentEntry graph = table_of(file)[0];
  size_t accepted = 0;
  constexpr int kRounds = 30000;
  for (int round = 0; round < kRounds; ++round) {
    FileBytes damaged = file;
    for (auto n = 1 + random() % 4; n > 0; --n) damaged[graph.offset + random() % graph.size] = hostile_byte(random);
    repair(damaged);
    expect_error_or_legal(damaged, accepted);
  }
  EXPECT_LT(accepted, kRounds * 7 / 10) << "most damage must be noticed";
}

TEST_F(Damage, HeaderAndTableUnderRepairedChecksumsNeverCrash) {
  std::mt19937 random(7);
  const size_t end = sizeof(Header) + table_of(file).size() * sizeof(SegmentEntry);
  size_t accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    FileBytes damaged = file;
    damaged[8 + random() % (end - 8)] = hostile_byte(random);
    if (header_of(damaged).segment_count <= 3) repair(damaged);
    Header header = header_of(damaged);
    put_header(damaged, header);
    expect_error_or_legal(damaged, accepted);
  }
}

// Whole 32-bit words are what offsets, counts and indices are made of.
TEST_P(AnyDamage, EveryWordOfTheGraphSetToExtremesNeverCrashes) {
  const SegmentEntry graph = table_of(file)[0];
  size_t accepted = 0;
  for (uint64_t at = 0; at + 4 <= graph.size; at += 4)
    for (const uint32_t word : {0u, 1u, 4u, 0x7fffffffu, 0x80000000u, 0xfffffffcu, 0xffffffffu}) {
      FileBytes damaged = file;
      std::memcpy(damaged.data() + graph.offset + at, &word, sizeof word);
      repair(damaged);
      expect_error_or_legal(damaged, accepted);
    }
}

TEST_F(Damage, TextModeTransferIsNamed) {
  FileBytes damaged = file;
  damaged.erase(damaged.begin() + 4);  // the carriage return
  const auto result = read_bytes(damaged);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().text(), ::testing::HasSubstr("text mode"));
}

TEST_F(Damage, OtherFilesAreNotPrograms) {
  FileBytes other(200, std::byte{'x'});
  EXPECT_THAT(read_bytes(other).error().text(), ::testing::HasSubstr("not a Quoin program"));
}

TEST_F(Damage, NonZeroPaddingIsRefusedAlthoughNoChecksumCoversIt) {
  FileBytes damaged = file;
  const auto table = table_of(file);
  damaged[table[1].offset - 1] = std::byte{1};
  const auto result = read_bytes(damaged);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().text(), ::testing::HasSubstr("segment 1 (WGTS): the padding"));
}

TEST_F(Damage, MessageLeadsFromTheFileToTheFault) {
  FileBytes damaged = file;
  // The operand list of the first linear node is {0, 1, 2}; find it and name a value that does not exist.
  const std::array<uint32_t, 4> list = {3, 0, 1, 2};
  const SegmentEntry graph = table_of(file)[0];
  auto* begin = reinterpret_cast<const char*>(damaged.data() + graph.offset);
  const std::string_view bytes(begin, graph.size), wanted(reinterpret_cast<const char*>(list.data()), sizeof list);
  const size_t at = bytes.find(wanted);
  ASSERT_NE(at, std::string_view::npos);
  damaged[graph.offset + at + 8] = std::byte{90};
  repair(damaged);
  const auto result = read_bytes(damaged);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().text(), "small.quoin: segment GRPH: node 0 (n0): input 1: value 90 of 8");
}

}  // namespace
}  // namespace quoin::program::testing
