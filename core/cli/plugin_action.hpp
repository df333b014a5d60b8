// One row per action of `quoin plugin`; a new action is a row in plugin_actions() and a file of its own.
#pragma once

#include <memory>

#include "cli/command.hpp"
#include "host/registry.hpp"

namespace quoin::cli {

struct PluginAction {
  std::string name;
  std::string operand;  // what the argument behind the action is, "NAME"; empty: it takes none
  std::string usage;    // what follows: "[--all]"
  std::string summary;  // one line for `quoin plugin --help`
  void (*add_options)(po::options_description&);  // of this action alone; null: none
  Status (*run)(Invocation&);                     // call.text("operand") is there
};
std::span<const PluginAction> plugin_actions();

PluginAction plugin_list_action();
PluginAction plugin_describe_action();
PluginAction plugin_check_action();
PluginAction plugin_new_action();

// The plugins of the --plugin folders and the usual places, with the services they run on.
struct PluginSearch {
  PluginSearch(const Invocation& call, uint64_t isa);  // isa: from host::detect_isa
  host::Services services;
  host::Registry registry;
};

}  // namespace quoin::cli
