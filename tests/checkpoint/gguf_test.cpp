#include <random>

#include "ops/half.hpp"
#include "ops/scale_layout.hpp"
#include "support.hpp"

namespace quoin::checkpoint::test {
namespace {

using Floats = std::vector<float>;

Result<Checkpoint> open(const TempFolder& folder, const Gguf& file) {
  return Checkpoint::open(folder.write("w.gguf", file.bytes()));
}
Checkpoint must_open(const TempFolder& folder, const Gguf& file) {
  auto checkpoint = open(folder, file);
  EXPECT_TRUE(checkpoint) << (checkpoint ? "" : checkpoint.error().text());
  return *std::move(checkpoint);
}

TEST(Gguf, ReadsMetadataOfEveryKind) {
  const TempFolder folder;
  Gguf file;
  file.key<uint8_t>("u8", Gguf::u8, 200).key<int8_t>("s8", Gguf::s8, -3);
  file.key<uint16_t>("u16", Gguf::u16, 60000).key<int16_t>("s16", Gguf::s16, -300);
  file.key<uint32_t>("u32", Gguf::u32, 4000000000u).key<int32_t>("s32", Gguf::s32, -70000);
  file.key<uint64_t>("u64", Gguf::u64, 1ull << 40).key<int64_t>("s64", Gguf::s64, -(1ll << 40));
  file.key<float>("f32", Gguf::f32, 0.5f).key<double>("f64", Gguf::f64, 1e300);
  file.key<uint8_t>("yes", Gguf::boolean, 1).key("text", "hello").texts("texts", {"a", "", "bc"});
  file.numbers<uint16_t>("integers", Gguf::u16, {1, 2}).numbers<float>("reals", Gguf::f32, {0.25f});
  const Settings expected{{"u8", int64_t{200}},
                          {"s8", int64_t{-3}},
                          {"u16", int64_t{60000}},
                          {"s16", int64_t{-300}},
                          {"u32", int64_t{4000000000}},
                          {"s32", int64_t{-70000}},
                          {"u64", int64_t{1} << 40},
                          {"s64", -(int64_t{1} << 40)},
                          {"f32", 0.5},
                          {"f64", 1e300},
                          {"yes", true},
                          {"text", std::string("hello")},
                          {"texts", std::vector<std::string>{"a", "", "bc"}},
                          {"integers", std::vector<int64_t>{1, 2}},
                          {"reals", std::vector<double>{0.25}}};
  EXPECT_EQ(must_open(folder, file).metadata(), expected);
  file.version = 2;
  EXPECT_EQ(must_open(folder, file).metadata(), expected);
}

TEST(Gguf, ShapesAreOutermostFirst) {
  const TempFolder folder;
  Gguf file;
  file.tensor("w", {2, 3}, Gguf::F32, raw<float>({1, 2, 3, 4, 5, 6}))
      .tensor("v", {1}, Gguf::BF16, raw<uint16_t>(0x3f80));
  const Checkpoint checkpoint = must_open(folder, file);
  EXPECT_EQ(checkpoint.format(), Format::gguf);
  EXPECT_EQ(checkpoint.find("w")->shape, (Shape{2, 3}));
  EXPECT_EQ(floats(checkpoint.load_f32("w")), (Floats{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(floats(checkpoint.load_f32("v")), (Floats{1}));
}

std::string random_bytes(std::mt19937& random, size_t count) {
  std::string out(count, '\0');
  for (char& byte : out) byte = static_cast<char>(random());
  return out;
}
std::string half(float value) { return raw(float_to_half(value)); }

// The values of a row of blocks from codes that a test placed one by one, against the decoder.
TEST(Gguf, Q4_0PairsElementsOfTheHalvesOfABlock) {
  const TempFolder folder;
  std::string block = half(-0.5f);
  Floats expected(32);
  for (int i = 0; i < 16; ++i) {
    block += static_cast<char>(i | (15 - i) << 4);
    expected[static_cast<size_t>(i)] = static_cast<float>(i - 8) * -0.5f;
    expected[static_cast<size_t>(i + 16)] = static_cast<float>(7 - i) * -0.5f;
  }
  Gguf file;
  EXPECT_EQ(floats(must_open(folder, file.tensor("w", {1, 32}, Gguf::Q4_0, block)).load_f32("w")), expected);
}

TEST(Gguf, Q8_0IsScaleTimesByte) {
  const TempFolder folder;
  std::string block = half(0.25f);
  Floats expected;
  for (int i = 0; i < 32; ++i) {
    block += static_cast<char>(i * 8 - 128);
    expected.push_back(static_cast<float>(i * 8 - 128) * 0.25f);
  }
  Gguf file;
  EXPECT_EQ(floats(must_open(folder, file.tensor("w", {32}, Gguf::Q8_0, block)).load_f32("w")), expected);
}

// Scales and minima of 6 bits: those of the first four blocks whole in bytes 0-3 and 4-7, of the last four split
// between bytes 8-11 (low nibbles) and the upper two bits of bytes 0-7.
TEST(Gguf, Q4_KHasScalesAndMinimaOfSixBits) {
  const TempFolder folder;
  const std::vector<uint32_t> scale{1, 63, 2, 40, 17, 5, 62, 33}, min{0, 9, 63, 31, 48, 7, 20, 1};
  std::string packed(12, '\0');
  for (size_t j = 0; j < 4; ++j) {
    packed[j] = static_cast<char>(scale[j] | (scale[j + 4] >> 4) << 6);
    packed[j + 4] = static_cast<char>(min[j] | (min[j + 4] >> 4) << 6);
    packed[j + 8] = static_cast<char>((scale[j + 4] & 15) | (min[j + 4] & 15) << 4);
  }
  std::mt19937 random(1);
  const std::string quants = random_bytes(random, 128);
  Floats expected;
  for (size_t i = 0; i < 256; ++i) {
    const auto byte = static_cast<uint8_t>(quants[i / 64 * 32 + i % 32]);
    const uint32_t code = i % 64 < 32 ? byte & 15u : byte >> 4;
    expected.push_back(0.5f * static_cast<float>(scale[i / 32]) * static_cast<float>(code) -
                       0.25f * static_cast<float>(min[i / 32]));
  }
  Gguf file;
  file.tensor("w", {1, 256}, Gguf::Q4_K, half(0.5f) + half(0.25f) + packed + quants);
  const Checkpoint checkpoint = must_open(folder, file);
  EXPECT_EQ(floats(checkpoint.load_f32("w")), expected);
  EXPECT_FALSE(checkpoint.load_quantized("w").value());
}

TEST(Gguf, Q6_KSplitsCodesIntoNibblesAndPairs) {
  const TempFolder folder;
  std::mt19937 random(2);
  std::vector<int> codes(256);
  std::string low(128, '\0'), high(64, '\0'), scales;
  for (size_t i = 0; i < 256; ++i) {
    codes[i] = static_cast<int>(random() % 64);
    const size_t half = i / 128, row = i % 128 / 32, column = i % 32;
    low[half * 64 + (row & 1) * 32 + column] |= static_cast<char>((codes[i] & 15) << (row >> 1) * 4);
    high[half * 32 + column] |= static_cast<char>((codes[i] >> 4) << 2 * row);
  }
  for (int i = 0; i < 16; ++i) scales += static_cast<char>(i * 15 - 120);
  Floats expected;
  for (size_t i = 0; i < 256; ++i)
    expected.push_back(0.5f * static_cast<float>(static_cast<int>(i / 16) * 15 - 120) *
                       static_cast<float>(codes[i] - 32));
  Gguf file;
  file.tensor("w", {1, 256}, Gguf::Q6_K, low + high + scales + half(0.5f));
  EXPECT_EQ(floats(must_open(folder, file).load_f32("w")), expected);
}

int code_at(const Quantized& quantized, size_t i) {
  const auto* bytes = static_cast<const uint8_t*>(quantized.codes.data());
  if (quantized.codes.dtype() == DType::s8) return static_cast<int8_t>(bytes[i]);
  return static_cast<int>((bytes[i / 2] >> i % 2 * 4 & 15) ^ 8) - 8;
}

// Scales of both signs and zero among random codes.
TEST(Gguf, CodesAndScalesOfBlocksStandForTheSameNumbers) {
  const TempFolder folder;
  std::mt19937 random(3);
  std::string four, eight;
  for (const float scale : {0.5f, -0.25f, 0.0f, 0x1p-24f}) {
    four += half(scale) + random_bytes(random, 16);
    eight += half(scale) + random_bytes(random, 32);
  }
  Gguf file;
  file.tensor("four", {2, 64}, Gguf::Q4_0, four).tensor("eight", {2, 64}, Gguf::Q8_0, eight);
  const Checkpoint checkpoint = must_open(folder, file);
  for (const char* name : {"four", "eight"}) {
    const Floats expected = floats(checkpoint.load_f32(name));
    const auto found = checkpoint.load_quantized(name);
    ASSERT_TRUE(found && *found) << name;
    const QParams& qparams = *(*found)->qparams;
    EXPECT_TRUE(check_scales(qparams, {2, 64})) << name;
    for (size_t i = 0; i < expected.size(); ++i)
      ASSERT_EQ(static_cast<float>(code_at(**found, i) - qparams.zero_point_at(i / 32)) * qparams.scale[i / 32],
                expected[i])
          << name << " element " << i;
  }
}

TEST(Gguf, SymmetricWhereNoScaleIsNegative) {
  const TempFolder folder;
  std::mt19937 random(4);
  Gguf file;
  file.tensor("w", {1, 32}, Gguf::Q8_0, half(1) + random_bytes(random, 32));
  EXPECT_TRUE(must_open(folder, file).load_quantized("w").value()->qparams->zero_point.empty());
}

TEST(Gguf, NamesAScaleThatIsNotFinite) {
  const TempFolder folder;
  const std::string good = half(1) + std::string(32, '\1'), bad = half(NAN) + std::string(32, '\1');
  Gguf file;
  const Checkpoint checkpoint = must_open(folder, file.tensor("w", {2, 32}, Gguf::Q8_0, good + bad));
  EXPECT_TRUE(fails_with(checkpoint.load_f32("w"), Code::model, "tensor w: element [1, 0] is NaN"));
  EXPECT_TRUE(fails_with(checkpoint.load_quantized("w"), Code::model, "tensor w: element [1, 0] is NaN"));
}

class BadGguf : public ::testing::Test {
 protected:
  ::testing::AssertionResult refuses(const Gguf& file, Code code, const std::string& part) const {
    return fails_with(open(folder_, file), code, part);
  }
  const TempFolder folder_;
  const std::string four_ = raw<float>({1, 2, 3, 4});
};

TEST_F(BadGguf, HeaderIsRefused) {
  EXPECT_TRUE(fails_with(Checkpoint::open(folder_.write("e.gguf", "")), Code::model, "truncated: magic needs 4 bytes"));
  Gguf file;
  file.magic = 0x12345678;
  EXPECT_TRUE(refuses(file, Code::model, "not GGUF: magic 12345678"));
  file = {};
  file.version = 1;
  EXPECT_TRUE(refuses(file, Code::unsupported, "GGUF version 1, supported are 2 and 3"));
  file.version = 0x03000000;
  EXPECT_TRUE(refuses(file, Code::unsupported, "the file seems to be big endian"));
  file = {};
  file.tensor_count = ~0ull;
  EXPECT_TRUE(refuses(file, Code::limit, "18446744073709551615 tensors, the limit is 65536"));
  file = {};
  file.key_count = 1ull << 40;
  EXPECT_TRUE(refuses(file, Code::limit, "1099511627776 metadata keys"));
}

TEST_F(BadGguf, MetadataIsRefused) {
  EXPECT_TRUE(refuses(Gguf().key("k", "a").key("k", "b"), Code::model, "metadata key k occurs twice"));
  EXPECT_TRUE(refuses(Gguf().raw_key("k", raw<uint32_t>(13)), Code::model, "metadata key k has kind 13"));
  EXPECT_TRUE(refuses(Gguf().raw_key("k", raw<uint32_t>(Gguf::text) + raw<uint64_t>(~0ull)), Code::model,
                      "metadata key k is a text of 18446744073709551615 bytes"));
  EXPECT_TRUE(refuses(Gguf().raw_key("k", raw<uint32_t>(Gguf::text) + raw<uint64_t>(1000)), Code::model,
                      "truncated: metadata key k needs 1000 bytes"));
  const std::string list = raw<uint32_t>(Gguf::list);
  EXPECT_TRUE(refuses(Gguf().raw_key("k", list + raw<uint32_t>(Gguf::u8) + raw<uint64_t>(1ull << 60)), Code::model,
                      "metadata key k claims 1152921504606846976 elements"));
  EXPECT_TRUE(refuses(Gguf().raw_key("k", list + raw<uint32_t>(Gguf::list) + raw<uint64_t>(0)), Code::unsupported,
                      "metadata key k is a list of lists"));
  EXPECT_TRUE(refuses(Gguf().raw_key("k", list + raw<uint32_t>(99) + raw<uint64_t>(0)), Code::model,
                      "metadata key k is a list of kind 99"));
  EXPECT_TRUE(
      refuses(Gguf().key<uint64_t>("k", Gguf::u64, ~0ull), Code::unsupported, "metadata key k is over 2^63 - 1"));
  EXPECT_TRUE(refuses(Gguf().key<uint8_t>("k", Gguf::boolean, 2), Code::model, "metadata key k is a truth value of 2"));
  EXPECT_TRUE(refuses(Gguf().key<uint32_t>("general.alignment", Gguf::u32, 12), Code::model,
                      "general.alignment is not a power of two"));
  EXPECT_TRUE(refuses(Gguf().key<uint16_t>("split.count", Gguf::u16, 2), Code::unsupported, "one of 2 parts"));
}

TEST_F(BadGguf, TensorsAreRefused) {
  EXPECT_TRUE(refuses(Gguf().tensor("w", {4}, Gguf::F32, four_).tensor("w", {4}, Gguf::F32, four_), Code::model,
                      "tensor w occurs twice"));
  EXPECT_TRUE(refuses(Gguf().tensor("w", {4}, 7, four_), Code::unsupported, "tensor w has element type 7 (Q5_1)"));
  EXPECT_TRUE(refuses(Gguf().tensor("w", {4}, 77, four_), Code::unsupported, "tensor w has element type 77 (?)"));
  EXPECT_TRUE(refuses(Gguf().tensor("w", {1, 1, 1, 1, 1}, Gguf::F32, four_), Code::model, "tensor w has 5 dims"));
  EXPECT_TRUE(refuses(Gguf().tensor("w", {1, ~0ull}, Gguf::F32, four_), Code::model, "tensor w has a dim of"));
  EXPECT_TRUE(refuses(Gguf().tensor("w", {1ull << 32, 1ull << 32}, Gguf::F32, four_), Code::model,
                      "tensor w: shape [4294967296, 4294967296] has more than 2^48 elements"));
  EXPECT_TRUE(
      refuses(Gguf().tensor("w", {33}, Gguf::Q8_0, four_), Code::model, "rows of 33 are not whole Q8_0 blocks"));
}

TEST_F(BadGguf, DataIsRefused) {
  EXPECT_TRUE(refuses(Gguf().tensor("w", {4}, Gguf::F32, four_, 8), Code::model, "not a multiple of 32"));
  EXPECT_TRUE(
      refuses(Gguf().tensor("w", {4}, Gguf::F32, four_, 1ull << 40), Code::model, "truncated: tensor w needs 16"));
  EXPECT_TRUE(refuses(Gguf().tensor("w", {4}, Gguf::F32, four_, ~31ull), Code::model, "truncated: tensor w"));
  EXPECT_TRUE(
      refuses(Gguf().tensor("w", {400}, Gguf::F32, four_), Code::model, "truncated: tensor w needs 1600 bytes"));
  EXPECT_TRUE(refuses(Gguf().tensor("v", {4}, Gguf::F32, four_).tensor("w", {4}, Gguf::F32, four_, 0), Code::model,
                      "tensors v and w overlap"));
}

}  // namespace
}  // namespace quoin::checkpoint::test
