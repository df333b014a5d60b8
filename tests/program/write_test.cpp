// Files on disk: atomic replacement, and the errors of paths.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

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

// A program of a megabyte, so that writing takes a while.
Model large_model(float value) {
  Model model = small_model();
  model.name = "large";
  model.methods[0].graph.values.push_back({"large", f32({1 << 18}), floats({1 << 18}, value)});
  return model;
}

FileBytes content_of(const std::string& path) {
  const auto file = MappedFile::open(path);
  return file ? FileBytes(file->bytes().begin(), file->bytes().end()) : FileBytes();
}

// Starts a process that writes the model, and kills it after `delay`.
void write_and_kill(const std::string& path, const Model& model, std::chrono::microseconds delay) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(write(path, model) ? 0 : 1);
  std::this_thread::sleep_for(delay);
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
}

// As when the power fails: whoever reads finds the old file or the new one, whole.
TEST_F(Write, WriterKilledAtAnyMomentLeavesTheOldFileOrTheNewOne) {
  // QUOIN_KILL_MOMENTS=200 takes a minute or two where syncing is slow.
  const char* wanted = std::getenv("QUOIN_KILL_MOMENTS");
  const int moments = wanted == nullptr ? 40 : std::atoi(wanted);
  const Model before = large_model(1), after = large_model(2);
  const FileBytes old_bytes = *serialize(before), new_bytes = *serialize(after);
  ASSERT_NE(old_bytes, new_bytes);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(write(path, after));
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
  std::mt19937 random(1);
  std::uniform_int_distribution<int64_t> moment(0, 2 * whole.count());
  int old_files = 0, new_files = 0;
  for (int i = 0; i < moments; ++i) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(old_bytes.data()), static_cast<long>(old_bytes.size()));
    write_and_kill(path, after, std::chrono::microseconds(moment(random)));
    const FileBytes found = content_of(path);
    ASSERT_TRUE(found == old_bytes || found == new_bytes) << "a file of " << found.size() << " bytes that is neither";
    ++(found == old_bytes ? old_files : new_files);
    for (const auto& entry : std::filesystem::directory_iterator(folder))  // what killed writers left
      if (entry.path() != path) std::filesystem::remove(entry);
  }
  EXPECT_GT(old_files, 0) << "some writers must die early";
  EXPECT_GT(new_files, 0) << "some writers must get to the end";
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
