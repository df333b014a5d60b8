#include <array>

#include "embed/objects.hpp"
#include "runtime/observer.hpp"
#include "runtime/stop.hpp"

namespace quoin::embed {
namespace {

static_assert(QUOIN_STOP_REQUESTED == runtime::kStopRequested && QUOIN_STOP_DEADLINE == runtime::kDeadlinePassed);

Result<runtime::Options> load_options(const Program& program, const quoin_instance_options& given) {
  constexpr std::array<const char*, 3> kFallbacks = {"warn", "allow", "error"};
  if (given.fallback >= kFallbacks.size())
    return fail(Code::input, "fallback {} is not known", given.fallback).at("instance options");
  runtime::Options out;
  out.fallback = kFallbacks[given.fallback];
  out.kernels = &program.engine->kernels;
  out.backend = [&engine = *program.engine](const std::string& name) -> Result<std::shared_ptr<host::Backend>> {
    for (const auto& backend : engine.backends)
      if (backend->name() == name) return backend;
    return fail(Code::plugin, "plugin {} is not among the {} of the engine", name, engine.backends.size());
  };
  return out;
}

// Every node is an operation of the caller's profiler, around those that its kernel or delegate reports.
class Reporter final : public runtime::Observer {
 public:
  explicit Reporter(const quoin_profiler& to) : to_(to) {}
  void begin(const runtime::Step& step) override {
    token_ = to_.begin(to_.self, {step.node->name.data(), step.node->name.size()}, step.node->debug_id);
  }
  void end() override { to_.end(to_.self, token_); }
  const quoin_profiler* inner() const override { return &to_; }

 private:
  const quoin_profiler& to_;
  uint64_t token_ = 0;
};

Status check_profiler(const quoin_profiler& given) {
  if (given.struct_size >= sizeof given && given.begin != nullptr && given.end != nullptr && given.past != nullptr)
    return {};
  return fail(Code::input, "the profiler lacks a function, or its struct_size").at("run options");
}

runtime::Region region(const quoin_region& given) { return {given.data, given.size}; }

}  // namespace
}  // namespace quoin::embed

using namespace quoin;
using namespace quoin::embed;

quoin_status quoin_instance_create(quoin_program* given, const quoin_instance_options* options, quoin_instance** out,
                                   quoin_error* error) {
  return answer(error, [&]() -> Status {
    const std::shared_ptr<const Program>& program = given->program;
    QUOIN_TRY(const auto asked, options_of(options));
    QUOIN_TRY(const runtime::Options load, load_options(*program, asked));
    Diagnostics diagnostics;
    auto prepared = runtime::Executable::prepare(program->model, load, program->engine->host, diagnostics);
    for (const Note& note : diagnostics.notes())
      program->engine->log(note.level == Level::warning ? QUOIN_LOG_WARN : QUOIN_LOG_INFO, note.text());
    if (!prepared) return std::move(prepared).failure();
    *out = new quoin_instance{program, *std::move(prepared)};
    return {};
  });
}

void quoin_instance_destroy(quoin_instance* instance) { delete instance; }

void quoin_instance_need(const quoin_instance* instance, quoin_memory* out) {
  const runtime::MemoryNeed need = instance->executable.need();
  out->arena = {nullptr, need.arena, need.arena_alignment};
  out->scratch = {nullptr, need.scratch, need.scratch_alignment};
  out->states = {nullptr, need.states, need.states_alignment};
}

quoin_status quoin_instance_plan(quoin_instance* instance, const quoin_memory* memory, quoin_error* error) {
  return answer(error, [&]() -> Status {
    QUOIN_TRY(const auto given, options_of(memory));
    return instance->executable.plan({region(given.arena), region(given.scratch), region(given.states)});
  });
}

quoin_status quoin_instance_prepare_length(quoin_instance* instance, uint32_t method, int64_t length,
                                           quoin_error* error) {
  return answer(error, [&]() -> Status {
    if (method >= instance->executable.methods())
      return fail(Code::input, "method {} of {}", method, instance->executable.methods());
    return instance->executable.prepare_length(method, length);
  });
}

void quoin_instance_reset(quoin_instance* instance) { instance->executable.reset_states(); }

quoin_status quoin_instance_run(quoin_instance* instance, const quoin_run_options* given, const quoin_tensor* inputs,
                                uint32_t num_inputs, quoin_tensor* outputs, uint32_t num_outputs, quoin_error* error) {
  return answer(error, [&]() -> Status {
    QUOIN_TRY(const auto options, options_of(given));
    if (options.method >= instance->executable.methods())
      return fail(Code::input, "method {} of {}", options.method, instance->executable.methods());
    if ((inputs == nullptr && num_inputs != 0) || (outputs == nullptr && num_outputs != 0))
      return fail(Code::input, "{} inputs or {} outputs are at no address", num_inputs, num_outputs);
    const auto run = [&](runtime::Observer* observer) {
      return instance->executable.run(options.method, {inputs, num_inputs}, {outputs, num_outputs},
                                      {options.stop, options.deadline_ns, observer});
    };
    if (options.profiler == nullptr) return run(nullptr);
    QUOIN_CHECK(check_profiler(*options.profiler));
    Reporter reporter(*options.profiler);
    return run(&reporter);
  });
}
