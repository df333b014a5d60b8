// What a program is made ready with: plugins, kernels, and whom to tell.
#pragma once

#include <quoin/abi.h>

#include "base/fault.hpp"

namespace quoin::kernels {
class KernelSet;
}

namespace quoin::runtime {

// A delegate that cannot run here: its original sub-graph runs on kernels, with a warning or a note, or it is an error.
enum class Fallback : uint8_t { warn, allow, error };

// An opened plugin. `keep`, where not null, keeps it open until `let_go` is called.
struct Plugin {
  const quoin_plugin* table;
  quoin_backend* handle;
  const quoin_host* host;
  void* keep;
  void (*let_go)(void* keep);
};

class Setting {
 public:
  // The plugin of a delegate. False: the fault says why there is none.
  virtual bool plugin(std::string_view name, Plugin& out, Fault& fault) = 0;
  // The parameters that init() of a delegate gets: a list of quoin_param.
  virtual bool params(const Plugin&, quoin_array& out, Fault&) {
    out = {};
    return true;
  }
  // What was done otherwise than asked: the parts of a Note.
  virtual void note(bool warning, std::string_view where, std::string_view what, std::string_view hint) = 0;

  Fallback fallback = Fallback::warn;
  const kernels::KernelSet* kernels = nullptr;

 protected:
  ~Setting() = default;
};

}  // namespace quoin::runtime
