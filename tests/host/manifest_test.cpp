#include "host/manifest.hpp"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <random>

#include "plugin_folder.hpp"

namespace quoin::host {
namespace {

using ::testing::HasSubstr;
using testing::PluginFolder;

void expect_refused(const std::string& path, const char* text) {
  const auto manifest = read_manifest(path);
  ASSERT_FALSE(manifest.has_value()) << path;
  EXPECT_EQ(manifest.error().code, Code::plugin);
  EXPECT_THAT(manifest.error().text(), HasSubstr(text));
}

TEST(ReadManifest, ReadsWhatThePluginDeclares) {
  const auto m = read_manifest(PluginFolder::variant_file("good"));
  ASSERT_TRUE(m.has_value()) << m.error().text();
  EXPECT_EQ(m->name, "good");
  EXPECT_EQ(m->version, "1.2.0");
  EXPECT_EQ(m->vendor, "tests");
  EXPECT_EQ(m->abi_major, 1u);
  EXPECT_EQ(m->abi_minor_required, 0u);
  EXPECT_THAT(m->roles, ::testing::ElementsAre("executor", "kernels"));
  EXPECT_TRUE(m->isa_required.empty());
}

TEST(ReadManifest, MissingFileIsNotFound) {
  const auto m = read_manifest("/nonexistent/folder/x.so");
  ASSERT_FALSE(m.has_value());
  EXPECT_EQ(m.error().code, Code::not_found);
}

TEST(ReadManifest, EveryTruncationIsRefused) {
  const PluginFolder folder;
  const std::string whole = PluginFolder::variant_bytes("good");
  ASSERT_GT(whole.size(), 4096u);
  for (size_t size = 0; size < whole.size(); ++size) {
    // The content need not be written anew each time: cutting a file from its end gives the same bytes.
    const std::string path = size == 0 ? folder.write("cut.so", "") : folder.path() + "/cut.so";
    if (size == 1) folder.write("cut.so", whole);
    if (size >= 1) std::filesystem::resize_file(path, whole.size() - size);
    EXPECT_FALSE(read_manifest(path).has_value()) << "cut by " << size;
  }
}

TEST(ReadManifest, DamagedBytesNeverCrashIt) {
  const PluginFolder folder;
  const std::string whole = PluginFolder::variant_bytes("good");
  const std::string path = folder.write("damaged.so", whole);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    // Headers and notes are what the reader looks at; they lie in the first kilobyte.
    std::string start = whole.substr(0, 1024);
    for (int i = 0; i < 4; ++i) start[random() % start.size()] = static_cast<char>(random());
    file.seekp(0).write(start.data(), static_cast<std::streamsize>(start.size())).flush();
    static_cast<void>(read_manifest(path));
  }
}

// The fields an attacker would set to make a reader go out of bounds.
TEST(ReadManifest, HugeHeaderFieldsAreRefused) {
  const PluginFolder folder;
  const std::string whole = PluginFolder::variant_bytes("good");
  const auto with = [&](auto change) {
    std::string bytes = whole;
    Elf64_Ehdr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    change(header, reinterpret_cast<Elf64_Phdr*>(bytes.data() + header.e_phoff));
    std::memcpy(bytes.data(), &header, sizeof header);
    return folder.write("huge.so", bytes);
  };
  expect_refused(with([](Elf64_Ehdr& h, Elf64_Phdr*) { h.e_phoff = UINT64_MAX - 8; }), "truncated");
  expect_refused(with([](Elf64_Ehdr& h, Elf64_Phdr*) { h.e_phnum = 0xffff; }), "garbled");
  expect_refused(with([](Elf64_Ehdr& h, Elf64_Phdr*) { h.e_phentsize = 1; }), "garbled");
  expect_refused(with([](Elf64_Ehdr& h, Elf64_Phdr*) { h.e_shoff = UINT64_MAX; }), "truncated");
  expect_refused(with([](Elf64_Ehdr& h, Elf64_Phdr*) { h.e_machine = EM_S390; }), "another architecture");
  expect_refused(with([](Elf64_Ehdr& h, Elf64_Phdr*) { h.e_type = ET_EXEC; }), "not a shared library");
  expect_refused(with([](Elf64_Ehdr& h, Elf64_Phdr*) { h.e_ident[EI_CLASS] = ELFCLASS32; }), "another architecture");
  const auto notes = [&](auto change) {
    return with([&](Elf64_Ehdr& h, Elf64_Phdr* segments) {
      for (int i = 0; i < h.e_phnum; ++i) {
        if (segments[i].p_type == PT_NOTE) change(segments[i]);
      }
    });
  };
  expect_refused(notes([](Elf64_Phdr& s) { s.p_offset = UINT64_MAX; }), "truncated");
  expect_refused(notes([](Elf64_Phdr& s) { s.p_filesz = UINT64_MAX; }), "truncated");
  expect_refused(notes([](Elf64_Phdr& s) { s.p_filesz = 5; }), "garbled");
  expect_refused(notes([](Elf64_Phdr& s) { s.p_type = PT_NULL; }), "no Quoin manifest");
}

TEST(ReadManifest, FilesThatAreNoPluginsSaySo) {
  const PluginFolder folder;
  expect_refused(folder.write("text.so", "INPUT(libfoo.so.1)\n"), "ELF magic number");
  expect_refused(folder.write("empty.so", ""), "shorter than its magic number");
  expect_refused(folder.write("short.so",
                              "\x7f"
                              "ELF"),
                 "truncated");
  expect_refused(PluginFolder::variant_file("libquoin_test_elsewhere"), "not a Quoin plugin");
  std::filesystem::create_directory(folder.path() + "/dir.so");
  expect_refused(folder.path() + "/dir.so", "not a regular file");
  ASSERT_EQ(mkfifo((folder.path() + "/pipe.so").c_str(), 0600), 0);
  expect_refused(folder.path() + "/pipe.so", "not a regular file");
}

TEST(ReadManifest, BrokenManifestsSayWhatIsWrong) {
  expect_refused(PluginFolder::variant_file("not_json"), "not a JSON object");
  expect_refused(PluginFolder::variant_file("no_fields"), "\"name\"");
  expect_refused(PluginFolder::variant_file("bad_name"), "\"../Evil\"");
}

TEST(ReadManifest, FilesThatOthersCouldChangeAreRefused) {
  const PluginFolder folder;
  const std::string open_to_all = folder.add("good");
  ASSERT_EQ(chmod(open_to_all.c_str(), 0666), 0);
  expect_refused(open_to_all, "everybody may write");
  if (geteuid() != 0) return;  // only root can give files away
  ASSERT_EQ(chmod(open_to_all.c_str(), 0644), 0);
  ASSERT_EQ(chown(open_to_all.c_str(), 12345, 12345), 0);
  expect_refused(open_to_all, "belongs to user 12345");
}

}  // namespace
}  // namespace quoin::host
