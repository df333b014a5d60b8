// A graph of one float node and a host that runs in place: enough to drive a quoin_kernel.
#pragma once

#include <quoin/abi.h>

#include <memory>
#include <string>
#include <vector>

#include "machine.hpp"
#include "operators.hpp"

namespace quoin::cpu::test {

// Runs ranges in pieces of `grain` on the calling thread, alternating worker ids, so that per-worker scratch is
// exercised.
quoin_host inline_host(uint64_t isa);

class OneNode {
 public:
  explicit OneNode(std::string op) : op_(std::move(op)) {}
  OneNode& input(std::vector<int64_t> dims, std::vector<float> data, bool constant = false);
  OneNode& absent();
  OneNode& ints(std::string name, std::vector<int64_t> value);
  OneNode& number(std::string name, double value);
  OneNode& text(std::string name, std::string value);
  OneNode& output(std::vector<int64_t> dims);

  // Prepared on `isa`; the same buffers on every run.
  class Prepared {
   public:
    Prepared(OneNode& node, uint64_t isa);
    ~Prepared();
    Prepared(const Prepared&) = delete;
    Prepared& operator=(const Prepared&) = delete;
    const std::vector<float>& run();
    bool accepted() const { return kernel_ != nullptr; }

   private:
    quoin_host host_;
    const quoin_kernel* kernel_ = nullptr;
    void* state_ = nullptr;
    std::vector<std::byte> scratch_;
    std::vector<quoin_tensor> inputs_;
    std::vector<float> result_;
    quoin_tensor output_{};
  };

 private:
  struct Operand {
    std::vector<int64_t> dims;
    std::vector<float> data;
    bool constant = false, present = true;
  };
  struct Attribute {
    std::string name, text;
    uint32_t kind = 0;
    std::vector<int64_t> ints;
    double number = 0;
    quoin_str view{};
  };
  void build();

  std::string op_;
  std::vector<Operand> inputs_;
  std::vector<int64_t> out_dims_;
  std::vector<std::unique_ptr<Attribute>> attributes_;
  std::vector<quoin_value> values_;
  std::vector<quoin_param> params_;
  std::vector<uint32_t> ids_;
  uint32_t out_id_ = 0;
  quoin_node node_{};
  quoin_graph graph_{};
};

}  // namespace quoin::cpu::test
