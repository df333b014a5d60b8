#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <random>

#include "cli/bench_profile.hpp"
#include "cli/terminal.hpp"
#include "cli/trace.hpp"

extern char** environ;

namespace quoin::cli {
namespace {

void add_options(po::options_description& options) {
  options.add_options()("models", po::value<std::vector<std::string>>()->value_name("FILE"),
                        "programs, or models to run in float")(
      "runs", po::value<int64_t>()->default_value(50)->value_name("N"), "timed runs of each, in alternation")(
      "warmup", po::value<int64_t>()->default_value(5)->value_name("N"), "runs before timing")(
      "profile", "also print where the time goes: per operation, and the longest steps")(
      "pin", "bind each thread to a core of its own")("no-memory", "do not measure peak memory");
  add_trace_option(options);
  add_method_option(options);
  add_recipe_options(options);
}

// Deterministic inputs: floats from N(0, 1), integers and booleans 1.
std::vector<Tensor> make_inputs(const runtime::Executable& model, size_t method) {
  std::mt19937 random(0);
  std::normal_distribution<float> normal;
  std::vector<Tensor> inputs;
  for (const runtime::TensorSpec& spec : model.inputs(method)) {
    Tensor tensor(spec.type.dtype, spec.type.shape);
    if (spec.type.dtype == DType::f32)
      for (float& v : tensor.as<float>()) v = normal(random);
    else if (spec.type.dtype == DType::s64)
      std::ranges::fill(tensor.as<int64_t>(), 1);
    else if (spec.type.dtype == DType::s32)
      std::ranges::fill(tensor.as<int32_t>(), 1);
    else
      std::ranges::fill(tensor.as<uint8_t>(), uint8_t{1});
    inputs.push_back(std::move(tensor));
  }
  return inputs;
}

struct Contender {
  std::string name;
  runtime::Executable executable;
  size_t method;
  std::vector<Tensor> inputs;
  std::vector<double> ms;
  std::optional<uint64_t> peak_rss;
  RunProfile profile;
};

double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

Status time_once(Contender& contender, bool keep) {
  const auto begin = std::chrono::steady_clock::now();
  QUOIN_CHECK_AT(contender.executable.run(contender.method, contender.inputs), "{}", contender.name);
  const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - begin;
  if (keep) contender.ms.push_back(spent.count());
  return {};
}

// Peak memory of loading and running one model, seen from outside: a child process runs it once.
std::optional<uint64_t> probe_memory(const Invocation& call, const std::string& model) {
  std::vector<std::string> words = {"quoin", "bench", model, "--runs", "1", "--warmup", "0", "--no-memory", "--quiet"};
  const auto pass = [&](const char* option, const std::string& value) {
    words.emplace_back(option);
    words.push_back(value);
  };
  if (call.has("recipe")) pass("-c", call.text("recipe"));
  if (call.has("method")) pass("--method", call.text("method"));
  for (const std::string& folder : call.list("plugin")) pass("--plugin", folder);
  for (const std::string& set : call.list("set")) pass("--set", set);
  if (call.has("threads")) pass("--threads", std::to_string(call.options["threads"].as<int64_t>()));
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int failed = posix_spawn(&child, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return std::nullopt;
  int status = 0;
  struct rusage usage {};
  if (wait4(child, &status, 0, &usage) != child || status != 0) return std::nullopt;
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

Result<std::vector<Contender>> load(Invocation& call, flow::Context& context, const recipe::Recipe& recipe) {
  std::vector<Contender> contenders;
  for (const std::string& path : call.list("models")) {
    QUOIN_TRY(runtime::Executable executable, flow::open_model(path, recipe, context, call.diagnostics));
    QUOIN_TRY(const size_t method, method_of(call, executable));
    std::vector<Tensor> inputs = make_inputs(executable, method);
    contenders.push_back({path, std::move(executable), method, std::move(inputs), {}, std::nullopt, {}});
    if (call.has("no-memory")) continue;
    contenders.back().peak_rss = probe_memory(call, path);
    if (!contenders.back().peak_rss)
      call.diagnostics.warn(path, "peak memory could not be measured: the child process failed");
  }
  return contenders;
}

constexpr int64_t kMaxRounds = 1'000'000'000;

// Signed, because an unsigned option takes -1 for its largest value.
Status check_count(const Invocation& call, const std::string& option, int64_t least) {
  const int64_t value = call.options[option].as<int64_t>();
  if (value >= least && value <= kMaxRounds) return {};
  return fail(Code::usage, "--{} must be from {} to {}, found {}", option, least, kMaxRounds, value);
}

// Alternates, so that drift of the machine hits every contender alike.
Status measure(Invocation& call, std::vector<Contender>& contenders) {
  const auto warmup = static_cast<uint64_t>(call.options["warmup"].as<int64_t>());
  const auto runs = static_cast<uint64_t>(call.options["runs"].as<int64_t>());
  TerminalProgress progress(call.quiet);
  progress.stage("bench", warmup + runs);
  for (uint64_t round = 0; round < warmup + runs; ++round) {
    for (Contender& contender : contenders) QUOIN_CHECK(time_once(contender, round >= warmup));
    if (!progress.step(round + 1)) return fail(Code::cancelled, "bench stopped");
  }
  for (Contender& contender : contenders) {
    auto profile = profile_run(contender.executable, contender.method, contender.inputs);
    if (!profile) return std::move(profile).failure().at("{}", contender.name);
    contender.profile = *std::move(profile);
  }
  return {};
}

void pin(Invocation& call, flow::Context& context) {
  if (!call.has("pin") || context.services->pin_threads()) return;
  call.diagnostics.warn("--pin", "threads could not be bound to cores",
                        "use as many --threads as there are cores, or fewer");
}

// The first quantized one against the last in float; without both, the first against the last.
std::optional<Verdict> verdict(const std::vector<Contender>& contenders, const std::string& isa) {
  if (contenders.size() < 2) return std::nullopt;
  std::vector<Rival> rivals;
  for (const Contender& c : contenders)
    rivals.push_back(
        {c.name, is_quantized(c.executable.model()), percentile(c.ms, 0), percentile(c.ms, 0.5), &c.profile});
  const auto first = std::ranges::find(rivals, true, &Rival::quantized);
  const auto last = std::ranges::find(rivals.rbegin(), rivals.rend(), false, &Rival::quantized);
  if (first == rivals.end() || last == rivals.rend()) return judge(rivals.front(), rivals.back(), isa);
  return judge(*first, *last, isa);
}

Json bench_json(const std::vector<Contender>& contenders, const quoin_host& host) {
  Json programs = Json::array();
  for (const Contender& c : contenders) {
    Json row = {{"name", c.name},
                {"ms_min", percentile(c.ms, 0)},
                {"ms_median", percentile(c.ms, 0.5)},
                {"ms_p95", percentile(c.ms, 0.95)},
                {"peak_rss_mb", c.peak_rss ? Json(static_cast<double>(*c.peak_rss) / 1e6) : Json(nullptr)}};
    row["runtime_memory_mb"] = static_cast<double>(c.executable.memory()) / 1e6;
    row["speedup_over_last_min"] = percentile(contenders.back().ms, 0) / percentile(c.ms, 0);
    row["speedup_over_last_median"] = percentile(contenders.back().ms, 0.5) / percentile(c.ms, 0.5);
    row["quantized"] = is_quantized(c.executable.model());
    row["profile"] = profile_json(c.profile);
    programs.push_back(std::move(row));
  }
  const std::string isa = host::isa_name(host.isa);
  const auto judged = verdict(contenders, isa);
  return {{"isa", isa},
          {"threads", host.workers(host.self)},
          {"runs", contenders[0].ms.size()},
          {"programs", programs},
          {"verdict", judged ? Json(judged->text) : Json(nullptr)},
          {"cause", judged && !judged->cause.empty() ? Json(judged->cause) : Json(nullptr)}};
}

void print_bench(const Json& result) {
  Table table({"program", "ms min", "ms median", "ms p95", "peak memory", "speed-up (min)", "(median)"});
  for (const Json& row : result["programs"])
    table.row({row["name"].get<std::string>(), fmt::format("{:.3f}", row["ms_min"].get<double>()),
               fmt::format("{:.3f}", row["ms_median"].get<double>()),
               fmt::format("{:.3f}", row["ms_p95"].get<double>()),
               row["peak_rss_mb"].is_null() ? "?" : fmt::format("{:.0f} MB", row["peak_rss_mb"].get<double>()),
               fmt::format("{:.2f}x", row["speedup_over_last_min"].get<double>()),
               fmt::format("{:.2f}x", row["speedup_over_last_median"].get<double>())});
  std::cout << table.text()
            << fmt::format("{} runs each in alternation, {}, {} thread(s); speed-up is over the last program\n",
                           result["runs"].get<size_t>(), result["isa"].get<std::string>(),
                           result["threads"].get<uint32_t>());
  if (!result["verdict"].is_null()) std::cout << bold(result["verdict"].get<std::string>()) << "\n";
  if (!result["cause"].is_null()) std::cout << result["cause"].get<std::string>() << "\n";
}

// The run of each contender whose profile is shown.
Status trace(const Invocation& call, const std::vector<Contender>& contenders, const quoin_host& host) {
  std::vector<TracedRun> runs;
  for (const Contender& c : contenders) runs.push_back({c.name, c.profile.events, c.profile.costs});
  return write_trace(call.text("trace"), runs, host);
}

Status run(Invocation& call) {
  const std::vector<std::string> models = call.list("models");
  if (models.empty()) return fail(Code::usage, "nothing to time").hint("name one or more programs or models");
  QUOIN_CHECK(check_count(call, "runs", 1));
  QUOIN_CHECK(check_count(call, "warmup", 0));
  for (const std::string& model : models) QUOIN_CHECK(check_outputs(call, model));
  QUOIN_TRY(const recipe::Recipe recipe, recipe_of(call, {}));
  QUOIN_TRY(const auto context, context_of(call, recipe));
  QUOIN_TRY(std::vector<Contender> contenders, load(call, *context, recipe));
  pin(call, *context);
  QUOIN_CHECK(measure(call, contenders));
  QUOIN_CHECK(check_strict(call));
  if (call.has("trace")) QUOIN_CHECK(trace(call, contenders, context->services->table()));
  const Json result = bench_json(contenders, context->services->table());
  if (call.json) {
    print(result);
    return {};
  }
  print_bench(result);
  if (call.has("profile"))
    for (const Contender& c : contenders) std::cout << "\n" << bold(c.name) << "\n" << profile_text(c.profile);
  return {};
}

}  // namespace

Verb bench_verb() {
  return {
      "bench",
      "time programs and models side by side",
      "PROGRAM|MODEL ... [--threads N] [--runs N]",
      "Runs them in alternation on the same inputs and prints minimum, median and 95th percentile, the peak memory of\n"
      "a process that loads and runs each once, and the speed-up over the last one named. Model files run in float. "
      "The\n"
      "last line says whether the quantized program is faster than the float one and, if not, where it loses.\n\n"
      "  quoin bench effnet.quoin effnet.onnx --threads 1",
      {"models"},
      add_options,
      run};
}

}  // namespace quoin::cli
