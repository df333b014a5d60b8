// A temporary folder that plugin files are copied into, and an environment variable with a scope.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace quoin::host::testing {

class PluginFolder {
 public:
  PluginFolder() {
    std::string pattern = ::testing::TempDir() + "/quoin_plugins_XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~PluginFolder() { std::filesystem::remove_all(path_); }
  PluginFolder(const PluginFolder&) = delete;
  PluginFolder& operator=(const PluginFolder&) = delete;

  std::string path() const { return path_.string(); }
  // Copies the variant of tests/host/plugins into the folder; returns the copy's path.
  std::string add(const std::string& variant, const std::string& as = {}) const {
    const auto to = path_ / (as.empty() ? variant + ".so" : as);
    std::filesystem::create_directories(to.parent_path());
    std::filesystem::copy_file(variant_file(variant), to);
    return to.string();
  }
  std::string write(const std::string& name, const std::string& bytes) const {
    const auto to = path_ / name;
    std::ofstream(to, std::ios::binary) << bytes;
    return to.string();
  }
  static std::string variant_file(const std::string& variant) {
    return std::string(QUOIN_VARIANT_FOLDER) + "/" + variant + ".so";
  }
  static std::string variant_bytes(const std::string& variant) {
    std::ifstream file(variant_file(variant), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::filesystem::path path_;
};

class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  ~ScopedVariable() { unsetenv(name_); }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  const char* name_;
};

}  // namespace quoin::host::testing
