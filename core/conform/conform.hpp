// The conformance kit: does a plugin keep the contract of quoin/abi.h? Every group runs in a child process, so a crash
// or a hang is a result with the name of the case, not the end of the kit.
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostics.hpp"
#include "conform/group.hpp"

namespace quoin::conform {

// A conform.yaml beside the plugin's sources.
struct Tag {
  std::string cases;   // "accuracy/int16/*": a recipe::Pattern over "GROUP/CASE"
  std::string reason;  // of `unsupported`: why it never will be; of `xfail`: the link to an issue
  std::string place;   // "conform.yaml:7:5"
};
struct Expectations {
  std::vector<Tag> unsupported, xfail;
  int tolerance = 0;  // quantization steps
};
// Errors (recipe): unknown keys with the nearest, a tag without reason or link; file, line and column. not_found, io.
Result<Expectations> read_expectations(const std::string& path);

struct Options {
  std::string plugin;  // file
  std::string helper;  // the quoin-conform executable
  Profile profile = Profile::quick;
  uint64_t seed = 1;
  std::vector<std::string> groups;  // names; empty: all
  Expectations expectations;
  std::chrono::milliseconds case_timeout{20000};
  std::chrono::milliseconds group_timeout{60000};  // what a group has not run by then is a failure
};

// What became of a case once the tags were heard: one that fails although `unsupported` or `xfail` names it does not
// count against the plugin; one that passes although `xfail` names it does (the tag has to go).
enum class Outcome { pass, fail, skip, unsupported, xfail, xpass };
inline constexpr std::array kOutcomes = {Outcome::pass,        Outcome::fail,  Outcome::skip,
                                         Outcome::unsupported, Outcome::xfail, Outcome::xpass};
std::string_view outcome_name(Outcome outcome);  // "pass", ...

struct CaseResult {
  std::string group, name;
  Outcome outcome = Outcome::pass;
  std::string detail;  // of the case; of a crash, with what the process printed last
  std::string tag;     // reason or link, where a tag decided
  double seconds = 0;
};
struct Report {
  std::string plugin, helper;  // files
  std::string name, version, vendor, isa, profile, sha256;
  uint64_t seed = 0;
  std::vector<CaseResult> cases;  // in the order in which they ran
  double seconds = 0;
  size_t count(Outcome outcome, std::string_view group = {}) const;  // of one group, or of all
  double time(std::string_view group) const;                         // seconds that its cases took
  std::vector<const Group*> groups() const;                          // those that ran, in order
  bool conforms() const;                                             // no fail, no xpass
};
// The command that runs this case alone, and the one that runs it under a debugger.
std::string again(const Report& report, const CaseResult& result);
std::string debug(const Report& report, const CaseResult& result);

// Runs every case of the groups; a case that crashes, hangs or ends the process is a failure with what happened, and
// the rest of its group runs in a new process. Errors: not_found, plugin (not a plugin file); io (helper); usage
// (unknown group, with the nearest; QUOIN_ISA_MAX); cancelled. A tag that matches no case, or one that is `unsupported`
// and passes, is noted in `diagnostics`.
Result<Report> check(const Options& options, Progress* progress, Diagnostics& diagnostics);

std::string junit(const Report& report);     // XML, one testsuite per group
std::string markdown(const Report& report);  // a page that a vendor can publish

}  // namespace quoin::conform
