// Files that the tests of core/tokenize write and read.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "../fails_with.hpp"
#include "../temp_folder.hpp"
#include "base/file.hpp"
#include "tokenize/tokenizer.hpp"

namespace quoin::tokenize::test {

namespace fs = std::filesystem;
using Json = nlohmann::json;

inline const fs::path kFixtures = fs::path(QUOIN_SOURCE_ROOT) / "tests/tokenize/fixtures";

// The folder with reference models and data.
inline fs::path shared_folder() {
  const char* named = std::getenv("QUOIN_SHARED");
  return named != nullptr ? fs::path(named) : fs::path(QUOIN_SOURCE_ROOT).parent_path() / "shared";
}

using quoin::test::TempFolder;

inline std::string read_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline Tokenizer fixture(const std::string& name) {
  auto opened = Tokenizer::open((kFixtures / name).string());
  if (!opened) throw std::runtime_error(opened.error().text());
  return *opened;
}

// All that a stream gives for `ids`; fails the test if a part is not UTF-8.
inline std::string streamed(const Tokenizer& tokenizer, const std::vector<int64_t>& ids) {
  Stream stream(tokenizer);
  std::string out;
  for (const int64_t id : ids) {
    const auto part = stream.push(id);
    EXPECT_TRUE(part) << (part ? "" : part.error().text());
    EXPECT_TRUE(Json(*part).dump() != "") << "not UTF-8";  // dump() throws for what is not
    out += *part;
  }
  return out + stream.finish();
}

// Names a test by the file that it gets.
template <class T>
std::string file_as_name(const ::testing::TestParamInfo<T>& given) {
  std::string name = given.param;
  std::ranges::replace(name, '.', '_');
  return name;
}

using quoin::test::fails_with;

}  // namespace quoin::tokenize::test
