// Language models stage by stage, so that memory holds one layer and the hidden states of the samples.
#pragma once

#include "source/quantizer.hpp"

namespace quoin::source {

Result<Report> quantize_language_model(nn::LanguageModel& model, const std::vector<Rule>& list,
                                       const Calibration& calibration, const Resources& resources);

}  // namespace quoin::source
