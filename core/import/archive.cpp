#include "import/archive.hpp"

#include <zip.h>

#include <algorithm>
#include <cstdlib>
#include <unordered_map>

#include "base/checked.hpp"

namespace quoin::import {
namespace {

constexpr int64_t kMaxMembers = 1'000'000;
// torch.export stores members uncompressed and weights hardly compress: more than this much expansion is an attack.
constexpr uint64_t kFreeExpansion = 256ull << 20, kMaxRatio = 20;

struct ZipCloser {
  void operator()(zip_t* zip) const { zip_discard(zip); }
};
struct MemberCloser {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

std::string message(zip_error_t& error) {
  std::string out = zip_error_strerror(&error);
  zip_error_fini(&error);
  return out;
}

Result<Blob> allocate(uint64_t size) {
  const uint64_t padded = align_up<uint64_t>(std::max<uint64_t>(size, 1), 64);
  auto* data = static_cast<std::byte*>(std::aligned_alloc(64, padded));
  if (!data) return fail(Code::limit, "no memory for {} bytes", size);
  return Blob{std::shared_ptr<std::byte>(data, [](std::byte* p) { std::free(p); }), static_cast<size_t>(size)};
}

}  // namespace

struct Archive::State {
  std::string file;
  std::unique_ptr<zip_t, ZipCloser> zip;
  std::vector<std::string> names;
  std::unordered_map<std::string, uint64_t> index;
  uint64_t budget = 0;  // bytes that may still be expanded

  Status list();
};

Status Archive::State::list() {
  const int64_t count = zip_get_num_entries(zip.get(), 0);
  if (count > kMaxMembers) return fail(Code::limit, "{} members, at most {} are read", count, kMaxMembers);
  for (int64_t i = 0; i < count; ++i) {
    const char* name = zip_get_name(zip.get(), static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
    if (!name) return fail(Code::model, "member {} has no readable name", i);
    if (!index.emplace(name, static_cast<uint64_t>(i)).second)
      return fail(Code::model, "two members are named \"{}\"", name);
    names.emplace_back(name);
  }
  return {};
}

Archive::Archive(std::unique_ptr<State> state) : state_(std::move(state)) {}
Archive::Archive(Archive&&) noexcept = default;
Archive& Archive::operator=(Archive&&) noexcept = default;
Archive::~Archive() = default;

Result<Archive> Archive::open(Bytes bytes, std::string file) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  if (!source) return fail(in(file, Error{Code::limit, "the zip archive cannot be opened: " + message(error), {}, {}}));
  zip_t* zip = zip_open_from_source(source, ZIP_RDONLY, &error);
  if (!zip) {
    zip_source_free(source);
    return fail(in(file, Error{Code::model,
                               "not a readable zip archive: " + message(error),
                               {},
                               "the file may be truncated; copy or export it again"}));
  }
  zip_error_fini(&error);
  auto state = std::make_unique<State>();
  state->file = std::move(file);
  state->zip.reset(zip);
  state->budget = kFreeExpansion + kMaxRatio * bytes.size();
  QUOIN_CHECK_AT(state->list(), "{}", state->file);
  return Archive(std::move(state));
}

std::span<const std::string> Archive::names() const { return state_->names; }
bool Archive::contains(std::string_view name) const { return state_->index.contains(std::string(name)); }

Result<Blob> Archive::read(std::string_view name, uint64_t limit) {
  const std::string where = state_->file + "/" + std::string(name);
  const auto error = [&](Code code, std::string what) { return fail(code, "{}", what).at("{}", where); };
  const auto found = state_->index.find(std::string(name));
  if (found == state_->index.end()) return error(Code::model, "the archive has no such member");
  zip_stat_t stat;
  zip_stat_init(&stat);
  if (zip_stat_index(state_->zip.get(), found->second, 0, &stat) != 0 || !(stat.valid & ZIP_STAT_SIZE))
    return error(Code::model, "the member has no size");
  if (stat.size > limit) return error(Code::limit, fmt::format("{} bytes, at most {} are read", stat.size, limit));
  if (stat.size > state_->budget)
    return error(Code::limit, "the archive expands to far more than its own size; it is not a model file");
  state_->budget -= stat.size;

  const std::unique_ptr<zip_file_t, MemberCloser> member(zip_fopen_index(state_->zip.get(), found->second, 0));
  if (!member) return error(Code::model, fmt::format("cannot be opened: {}", zip_strerror(state_->zip.get())));
  QUOIN_TRY(Blob blob, allocate(stat.size));
  // One byte more than declared: libzip compares the checksum when it reaches the end.
  size_t done = 0;
  for (;;) {
    std::byte extra{};
    const bool full = done == blob.size;
    const int64_t got =
        full ? zip_fread(member.get(), &extra, 1) : zip_fread(member.get(), blob.data.get() + done, blob.size - done);
    if (got < 0) return error(Code::model, fmt::format("garbled: {}", zip_file_strerror(member.get())));
    if (full && got > 0) return error(Code::model, "longer than the archive's directory says");
    if (full) return blob;
    if (got == 0) return error(Code::model, fmt::format("ends after {} of {} bytes", done, blob.size));
    done += static_cast<size_t>(got);
  }
}

}  // namespace quoin::import
