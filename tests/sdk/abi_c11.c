// The contract is plain C11: a backend without C++ only needs this header.
#include <quoin/abi_frozen.h>

QUOIN_MANIFEST("{\"name\":\"c\",\"version\":\"1\"}");

static const quoin_plugin plugin = {
    .struct_size = sizeof(quoin_plugin), .abi_major = QUOIN_ABI_MAJOR, .name = "c", .version = "1"};

const quoin_plugin* quoin_c_plugin(void);
const quoin_plugin* quoin_c_plugin(void) { return QUOIN_HAS(quoin_plugin, &plugin, name) ? &plugin : NULL; }
