// Files that a caller keeps itself, handed to the runtime through hooks.
#pragma once

#include <quoin/runtime.h>

#include <map>
#include <string>
#include <vector>

namespace quoin::testing {

struct Flash {
  std::map<std::string, quoin_bytes> content;  // by path
  std::vector<std::string> asked;              // paths, in order
  int open = 0;                                // files that are not closed

  quoin_files files() {
    return {sizeof(quoin_files), 0, this,
            [](void* self, const char* path, quoin_bytes* out, void**, quoin_error*) -> quoin_status {
              auto& flash = *static_cast<Flash*>(self);
              flash.asked.emplace_back(path);
              const auto found = flash.content.find(path);
              if (found == flash.content.end()) return QUOIN_NOT_FOUND;
              *out = found->second;
              ++flash.open;
              return QUOIN_OK;
            },
            [](void* self, void*, quoin_bytes) { --static_cast<Flash*>(self)->open; }};
  }
};

}  // namespace quoin::testing
