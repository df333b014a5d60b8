// Loading of delegates, and the reasons why one cannot run here.
#pragma once

#include "base/diagnostics.hpp"
#include "runtime/executable.hpp"
#include "runtime/step.hpp"

namespace quoin::runtime {

// Either a delegate, or the reason why this machine cannot run it (its original may).
struct LoadAttempt {
  std::optional<LoadedDelegate> loaded;
  std::string reason;
};

// Plugin by name, blob format within what its executor reads, instruction sets, then init(). `delegate` must stay
// where it is while the result lives. Errors (plugin): init() failed for another reason than being unable.
Result<LoadAttempt> load_delegate(const program::Delegate& delegate, const Options& options, const quoin_host& host);

// Asks for the scratch memory of a run of `length` (of any, where nothing follows it) with the tensors of `step`. The
// text is empty, or says why the delegate cannot run these shapes. Allocates only in what is not the normal case.
// Errors (plugin): plan() failed, or plans other output shapes than the program.
Result<std::string> plan_delegate(Step& step, int64_t length, quoin_memory_need& need);

// Applies the fallback policy to a delegate that cannot run: a note, or an error (program_version).
Status fall_back(const program::Delegate& delegate, uint32_t index, const std::string& reason, const Options& options,
                 Diagnostics& diagnostics);

}  // namespace quoin::runtime
