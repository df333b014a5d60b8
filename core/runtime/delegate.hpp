// Loading of delegates, and the reasons why one cannot run here.
#pragma once

#include "runtime/setting.hpp"
#include "runtime/step.hpp"

namespace quoin::runtime {

// unable: this machine cannot run the delegate for the reason in the fault, its original may.
enum class Outcome : uint8_t { done, unable, failed };

// Into the step: plugin by name, blob format within what its executor reads, instruction sets, then init(). `delegate`
// must stay where it is while the step lives. Fails (plugin) where init() does for another reason than being unable.
Outcome load_delegate(const view::Delegate& delegate, Setting& setting, const quoin_host& host, Step& step,
                      Fault& fault);

// Asks for the scratch memory of a run of `length` (of any, where nothing follows it) with the tensors of `step`. Fails
// (plugin) where plan() does, or plans other output shapes than the program.
Outcome plan_delegate(const Step& step, int64_t length, quoin_memory_need& need, Fault& fault);

bool run_delegate(const Step& step, const quoin_run& run, Fault& fault);

// Applies the fallback policy to a delegate that cannot run for the reason in the fault: a note, or an error
// (program_version).
bool fall_back(const view::Delegate& delegate, uint32_t index, Setting& setting, Fault& fault);

}  // namespace quoin::runtime
