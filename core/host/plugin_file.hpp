// A plugin file held open from its checks to its load, so that what runs is what was checked, whatever happens to the
// path meanwhile.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/result.hpp"

namespace quoin::host {

class PluginFile {
 public:
  // Opens a file that only we and root can have written. Errors: not_found, io, plugin (not a regular file, owned by
  // another user, writable by everybody).
  static Result<PluginFile> open(const std::string& path);
  // Takes over a descriptor that another process has opened and checked this way.
  static Result<PluginFile> adopt(int descriptor, const std::string& path);
  PluginFile(PluginFile&& other) noexcept;
  PluginFile& operator=(PluginFile&&) = delete;
  ~PluginFile();

  int descriptor() const { return descriptor_; }
  uint64_t size() const { return static_cast<uint64_t>(info_.st_size); }
  const std::string& path() const { return path_; }  // where it was found; for messages

  // Gives the whole content to `take`, in order and in blocks. Errors: io (also: it became shorter); those of `take`.
  Status read(const std::function<Status(std::span<const char>)>& take) const;
  // A copy in memory that nobody can change any more, not even by writing to the file. Errors: io, limit (over 1 GiB).
  Result<PluginFile> sealed() const;
  // Whether it finds libraries through $ORIGIN, its own folder. Errors: those of ElfFile.
  Result<bool> uses_own_folder() const;

  // A name for the dynamic loader that means this open file and was never used before in this process. It goes through
  // the descriptor, which must stay open as long as the library is loaded (debuggers read the file under that name).
  // For a file that finds libraries through $ORIGIN, it is a spelling of the path.
  // Errors: io (the path means another file by now, or the file was changed since it was opened); those of ElfFile.
  Result<std::string> load_name() const;

 private:
  PluginFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  Status remember();
  Status unchanged(const struct stat& now) const;

  int descriptor_;
  std::string path_;
  struct stat info_ {};  // when it was opened
};

}  // namespace quoin::host
