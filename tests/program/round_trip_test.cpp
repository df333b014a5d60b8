#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/checked.hpp"
#include "bytes.hpp"
#include "models.hpp"

namespace quoin::program::testing {
namespace {

TEST(RoundTrip, KeepsGraphWeightsDelegatesOriginalsAndMetadata) {
  const Model model = small_model();
  const auto file = serialize(model);
  ASSERT_TRUE(file) << file.error().text();
  const auto back = read_bytes(*file);
  ASSERT_TRUE(back) << back.error().text();
  expect_equal(model, *back);
}

TEST(RoundTrip, KeepsMethodsStatesAndDynamicDims) {
  const Model model = language_model();
  const auto file = serialize(model);
  ASSERT_TRUE(file) << file.error().text();
  const auto back = read_bytes(*file);
  ASSERT_TRUE(back) << back.error().text();
  expect_equal(model, *back);
  EXPECT_EQ(*file, *serialize(*back)) << "writing what was read must give the same bytes";
}

TEST(RoundTrip, KeepsEveryKindOfQParams) {
  GraphBuilder builder;
  const uint32_t x = builder.input("x", s8({2, 4}));
  QParams channel{DType::s8, Scheme::per_channel, 0, 0, -127, 127, {0.5f, 0.25f, 2}, {}};
  QParams group{DType::s4, Scheme::per_group, -1, 2, -8, 7, {1, 2, 3, 4, 5, 6}, {1, 0, -1, 2, -3, 4}};
  builder.value("w", {DType::s8, {3, 4}, std::make_shared<const QParams>(channel)}, Tensor(DType::s8, {3, 4}));
  builder.value("g", {DType::s4, {3, 4}, std::make_shared<const QParams>(group)}, Tensor(DType::s4, {3, 4}));
  builder.graph.outputs = {x};
  Model model;
  model.methods = {{"forward", builder.graph}};
  const auto back = read_bytes(serialize(model).value());
  ASSERT_TRUE(back) << back.error().text();
  expect_equal(model, *back);
}

TEST(RoundTrip, KeepsEveryKindOfAttribute) {
  GraphBuilder builder;
  const uint32_t x = builder.input("x", f32({2, 4}));
  const uint32_t mean =
      builder.node("aten.mean.dim", {x}, f32({2, 1}), {{"dim", std::vector<int64_t>{1}}, {"keepdim", true}});
  builder.graph.outputs = {
      builder.node("aten.gelu.default", {mean}, f32({2, 1}), {{"approximate", std::string("tanh")}})};
  builder.graph.values[mean].offset = 0;
  builder.graph.arena_size = 64;
  Model model;
  model.methods = {{"forward", builder.graph}};
  const auto file = serialize(model);
  ASSERT_TRUE(file) << file.error().text();
  const auto back = read_bytes(*file);
  ASSERT_TRUE(back) << back.error().text();
  expect_equal(model, *back);
}

TEST(RoundTrip, IsDeterministic) {
  const auto first = serialize(small_model()), second = serialize(small_model());
  ASSERT_TRUE(first);
  EXPECT_EQ(*first, *second);
  const auto third = serialize(*read_bytes(*first));
  EXPECT_EQ(*first, *third) << "writing what was read must give the same bytes";
}

TEST(RoundTrip, StoresEqualBytesOnce) {
  const auto model = read_bytes(serialize(small_model()).value());
  ASSERT_TRUE(model);
  const Value& w = model->methods[0].graph.values[1];
  const Value& again = model->delegates[0].original->values[2];
  ASSERT_EQ(w.name, "w");
  ASSERT_EQ(again.name, "w_again");
  EXPECT_EQ(w.constant->data(), again.constant->data());
}

TEST(RoundTrip, DataBorrowsAlignedBytesAndOutlivesTheCaller) {
  std::optional<Model> model;
  {
    const auto file = serialize(small_model());
    model = *read_bytes(*file);
  }
  for (const Value& value : model->methods[0].graph.values) {
    if (!value.constant) continue;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(value.constant->data()) % 64, 0u) << value.name;
  }
  EXPECT_EQ(reinterpret_cast<uintptr_t>(model->delegates[0].blob.data()) % 64, 0u);
  EXPECT_EQ(model->methods[0].graph.values[1].constant->as<float>()[0], 1.0f);
}

TEST(RoundTrip, EmptyGraphIsAProgram) {
  GraphBuilder builder;
  builder.graph.outputs = {builder.input("x", f32({1}))};
  Model model;
  model.methods = {{"forward", builder.graph}};
  const auto back = read_bytes(serialize(model).value());
  ASSERT_TRUE(back) << back.error().text();
  expect_equal(model, *back);
}

TEST(Layout, SegmentsAreAlignedAndOrdered) {
  const auto file = serialize(small_model());
  const auto table = table_of(*file);
  ASSERT_EQ(table.size(), 3u);
  EXPECT_EQ(table[0].kind, kGraphSegment);
  EXPECT_EQ(table[1].kind, kWeightsSegment);
  EXPECT_EQ(table[1].offset % 4096, 0u);
  EXPECT_EQ(table[2].kind, kBlobSegment);
  EXPECT_EQ(table[2].offset + table[2].size, file->size());
}

TEST(Layout, IsRecognisedByItsSignature) {
  const auto file = serialize(small_model());
  EXPECT_TRUE(looks_like_program(*file));
  EXPECT_FALSE(looks_like_program(as_bytes("PK\3\4 a zip archive")));
  EXPECT_FALSE(looks_like_program({}));
}

TEST(Layout, UnknownOptionalSegmentIsSkipped) {
  auto file = *serialize(small_model());
  auto table = table_of(file);
  // The last segment's place is used for a fourth of size 0, so that the entry fits before the first segment.
  table.push_back(
      {fourcc("NOTE"), kOptionalSegment, align_up(uint64_t{file.size()}, uint64_t{8}), 0, 8, 0, XXH3_64bits("", 0)});
  file.resize(table.back().offset);
  Header header = header_of(file);
  header.segment_count = static_cast<uint32_t>(table.size());
  header.file_size = file.size();
  ASSERT_LE(sizeof(Header) + table.size() * sizeof(SegmentEntry), table[0].offset + 64);
  const uint64_t shifted = align_up(sizeof(Header) + table.size() * sizeof(SegmentEntry), uint64_t{64});
  ASSERT_GE(shifted, table[0].offset);
  std::vector<std::byte> graph(file.begin() + static_cast<long>(table[0].offset),
                               file.begin() + static_cast<long>(table[0].offset + table[0].size));
  ASSERT_LE(shifted + graph.size(), table[1].offset);
  std::fill(file.begin() + sizeof(Header), file.begin() + static_cast<long>(table[1].offset), std::byte{0});
  std::copy(graph.begin(), graph.end(), file.begin() + static_cast<long>(shifted));
  table[0].offset = shifted;
  put_header(file, header);
  put_table(file, table);
  const auto read = read_bytes(file);
  ASSERT_TRUE(read) << read.error().text();
  table.back().flags = 0;
  put_table(file, table);
  const auto mandatory = read_bytes(file);
  ASSERT_FALSE(mandatory);
  EXPECT_EQ(mandatory.error().code, Code::program_version);
  EXPECT_THAT(mandatory.error().text(), ::testing::HasSubstr("segment 3 (NOTE)"));
}

TEST(Layout, OtherMajorVersionIsNamed) {
  auto file = *serialize(small_model());
  Header header = header_of(file);
  header.major = 9;
  put_header(file, header);
  const auto result = read_bytes(file);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::program_version);
  EXPECT_THAT(result.error().text(), ::testing::HasSubstr(fmt::format("format 9.{}", kFormatMinor)));
}

// Readers of format 1.1 refuse what they do not know by its bit, and this one a bit that says what is not so.
TEST(Layout, WritingOverOperandsIsAFeature) {
  Model model = small_model();
  EXPECT_EQ(header_of(*serialize(model)).required_features, 0u);
  std::vector<Value>& values = model.methods[0].graph.values;
  values[4].offset = 0;  // relu over its operand
  std::swap(values[5].offset, values[6].offset);
  auto file = *serialize(model);
  Header header = header_of(file);
  EXPECT_EQ(header.required_features, kInPlace);
  EXPECT_TRUE(read_bytes(file));
  header.required_features = 0;
  put_header(file, header);
  EXPECT_THAT(read_bytes(file).error().text(), ::testing::HasSubstr("are not those of the graph"));
}

TEST(Layout, UnknownRequiredFeatureIsRefused) {
  auto file = *serialize(small_model());
  Header header = header_of(file);
  header.required_features = 4;
  put_header(file, header);
  EXPECT_EQ(read_bytes(file).error().code, Code::program_version);
}

}  // namespace
}  // namespace quoin::program::testing
