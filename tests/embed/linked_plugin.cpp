// A plugin to be linked in. Compiled twice, under two names and two entry functions.
#include <quoin/plugin.hpp>

namespace {

namespace sdk = quoin::sdk;

struct Linked {
  static constexpr uint32_t blob_format = 1;
  Linked(const quoin_host&, sdk::Params) {}
  struct Delegate {
    Delegate(Linked&, const sdk::Load&) {}
    void run(const sdk::Run&) {}
  };
};

}  // namespace

QUOIN_PLUGIN(Linked, LINKED_NAME, "1.0.0")
