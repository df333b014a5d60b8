// plugins.options of a recipe, in the form that plugins take.
#pragma once

#include <quoin/abi.h>

#include <map>
#include <mutex>
#include <string>

#include "ops/abi_view.hpp"
#include "recipe/recipe.hpp"

namespace quoin::flow {

// Thread safe.
class PluginOptions {
 public:
  using Given = std::map<std::string, recipe::PluginOptions>;  // by plugin
  explicit PluginOptions(Given given) : given_(std::move(given)) {}
  const Given& given() const { return given_; }

  // What the recipe gives to a plugin for one scope (QUOIN_SCOPE_BACKEND: open(), QUOIN_SCOPE_LOAD: init()), a list of
  // quoin_param that lives as long as the object. Everything given is checked, whatever its scope.
  // Errors (recipe): unknown option (the nearest is named), wrong type, out of range; each with its line.
  Result<quoin_array> list(const quoin_plugin& table, uint32_t scope);

 private:
  struct List {
    Attrs attrs;  // what `params` points into
    AbiParams storage;
    quoin_array params{};
  };
  const Given given_;
  std::map<std::pair<std::string, uint32_t>, List> lists_;  // by plugin and scope; nodes stay where they are
  std::mutex mutex_;
};

}  // namespace quoin::flow
