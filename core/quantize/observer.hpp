// Observers turn streams of tensors into ranges, ranges into qparams. State is independent of the number of samples.
// Formulas: quoin/numerics.hpp; algorithms: docs/quantization.md.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ops/tensor.hpp"
#include "quantize/annotation.hpp"
#include "quantize/range.hpp"

namespace quoin::quantize {

// What an observer has seen, as named arrays.
using ObserverState = std::map<std::string, Tensor>;

// Not thread safe; one object per sharing group.
class Observer {
 public:
  virtual ~Observer() = default;
  // Threads and instruction set that observe() may use; until told, or with null, the calling thread and the baseline.
  // What is seen does not depend on it. `host` must outlive the observer or the next call.
  void use(const quoin_host* host) { host_ = host; }
  // f32 tensor. Errors (data): NaN or Inf, with the element's index.
  virtual Status observe(const Tensor& tensor) = 0;
  virtual bool seen() const = 0;
  // Errors (data): nothing observed.
  virtual Result<QParams> qparams() const = 0;
  // What was seen so far; empty when that is nothing. Errors (plugin): an observer of a plugin that cannot be saved.
  virtual Result<ObserverState> state() const = 0;
  // As if this observer had seen, after its own data, what `saved` saw. Into a fresh observer this restores `saved`
  // exactly; which observers also join two states exactly is in docs/quantization.md. An empty `saved` changes nothing.
  // Errors (data): `saved` is no state of such an observer, or two states cannot be joined; nothing is changed then.
  virtual Status merge(const ObserverState& saved) = 0;
  // Smallest and largest element seen, one per scale, for reports; empty when the observer cannot tell.
  virtual std::vector<Range> ranges() const { return {}; }
  // True: it keeps the tensors themselves, so it may observe constants only.
  virtual bool keeps_tensors() const { return false; }
  // True: no two observers that say so may run at the same time.
  virtual bool alone() const { return false; }

 protected:
  const quoin_host* host_ = nullptr;
};

// An observer of the spec's plugin if it has one of that name, else one of docs/quantization.md; "" is minmax.
// Errors (recipe): unknown observer (nearest given), unknown parameter, or one the spec's scheme does not allow;
// (plugin).
Result<std::unique_ptr<Observer>> make_observer(const Spec& spec);
std::vector<std::string> observer_names();  // the host's
// True when a spec of the plugin with this observer, or with "" for the recipe's choice, may get one of the plugin's.
bool may_observe(const host::Backend& backend, const std::string& observer);

}  // namespace quoin::quantize
