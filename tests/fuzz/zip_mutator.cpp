// Damages the members of a zip archive (.pt2, .npz), not the archive: a reader checks their CRC-32 first.
#include <zip.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "target.hpp"

namespace {

constexpr zip_uint64_t kMaxMember = 1u << 20;
using Member = std::pair<std::string, std::string>;

std::vector<Member> unpack(const uint8_t* data, size_t size) {
  std::vector<Member> members;
  zip_source_t* source = zip_source_buffer_create(data, size, 0, nullptr);
  zip_t* zip = zip_open_from_source(source, ZIP_RDONLY, nullptr);
  if (zip == nullptr) {
    zip_source_free(source);
    return members;
  }
  for (zip_int64_t i = 0; i < zip_get_num_entries(zip, 0); ++i) {
    zip_stat_t stat;
    zip_file_t* file = zip_fopen_index(zip, static_cast<zip_uint64_t>(i), 0);
    if (file == nullptr) continue;
    if (zip_stat_index(zip, static_cast<zip_uint64_t>(i), 0, &stat) == 0 && stat.size <= kMaxMember) {
      std::string bytes(stat.size, '\0');
      const zip_int64_t got = zip_fread(file, bytes.data(), bytes.size());
      bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
      members.emplace_back(stat.name, std::move(bytes));
    }
    zip_fclose(file);
  }
  zip_discard(zip);
  return members;
}

std::string pack(const std::vector<Member>& members) {
  zip_source_t* target = zip_source_buffer_create(nullptr, 0, 0, nullptr);
  zip_t* zip = zip_open_from_source(target, ZIP_TRUNCATE, nullptr);
  zip_source_keep(target);
  for (const auto& [name, bytes] : members) {
    zip_source_t* source = zip_source_buffer(zip, bytes.data(), bytes.size(), 0);
    const zip_int64_t index = zip_file_add(zip, name.c_str(), source, 0);
    if (index < 0)
      zip_source_free(source);
    else
      zip_set_file_compression(zip, static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0);
  }
  std::string out;
  if (zip_close(zip) == 0) {
    zip_stat_t stat;
    zip_source_stat(target, &stat);
    out.resize(stat.size);
    zip_source_open(target);
    zip_source_read(target, out.data(), out.size());
    zip_source_close(target);
  } else {
    zip_discard(zip);
  }
  zip_source_free(target);
  return out;
}

}  // namespace

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  std::minstd_rand random(seed);
  std::vector<Member> members = random() % 8 == 0 ? std::vector<Member>() : unpack(data, size);
  if (members.empty()) return LLVMFuzzerMutate(data, size, max_size);
  // Text more often than weights.
  const auto is_text = [](const Member& member) { return member.first.ends_with(".json"); };
  size_t chosen = random() % members.size();
  for (int i = 0; i < 3 && !is_text(members[chosen]); ++i) chosen = random() % members.size();
  std::string& bytes = members[chosen].second;
  const size_t before = bytes.size();
  bytes.resize(before + 16);
  bytes.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(bytes.data()), before, bytes.size()));
  const std::string packed = pack(members);
  if (packed.empty() || packed.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, packed.data(), packed.size());
  return packed.size();
}
