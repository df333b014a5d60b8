// Damages what the checksums of a program file protect, and makes them right again: without that, no input of the
// fuzzer gets behind the header.
#include <cstring>
#include <iterator>
#include <random>
#include <vector>

#include "../program/bytes.hpp"
#include "target.hpp"

namespace {

using namespace quoin::program;
using testing::FileBytes;

constexpr uint32_t kMaxSegmentsHere = 64;
using Random = std::minstd_rand;

// Whole words are what FlatBuffers' offsets, counts and indices are made of.
void change_words(std::byte* at, size_t size, Random& random) {
  constexpr uint32_t kWords[] = {0, 1, 2, 3, 4, 8, 64, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff};
  for (auto n = 1 + random() % 3; n > 0 && size >= 8; --n) {
    const size_t place = random() % (size / 4) * 4;
    uint32_t word;
    std::memcpy(&word, at + place, sizeof word);
    switch (random() % 4) {
      case 0:
        word = kWords[random() % std::size(kWords)];
        break;
      case 1:
        word += static_cast<uint32_t>(random() % 9) - 4;
        break;
      case 2:  // a word of another place
        std::memcpy(&word, at + random() % (size / 4) * 4, sizeof word);
        break;
      default:
        word ^= uint32_t{1} << random() % 32;
    }
    std::memcpy(at + place, &word, sizeof word);
  }
}

void change_bytes(std::byte* at, size_t size) {
  std::vector<uint8_t> copy(size);
  std::memcpy(copy.data(), at, size);
  LLVMFuzzerMutate(copy.data(), size, size);
  std::memcpy(at, copy.data(), size);
}

bool lies_inside(const FileBytes& file, const SegmentEntry& entry) {
  return entry.offset <= file.size() && entry.size <= file.size() - entry.offset && entry.size != 0;
}

void change_segment(FileBytes& file, const std::vector<SegmentEntry>& table, Random& random) {
  // Mostly the graph, which is first in the files that the writer makes.
  const SegmentEntry& entry = table[random() % 4 != 0 ? 0 : random() % table.size()];
  if (!lies_inside(file, entry)) return;
  if (random() % 3 == 0)
    change_bytes(file.data() + entry.offset, entry.size);
  else
    change_words(file.data() + entry.offset, entry.size, random);
}

}  // namespace

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  Random random(seed);
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  FileBytes file(begin, begin + size);
  const bool has_table = size >= sizeof(Header) && testing::header_of(file).segment_count != 0 &&
                         testing::header_of(file).segment_count <= kMaxSegmentsHere &&
                         size >= sizeof(Header) + testing::header_of(file).segment_count * sizeof(SegmentEntry);
  if (!has_table || random() % 32 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const std::vector<SegmentEntry> table = testing::table_of(file);
  if (random() % 8 == 0)  // header and table
    change_words(file.data() + 8, sizeof(Header) + table.size() * sizeof(SegmentEntry) - 8, random);
  else
    change_segment(file, table, random);
  if (testing::header_of(file).segment_count == table.size()) testing::repair(file);
  std::memcpy(data, file.data(), size);
  return size;
}
