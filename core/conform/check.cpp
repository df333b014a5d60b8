// The parent's side: one child per group, restarted behind a case that took it down.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/text.hpp"
#include "conform/conform.hpp"
#include "conform/event.hpp"
#include "conform/tags.hpp"
#include "host/child.hpp"
#include "host/digest.hpp"

namespace quoin::conform {
namespace {

using host::Child;
using Clock = Child::Clock;

constexpr size_t kMaxCrashes = 20;                           // per group; after so many the rest is given up
constexpr size_t kMaxLine = 1u << 16;                        // of an event
constexpr size_t kMaxPrinted = 600;                          // last bytes of what a crashed process printed
constexpr auto kHeartbeat = std::chrono::milliseconds(200);  // how often a running case asks whether to stop
constexpr uint64_t kStepsPerGroup = 1000;                    // of the progress: groups differ in their number of cases

// Takes what a child prints, beside our own streams.
class Printed {
 public:
  Printed() : file_(memfd_create("quoin-conform-output", MFD_CLOEXEC)) {}
  ~Printed() {
    if (file_ >= 0) close(file_);
  }
  Printed(const Printed&) = delete;
  Printed& operator=(const Printed&) = delete;
  int descriptor() const { return file_; }
  std::string tail() const {
    const off_t size = file_ < 0 ? 0 : lseek(file_, 0, SEEK_END);
    const off_t from = std::max<off_t>(0, size - static_cast<off_t>(kMaxPrinted));
    std::string text(static_cast<size_t>(std::max<off_t>(0, size - from)), '\0');
    const ssize_t got = pread(file_, text.data(), text.size(), from);
    text.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return text;
  }

 private:
  int file_;
};

// What one child left behind.
struct Ended {
  bool complete = false;  // every case ended, and so did the process
  bool late = false;      // the group's time was over
  bool started = false;   // the plugin was loaded and the cases made
  bool inside = false;    // it ended within case `next`
  uint64_t next = 0;      // the first case that has no result yet
  std::string name;       // of case `next`, when inside
  double seconds = 0;     // that it ran
  std::string what;       // happened to the process
};

class GroupRun {
 public:
  GroupRun(const Options& options, const Group& group, std::vector<CaseResult>& results, std::function<bool(double)> on)
      : options_(options), group_(group), results_(results), go_on_(std::move(on)) {}

  Status run() {
    uint64_t first = 0;
    limit_ = Clock::now() + options_.group_timeout;
    for (size_t crashes = 0; crashes < kMaxCrashes; ++crashes) {
      QUOIN_TRY(const Ended ended, run_from(first));
      if (ended.complete) return {};
      add(ended.inside ? ended.name : ended.started ? "(end)" : "(start)", failed(ended.what), ended.seconds);
      const uint64_t next = ended.next + (ended.inside ? 1 : 0);
      if (ended.late) return give_up(next, "the group's time was over");
      if (next == first) return give_up(next, "the group cannot be started");  // again would end the same way
      if (next >= count_) return {};
      first = next;
    }
    return give_up(first, fmt::format("{} before them took the process down", kMaxCrashes));
  }

 private:
  void add(const std::string& name, const Verdict& verdict, double seconds) {
    constexpr Outcome kOutcome[] = {Outcome::pass, Outcome::fail, Outcome::skip};
    results_.push_back({group_.name, name, kOutcome[verdict.kind], verdict.detail, {}, seconds});
  }

  Status give_up(uint64_t first, const std::string& why) {
    if (first < count_)
      add("(rest)", failed(fmt::format("{} of {} cases were not run: {}", count_ - first, count_, why)), 0);
    return {};
  }

  Result<Child> start(uint64_t first, int output) const {
    return Child::start(
        {options_.helper,
         {options_.plugin, group_.name, fmt::format("first={}", first),
          fmt::format("profile={}", options_.profile == Profile::full ? "full" : "quick"),
          fmt::format("seed={}", options_.seed), fmt::format("tolerance={}", options_.expectations.tolerance),
          fmt::format("events={}", Child::kReport)},
         {},
         output});
  }

