#include "embed/objects.hpp"
#include "ops/schema.hpp"
#include "runtime/setting.hpp"

namespace quoin::embed {
namespace {

static_assert(QUOIN_STOP_REQUESTED == runtime::kStopRequested && QUOIN_STOP_DEADLINE == runtime::kDeadlinePassed);
static_assert(QUOIN_FALLBACK_WARN == static_cast<int>(runtime::Fallback::warn) &&
              QUOIN_FALLBACK_ALLOW == static_cast<int>(runtime::Fallback::allow) &&
              QUOIN_FALLBACK_ERROR == static_cast<int>(runtime::Fallback::error));

class EngineSetting final : public runtime::Setting {
 public:
  EngineSetting(const quoin_engine& engine, uint32_t how) : engine_(engine) {
    kernels = engine.kernels;
    fallback = static_cast<runtime::Fallback>(how);
  }
  bool plugin(std::string_view name, runtime::Plugin& out, Fault& fault) override {
    for (const runtime::Plugin& plugin : engine_.plugins)
      if (name == plugin.table->name) {
        out = plugin;
        return true;
      }
    return fault.fail(Code::plugin, "plugin {} is not among the {} of the engine", name, engine_.plugins.size());
  }
  void note(bool warning, std::string_view where, std::string_view what, std::string_view hint) override {
    if (!kHasOperators) return;  // nothing is done otherwise than asked
    const Note note{Level::warning, std::string(where), std::string(what), std::string(hint)};
    engine_.log(warning ? QUOIN_LOG_WARN : QUOIN_LOG_INFO, note.text());
  }

 private:
  const quoin_engine& engine_;
};

// Every node is an operation of the caller's profiler, around those that its kernel or delegate reports.
class Reporter final : public runtime::Observer {
 public:
  explicit Reporter(const quoin_profiler* to) : to_(to) {}
  void begin(const runtime::Step& step) override {
    token_ = to_->begin(to_->self, {step.node->name.data(), step.node->name.size()}, step.node->debug_id);
  }
  void end() override { to_->end(to_->self, token_); }
  const quoin_profiler* inner() const override { return to_; }

 private:
  const quoin_profiler* to_;
  uint64_t token_ = 0;
};

bool check_profiler(const quoin_profiler& given, Fault& fault) {
  if (given.struct_size >= sizeof given && given.begin != nullptr && given.end != nullptr && given.past != nullptr)
    return true;
  fault.fail(Code::input, "the profiler lacks a function, or its struct_size");
  return fault.at("run options");
}

bool check_method(const quoin_instance& instance, uint32_t method, Fault& fault) {
  const uint64_t methods = instance.program->methods.size();
  return method < methods || fault.fail(Code::input, "method {} of {}", method, methods);
}

bool run(quoin_instance& instance, const quoin_run_options& options, std::span<const quoin_tensor> inputs,
         std::span<quoin_tensor> outputs, Fault& fault) {
  if (!check_method(instance, options.method, fault)) return false;
  if ((inputs.data() == nullptr && !inputs.empty()) || (outputs.data() == nullptr && !outputs.empty()))
    return fault.fail(Code::input, "{} inputs or {} outputs are at no address", inputs.size(), outputs.size());
  if (options.profiler != nullptr && !check_profiler(*options.profiler, fault)) return false;
  Reporter reporter(options.profiler);
  return instance.instance.run(options.method, inputs, outputs,
                               {options.stop, options.deadline_ns, options.profiler == nullptr ? nullptr : &reporter},
                               fault);
}

runtime::Region region(const quoin_region& given) { return {given.data, given.size}; }

}  // namespace
}  // namespace quoin::embed

using namespace quoin;
using namespace quoin::embed;

quoin_instance::quoin_instance(quoin_program* of) : program(of), instance(*of->program, of->engine->host) { hold(of); }

quoin_instance::~quoin_instance() = default;  // quoin_instance_destroy lets go of the program, whose memory it was

quoin_status quoin_instance_create(quoin_program* program, const quoin_instance_options* given, quoin_instance** out,
                                   quoin_error* error) {
  return answer(error, [&](Fault& fault) {
    quoin_instance_options options;
    if (!options_of(given, options, fault)) return false;
    if (options.fallback > QUOIN_FALLBACK_ERROR) {
      fault.fail(Code::input, "fallback {} is not known", options.fallback);
      return fault.at("instance options");
    }
    auto* made = make<quoin_instance>(program->engine->host, fault, program);
    if (made == nullptr) return false;
    EngineSetting setting(*program->engine, options.fallback);
    if (made->instance.prepare(setting, fault)) {
      *out = made;
      return true;
    }
    quoin_instance_destroy(made);
    return false;
  });
}

void quoin_instance_destroy(quoin_instance* instance) {
  if (instance == nullptr) return;
  quoin_program* const program = instance->program;
  destroy(instance, program->engine->host);
  release(program);
}

void quoin_instance_need(const quoin_instance* instance, quoin_memory* out) {
  const runtime::MemoryNeed need = instance->instance.need();
  out->arena = {nullptr, need.arena, need.arena_alignment};
  out->scratch = {nullptr, need.scratch, need.scratch_alignment};
  out->states = {nullptr, need.states, need.states_alignment};
}

quoin_status quoin_instance_plan(quoin_instance* instance, const quoin_memory* memory, quoin_error* error) {
  return answer(error, [&](Fault& fault) {
    quoin_memory given;
    return options_of(memory, given, fault) &&
           instance->instance.plan({region(given.arena), region(given.scratch), region(given.states)}, fault);
  });
}

quoin_status quoin_instance_prepare_length(quoin_instance* instance, uint32_t method, int64_t length,
                                           quoin_error* error) {
  return answer(error, [&](Fault& fault) {
    return check_method(*instance, method, fault) && instance->instance.prepare_length(method, length, fault);
  });
}

void quoin_instance_reset(quoin_instance* instance) { instance->instance.reset_states(); }

quoin_status quoin_instance_run(quoin_instance* instance, const quoin_run_options* given, const quoin_tensor* inputs,
                                uint32_t num_inputs, quoin_tensor* outputs, uint32_t num_outputs, quoin_error* error) {
  return answer(error, [&](Fault& fault) {
    quoin_run_options options;
    return options_of(given, options, fault) &&
           run(*instance, options, {inputs, num_inputs}, {outputs, num_outputs}, fault);
  });
}
