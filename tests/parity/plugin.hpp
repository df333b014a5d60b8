// The xnnpack plugin of this build tree.
#pragma once

#include "host/registry.hpp"
#include "host/services.hpp"

namespace quoin::parity {

// Opened once and kept until the test ends.
class Plugin {
 public:
  static Plugin& get() {
    static Plugin plugin;
    return plugin;
  }
  const quoin_host& host() const { return services_.table(); }
  Result<std::shared_ptr<host::Backend>> open() { return registry_.open("xnnpack"); }

 private:
  host::Services services_{host::Services::Options{}};
  host::Registry registry_ = host::Registry::discover({{QUOIN_PLUGIN_FOLDER}, false, false}, services_);
};

}  // namespace quoin::parity
