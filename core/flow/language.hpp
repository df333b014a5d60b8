// The source-based flow: a language model becomes a program with the methods prefill, decode and score.
#pragma once

#include "flow/flow.hpp"

namespace quoin::flow {

// A folder, or a .gguf file: what nn::LanguageModel opens. Other files are imported.
bool is_language_model(const std::string& path);

// Opens the model, quantizes its layers by quantize.source, exports the methods, lowers them. Weights pass through
// memory one at a time; their codes go to a temporary file. Errors: those of nn::LanguageModel, source::Quantizer and
// the lowering; recipe (keys that language models do not take: quantize.quantizers, quantize.calibrate, model.dims).
Result<Quantized> quantize_language_model(const std::string& path, const recipe::Recipe& recipe, Context& context,
                                          Progress* progress, Diagnostics& diagnostics);

// Without quantizing anything: the model in float.
Result<program::Model> lower_language_model(const std::string& path, const recipe::Recipe& recipe, Context& context,
                                            Diagnostics& diagnostics);

}  // namespace quoin::flow
