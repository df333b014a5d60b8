// Where the reference's results are: $QUOIN_GOLDENS, else goldens of $QUOIN_SHARED, else of ../shared beside the
// source.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace quoin::test {

// Another folder has the same layout, but how many cases it holds is not known.
inline bool default_goldens() { return std::getenv("QUOIN_GOLDENS") == nullptr; }
inline std::string goldens_folder() {
  if (const char* given = std::getenv("QUOIN_GOLDENS")) return given;
  const char* shared = std::getenv("QUOIN_SHARED");
  return std::string(shared ? shared : QUOIN_SOURCE_ROOT "/../shared") + "/goldens";
}

// Counts cases and prints the sum and the name of each miss.
class Tally {
 public:
  void add(const std::string& name, bool equal) {
    if (equal)
      ++passed_;
    else
      missed_.push_back(name);
  }
  size_t passed() const { return passed_; }
  bool all() const { return missed_.empty(); }
  ~Tally() {
    for (const std::string& name : missed_) std::printf("%s: fail\n", name.c_str());
    std::printf("%zu passed, %zu failed\n", passed_, missed_.size());
  }

 private:
  size_t passed_ = 0;
  std::vector<std::string> missed_;
};

}  // namespace quoin::test
