#include <algorithm>
#include <iostream>

#include "base/text.hpp"
#include "cli/common.hpp"
#include "cli/plugin_action.hpp"
#include "cli/terminal.hpp"
#include "host/digest.hpp"

namespace quoin::cli {
namespace {

void add_options(po::options_description& options) {
  options.add_options()("all", "list ignored files too, with the reason");
}

// Of files only: a folder that cannot be searched has none.
Json digest(const host::Candidate& candidate) {
  const auto digest = host::PluginFile::open(candidate.path).and_then(host::sha256);
  return digest ? Json(*digest) : Json(nullptr);
}

Json list_json(const host::Registry& registry, bool all, bool digests) {
  Json out = Json::array();
  for (const host::Candidate& candidate : registry.candidates()) {
    if (!candidate.ignored.empty() && !all) continue;
    out.push_back({{"name", candidate.manifest.name},
                   {"version", candidate.manifest.version},
                   {"vendor", candidate.manifest.vendor},
                   {"roles", candidate.manifest.roles},
                   {"path", candidate.path},
                   {"source", candidate.source},
                   {"usable", candidate.ignored.empty()},
                   {"reason", candidate.ignored}});
    if (digests) out.back()["sha256"] = digest(candidate);
  }
  return out;
}

Status run(Invocation& call) {
  QUOIN_TRY(const uint64_t isa, host::detect_isa());
  PluginSearch search(call, isa);
  host::Registry& registry = search.registry;
  registry.try_out();
  const Json rows = list_json(registry, call.has("all"), call.json);
  if (call.json) {
    print(rows);
    return {};
  }
  Table table({"name", "version", "roles", "source", "path", "status"}, {2, 4});
  for (const Json& row : rows)
    table.row({row["name"].get<std::string>(), row["version"].get<std::string>(),
               join(row["roles"].get<std::vector<std::string>>(), ", "), row["source"].get<std::string>(),
               row["path"].get<std::string>(),
               row["usable"].get<bool>() ? "usable" : "ignored: " + row["reason"].get<std::string>()});
  std::cout << table.text();
  const size_t ignored = static_cast<size_t>(
      std::ranges::count_if(registry.candidates(), [](const auto& c) { return !c.ignored.empty(); }));
  if (ignored != 0 && !call.has("all")) std::cout << fmt::format("{} file(s) ignored; see them with --all\n", ignored);
  return {};
}

}  // namespace

PluginAction plugin_list_action() { return {"list", "", "[--all]", "every plugin that is found", add_options, run}; }

}  // namespace quoin::cli
