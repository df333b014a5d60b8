// quoin-conform PLUGIN GROUP [key=value ...]: runs the cases of one group against a plugin and writes an event per
// line. Started by conform::check; by hand it runs one case under a debugger:
//   gdb --args quoin-conform acme.so blob only=bit-flips
// Keys: only (the case of this name), first (skip the cases before this number), profile (quick, full), seed, tolerance
// (quantization steps), events (descriptor; standard output without it).
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "base/text.hpp"
#include "conform/event.hpp"

namespace quoin::conform {
namespace {

struct Order {
  std::string plugin, group, only;
  uint64_t first = 0, seed = 1;
  int events = STDOUT_FILENO, tolerance = 0;
  Profile profile = Profile::quick;
};

Status set(Order& order, const std::string& argument) {
  const size_t equals = argument.find('=');
  const std::string key = argument.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : argument.substr(equals + 1);
  const auto number = [&] { return std::strtoull(value.c_str(), nullptr, 10); };
  if (key == "only") return order.only = value, Status{};
  if (key == "first") return order.first = number(), Status{};
  if (key == "seed") return order.seed = number(), Status{};
  if (key == "events") return order.events = static_cast<int>(number()), Status{};
  if (key == "tolerance") return order.tolerance = static_cast<int>(number()), Status{};
  if (key == "profile") return order.profile = value == "full" ? Profile::full : Profile::quick, Status{};
  return fail(Code::usage, "\"{}\" is none of only=, first=, profile=, seed=, tolerance=, events=", argument);
}

Result<Order> parse(const std::vector<std::string>& arguments) {
  if (arguments.size() < 2) return fail(Code::usage, "quoin-conform PLUGIN GROUP [only=CASE] [profile=full] [seed=N]");
  Order order{arguments[0], arguments[1], {}};
  for (size_t i = 2; i < arguments.size(); ++i) QUOIN_CHECK(set(order, arguments[i]));
  return order;
}

void send(int descriptor, const Event& event) {
  const std::string line = write_event(event);
  for (size_t at = 0; at < line.size();) {
    const ssize_t put = write(descriptor, line.data() + at, line.size() - at);
    if (put < 0 && errno != EINTR) std::_Exit(1);  // nobody listens any more
    if (put > 0) at += static_cast<size_t>(put);
  }
}

// The kit's own failures, memory above all, are no verdict about the plugin, but must not end the group either.
Verdict verdict_of(const Case& test) {
  try {
    return test.run();
  } catch (const std::exception& e) {
    return failed(fmt::format("an exception escaped: {}", e.what()));
  } catch (...) {
    return failed("an exception escaped that is not derived from std::exception");
  }
}

Status run(const Order& order) {
  std::vector<std::string> names;
  for (const Group& group : groups()) names.emplace_back(group.name);
  const auto group = std::ranges::find(groups(), order.group, [](const Group& g) { return std::string(g.name); });
  if (group == groups().end())
    return fail(Code::usage, "no group \"{}\"", order.group).hint(did_you_mean(order.group, names));
  Subject subject(order.plugin, order.profile, order.seed);
  subject.allow(order.tolerance);
  const std::vector<Case> cases = group->cases(subject);
  send(order.events, {Event::cases, cases.size(), {}, {}});
  for (size_t i = order.first; i < cases.size(); ++i) {
    if (!order.only.empty() && cases[i].name != order.only) continue;
    send(order.events, {Event::begin, i, cases[i].name, {}});
    send(order.events, {Event::end, i, cases[i].name, verdict_of(cases[i])});
  }
  return {};
}

void limit_process(bool watched) {
  if (watched) prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core{0, 0};
  if (watched) setrlimit(RLIMIT_CORE, &no_core);
  std::signal(SIGPIPE, SIG_IGN);
}

int main_of(const std::vector<std::string>& arguments) {
  auto order = parse(arguments);
  const Status done = order ? (limit_process(order->events != STDOUT_FILENO), run(*order)) : fail(order.error());
  if (!done) std::fprintf(stderr, "quoin-conform: %s\n", done.error().text().c_str());
  if (!done) return static_cast<int>(done.error().code);
  send(order->events, {});
  return 0;
}

}  // namespace
}  // namespace quoin::conform

int main(int argc, char** argv) { return quoin::conform::main_of({argv + 1, argv + argc}); }
