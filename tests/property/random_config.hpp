#pragma once

#include <deque>

#include "../quantize/fake_plugin.hpp"
#include "conform/dice.hpp"
#include "host/registry.hpp"

namespace quoin::property {

using conform::Dice;

// What quantizes one random graph.
struct Configuration {
  std::string words;  // for messages: "cpu preset int8-static {...}, rules: ..."
  std::vector<quantize::Assignment> assignments;
};

// The plugins of this build tree through the real host, and a plugin inside this process that annotates at random.
class Configurations {
 public:
  Configurations();
  // One or two quantizers with random presets, parameters and rules for nodes of the graph.
  Configuration random(const ir::Graph& graph, Dice& dice);
  Result<std::shared_ptr<host::Backend>> open(const std::string& plugin) { return registry_.open(plugin); }
  const quoin_host& host() const { return services_.table(); }

 private:
  quantize::Assignment real(const std::string& plugin, Dice& dice, std::string& words);
  quantize::Assignment fake(Dice& dice);

  host::Services services_{host::Services::Options{}};
  host::Registry registry_;
  std::deque<quantize::test::FakePlugin> fakes_;  // one per configuration that used it
};

// Annotates the nodes of the request with random specs: every dtype, scheme, observer and flag that is legal at a
// place, mostly one spec for all activations, so that places share.
quoin_status annotate_at_random(const quoin_quant_request& request, const quoin_annotator& annotator, uint32_t seed);

}  // namespace quoin::property
