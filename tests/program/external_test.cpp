// Weights in a second file: found by plain name in the folder of the program, checked by size and digest.
#include "program/external.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "bytes.hpp"
#include "models.hpp"
#include "program/view/external.hpp"

namespace quoin::program::testing {
namespace {

using ::testing::HasSubstr;

class External : public ::testing::Test {
 protected:
  void SetUp() override {
    folder = std::filesystem::temp_directory_path() / ("quoin_external_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    path = (folder / "model.quoin").string();
    auto result = write(path, small_model(), {true, {}});
    ASSERT_TRUE(result) << result.error().text();
    written = *result;
    weights = folder / written.weights_name;
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  FileBytes content(const std::filesystem::path& of) const {
    const auto file = MappedFile::open(of.string());
    return {file->bytes().begin(), file->bytes().end()};
  }
  std::string refusal(const ReadOptions& options = {}) const {
    const auto model = read(path, options);
    return model ? "read" : model.error().text();
  }

  std::filesystem::path folder, weights;
  std::string path;
  Written written;
};

TEST_F(External, ProgramReadsItsWeightsBesideIt) {
  const auto model = read(path);
  ASSERT_TRUE(model) << model.error().text();
  expect_equal(small_model(), *model);
  EXPECT_EQ(std::filesystem::file_size(path), written.size);
  EXPECT_EQ(std::filesystem::file_size(weights), written.weights_size);
  EXPECT_THAT(written.weights_name, ::testing::StartsWith("model."));
}

TEST_F(External, WeightsAreThoseOfTheSegment) {
  const FileBytes whole = *serialize(small_model());
  const SegmentEntry segment = table_of(whole)[1];
  const auto begin = whole.begin() + static_cast<long>(segment.offset);
  EXPECT_EQ(content(weights), FileBytes(begin, begin + static_cast<long>(segment.size)));
}

TEST_F(External, OtherWeightsGetAnotherName) {
  Model other = small_model();
  other.methods[0].graph.values[1].constant = floats(other.methods[0].graph.values[1].type.shape, 99);
  const auto second = write(path, other, {true, {}});
  ASSERT_TRUE(second);
  EXPECT_NE(second->weights_name, written.weights_name);
  EXPECT_TRUE(std::filesystem::exists(weights)) << "a reader of the old program still finds its weights";
  EXPECT_EQ(write(path, other, {true, {}})->weights_name, second->weights_name);
}

TEST_F(External, MissingTruncatedAndDamagedWeightsAreNamed) {
  FileBytes bytes = content(weights);
  bytes[7] ^= std::byte{1};
  ASSERT_TRUE(write_file(weights.string(), bytes));
  EXPECT_THAT(refusal(), HasSubstr(written.weights_name + ": the digest does not match"));
  EXPECT_EQ(refusal({ReadOptions::Weights::trust}), "read");
  bytes.pop_back();
  ASSERT_TRUE(write_file(weights.string(), bytes));
  EXPECT_THAT(refusal({ReadOptions::Weights::trust}), HasSubstr("the program needs"));
  std::filesystem::remove(weights);
  EXPECT_EQ(read(path).error().code, Code::not_found);
  EXPECT_THAT(refusal(), HasSubstr(written.weights_name));
}

TEST_F(External, LinksAreNotFollowed) {
  std::filesystem::rename(weights, folder / "elsewhere");
  std::filesystem::create_symlink(folder / "elsewhere", weights);
  EXPECT_THAT(refusal(), HasSubstr("symbolic link"));
}

TEST_F(External, ProgramInMemoryNeedsTheFolder) {
  const auto bytes = std::make_shared<FileBytes>(content(path));
  EXPECT_THAT(read(bytes, *bytes, "memory").error().text(), HasSubstr("say in which folder"));
  ReadOptions options;
  options.folder = folder.string();
  EXPECT_TRUE(read(bytes, *bytes, "memory", options));
}

TEST_F(External, FeatureAndSegmentBelongTogether) {
  FileBytes bytes = content(path);
  Header header = header_of(bytes);
  EXPECT_EQ(header.required_features, kExternalWeights);
  header.required_features = 0;
  put_header(bytes, header);
  EXPECT_THAT(read_bytes(bytes).error().text(), HasSubstr("features"));
}

// Why a reference is not read; "": it is.
std::string refusal(Bytes reference, view::ExternalWeights& to) {
  quoin::Fault fault;
  return view::read_reference(reference, to, fault) ? "" : fault.failure()->text();
}
std::string refusal(Bytes reference) {
  view::ExternalWeights ignored{};
  return refusal(reference, ignored);
}

TEST(ExternalReference, KeepsWhatItSays) {
  const std::vector<std::byte> bytes = encode_reference({"a.weights", 7, {1, 2}});
  view::ExternalWeights back{};
  ASSERT_EQ(refusal(bytes, back), "");
  EXPECT_EQ(back.name, "a.weights");
  EXPECT_EQ(back.size, 7u);
  EXPECT_EQ(back.digest[0], 1u);
  EXPECT_EQ(back.digest[1], 2u);
}

TEST(ExternalReference, NamesThatLeadElsewhereAreRefused) {
  for (const std::string name :
       {"", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", ".hidden", "c:x", "a b", "a\nb", "a\x7f"}) {
    EXPECT_THAT(refusal(encode_reference({name, 1, {}})), HasSubstr("not a plain file name")) << name;
  }
  EXPECT_THAT(refusal(encode_reference({std::string(256, 'a'), 1, {}})), HasSubstr("not a plain file name"));
  EXPECT_EQ(refusal(encode_reference({std::string(255, 'a'), 1, {}})), "");
}

TEST(ExternalReference, EveryTruncationIsAnError) {
  const std::vector<std::byte> bytes = encode_reference({"a.weights", 7, {1, 2}});
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_NE(refusal(Bytes(bytes).first(size)), "") << size;
}

TEST(ExternalReference, StrangeStemsGiveAPlainName) {
  for (const std::string stem : {"", "..", "a b/c", "\xf0\x9f\x98\x80 model"}) {
    const ExternalWeights weights = describe_weights({}, stem);
    EXPECT_EQ(refusal(encode_reference(weights)), "") << weights.name;
  }
}

}  // namespace
}  // namespace quoin::program::testing
