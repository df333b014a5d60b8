// The table and the manifest by hand, so that they can break the rules that QUOIN_PLUGIN keeps.
#include "sound.hpp"

QUOIN_MANIFEST(
    "{\"name\":\"sound\",\"version\":\"1.0.0\",\"vendor\":\"tests\","
    "\"abi\":{\"major\":1,\"minor\":0,\"minor_required\":0},"
    "\"roles\":[\"quantizer\",\"compiler\",\"executor\",\"kernels\"],\"isa_required\":[]}");

namespace sound {
namespace {

quoin_status refuse(quoin_error* error, quoin_status code, std::string_view text) {
  return sdk::detail::report(error, code, text);
}

// Hosts that the plugin turns away although it could work with them.
bool turned_away(const quoin_host& host) {
  return (is("exact_minor") && host.abi_minor != QUOIN_ABI_MINOR) ||
         (is("exact_host_size") && host.struct_size != sizeof(quoin_host));
}

quoin_executor make_executor(const quoin_executor& from) {
  quoin_executor executor = from;
  if (is("throws_in_run"))
    executor.run = [](quoin_delegate*, const quoin_run*, quoin_error*) -> quoin_status { throw 42; };
  if (is("garbage_status"))
    executor.init = [](quoin_backend*, const quoin_load_request*, quoin_delegate**, quoin_error*) {
      return quoin_status{4711};
    };
  if (is("crashes_in_run"))
    executor.run = [](quoin_delegate*, const quoin_run*, quoin_error*) -> quoin_status { __builtin_trap(); };
  if (is("hangs_in_run"))
    executor.run = [](quoin_delegate*, const quoin_run*, quoin_error*) -> quoin_status {
      for (volatile bool forever = true; forever;) {
      }
      return QUOIN_OK;
    };
  if (is("exits_in_run"))
    executor.run = [](quoin_delegate*, const quoin_run*, quoin_error*) -> quoin_status { _exit(0); };
  if (is("small_executor")) executor.struct_size = 16;
  return executor;
}

quoin_plugin make_plugin(const quoin_plugin& from) {
  static const quoin_executor executor = make_executor(*from.executor);
  quoin_plugin plugin = from;
  plugin.executor = &executor;
  if (is("table_lies")) plugin.version = "2.0.0";
  return plugin;
}

}  // namespace
}  // namespace sound

#ifdef THREAD_LOCAL_DESTRUCTOR
struct Farewell {
  ~Farewell() { at = 1; }
  volatile int at = 0;
};
static thread_local Farewell farewell;
#endif

extern "C" QUOIN_EXPORT const quoin_plugin* quoin_plugin_entry_v1(const quoin_host* host, quoin_error* why) {
#ifdef THREAD_LOCAL_DESTRUCTOR
  farewell.at = 2;
#endif
  quoin_host pretended = *host;
  if (sound::is("any_major")) pretended.abi_major = QUOIN_ABI_MAJOR;
  if (sound::turned_away(*host)) {
    sound::refuse(why, QUOIN_INCOMPATIBLE, "this host is another one than the plugin was tested with");
    return nullptr;
  }
  const quoin_plugin* made = quoin::sdk::detail::plugin<sound::Sound>("sound", "1.0.0", &pretended, why);
  if (made == nullptr) return nullptr;
  static const quoin_plugin table = sound::make_plugin(*made);
  return &table;
}
