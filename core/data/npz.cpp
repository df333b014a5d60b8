// NumPy's .npz: a zip of .npy files, stored or deflated.
#include <zip.h>

#include "base/text.hpp"
#include "data/files.hpp"
#include "data/internal.hpp"

namespace quoin::data {
namespace {

constexpr uint64_t kMaxDeflateRatio = 1032;  // the format's bound, so a larger claim is false
constexpr std::string_view kSuffix = ".npy";

struct CloseArchive {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct CloseEntry {
  void operator()(zip_file_t* entry) const { zip_fclose(entry); }
};
using Archive = std::unique_ptr<zip_t, CloseArchive>;

Result<Archive> open_archive(const std::string& path) {
  QUOIN_CHECK(MappedFile::open(path));  // says "not found" and "not a regular file" as everywhere else
  int code = 0;
  Archive archive(zip_open(path.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code));
  if (archive) return archive;
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  const std::string reason = zip_error_strerror(&error);
  zip_error_fini(&error);
  return bad_data(path, "not a valid .npz archive: {}", reason);
}

// The entry's name without ".npy" and its plain size, when it can be read within the limits.
Result<std::pair<std::string, uint64_t>> inspect(const zip_stat_t& info, const std::string& path) {
  constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
  if ((info.valid & kNeeded) != kNeeded) return bad_data(path, "an archive entry lacks its name or sizes");
  const std::string name = info.name;
  const std::string where = path + ": " + name;
  if (!name.ends_with(kSuffix)) return bad_data(where, "an .npz holds only .npy entries");
  if (info.comp_method != ZIP_CM_STORE && info.comp_method != ZIP_CM_DEFLATE)
    return bad_data(where, "compression method {}, expected stored or deflated", info.comp_method);
  if ((info.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && info.encryption_method != ZIP_EM_NONE)
    return bad_data(where, "is encrypted");
  if (info.size > kMaxUnpacked || info.size / kMaxDeflateRatio > info.comp_size)
    return bad_data(where, "claims {} bytes from {} compressed ones", info.size, info.comp_size);
  return std::pair(name.substr(0, name.size() - kSuffix.size()), info.size);
}

Result<Tensor> read_entry(zip_t* archive, zip_uint64_t index, uint64_t size, const std::string& where) {
  const std::unique_ptr<zip_file_t, CloseEntry> entry(zip_fopen_index(archive, index, 0));
  if (!entry) return bad_data(where, "{}", zip_strerror(archive));
  Tensor content(DType::u8, {static_cast<int64_t>(size)});
  const zip_int64_t got = zip_fread(entry.get(), content.data(), size);
  char beyond = 0;  // reading to the end makes libzip compare the checksum
  if (got < 0 || static_cast<uint64_t>(got) != size || zip_fread(entry.get(), &beyond, 1) != 0)
    return bad_data(where, "cannot be unpacked: {}", zip_error_strerror(zip_file_get_error(entry.get())));
  return parse_npy({static_cast<const std::byte*>(content.data()), size}, content.owner(), where);
}

}  // namespace

Result<TensorMap> read_npz(const std::string& path) {
  QUOIN_TRY(const Archive archive, open_archive(path));
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  if (count < 0 || static_cast<uint64_t>(count) > kMaxArchiveEntries)
    return bad_data(path, "{} archive entries, the limit is {}", count, kMaxArchiveEntries);
  TensorMap out;
  uint64_t total = 0;
  for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(count); ++i) {
    zip_stat_t info;
    zip_stat_init(&info);
    if (zip_stat_index(archive.get(), i, 0, &info) != 0) return bad_data(path, "{}", zip_strerror(archive.get()));
    QUOIN_TRY(const auto entry, inspect(info, path));
    const auto& [name, size] = entry;
    total += size;
    if (total > kMaxUnpacked) return bad_data(path, "unpacks to more than {} bytes", kMaxUnpacked);
    QUOIN_TRY(Tensor tensor, read_entry(archive.get(), i, size, path + ": " + name));
    if (!out.emplace(name, std::move(tensor)).second) return bad_data(path, "array {} occurs twice", name);
  }
  return out;
}

}  // namespace quoin::data
