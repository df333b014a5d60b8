// One plugin, many faults: every -DVARIANT_x breaks exactly one promise that a host must not rely on, or builds the
// plugin as an older or newer ABI would have it. Without any it is a sound backend: its delegates and its kernel copy
// their first input.
#include <quoin/abi.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#ifndef VARIANT_MANIFEST_NAME
#define VARIANT_MANIFEST_NAME VARIANT_NAME
#endif
#ifndef VARIANT_MANIFEST_MAJOR
#define VARIANT_MANIFEST_MAJOR "1"
#endif
#ifndef VARIANT_MINOR
#define VARIANT_MINOR 0
#endif
#ifndef VARIANT_MINOR_REQUIRED
#define VARIANT_MINOR_REQUIRED 0
#endif
#define VARIANT_TEXT_OF(x) #x
#define VARIANT_TEXT(x) VARIANT_TEXT_OF(x)
#ifdef VARIANT_MANIFEST_ISA
#define VARIANT_ISA_LIST "\"" VARIANT_MANIFEST_ISA "\""
#else
#define VARIANT_ISA_LIST ""
#endif
#ifndef VARIANT_MANIFEST
#define VARIANT_MANIFEST \
  "{\"name\":\"" VARIANT_MANIFEST_NAME                                              \
  "\",\"version\":\"1.2.0\",\"vendor\":\"tests\","                                  \
  "\"abi\":{\"major\":" VARIANT_MANIFEST_MAJOR ",\"minor\":" VARIANT_TEXT(VARIANT_MINOR) \
  ",\"minor_required\":" VARIANT_TEXT(VARIANT_MINOR_REQUIRED)                         \
  "},"                                                                              \
  "\"roles\":[\"executor\",\"kernels\"],\"isa_required\":[" VARIANT_ISA_LIST "]}"
#endif
QUOIN_MANIFEST(VARIANT_MANIFEST);

#ifdef VARIANT_NEEDS_FUNCTION
extern "C" int quoin_test_function_from_elsewhere();
#endif

#ifdef VARIANT_UNIQUE_SYMBOL
// One in the whole process, so the dynamic loader never lets go of who defined it. GCC makes visible inline variables
// such symbols; clang does not.
asm(".pushsection .data\n"
    ".type quoin_test_unique, @gnu_unique_object\n"
    ".size quoin_test_unique, 4\n"
    "quoin_test_unique: .long 0\n"
    ".popsection");
extern "C" int quoin_test_unique;
#endif

