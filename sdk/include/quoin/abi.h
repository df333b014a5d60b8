// The contract between a Quoin host and a backend plugin: plain C11, no dependency.
//
//   entry symbol -> one static quoin_plugin table -> open() -> up to four optional roles:
//   quantizer (annotate), compiler (partition, compile), executor (run blobs), kernels (run single operators).
//
// Rules that hold for every declaration here:
//   1. Structs passed by pointer start with struct_size, the sizeof their author compiled. They only grow at the end.
//   2. Elements of a quoin_array are read with the array's stride: copy min(stride, sizeof) into a zeroed struct.
//   3. A zero field means "as before this field existed"; a NULL function means "not offered".
//   4. Only fixed-width types cross. Pointers are borrowed for the call unless a comment says otherwise.
//   5. Nothing throws, exits, aborts, or leaves the FP mode, locale, signal mask or working directory changed.
//   6. Whoever allocates frees. Large buffers come from quoin_host.alloc.
#ifndef QUOIN_ABI_H_
#define QUOIN_ABI_H_
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#define QUOIN_ABI_MAJOR 1u  // part of the entry symbol's name
#define QUOIN_ABI_MINOR 0u  // +1 whenever a field or function is appended
#define QUOIN_ENTRY_SYMBOL "quoin_plugin_entry_v1"
#define QUOIN_NONE UINT32_MAX  // "no node / no value": an absent optional operand, a value without producer

// Values are never renumbered. A host reads an unknown status as QUOIN_INTERNAL.
typedef int32_t quoin_status;
enum {
  QUOIN_OK = 0, QUOIN_INVALID = 1, QUOIN_UNSUPPORTED = 2, QUOIN_NOT_FOUND = 3, QUOIN_OUT_OF_MEMORY = 4,
  QUOIN_INCOMPATIBLE = 5, QUOIN_CORRUPT = 6, QUOIN_CANCELLED = 7, QUOIN_INTERNAL = 8
};

// Sub-byte types: element 0 sits in the low bits of byte 0; each row of the last axis starts on a byte.
typedef uint32_t quoin_dtype;
enum {
  QUOIN_F32 = 1, QUOIN_F16 = 2, QUOIN_BF16 = 3, QUOIN_F64 = 4, QUOIN_S8 = 5, QUOIN_U8 = 6, QUOIN_S16 = 7, QUOIN_U16 = 8,
  QUOIN_S32 = 9, QUOIN_S64 = 10, QUOIN_BOOL = 11, QUOIN_S4 = 12, QUOIN_U4 = 13, QUOIN_S2 = 14
};

// -- building blocks, frozen for the major version
typedef struct quoin_str { const char* data; uint64_t size; } quoin_str;  // UTF-8, not terminated
typedef struct quoin_bytes { const void* data; uint64_t size; } quoin_bytes;
typedef struct quoin_array { const void* data; uint32_t count; uint32_t stride; } quoin_array;

// One operand (is_output 0) or result (1) of a node; tells the two operands of add(x, x) apart.
typedef struct quoin_place { uint32_t node, slot, is_output, reserved; } quoin_place;

// Caller-owned, callee-filled: nothing to free, works when memory is exhausted. message is UTF-8, cut at 240 bytes.
typedef struct quoin_error {
  uint32_t struct_size; quoin_status code; uint32_t vendor_code; uint32_t message_size; char message[240];
} quoin_error;

// Optional feature, found by reverse-DNS name ("org.quoin.rules.v1"); unknown names are skipped.
typedef struct quoin_ext { uint32_t struct_size, version; const char* name; const struct quoin_ext* next; } quoin_ext;

