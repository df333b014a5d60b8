#include <algorithm>
#include <optional>

#include "conform/group.hpp"
#include "host/loader.hpp"

namespace quoin::conform {

struct Subject::State {
  explicit State(uint64_t isa) : services({1, isa, {}}) {}
  host::Services services;
  std::optional<Result<host::Library>> library;
};

namespace {

// An unknown QUOIN_ISA_MAX was refused by the parent.
uint64_t machine_isa() { return host::detect_isa().value_or(0); }

Result<host::Library> load(const std::string& path, const host::Services& services) {
  QUOIN_TRY(host::PluginFile file, host::PluginFile::open(path));
  QUOIN_CHECK(host::read_manifest(file));  // the dynamic loader trusts the file
  QUOIN_TRY(host::Library library, host::load_library(std::move(file), services.table()));
  QUOIN_CHECK(host::check_table(library.table, services.table()));
  return library;
}

}  // namespace

Subject::Subject(std::string path, Profile profile, uint64_t seed)
    : path_(std::move(path)), profile_(profile), seed_(seed), state_(std::make_unique<State>(machine_isa())) {}
Subject::~Subject() = default;

const host::Services& Subject::services() const { return state_->services; }

Result<host::Manifest> Subject::manifest() const { return host::read_manifest(path_); }

bool Subject::offers(std::string_view role) const {
  const auto found = manifest();
  return found && std::ranges::find(found->roles, role) != found->roles.end();
}

Result<const quoin_plugin*> Subject::table() const {
  if (!state_->library) state_->library = load(path_, state_->services);
  if (!*state_->library) return fail(state_->library->error());
  return (*state_->library)->table;
}

Result<std::shared_ptr<host::Backend>> Subject::open(const quoin_host* host, quoin_array params) const {
  QUOIN_TRY(const quoin_plugin* plugin, table());
  return host::Backend::open(plugin, (*state_->library)->keep, host != nullptr ? *host : state_->services.table(),
                             params);
}

}  // namespace quoin::conform
