// Builds the graph that a tree of modules exports.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nn/module.hpp"

namespace quoin::nn {

class Emitter {
 public:
  ir::Graph graph;

  // Nodes made during its life belong to the module. Scopes end in reverse order of their begin.
  class Scope {
   public:
    Scope(Emitter& emitter, const Module& module);
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() { emitter_.modules_.pop_back(); }

   private:
    Emitter& emitter_;
  };

  // A node in the current module, named after its operator as torch.export does; its first result, or all of them.
  Result<ir::ValueId> add(std::string_view op, std::vector<ir::ValueId> inputs, Attrs attrs = {});
  Result<std::vector<ir::ValueId>> add_all(std::string_view op, std::vector<ir::ValueId> inputs, Attrs attrs = {});
  // What the parameter stands for, quantized or float. Parameters that load the same float tensor are one constant.
  Result<ir::ValueId> constant(const Parameter& parameter);

 private:
  std::vector<ir::ModuleFrame> modules_;
  std::map<const void*, ir::ValueId> floats_;  // bytes of float parameters
};

}  // namespace quoin::nn
