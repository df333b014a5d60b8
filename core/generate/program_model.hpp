// A program with the methods prefill and decode, or score, as a StepModel.
#pragma once

#include <memory>

#include "generate/step_model.hpp"
#include "runtime/executable.hpp"

namespace quoin::generate {

enum class Use { generate, score };

// `executable` must outlive the model; one model per executable, whose states it uses.
// Errors (input): the program lacks the methods that `use` needs (generate: prefill and decode; score: score), or they
// do not take tokens s64 [T] and positions s64 [T], give logits f32 [*, vocabulary] first and keep a key/value cache.
Result<std::unique_ptr<StepModel>> open_program(runtime::Executable& executable, Use use);

}  // namespace quoin::generate
