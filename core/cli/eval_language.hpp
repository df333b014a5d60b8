// `quoin eval --metric perplexity`: how well a language model predicts given texts.
#pragma once

#include "cli/common.hpp"

namespace quoin::cli {

void add_language_eval_options(po::options_description& options);
Status eval_language(Invocation& call, const recipe::Recipe& recipe, const std::string& model);

}  // namespace quoin::cli
