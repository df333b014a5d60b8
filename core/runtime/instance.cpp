#include "runtime/instance.hpp"

#include <algorithm>
#include <cstring>

#include "ops/schema.hpp"
#include "runtime/bind.hpp"

namespace quoin::runtime {

bool Instance::Turn::check(Fault& fault) const {
  if (mine_) return true;
  fault.fail(Code::input, "another run of this object is in progress");
  return fault.hint("one object per thread");
}

bool Instance::prepare(Setting& setting, Fault& fault) {
  kernels_ = setting.kernels;
  std::span<Method> methods;
  if (!arena_.make(program_.methods.size, methods, fault)) return false;
  methods_ = methods;
  for (size_t i = 0; i < methods_.size(); ++i)
    if (!bind(program_, i, setting, host_, arena_, need_, methods_[i], fault)) return fault.at("{}", program_.name);
  return true;
}

MemoryNeed Instance::need() const {
  MemoryNeed out;
  for (const Method& method : methods_) out.arena = std::max(out.arena, method.arena);
  out.scratch = need_.bytes;
  out.scratch_alignment = need_.alignment;
  out.states = program_.buffer_bytes;
  return out;
}

bool Instance::plan(const Memory& memory, Fault& fault) {
  const Turn turn(*this);
  if (!turn.check(fault)) return false;
  const MemoryNeed needed = need();
  blocks_.states.clear();  // until all is well
  if (!blocks_.arena.set(host_, memory.arena, needed.arena, needed.arena_alignment, "intermediate values", fault) ||
      !blocks_.scratch.set(host_, memory.scratch, needed.scratch, needed.scratch_alignment, "scratch memory", fault) ||
      !blocks_.states.set(host_, memory.states, needed.states, needed.states_alignment, "states", fault))
    return false;
  reset_states();
  for (Method& method : methods_) method.use(blocks_);
  return true;
}

// Memory that the caller gave does not grow.
bool Instance::set_length(Method& method, int64_t length, Fault& fault) {
  if (length == method.length) return true;
  if (!runtime::set_length(method, length, kernels_, host_, need_, fault)) return false;
  Block& scratch = blocks_.scratch;
  if (!scratch.is_set() || (need_.bytes <= scratch.size() && need_.alignment <= scratch.alignment())) return true;
  method.length = 0;  // until there is memory
  if (scratch.is_given())
    return fault.fail(Code::limit, "{} bytes of scratch memory were given, {} are needed", scratch.size(), need_.bytes);
  if (!scratch.set(host_, {}, need_.bytes, need_.alignment, "scratch memory", fault)) return false;
  method.length = length;
  return true;
}

bool Instance::prepare_length(size_t index, int64_t length, Fault& fault) {
  const Turn turn(*this);
  if (!turn.check(fault)) return false;
  Method& method = methods_[index];
  if (method.longest == 0) return fault.fail(Code::input, "a length of {}, the method takes none", length);
  if (length < 1 || length > method.longest)
    return fault.fail(Code::input, "a length of {}, the method takes 1 to {}", length, method.longest);
  if (kHasOperators && is_ahead(method, length)) return true;
  if (!set_length(method, length, fault)) return false;
  if (kHasOperators) keep_ahead(method);
  return true;
}

bool Instance::start(size_t index, std::span<const quoin_tensor> inputs, int64_t& length, Fault& fault) {
  Method& method = methods_[index];
  if (!blocks_.states.is_set()) {
    fault.fail(Code::input, "plan() did not precede the run");
    return fault.at("{}", program_.name);
  }
  return method.check_inputs(inputs, length, fault) &&
         (set_length(method, length, fault) || fault.at("a run of length {}", length));
}

bool Instance::finish(size_t method, std::span<const quoin_tensor> inputs, std::span<const quoin_tensor> outputs,
                      const RunOptions& options, Fault& fault) {
  Observer* observer = options.observer;
  Stop stop(host_, options.stop, options.deadline_ns, observer == nullptr ? nullptr : observer->inner());
  return methods_[method].run(inputs, outputs, blocks_, stop, observer, fault);
}

bool Instance::run(size_t method, std::span<const quoin_tensor> inputs, std::span<quoin_tensor> outputs,
                   const RunOptions& options, Fault& fault) {
  const Turn turn(*this);
  int64_t length = 0;
  return turn.check(fault) && start(method, inputs, length, fault) &&
         describe_outputs(method, length, outputs, true, fault) && finish(method, inputs, outputs, options, fault);
}

void Instance::reset_states() {
  if (blocks_.states.is_set()) std::memset(blocks_.states.data(), 0, program_.buffer_bytes);
}

}  // namespace quoin::runtime
