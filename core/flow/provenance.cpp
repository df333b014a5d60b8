#include "flow/provenance.hpp"

#include <xxhash.h>

namespace quoin::flow {

void add_provenance(program::Model& model, const recipe::Recipe& recipe, const std::string& data_digest,
                    size_t samples) {
  model.metadata["recipe"] = recipe.resolved;
  model.metadata["recipe_digest"] =
      fmt::format("xxh3:{:016x}", XXH3_64bits(recipe.resolved.data(), recipe.resolved.size()));
  model.metadata["tool"] = "quoin " QUOIN_VERSION;
  if (data_digest.empty()) return;
  model.metadata["calibration_digest"] = "xxh3:" + data_digest;
  model.metadata["calibration_samples"] = std::to_string(samples);
}

}  // namespace quoin::flow
