// The conformance kit: does a plugin keep the contract of quoin/abi.h? Every group runs in a child process, so a crash
// or a hang is a result with the name of the case, not the end of the kit.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/diagnostics.hpp"
#include "conform/group.hpp"

namespace quoin::conform {

// A conform.yaml beside the plugin's sources.
struct Tag {
  std::string cases;   // "accuracy/int16/*": name, glob or re:
  std::string reason;  // of `unsupported`: why it never will be; of `xfail`: the link to an issue
};
struct Expectations {
  std::vector<Tag> unsupported, xfail;
  int tolerance = 0;  // quantization steps
};
// Errors (recipe): unknown keys with the nearest, a tag without reason or link; file and line.
Result<Expectations> read_expectations(const std::string& path);

struct Options {
  std::string plugin;  // file
  std::string helper;  // the quoin-conform executable
  Profile profile = Profile::quick;
  uint64_t seed = 1;
  std::vector<std::string> groups;  // names; empty: all
  Expectations expectations;
  std::chrono::milliseconds case_timeout{20000};
};

enum class Outcome { pass, fail, skip, unsupported, xfail, xpass };
struct CaseResult {
  std::string group, name;
  Outcome outcome = Outcome::pass;
  std::string detail;
  double seconds = 0;
};
struct Report {
  std::string plugin, name, version, vendor, isa, profile, sha256;
  uint64_t seed = 0;
  std::vector<CaseResult> cases;
  size_t count(Outcome outcome) const;
  bool conforms() const;  // no fail, no xpass
};

// Errors: not_found, io (helper), plugin when nothing could run at all; usage: unknown group, with the nearest.
// A tag that matches no case is noted in `diagnostics`.
Result<Report> check(const Options& options, Progress* progress, Diagnostics& diagnostics);

std::string junit(const Report& report);     // XML, one testsuite per group
std::string markdown(const Report& report);  // a page that a vendor can publish

}  // namespace quoin::conform