// A typed key and value: operator attribute, plugin option or preset parameter. data points at count items of kind.
enum { QUOIN_PARAM_BOOL = 1 /* uint8_t */, QUOIN_PARAM_INT = 2 /* int64_t */, QUOIN_PARAM_FLOAT = 3 /* double */, QUOIN_PARAM_STR = 4 /* quoin_str */ };
typedef struct quoin_param { quoin_str name; uint32_t kind; uint32_t count; const void* data; } quoin_param;
enum { QUOIN_SCOPE_BACKEND = 1, QUOIN_SCOPE_QUANTIZE = 2, QUOIN_SCOPE_COMPILE = 4, QUOIN_SCOPE_LOAD = 8, QUOIN_SCOPE_RUN = 16 };
typedef struct quoin_param_spec {
  quoin_str name; uint32_t kind; uint32_t scope;
  quoin_param fallback;       // the default
  double low, high;           // inclusive range for numbers; low > high: unbounded
  quoin_array choices;        // of quoin_str; empty: any
  quoin_str doc;
} quoin_param_spec;

typedef struct quoin_backend quoin_backend;    // an opened plugin; made and destroyed by the plugin
typedef struct quoin_delegate quoin_delegate;  // a loaded blob

// -- services of the host; the table outlives every backend opened with it
enum { QUOIN_LOG_DEBUG = 0, QUOIN_LOG_INFO = 1, QUOIN_LOG_WARN = 2, QUOIN_LOG_ERROR = 3 };
typedef void (*quoin_range_fn)(void* ctx, uint64_t begin, uint64_t end, uint32_t worker);
typedef struct quoin_host {
  uint32_t struct_size, abi_major, abi_minor, reserved;
  void* self;
  uint64_t isa;  // QUOIN_ISA_* bits that CPU, OS and user all allow
  void* (*alloc)(void* self, uint64_t size, uint64_t alignment);  // NULL on failure; any thread
  void (*free)(void* self, void* ptr, uint64_t size, uint64_t alignment);
  void (*log)(void* self, int32_t level, quoin_str message);  // any thread; the text is copied
  uint32_t (*workers)(void* self);                            // threads that parallel_for may use, >= 1
  // Runs fn over [0, count) in pieces of about grain; returns when all ran. worker < workers(). Nested calls run inline.
  void (*parallel_for)(void* self, uint64_t count, uint64_t grain, quoin_range_fn fn, void* ctx);
  uint64_t (*now_ns)(void* self);  // monotonic
  const quoin_ext* (*find_ext)(void* self, const char* name);
} quoin_host;

// -- graph: an immutable snapshot; nodes in topological order, ids are indices
enum { QUOIN_PER_TENSOR = 0, QUOIN_PER_CHANNEL = 1, QUOIN_PER_GROUP = 2, QUOIN_PER_TOKEN = 3, QUOIN_PER_BLOCK = 4 };
// real = (q - zero_point) * scale. count = 1 (tensor), dims[axis] (channel), rows * groups (group, row-major), product
// of dims[i] / block[i] (block, row-major).
typedef struct quoin_qparams {
  uint32_t struct_size; quoin_dtype dtype; uint32_t scheme; int32_t axis; uint32_t group, count; int32_t qmin, qmax;
  const float* scale; const int32_t* zero_point;  // zero_point NULL: all zero
  const int64_t* block; uint64_t block_rank;      // PER_BLOCK: elements per block along each of block_rank axes
} quoin_qparams;
typedef struct quoin_tensor {
  quoin_dtype dtype; uint32_t rank; int64_t* dims; void* data; uint64_t size; const quoin_qparams* qparams;  // dense, row-major; size in bytes
} quoin_tensor;
typedef struct quoin_value {
  quoin_str name; quoin_dtype dtype; uint32_t rank;
  const int64_t* dims; const int64_t* dims_max;     // -1: dynamic, at most dims_max (NULL: all dims static)
  uint32_t producer, num_users; const quoin_place* users;  // producer QUOIN_NONE: graph input or constant
  quoin_bytes constant;                             // data NULL: not a constant
  const quoin_qparams* qparams;                     // NULL: real numbers, not quantized
} quoin_value;
typedef struct quoin_node {
  quoin_str op; uint32_t op_version, num_inputs, num_outputs, reserved;  // "aten.linear.default", 1
  const uint32_t* inputs; const uint32_t* outputs;                       // value ids; absent optional input: QUOIN_NONE
  quoin_array attrs;                                                     // of quoin_param, sorted by name
  quoin_str scope, scope_type; uint64_t debug_id;                        // module path and type, for messages and rules
} quoin_node;
typedef struct quoin_graph {
  uint32_t struct_size, num_inputs, num_outputs, reserved;
  quoin_array values, nodes;
  const uint32_t* inputs; const uint32_t* outputs;  // value ids
  const quoin_ext* ext;
} quoin_graph;

