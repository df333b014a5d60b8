#include "cli/trace.hpp"

#include <algorithm>
#include <set>

namespace quoin::cli {
namespace {

// Numbers of the trace start at 1: viewers show process 0 and thread 0 as the system's idle task.
constexpr uint64_t kDeviceTrack = 1'000'000;

uint64_t track(const runtime::Event& event) {
  return event.thread == runtime::Event::kDevice ? kDeviceTrack : uint64_t{event.thread} + 1;
}

std::string track_name(uint64_t track) {
  if (track == kDeviceTrack) return "device";
  return track == 1 ? "run" : fmt::format("worker {}", track - 1);
}

Json metadata(const char* what, uint64_t process, uint64_t track, const std::string& name) {
  return {{"ph", "M"}, {"name", what}, {"pid", process}, {"tid", track}, {"args", {{"name", name}}}};
}

Json complete(const runtime::Event& event, const Cost& cost, uint64_t process, uint64_t origin) {
  const double us = us_of(event);
  Json args = {{"op", event.op}, {"module", event.module}, {"debug_id", event.debug_id}};
  if (cost.bytes > 0) args.update({{"bytes", cost.bytes}, {"GB/s", gigabytes_per_second(cost.bytes, us)}});
  if (cost.macs > 0) args.update({{"operations", 2 * cost.macs}, {"GOPS", gops(cost.macs, us)}});
  // A device's own clock may have begun before the run.
  const double start = (static_cast<double>(event.start_ns) - static_cast<double>(origin)) / 1e3;
  return {{"name", event.name},  {"cat", event.backend}, {"ph", "X"}, {"pid", process},
          {"tid", track(event)}, {"ts", start},          {"dur", us}, {"args", std::move(args)}};
}

void add_run(Json& list, const TracedRun& run, uint64_t process) {
  if (run.events.empty()) return;
  list.push_back(metadata("process_name", process, 1, run.name));
  std::set<uint64_t> tracks;
  for (const runtime::Event& event : run.events) tracks.insert(track(event));
  for (const uint64_t number : tracks) list.push_back(metadata("thread_name", process, number, track_name(number)));
  for (size_t i = 0; i < run.events.size(); ++i)
    list.push_back(complete(run.events[i], run.costs[i], process, run.events[0].start_ns));
}

}  // namespace

void add_trace_option(po::options_description& options) {
  options.add_options()("trace", po::value<std::string>()->value_name("FILE"),
                        "write a trace for ui.perfetto.dev: every step, and the operations inside delegates");
}

Status write_trace(const std::string& path, std::span<const TracedRun> runs, const quoin_host& host) {
  Json list = Json::array();
  for (size_t i = 0; i < runs.size(); ++i) add_run(list, runs[i], i + 1);
  const Json trace = {
      {"displayTimeUnit", "ns"},
      {"otherData",
       {{"tool", "Quoin " QUOIN_VERSION}, {"isa", host::isa_name(host.isa)}, {"threads", host.workers(host.self)}}},
      {"traceEvents", std::move(list)}};
  return write_file(path, as_bytes(trace.dump(-1, ' ', false, Json::error_handler_t::replace)));
}

}  // namespace quoin::cli
