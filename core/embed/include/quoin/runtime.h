// The runtime as a library (libquoin_runtime): load a program, query it, plan its memory, run it. Plain C11.
//
//   quoin_engine    what programs run on: services of the host, plugins, kernels     any thread
//   quoin_program   a verified file                                                  any thread
//   quoin_instance  a program made ready to run, with memory of its own              one thread at a time
//
// Rules: nothing throws or exits; there is no global state. A function that can fail returns a status and fills `error`
// (may be NULL): error->message says what, where and what to do, error->vendor_code is the code of docs/exit_codes.md.
// Structs start with struct_size, set by the caller to their sizeof; fields left zero have their defaults. Objects hold
// what they are made from, so they may be destroyed in any order. Heap memory is used by *_create, *_open and
// quoin_instance_plan alone, and by quoin_instance_run only where it says so.
#ifndef QUOIN_RUNTIME_H_
#define QUOIN_RUNTIME_H_
#include <quoin/abi.h>
#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct quoin_engine quoin_engine;
typedef struct quoin_program quoin_program;
typedef struct quoin_instance quoin_instance;

// -- engine
// How files are read; for systems without files, or with other ones.
typedef struct quoin_files {
  uint32_t struct_size, reserved;
  void* self;
  // The whole file, unchanged until close. Errors: QUOIN_NOT_FOUND, or any other. Also called for a weights file: with
  // the path of the program up to its last slash and a plain file name, which came from the program.
  quoin_status (*open)(void* self, const char* path, quoin_bytes* out, void** file, quoin_error* error);
  void (*close)(void* self, void* file, quoin_bytes bytes);
} quoin_files;

typedef struct quoin_engine_options {
  uint32_t struct_size;
  uint32_t num_plugins;
  const quoin_plugin_entry_fn* plugins;  // entry functions of linked-in plugins, preferred in this order
  const quoin_host*
      host;  // log, clock, memory, threads: outlives everything made from the engine; NULL: quoin_host_of_system()
  const quoin_files* files;  // outlives every program; NULL: mapped files of the system
} quoin_engine_options;

// malloc, the monotonic clock, one thread, no log, the instruction sets of this CPU (at most the tier that the
// environment variable QUOIN_ISA_MAX names; none where it names none that is known): a start to change single entries
// of.
quoin_host quoin_host_of_system(void);
// `options` may be NULL. Errors: QUOIN_INCOMPATIBLE, QUOIN_INVALID (a plugin's table), what a plugin's open() says.
quoin_status quoin_engine_create(const quoin_engine_options* options, quoin_engine** out, quoin_error* error);
void quoin_engine_destroy(quoin_engine* engine);

// -- program
typedef struct quoin_program_options {
  uint32_t struct_size;
  uint32_t trust_weights;  // 1: leave out the checksum of the weights, which are then read as they are used
  // Of a program whose weights are in a second file: the bytes of that file, which stay like those of the program.
  // Without data, quoin_program_open opens the file beside the program. Size and digest are checked in either case.
  quoin_bytes weights;
} quoin_program_options;

// Verified before use, always. `options` may be NULL. Errors: QUOIN_NOT_FOUND, QUOIN_CORRUPT, QUOIN_INCOMPATIBLE.
quoin_status quoin_program_open(quoin_engine* engine, const char* path, const quoin_program_options* options,
                                quoin_program** out, quoin_error* error);
// The file is in memory already (flash, a linked-in array), and stays there unchanged until program and instances are
// gone; so do weights in options->weights. Where one is not 64-byte aligned it is copied.
quoin_status quoin_program_view(quoin_engine* engine, quoin_bytes file, const quoin_program_options* options,
                                quoin_program** out, quoin_error* error);
void quoin_program_close(quoin_program* program);

uint32_t quoin_program_methods(const quoin_program* program);                        // at least 1
quoin_str quoin_program_method_name(const quoin_program* program, uint32_t method);  // empty: no such method
quoin_status quoin_program_find_method(const quoin_program* program, const char* name, uint32_t* out,
                                       quoin_error* error);
quoin_str quoin_program_metadata(const quoin_program* program, const char* key);  // empty: none