// -- role 1: quantizer
enum { QUOIN_OBSERVED = 0, QUOIN_FIXED = 1, QUOIN_SHARED = 2, QUOIN_DERIVED = 3 };
enum { QUOIN_SYMMETRIC = 1, QUOIN_DYNAMIC = 2, QUOIN_POW2_SCALE = 4, QUOIN_NO_IMPLICIT_SHARING = 8 };
enum { QUOIN_RULE_PRODUCT = 1 /* scale = product of the sources' scales, zero point 0: int32 bias */, QUOIN_RULE_PLUGIN = 1024 };
typedef struct quoin_qspec {
  uint32_t struct_size, kind; quoin_dtype dtype; uint32_t scheme; int32_t axis; uint32_t group; int32_t qmin, qmax;
  uint32_t flags, rule;
  quoin_str observer;                 // OBSERVED: one of the plugin's, else the host's; empty: the recipe's choice
  quoin_array observer_params;        // of quoin_param
  double eps;                         // smallest scale; 0: 2^-23
  double scale; int64_t zero_point;   // FIXED
  const quoin_place* sources; uint64_t num_sources;  // SHARED: one place; DERIVED: rule over all
  const int64_t* block; uint64_t block_rank;         // PER_BLOCK
} quoin_qspec;
typedef struct quoin_preset { quoin_str name, doc; quoin_array params; } quoin_preset;         // params: of quoin_param_spec
typedef struct quoin_quant_config { quoin_str preset; quoin_array params; } quoin_quant_config;  // params: of quoin_param
// The host has already resolved every scope and precedence rule of the recipe.
typedef struct quoin_quant_request {
  uint32_t struct_size, is_qat; const quoin_graph* graph;
  quoin_array configs;          // of quoin_quant_config
  const uint32_t* node_config;  // per node: index into configs; QUOIN_NONE: leave in float
} quoin_quant_request;
typedef struct quoin_annotator {
  uint32_t struct_size, reserved; void* self;
  quoin_status (*set)(void* self, quoin_place place, const quoin_qspec* spec);  // QUOIN_INVALID: place already annotated
  void (*match)(void* self, const uint32_t* nodes, uint32_t count, quoin_str rule);  // these nodes are covered by this rule
  void (*skip)(void* self, uint32_t node, quoin_str reason);                         // stays in float, because
} quoin_annotator;
// An observer of the plugin's own. The host calls one observer from one thread at a time.
typedef struct quoin_observer_state quoin_observer_state;
typedef struct quoin_observer {
  quoin_str name, doc; quoin_array params;  // of quoin_param_spec
  quoin_status (*create)(quoin_backend*, const quoin_qspec*, quoin_observer_state** out, quoin_error*);  // spec: with observer_params
  quoin_status (*observe)(quoin_observer_state*, const quoin_tensor*, quoin_error*);              // f32, all finite
  quoin_status (*qparams)(quoin_observer_state*, quoin_qparams* out, quoin_error*);  // borrowed until the state's next call
  void (*destroy)(quoin_observer_state*);
  // Saved calibration; NULL: it cannot be saved. The bytes are borrowed until the state's next call.
  quoin_status (*save)(quoin_observer_state*, quoin_bytes* out, quoin_error*);
  quoin_status (*merge)(quoin_observer_state*, quoin_bytes saved, quoin_error*);  // as if it had seen what `saved` saw
} quoin_observer;
typedef struct quoin_quantizer {
  uint32_t struct_size, reserved;
  quoin_array presets;  // of quoin_preset; the first is the default
  quoin_array passes;   // of quoin_str: host rewrites wanted before annotate ("fold-batch-norm", "scalar-to-constant")
  quoin_status (*annotate)(quoin_backend*, const quoin_quant_request*, const quoin_annotator*, quoin_error*);
  quoin_status (*derive)(quoin_backend*, uint32_t rule, const quoin_qparams* const* sources, uint32_t count, quoin_qparams* out, quoin_error*);
  quoin_array observers;  // of quoin_observer
} quoin_quantizer;

