// quantize.source of a recipe: layers get weights of few bits before anything else is quantized.
#pragma once

#include "flow/flow.hpp"
#include "nn/language_model.hpp"

namespace quoin::flow {

// Of an imported graph, or of a language model whose tokenizer is that of the recipe or of `path`. Packed codes go to a
// temporary file. Nothing happens without rules. A text, or rows of ids that are longer than the context, are cut into
// samples of its length.
// Errors: recipe (rules; calibration keys that change nothing), data (fewer samples than asked for), those of
// source::Quantizer and of the data.
Result<source::Report> quantize_source(ir::Graph& graph, const recipe::Recipe& recipe, Context& context,
                                       Progress* progress, Diagnostics& diagnostics);
Result<source::Report> quantize_source(nn::LanguageModel& model, const std::string& path, const recipe::Recipe& recipe,
                                       Context& context, Progress* progress, Diagnostics& diagnostics);

}  // namespace quoin::flow
