#include "runtime/step.hpp"

#include "host/call.hpp"
#include "ops/schema.hpp"

namespace quoin::runtime {

void close(Step& step) {
  const Plugin& plugin = step.plugin;
  if (step.handle != nullptr)
    host::call_last(plugin.table->name, *plugin.host, [&] { plugin.table->executor->destroy(step.handle); });
  if (plugin.keep != nullptr) plugin.let_go(plugin.keep);
  if (kHasOperators) PreparedKernel::let_go(step.kernel);
}

bool at_node(const view::Node& node, Fault& fault) {
  return fault.at("node {} ({}{}{})", node.name, node.is_call() ? "delegate" : node.op,
                  node.module.empty() ? "" : ", module ", node.module);
}

}  // namespace quoin::runtime