// -- role 2: compiler
typedef struct quoin_lower_request {
  uint32_t struct_size, reserved; const quoin_graph* graph; quoin_array params; uint64_t target_isa;
} quoin_lower_request;
typedef struct quoin_claims {
  uint32_t struct_size, reserved; void* self;
  quoin_status (*claim)(void* self, const uint32_t* nodes, uint32_t count, quoin_str tag);  // convex, disjoint: else QUOIN_INVALID
  void (*decline)(void* self, uint32_t node, quoin_str reason);
} quoin_claims;
typedef struct quoin_blob_writer {
  uint32_t struct_size, reserved; void* self;
  quoin_status (*write)(void* self, quoin_bytes chunk);
  quoin_status (*named)(void* self, quoin_str key, quoin_bytes data, uint64_t alignment);  // equal keys must hold equal bytes
  void (*needs_isa)(void* self, uint64_t isa);  // not called: the blob runs wherever the plugin does
} quoin_blob_writer;
typedef struct quoin_compiler {
  uint32_t struct_size, blob_format;  // blob_format grows whenever the layout of blobs changes
  quoin_status (*partition)(quoin_backend*, const quoin_lower_request*, const quoin_claims*, quoin_error*);
  quoin_status (*compile)(quoin_backend*, const quoin_lower_request*, const quoin_blob_writer*, quoin_error*);  // graph: one claim
} quoin_compiler;

// -- role 3: executor
typedef struct quoin_memory_need { uint32_t struct_size, alignment; uint64_t persistent, scratch; } quoin_memory_need;  // bytes
typedef struct quoin_load_request {
  uint32_t struct_size, blob_format; quoin_bytes blob; quoin_array params; void* self;  // blob: 64-byte aligned, lives until destroy
  quoin_status (*named)(void* self, quoin_str key, quoin_bytes* out);                   // lives until destroy
} quoin_load_request;
typedef struct quoin_profiler {
  uint32_t struct_size, reserved; void* self;
  uint64_t (*begin)(void* self, quoin_str name, uint64_t debug_id);
  void (*end)(void* self, uint64_t token);
  void (*past)(void* self, quoin_str name, uint64_t debug_id, uint64_t start_ns, uint64_t end_ns);  // timed by the device
} quoin_profiler;
typedef struct quoin_run {
  uint32_t struct_size, reserved; quoin_array inputs, outputs;           // of quoin_tensor
  void* scratch; uint64_t scratch_size; const quoin_profiler* profiler;  // profiler NULL: off
  const uint32_t* cancel;                                                // read atomically; non-zero: return QUOIN_CANCELLED soon
} quoin_run;
enum { QUOIN_REENTRANT = 1 };  // unset: the host serialises run() per delegate
typedef struct quoin_executor {
  uint32_t struct_size, flags, oldest_blob_format, newest_blob_format;
  quoin_status (*init)(quoin_backend*, const quoin_load_request*, quoin_delegate** out, quoin_error*);
  quoin_status (*plan)(quoin_delegate*, quoin_array inputs, quoin_array outputs, quoin_memory_need*, quoin_error*);  // writes output dims
  quoin_status (*run)(quoin_delegate*, const quoin_run*, quoin_error*);
  void (*destroy)(quoin_delegate*);
} quoin_executor;