  // Hears one child to its end.
  Result<Ended> run_from(uint64_t first) {
    const Printed printed;
    QUOIN_TRY(Child child, start(first, printed.descriptor()));
    Ended ended;
    ended.next = first;
    began_ = Clock::now();
    bool done = false, hung = false;
    for (std::string rest; !done && !hung && !ended.late;) {
      const auto heard = child.listen(rest, std::min(Clock::now() + kHeartbeat, began_ + options_.case_timeout));
      if (heard == Child::Heard::end) break;
      done = take(rest, ended);
      hung = Clock::now() >= began_ + options_.case_timeout;
      ended.late = !done && !hung && Clock::now() >= limit_;
      if (!go_on_(count_ == 0 ? 0 : static_cast<double>(ended.next) / static_cast<double>(count_)))
        return fail(Code::cancelled, "stopped by the user");
    }
    ended.seconds = since();
    const auto status = child.finish(hung || ended.late ? Clock::now() : Clock::now() + options_.case_timeout);
    ended.complete = done && status == 0;
    if (ended.late)
      ended.what = fmt::format("the time of the whole group, {} ms, was over", options_.group_timeout.count());
    else if (!ended.complete)
      ended.what = what_happened(status, printed.tail());
    return ended;
  }

  // Whole lines of `rest` are events; true after the last.
  bool take(std::string& rest, Ended& ended) {
    bool done = false;
    for (size_t end; !done && (end = rest.find('\n')) != std::string::npos; rest.erase(0, end + 1)) {
      const auto event = read_event(std::string_view(rest).substr(0, end));
      if (!event) continue;
      done = event->kind == Event::done;
      if (event->kind == Event::cases) count_ = event->number, ended.started = true;
      if (event->kind == Event::begin) ended.inside = true, ended.next = event->number, ended.name = event->name;
      if (event->kind == Event::end) {
        add(event->name, event->verdict, since());
        ended.inside = false, ended.next = event->number + 1;
      }
      began_ = Clock::now();
    }
    if (rest.size() > kMaxLine) rest.clear();
    return done;
  }

  std::string what_happened(std::optional<int> status, const std::string& printed) const {
    std::string what = !status ? fmt::format("hung: it did not end within {} ms", options_.case_timeout.count())
                       : WIFSIGNALED(*status) ? "crashed: " + host::ending(*status)
                                              : "ended the process with " + host::ending(*status);
    if (!printed.empty()) what += "; the process printed last: " + printed;
    return what;
  }

  double since() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

  const Options& options_;
  const Group& group_;
  std::vector<CaseResult>& results_;
  std::function<bool(double)> go_on_;  // gets the part that is done; false: the user wants to stop
  Clock::time_point began_;            // the case, or what comes before the first
  Clock::time_point limit_;            // when the group's time is over
  uint64_t count_ = 0;                 // cases of the group
};

Result<std::vector<const Group*>> chosen(const std::vector<std::string>& names) {
  std::vector<std::string> known;
  for (const Group& group : groups()) known.emplace_back(group.name);
  for (const std::string& name : names)
    if (std::ranges::find(known, name) == known.end())
      return fail(Code::usage, "there is no group \"{}\"; the groups are {}", name, join(known, ", "))
          .hint(did_you_mean(name, known));
  std::vector<const Group*> out;
  for (const Group& group : groups())
    if (names.empty() || std::ranges::find(names, group.name) != names.end()) out.push_back(&group);
  return out;
}

Result<Report> describe(const Options& options) {
  QUOIN_TRY(const uint64_t isa, host::detect_isa());
  QUOIN_TRY(const host::PluginFile file, host::PluginFile::open(options.plugin));
  QUOIN_TRY(const host::Manifest manifest, host::read_manifest(file));
  Report report;
  report.plugin = options.plugin;
  report.helper = options.helper;
  report.name = manifest.name;
  report.version = manifest.version;
  report.vendor = manifest.vendor;
  report.isa = host::isa_name(isa);
  report.profile = options.profile == Profile::full ? "full" : "quick";
  report.seed = options.seed;
  QUOIN_TRY(report.sha256, host::sha256(file));
  return report;
}

}  // namespace

Result<Report> check(const Options& options, Progress* progress, Diagnostics& diagnostics) {
  QUOIN_TRY(const std::vector<const Group*> selected, chosen(options.groups));
  QUOIN_TRY(const Tags tags, Tags::parse(options.expectations));
  auto described = describe(options);
  if (!described) return std::move(described).failure().at("{}", options.plugin);
  if (options.helper.empty()) return fail(Code::io, "quoin-conform, which runs the cases, is not installed");
  Report report = std::move(*described);
  const auto begin = Clock::now();
  if (progress != nullptr) progress->stage("check " + report.name, selected.size() * kStepsPerGroup);
  for (size_t i = 0; i < selected.size(); ++i) {
    const auto go_on = [&](double part) {
      const auto done = i * kStepsPerGroup + static_cast<uint64_t>(part * static_cast<double>(kStepsPerGroup));
      return progress == nullptr || progress->step(done);
    };
    QUOIN_CHECK(GroupRun(options, *selected[i], report.cases, go_on).run());
  }
  report.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  tags.apply(report.cases, /*whole=*/options.groups.empty(), diagnostics);
  return report;
}

}  // namespace quoin::conform
