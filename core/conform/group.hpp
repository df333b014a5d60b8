// What the conformance kit's child process runs: groups of cases against one plugin. A new group is a file with its
// cases and a row in groups().
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/backend.hpp"
#include "host/manifest.hpp"
#include "host/services.hpp"

namespace quoin::conform {

enum class Profile { quick, full };  // full: more shapes, every byte of a blob, every allocation

// How a case ended. `detail`: of a failure, what was found and what was expected; of a skip, why it does not apply; of
// a pass, what was measured (for reports; may be empty).
struct Verdict {
  enum Kind { pass, fail, skip } kind = pass;
  std::string detail;
};
inline Verdict passed(std::string measured = {}) { return {Verdict::pass, std::move(measured)}; }
inline Verdict failed(std::string detail) { return {Verdict::fail, std::move(detail)}; }
inline Verdict skipped(std::string why) { return {Verdict::skip, std::move(why)}; }

// The plugin under test, inside the child. Cases of one group share it and run one after another on one thread.
class Subject {
 public:
  Subject(std::string path, Profile profile, uint64_t seed);
  ~Subject();
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;

  const std::string& path() const { return path_; }
  Profile profile() const { return profile_; }
  uint64_t seed() const { return seed_; }        // of every generator of the kit
  int tolerance() const { return tolerance_; }   // largest difference from the reference, in quantization steps
  void allow(int steps) { tolerance_ = steps; }  // from conform.yaml; 0 at first
  // The ordinary host: one worker, the instruction sets of this machine (lowered by QUOIN_ISA_MAX).
  const host::Services& services() const;
  // Of the file alone; none of the plugin's code runs. Errors: those of read_manifest.
  Result<host::Manifest> manifest() const;
  bool offers(std::string_view role) const;  // by the manifest: "quantizer", "compiler", "executor", "kernels"
  // Loaded on first use and kept. Errors: those of manifest(), load_library and check_table.
  Result<const quoin_plugin*> table() const;
  // Opened with `host`, or with services(). Errors: those of table() and Backend::open.
  Result<std::shared_ptr<host::Backend>> open(const quoin_host* host = nullptr, quoin_array params = {}) const;

 private:
  std::string path_;
  Profile profile_;
  uint64_t seed_;
  int tolerance_ = 0;
  struct State;
  std::unique_ptr<State> state_;
};

// Names are stable: reports and conform.yaml call a case "GROUP/NAME". The same plugin, profile and seed give the same
// cases in the same order, so that a child that crashed is followed by one that starts behind the case at fault.
struct Case {
  std::string name;
  std::function<Verdict()> run;
};

struct Group {
  int number;         // of docs/conformance.md
  const char* name;   // "blob"
  const char* title;  // one line for reports: what the group proves
  // Where the plugin lacks the role that the group is about: one case, which is skipped and says so. Cases may refer to
  // the subject; they run after this returns.
  std::vector<Case> (*cases)(const Subject&);
};
std::span<const Group> groups();  // in order of number

// The cases of a group that needs the table of a plugin that cannot be loaded.
std::vector<Case> cannot_load(const Error& why);

// One function per file of the same name.
std::vector<Case> exports_cases(const Subject&);      // 1  elf_cases.cpp
std::vector<Case> manifest_cases(const Subject&);     // 2
std::vector<Case> negotiation_cases(const Subject&);  // 3
std::vector<Case> options_cases(const Subject&);      // 4
std::vector<Case> annotate_cases(const Subject&);     // 5
std::vector<Case> partition_cases(const Subject&);    // 6
std::vector<Case> compile_cases(const Subject&);      // 7
std::vector<Case> blob_cases(const Subject&);         // 8
std::vector<Case> accuracy_cases(const Subject&);     // 9
std::vector<Case> workspace_cases(const Subject&);    // 10
std::vector<Case> memory_cases(const Subject&);       // 11
std::vector<Case> threads_cases(const Subject&);      // 12
std::vector<Case> errors_cases(const Subject&);       // 13
std::vector<Case> events_cases(const Subject&);       // 14: cancel and profiler
std::vector<Case> unload_cases(const Subject&);       // 15
std::vector<Case> process_cases(const Subject&);      // 16
std::vector<Case> length_cases(const Subject&);       // 17

}  // namespace quoin::conform