// -- role 4: kernels, for single operators outside delegates and for calibration
#define QUOIN_ISA_AVX2 (1ull << 0)  // with FMA and F16C
#define QUOIN_ISA_AVX512 (1ull << 1)  // F, BW, DQ, VL
#define QUOIN_ISA_AVX512_VNNI (1ull << 2)
#define QUOIN_ISA_AMX_INT8 (1ull << 3)
#define QUOIN_ISA_AVX_VNNI (1ull << 4)
#define QUOIN_ISA_NEON_DOT (1ull << 32)
// Reads element i of an operand before it writes element i of the result: the host may give both the same memory.
enum { QUOIN_IN_PLACE = 1 };
typedef struct quoin_kernel {
  const char* op; uint32_t op_version, flags;
  const quoin_dtype* signature; uint32_t signature_size; int32_t priority;  // inputs then outputs; 0 = any; empty = any
  uint64_t isa; const char* name;                                          // every isa bit must be allowed
  int32_t (*accepts)(const quoin_graph*, uint32_t node);                   // < 0: no; else relative cost. NULL: any node
  quoin_status (*prepare)(const quoin_host*, const quoin_graph*, uint32_t node, void** state, quoin_memory_need*, quoin_error*);
  quoin_status (*run)(const quoin_host*, void* state, const quoin_run*, quoin_error*);
  void (*release)(const quoin_host*, void* state);
} quoin_kernel;

// -- the plugin
typedef struct quoin_plugin {  // static storage: valid until the library is unloaded
  uint32_t struct_size, abi_major, abi_minor, abi_minor_required;
  const char* name; const char* version;  // as in the manifest
  quoin_status (*open)(const quoin_host*, quoin_array params, quoin_backend** out, quoin_error*);
  void (*close)(quoin_backend*);  // after all its delegates are destroyed
  quoin_array options;            // of quoin_param_spec
  quoin_status (*set_option)(quoin_backend*, const quoin_param*, quoin_error*);
  quoin_status (*get_option)(quoin_backend*, quoin_str name, quoin_param* out, quoin_error*);  // out points into the backend
  const quoin_quantizer* quantizer; const quoin_compiler* compiler; const quoin_executor* executor;  // each may be NULL
  quoin_array kernels;            // of quoin_kernel
  const quoin_ext* ext;
} quoin_plugin;
typedef const quoin_plugin* (*quoin_plugin_entry_fn)(const quoin_host* host, quoin_error* why_not);

#define QUOIN_END_OF(type, field) ((uint32_t)(offsetof(type, field) + sizeof(((type*)0)->field)))
#define QUOIN_HAS(type, p, field) ((p) != NULL && (p)->struct_size >= QUOIN_END_OF(type, field) && (p)->field != 0)

// -- manifest: JSON in an ELF note, read before any code of the plugin runs
#define QUOIN_NOTE_SECTION ".note.quoin.manifest"
#define QUOIN_NOTE_TYPE 0x51420001u
#define QUOIN_EXPORT __attribute__((visibility("default")))
#define QUOIN_MANIFEST(text)                                                                                       \
  static const struct { uint32_t name_size, desc_size, type; char name[4]; char desc[(sizeof(text) + 3) & ~3u]; } \
      quoin_manifest_note __attribute__((section(QUOIN_NOTE_SECTION), used, aligned(4))) = {                       \
          4, sizeof(text), QUOIN_NOTE_TYPE, "QUN", text}

#ifdef __cplusplus
}  // extern "C"
#endif
#endif  // QUOIN_ABI_H_
