// quoin/abi.h, with its layout locked at compile time: a field that moves does not compile. sdk/abi.lock.yaml says the same
// of every field.
#ifndef QUOIN_ABI_FROZEN_H_
#define QUOIN_ABI_FROZEN_H_
#include <quoin/abi.h>

// On LP64, where each struct's last released field ends. Growth comes after it, never before.
#if UINTPTR_MAX == UINT64_MAX
#ifdef __cplusplus
#define QUOIN_FROZEN(type, last, end) static_assert(QUOIN_END_OF(type, last) == end, #type "::" #last " moved")
#else
#define QUOIN_FROZEN(type, last, end) _Static_assert(QUOIN_END_OF(type, last) == end, #type "." #last " moved")
#endif
QUOIN_FROZEN(quoin_error, message, 256);
QUOIN_FROZEN(quoin_param, data, 32);
QUOIN_FROZEN(quoin_host, find_ext, 88);
QUOIN_FROZEN(quoin_qparams, block_rank, 64);
QUOIN_FROZEN(quoin_value, qparams, 80);
QUOIN_FROZEN(quoin_node, debug_id, 104);
QUOIN_FROZEN(quoin_graph, ext, 72);
QUOIN_FROZEN(quoin_qspec, block_rank, 128);
QUOIN_FROZEN(quoin_tensor, qparams, 40);
QUOIN_FROZEN(quoin_run, cancel, 72);
QUOIN_FROZEN(quoin_kernel, release, 80);
QUOIN_FROZEN(quoin_plugin, ext, 128);
#endif

#endif  // QUOIN_ABI_FROZEN_H_
