// One plugin, many faults: every -DVARIANT_x breaks exactly one promise that a host must not rely on.
#include <quoin/abi.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>

#ifndef VARIANT_MANIFEST_NAME
#define VARIANT_MANIFEST_NAME VARIANT_NAME
#endif
#ifndef VARIANT_MANIFEST_MAJOR
#define VARIANT_MANIFEST_MAJOR "1"
#endif
#ifndef VARIANT_MANIFEST_MINOR
#define VARIANT_MANIFEST_MINOR "0"
#endif
#ifdef VARIANT_MANIFEST_ISA
#define VARIANT_ISA_LIST "\"" VARIANT_MANIFEST_ISA "\""
#else
#define VARIANT_ISA_LIST ""
#endif
#ifndef VARIANT_MANIFEST
#define VARIANT_MANIFEST                                                            \
  "{\"name\":\"" VARIANT_MANIFEST_NAME                                              \
  "\",\"version\":\"1.2.0\",\"vendor\":\"tests\","                                  \
  "\"abi\":{\"major\":" VARIANT_MANIFEST_MAJOR ",\"minor\":" VARIANT_MANIFEST_MINOR \
  ",\"minor_required\":" VARIANT_MANIFEST_MINOR                                     \
  "},"                                                                              \
  "\"roles\":[\"executor\"],\"isa_required\":[" VARIANT_ISA_LIST "]}"
#endif
QUOIN_MANIFEST(VARIANT_MANIFEST);

#ifdef VARIANT_NEEDS_FUNCTION
extern "C" int quoin_test_function_from_elsewhere();
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

quoin_status open_backend(const quoin_host* host, quoin_array, quoin_backend** out, quoin_error* error) {
#if defined(VARIANT_OPEN_FAILS)
  return refuse(error, QUOIN_UNSUPPORTED, "the device of this plugin is switched off");
#elif defined(VARIANT_OPEN_THROWS)
  throw std::runtime_error("thrown on purpose");
#elif defined(VARIANT_OPEN_CRASHES)
  *static_cast<volatile int*>(nullptr) = 1;
#elif defined(VARIANT_OPEN_GIVES_NOTHING)
  return QUOIN_OK;
#endif
#ifdef VARIANT_NEEDS_FUNCTION
  if (quoin_test_function_from_elsewhere() != 0) return QUOIN_INTERNAL;
#endif
  static_cast<void>(error);
  *out = reinterpret_cast<quoin_backend*>(new Opened{host});
  return QUOIN_OK;
}

void close_backend(quoin_backend* backend) {
#ifdef VARIANT_CLOSE_CRASHES
  __builtin_trap();
#endif
  delete reinterpret_cast<Opened*>(backend);
}

quoin_status init(quoin_backend*, const quoin_load_request*, quoin_delegate**, quoin_error*) { return QUOIN_CORRUPT; }
[[maybe_unused]] quoin_status run(quoin_delegate*, const quoin_run*, quoin_error*) { return QUOIN_OK; }
void destroy(quoin_delegate*) {}

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

[[maybe_unused]] const quoin_plugin table = [] {
  quoin_plugin p{};
  p.struct_size = sizeof p;
  p.abi_major = QUOIN_ABI_MAJOR;
  p.abi_minor = QUOIN_ABI_MINOR;
  p.name = VARIANT_NAME;
  p.version = "1.2.0";
  p.open = open_backend;
  p.close = close_backend;
  p.executor = &executor;
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
  return p;
}();

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
  return &table;
#endif
}
#endif
