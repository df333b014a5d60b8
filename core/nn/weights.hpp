// Parameters of a language model by Hugging Face's names, whatever the checkpoint calls them.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/diagnostics.hpp"
#include "nn/config.hpp"
#include "nn/module.hpp"

namespace quoin::nn {

// A size that the configuration claims, and the words for it: {64, "hidden_size 64"}.
struct Dim {
  int64_t size = 0;
  std::string says;
};

class Weights {
 public:
  // `config` must outlive the object; parameters do not need it.
  Weights(checkpoint::Checkpoint checkpoint, const Config& config);

  // A parameter of a tensor that is not read yet; `name`: "model.layers.0.mlp.up_proj.weight". With `heads` > 0 its
  // rows belong to heads that are rotated. Errors (model): the tensor is missing or has another shape, with the keys of
  // the configuration that say so.
  Result<Parameter> take(const std::string& name, const std::vector<Dim>& dims, int64_t heads = 0);
  // Errors (model): a tensor that nobody took and that would change the computation; others are noted.
  Status finish(Diagnostics& diagnostics) const;

 private:
  std::string stored_name(const std::string& name) const;
  Status judge_rest(const std::string& name, Diagnostics& diagnostics) const;

  checkpoint::Checkpoint checkpoint_;
  const Config& config_;
  bool paired_rows_ = false;  // rows of rotated heads lie as (i, i + D / 2) pairs
  std::set<std::string> taken_;
};

}  // namespace quoin::nn
