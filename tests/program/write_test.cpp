// Files on disk: atomic replacement, and the errors of paths.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "bytes.hpp"
#include "models.hpp"

namespace quoin::program::testing {
namespace {

class Write : public ::testing::Test {
 protected:
  void SetUp() override {
    folder = std::filesystem::temp_directory_path() / ("quoin_program_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    path = (folder / "model.quoin").string();
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  std::filesystem::path folder;
  std::string path;
};

TEST_F(Write, FileHoldsTheSerializedBytes) {
  ASSERT_TRUE(write(path, small_model()));
  EXPECT_EQ(std::filesystem::file_size(path), serialize(small_model())->size());
  const auto model = read(path);
  ASSERT_TRUE(model) << model.error().text();
  expect_equal(small_model(), *model);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1) << "no temporary file remains";
}

TEST_F(Write, MappedTensorsOutliveTheFilesName) {
  ASSERT_TRUE(write(path, small_model()));
  const auto model = read(path);
  std::filesystem::remove(path);
  expect_equal(small_model(), *model);
}

// The process dies inside write(): the file size limit kills it before the content is complete.
TEST_F(Write, KilledWriterLeavesTheOldFile) {
  Model old = small_model();
  old.name = "old";
  ASSERT_TRUE(write(path, old));
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const rlimit no_core{0, 0}, small{200, 200};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::setrlimit(RLIMIT_FSIZE, &small);
    ::signal(SIGXFSZ, SIG_DFL);
    const bool done = write(path, small_model()).has_value();
    ::_exit(done ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the writer was meant to die";
  const auto model = read(path);
  ASSERT_TRUE(model) << model.error().text();
  EXPECT_EQ(model->name, "old");
}

TEST_F(Write, FaultyModelLeavesTheOldFile) {
  ASSERT_TRUE(write(path, small_model()));
  Model faulty = small_model();
  faulty.methods[0].graph.nodes[0].inputs[0] = 1000;
  EXPECT_FALSE(write(path, faulty));
  EXPECT_TRUE(read(path));
}

TEST_F(Write, MissingFileAndFolderAreNamed) {
  EXPECT_EQ(read(path).error().code, Code::not_found);
  EXPECT_EQ(write((folder / "none" / "model.quoin").string(), small_model()).error().code, Code::not_found);
}

TEST_F(Write, EmptyFileIsAnError) {
  ASSERT_TRUE(write_file(path, {}));
  EXPECT_EQ(read(path).error().code, Code::program);
}

}  // namespace
}  // namespace quoin::program::testing