// An input or output of a method; states are neither.
typedef struct quoin_slot {
  uint32_t struct_size;
  uint32_t dynamic;  // bit i: dim i is the length of the run, from 1 to tensor.dims[i]
  quoin_str name;
  quoin_tensor tensor;  // of the longest run, without data; dims and qparams belong to the program and are read only
} quoin_slot;
uint32_t quoin_program_inputs(const quoin_program* program, uint32_t method);
uint32_t quoin_program_outputs(const quoin_program* program, uint32_t method);
quoin_status quoin_program_input(const quoin_program* program, uint32_t method, uint32_t i, quoin_slot* out,
                                 quoin_error* error);
quoin_status quoin_program_output(const quoin_program* program, uint32_t method, uint32_t i, quoin_slot* out,
                                  quoin_error* error);

// -- instance
enum { QUOIN_FALLBACK_WARN = 0, QUOIN_FALLBACK_ALLOW = 1, QUOIN_FALLBACK_ERROR = 2 };
typedef struct quoin_instance_options {
  uint32_t struct_size;
  uint32_t
      fallback;  // a delegate that cannot run here: its original runs on kernels, with a line in the log, or an error
} quoin_instance_options;

// Chooses kernels, loads delegates. `options` may be NULL.
// Errors: QUOIN_UNSUPPORTED (no kernel), QUOIN_INCOMPATIBLE (a delegate cannot run here), what a plugin says.
quoin_status quoin_instance_create(quoin_program* program, const quoin_instance_options* options, quoin_instance** out,
                                   quoin_error* error);
void quoin_instance_destroy(quoin_instance* instance);

typedef struct quoin_region {
  void* data;
  uint64_t size, alignment;
} quoin_region;
typedef struct quoin_memory {
  uint32_t struct_size, reserved;
  quoin_region arena;    // values between nodes; content may be lost between runs
  quoin_region scratch;  // workspace of the most demanding node; likewise
  quoin_region states;   // what lives between runs, such as key/value caches
} quoin_memory;
// What the instance needs for runs of any length: sizes and alignments, no data.
void quoin_instance_need(const quoin_instance* instance, quoin_memory* out);
// Must precede every run. A region without data comes from the host. `memory` may be NULL. States become zero.
// Errors: QUOIN_OUT_OF_MEMORY (or too small), QUOIN_INVALID (misaligned); then it must be called again.
quoin_status quoin_instance_plan(quoin_instance* instance, const quoin_memory* memory, quoin_error* error);
// Makes runs of one more length free of heap memory: operators outside of delegates that follow the length are prepared
// for it and kept until the instance is destroyed, as they are for the longest. Call it before quoin_instance_need, so
// that scratch memory is enough. Errors: QUOIN_INVALID (no such method or length), what a kernel or plugin says.
quoin_status quoin_instance_prepare_length(quoin_instance* instance, uint32_t method, int64_t length,
                                           quoin_error* error);
void quoin_instance_reset(quoin_instance* instance);  // states to zero

enum { QUOIN_STOP_REQUESTED = 1, QUOIN_STOP_DEADLINE = 2 };
typedef struct quoin_run_options {
  uint32_t struct_size, method;
  uint32_t* stop;        // any thread stores non-zero (atomically) to end the run soon; NULL: nobody does
  uint64_t deadline_ns;  // by the host's clock; 0: none. QUOIN_STOP_DEADLINE is stored in *stop when it passes
  // Told of every node, by name and debug id, and inside it of the operations that its delegate reports, those from any
  // thread; NULL: off. All its functions must be there.
  const quoin_profiler* profiler;
} quoin_run_options;
// Inputs need dtype, rank, dims, data, size; outputs data and size (room). The run sets the outputs' type, rank, dims
// (valid until the next run of the method) and size. `options` may be NULL: method 0. No heap memory, unless it fails,
// or the length differs from the run before, was not prepared, and operators outside of delegates follow it. Errors:
// QUOIN_INVALID (a tensor that does not fit; names it), QUOIN_CANCELLED, what a kernel or plugin says. After an error
// outputs and states are unspecified.
quoin_status quoin_instance_run(quoin_instance* instance, const quoin_run_options* options, const quoin_tensor* inputs,
                                uint32_t num_inputs, quoin_tensor* outputs, uint32_t num_outputs, quoin_error* error);

#pragma GCC visibility pop
#ifdef __cplusplus
}  // extern "C"
#endif
#endif  // QUOIN_RUNTIME_H_
