// Which kernel runs a node. Selection is data: candidates, in order, each with the reason why it was passed over.
#pragma once

#include <quoin/abi.h>

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/diagnostics.hpp"

namespace quoin::kernels {

// The portable set: defines the semantics of every operator; accepts everything legal. Static storage.
// Calls of any kernel: quoin_run.inputs has one tensor per operand of the node, constants too; an absent optional
// operand is a zeroed quoin_tensor. Operators without an integer form run on quantized values as
// quantize(op(dequantize)).
std::span<const quoin_kernel> portable();

inline constexpr const char* kPortable = "portable";  // provider of that set

struct Choice {
  std::shared_ptr<const quoin_kernel> kernel;  // keeps what was given to add() with it
  std::string provider;                        // plugin name or kPortable
  std::vector<std::string> passed_over;        // "avx512vnni_conv: isa not available", ...
};

// Kernels of the open plugins in recipe order, the portable set always last. Order of preference:
// forced by name, then priority, then lower cost from accepts(), then provider order, then name.
// Const use is thread safe.
class KernelSet {
 public:
  // `keep` keeps the tables in memory; the set and everything that selected one of them hold it. Kernels that lack a
  // part are left out with a warning.
  void add(const std::string& provider, quoin_array kernels, Diagnostics& diagnostics,
           std::shared_ptr<const void> keep = nullptr);
  void remove(const std::string& provider);  // what was selected before stays usable
  void force(std::string op, std::string kernel) { forced_[std::move(op)] = std::move(kernel); }
  void deny(std::string kernel) { denied_.insert(std::move(kernel)); }
  // `in_place`: the result will be written over an operand, which only kernels with QUOIN_IN_PLACE take.
  // Errors (unsupported): no kernel, with every candidate's reason.
  Result<Choice> select(const quoin_graph* graph, uint32_t node, uint64_t isa, bool in_place = false) const;

 private:
  struct Entry {
    std::string provider;
    quoin_kernel kernel;  // widened to this header's struct
    std::shared_ptr<const void> keep;
  };
  struct Fit;
  struct Request;
  std::string refusal(const quoin_kernel& kernel, const Request& request, int32_t& cost) const;

  std::vector<std::shared_ptr<const Entry>> entries_;  // of plugins
  std::map<std::string, std::string, std::less<>> forced_;
  std::set<std::string, std::less<>> denied_;
};

}  // namespace quoin::kernels