namespace {

struct Opened {
  const quoin_host* host;
};

[[maybe_unused]] quoin_status refuse(quoin_error* error, quoin_status code, const char* why) {
  error->code = code;
  error->message_size = static_cast<uint32_t>(std::strlen(why));
  std::memcpy(error->message, why, error->message_size);
  return code;
}

#ifdef VARIANT_CRASHES_ON_LOAD
__attribute__((constructor)) void crash() { __builtin_trap(); }
#elif defined(VARIANT_HANGS_ON_LOAD)
__attribute__((constructor)) void hang() {
  for (volatile bool forever = true; forever;) {
  }
}
#elif defined(VARIANT_EXITS_ON_LOAD)
__attribute__((constructor)) void leave() { std::_Exit(0); }
#endif

quoin_status open_backend(const quoin_host* host, quoin_array params, quoin_backend** out, quoin_error* error) {
#if defined(VARIANT_OPEN_FAILS)
  return refuse(error, QUOIN_UNSUPPORTED, "the device of this plugin is switched off");
#elif defined(VARIANT_OPEN_THROWS)
  throw std::runtime_error("thrown on purpose");
#elif defined(VARIANT_OPEN_CRASHES)
  *static_cast<volatile int*>(nullptr) = 1;
#elif defined(VARIANT_OPEN_STATUS)
  return refuse(error, VARIANT_OPEN_STATUS, "a status of its own");
#elif defined(VARIANT_OPEN_GIVES_NOTHING)
  return QUOIN_OK;
#endif
#ifdef VARIANT_NEEDS_FUNCTION
  if (quoin_test_function_from_elsewhere() != 0) return QUOIN_INTERNAL;
#endif
#ifdef VARIANT_UNIQUE_SYMBOL
  ++quoin_test_unique;
#endif
  static_cast<void>(error);
  if (params.count == 1) {  // its only option, told to whoever listens
    const auto* level = static_cast<const quoin_param*>(params.data);
    char line[] = "level ?";
    line[6] = static_cast<char>('0' + *static_cast<const int64_t*>(level->data));
    host->log(host->self, QUOIN_LOG_INFO, {line, sizeof line - 1});
  }
  *out = reinterpret_cast<quoin_backend*>(new Opened{host});
  return QUOIN_OK;
}

void close_backend(quoin_backend* backend) {
#ifdef VARIANT_CLOSE_CRASHES
  __builtin_trap();
#endif
  delete reinterpret_cast<Opened*>(backend);
#ifdef VARIANT_CLOSE_THROWS
  throw std::runtime_error("thrown on purpose");
#endif
}

struct Delegate {
  void* memory;  // of the host, which counts what is not given back
  const quoin_host* host;
};
constexpr uint64_t kMemory = 256;

// Element i as the host's ABI has it, cut or widened to ours.
template <class T>
T element(quoin_array array, uint32_t i) {
  T out{};
  std::memcpy(&out, static_cast<const std::byte*>(array.data) + size_t{i} * array.stride,
              std::min<size_t>(array.stride, sizeof out));
  return out;
}

quoin_status init(quoin_backend* backend, const quoin_load_request* request, quoin_delegate** out, quoin_error* error) {
  if (request->blob.size == 0) return refuse(error, QUOIN_CORRUPT, "the blob is empty");
  const quoin_host* host = reinterpret_cast<Opened*>(backend)->host;
  *out = reinterpret_cast<quoin_delegate*>(new Delegate{host->alloc(host->self, kMemory, 64), host});
  return QUOIN_OK;
}

quoin_status copy(const quoin_run* run, quoin_error* error) {
  const auto in = element<quoin_tensor>(run->inputs, 0), out = element<quoin_tensor>(run->outputs, 0);
  if (in.size != out.size) return refuse(error, QUOIN_INVALID, "input and output differ in size");
  std::memcpy(out.data, in.data, in.size);
  return QUOIN_OK;
}
[[maybe_unused]] quoin_status run(quoin_delegate*, const quoin_run* run, quoin_error* error) {
  return copy(run, error);
}

void destroy(quoin_delegate* handle) {
  const Delegate* delegate = reinterpret_cast<Delegate*>(handle);
  delegate->host->free(delegate->host->self, delegate->memory, kMemory, 64);
  delete delegate;
}

quoin_status prepare_kernel(const quoin_host*, const quoin_graph*, uint32_t, void** state, quoin_memory_need*,
                            quoin_error*) {
  *state = new int(1);
  return QUOIN_OK;
}
quoin_status run_kernel(const quoin_host*, void*, const quoin_run* run, quoin_error* error) { return copy(run, error); }
void release_kernel(const quoin_host*, void* state) { delete static_cast<int*>(state); }

const quoin_executor executor = {sizeof(quoin_executor),
                                 0,
                                 1,
                                 1,
                                 init,
                                 nullptr,
#ifdef VARIANT_ROLE_WITHOUT_RUN
                                 nullptr,
#else
                                 run,
#endif
                                 destroy};

const quoin_kernel kernel = {"quoin_test.copy", 1, 0, nullptr, 0, 0, 0, "copy", nullptr, prepare_kernel, run_kernel,
                             release_kernel};
const quoin_param_spec option = {{"level", 5}, QUOIN_PARAM_INT, QUOIN_SCOPE_BACKEND, {}, 0, 9, {}, {"a number", 8}};

// A struct as another ABI has it: `Extra` bytes more that this host must not look at, or fewer bytes.
#ifndef VARIANT_GROWS
#define VARIANT_GROWS 0
#endif
template <class T>
struct Sized {
  T known;
  unsigned char later[VARIANT_GROWS + 1];
  explicit Sized(const T& from) : known(from) { std::memset(later, 0xee, sizeof later); }
};
template <class T>
constexpr uint32_t kSized = VARIANT_GROWS == 0 ? sizeof(T) : sizeof(Sized<T>);

[[maybe_unused]] const quoin_plugin* table() {
  static const Sized<quoin_kernel> kernels(kernel);
  static const Sized<quoin_param_spec> options(option);
  static Sized<quoin_executor> runs(executor);
  runs.known.struct_size = kSized<quoin_executor>;
  static Sized<quoin_plugin> out(quoin_plugin{});
  quoin_plugin& p = out.known;
  p.struct_size = kSized<quoin_plugin>;
  p.abi_major = QUOIN_ABI_MAJOR;
  p.abi_minor = VARIANT_MINOR;
  p.abi_minor_required = VARIANT_MINOR_REQUIRED;
  p.name = VARIANT_NAME;
  p.version = "1.2.0";
  p.open = open_backend;
  p.close = close_backend;
  p.options = {&options, 1, kSized<quoin_param_spec>};
  p.executor = &runs.known;
  p.kernels = {&kernels, 1, kSized<quoin_kernel>};
#ifdef VARIANT_TABLE_TOO_SMALL
  p.struct_size = 48;
#endif
#ifdef VARIANT_TABLE_VERSION
  p.version = VARIANT_TABLE_VERSION;
#endif
#ifdef VARIANT_TABLE_MAJOR
  p.abi_major = VARIANT_TABLE_MAJOR;
#endif
#ifdef VARIANT_TABLE_WITHOUT_OPEN
  p.open = nullptr;
#endif
#ifdef VARIANT_EXECUTOR_BYTES
  runs.known.struct_size = VARIANT_EXECUTOR_BYTES;
#endif
#ifdef VARIANT_KERNEL_STRIDE
  p.kernels.stride = VARIANT_KERNEL_STRIDE;
#endif
#ifdef VARIANT_OPTION_STRIDE
  p.options.stride = VARIANT_OPTION_STRIDE;
#endif
#ifdef VARIANT_KERNELS_NOWHERE
  p.kernels.data = nullptr;
#endif
  return &p;
}

}  // namespace

#ifndef VARIANT_NO_ENTRY
extern "C" QUOIN_EXPORT const quoin_plugin* quoin_plugin_entry_v1(const quoin_host*, quoin_error* why) {
  static_cast<void>(why);
#if defined(VARIANT_ENTRY_REFUSES)
  refuse(why, QUOIN_INCOMPATIBLE, "this host is too old for me");
  return nullptr;
#elif defined(VARIANT_ENTRY_IS_SILENT)
  return nullptr;
#elif defined(VARIANT_ENTRY_THROWS)
  throw 42;
#else
  return table();
#endif
}
#endif
