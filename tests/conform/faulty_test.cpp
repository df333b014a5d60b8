// The kit against a backend that keeps every rule, and against copies of it that each break one: it must pass the first
// and say of every other what is wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/text.hpp"
#include "conform/conform.hpp"
#include "plugins/fault.hpp"

namespace quoin::conform {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// A folder of this process, gone at its end.
class Scratch {
 public:
  Scratch() : path_(fs::temp_directory_path() / fmt::format("quoin-faulty-{}", getpid())) {
    fs::create_directories(path_);
  }
  ~Scratch() { fs::remove_all(path_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

// The library of that name, or the sound one with the fault's name written over its "none".
std::string plugin_with(const std::string& fault) {
  const fs::path built = fs::path(QUOIN_FAULTY_FOLDER) / (fault + ".so");
  if (fs::exists(built)) return built;
  static const Scratch scratch;
  std::ifstream in(fs::path(QUOIN_FAULTY_FOLDER) / "sound.so", std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const size_t at = bytes.find(sound::kFaultMark);
  EXPECT_NE(at, bytes.npos);
  EXPECT_EQ(bytes.find(sound::kFaultMark, at + 1), bytes.npos) << "the mark is there once";
  bytes.replace(at + sound::kFaultMark.size(), fault.size() + 1, fault.c_str(), fault.size() + 1);
  const fs::path path = scratch / (fault + ".so");
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

Report check_plugin(const std::string& fault, const std::vector<std::string>& groups) {
  Options options;
  options.plugin = plugin_with(fault);
  options.helper = QUOIN_CONFORM_HELPER;
  options.groups = groups;
  options.case_timeout = std::chrono::milliseconds(fault == "hangs_in_run" ? 1000 : 20000);
  Diagnostics diagnostics;
  auto report = check(options, nullptr, diagnostics);
  if (!report) ADD_FAILURE() << report.error().text();
  return report ? *report : Report{};
}

std::string failures(const Report& report) {
  std::string out;
  for (const CaseResult& result : report.cases)
    if (result.outcome == Outcome::fail) out += fmt::format("{}/{}: {}\n", result.group, result.name, result.detail);
  return out;
}

TEST(Sound, PassesEveryGroup) {
  const Report report = check_plugin("none", {});
  EXPECT_TRUE(report.conforms()) << failures(report);
  EXPECT_EQ(report.groups().size(), 17u);
  EXPECT_GT(report.count(Outcome::pass), 100u);
}

struct Fault {
  const char* name;
  const char* group;    // that finds it
  const char* message;  // what one of its failures says
};
void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

class Faulty : public ::testing::TestWithParam<Fault> {};

TEST_P(Faulty, IsFound) {
  const Report report = check_plugin(GetParam().name, {GetParam().group});
  EXPECT_FALSE(report.conforms());
  EXPECT_THAT(failures(report), HasSubstr(GetParam().message));
}

constexpr Fault kFaults[] = {
    {"no_version_script", "exports", "keep it in memory for ever"},
    {"thread_local_destructor", "exports", "__cxa_thread_atexit"},
    {"executable_stack", "exports", "executable stack"},
    {"lazy_binding", "exports", "no GNU_RELRO segment"},
    {"table_lies", "manifest", "the version is 1.0.0 in the manifest and 2.0.0 in the table"},
    {"small_executor", "manifest", "a role without its function executor.init"},
    {"exact_minor", "negotiation", "does not work with a host of ABI 1.9999"},
    {"exact_host_size", "negotiation", "does not work with a host of ABI 1.9999"},
    {"any_major", "negotiation", "takes a host of ABI major 2"},
    {"option_unchecked", "options", "set_option() takes 0; expected INVALID"},
    {"option_unknown_ok", "options", "answers OK for the key"},
    {"option_unknown_invalid", "options", "answers INVALID for the key"},
    {"option_forgets", "options", "after set_option(1), get_option() gives 4096"},
    {"default_out_of_range", "options", "its default 0 is outside 1 to 65536"},
    {"illegal_axis", "annotate", "channel axis 77"},
    {"illegal_range", "annotate", "the range 5..-5"},
    {"not_idempotent", "annotate", "s8 -128..127, affine, then nothing"},
    {"annotates_unselected", "annotate", "which the request leaves in float"},
    {"annotates_nowhere", "annotate", "set() for node 14 of a graph with 7"},
    {"silent_skip", "annotate", "is skipped without a reason"},
    {"order_dependent", "annotate", "int8/node-order"},
    {"claims_not_convex", "partition", "a value leaves the claim and comes back"},
    {"claims_overlap", "partition", "in two claims"},
    {"claims_unknown", "partition", "claims node 10 of a graph with 7"},
    {"forgets_node", "partition", "is neither claimed nor declined"},
    {"declines_without_reason", "partition", "is declined without a reason"},
    {"random_blob", "compile", "differ from byte 0 on"},
    {"keeps_graph", "compile", "borrowed-memory"},
    {"trusts_blob", "blob", "flipped: killed by signal 11"},
    {"hangs_on_blob", "blob", "does not come back within"},
    {"off_by_one", "accuracy", "126, expected 127 (1 steps, allowed 0"},
    {"wrong_at_odd_tails", "accuracy", "int8/relu/3x5x7"},
    {"kernel_wrong", "accuracy", "kernel/relu_f32"},
    {"kernel_clears_result", "accuracy", "other results when they are written over operand 0"},
    {"scratch_overrun", "workspace", "bytes behind the end of the scratch memory"},
    {"scratch_read", "workspace", "depends on what the scratch memory"},
    {"output_overrun", "workspace", "output 0: bytes behind its end were written"},
    {"writes_input", "workspace", "read-only: int8/network/0, claim 1 of 1: killed by signal 11"},
    {"leaks", "memory", "64 bytes are not freed after close()"},
    {"leaks_table", "memory", "256 bytes are not freed after close()"},
    {"ignores_null", "memory", "allocation 1 fails: killed by signal 11"},
    {"frees_wrong_size", "memory", "freed 128 bytes at alignment 64 that were allocated as 256"},
    {"own_thread", "threads", "1 threads more"},
    {"depends_on_workers", "threads", "workers differs from that with one"},
    {"not_reentrant", "threads", "somebody else wrote into my buffer"},
    {"empty_message", "errors", "INVALID without a message"},
    {"invalid_utf8", "errors", "is not UTF-8"},
    {"garbage_status", "errors", "status 4711 is not known"},
    {"throws_in_run", "accuracy", "let an exception escape"},
    {"crashes_in_run", "accuracy", "crashed: signal 4"},
    {"hangs_in_run", "accuracy", "hung: it did not end within"},
    {"exits_in_run", "accuracy", "ended the process with code 0"},
    {"ignores_cancel", "events", "with its cancel flag set answers OK"},
    {"unbalanced_events", "events", "1 events that began did not end"},
    {"past_backwards", "events", "a past event ends before it starts"},
    {"leaks_heap", "unload", "bytes of heap behind"},
    {"changes_rounding", "process", "MXCSR"},
    {"changes_locale", "process", "locale: \"C\", then"},
    {"changes_directory", "process", "working directory"},
    {"leaks_descriptor", "process", "/dev/null"},
    {"prints", "process", "standard output"},
    {"handles_signals", "process", "handler of SIGUSR1"},
    {"blocks_signals", "process", "SIGUSR2: new"},
};
INSTANTIATE_TEST_SUITE_P(Kit, Faulty, ::testing::ValuesIn(kFaults),
                         [](const auto& fault) { return std::string(fault.param.name); });

}  // namespace
}  // namespace quoin::conform
