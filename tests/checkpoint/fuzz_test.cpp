// Damaged files are refused or read; nothing crashes, hangs or takes memory that the file could not fill.
#include <sys/resource.h>

#include <functional>
#include <random>

#include "checkpoint/gguf.hpp"
#include "checkpoint/safetensors.hpp"
#include "ops/half.hpp"
#include "support.hpp"

namespace quoin::checkpoint::test {
namespace {

constexpr int kParsed = 20000, kRead = 400;  // damaged headers in memory, and damaged files whose tensors are read
constexpr long kMaxGrowth = 64 << 10;        // KiB of peak memory over all damaged files

std::string gguf() {
  Gguf file;
  file.key("general.architecture", "llama").key<uint32_t>("llama.block_count", Gguf::u32, 2);
  file.texts("tokenizer.ggml.tokens", {"a", "bc", ""}).numbers<float>("scores", Gguf::f32, {1, 2, 3});
  const std::string block = raw(float_to_half(0.5f)) + std::string(32, '\7');
  file.tensor("w", {2, 32}, Gguf::Q8_0, block + block).tensor("v", {2}, Gguf::F32, raw<float>({1, 2}));
  file.tensor("k", {1, 256}, Gguf::Q4_K, std::string(144, '\1'));
  return file.bytes();
}

std::string weights() {
  return safetensors(R"({"v":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"__metadata__":{"a":"b"},)"
                     R"("w":{"dtype":"BF16","shape":[3],"data_offsets":[8,14]}})",
                     raw<float>({1, 2}) + raw<uint16_t>({1, 2, 3}));
}

void read_everything(const std::string& path) {
  const auto checkpoint = Checkpoint::open(path);
  if (!checkpoint) {
    EXPECT_FALSE(checkpoint.error().text().empty());
    return;
  }
  for (const std::string& name : checkpoint->names()) {
    (void)checkpoint->load_f32(name);
    (void)checkpoint->load_quantized(name);
  }
}

long peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

using Read = std::function<void(const std::string&)>;

void flip(const std::string& good, int rounds, const Read& read) {
  std::mt19937 random(0);
  for (int round = 0; round < rounds; ++round) {
    std::string bad = good;
    for (auto flips = 1 + random() % 3; flips > 0; --flips) bad[random() % bad.size()] = static_cast<char>(random());
    read(bad);
  }
}

// `parse` sees every prefix and many damaged versions of `good`, `read` some.
void damage(const std::string& good, const Read& parse, const Read& read) {
  read(good);
  const long before = peak_memory();
  for (size_t size = 0; size < good.size(); ++size) parse(good.substr(0, size));
  flip(good, kParsed, parse);
  flip(good, kRead, read);
  EXPECT_LT(peak_memory() - before, kMaxGrowth);
}

TEST(Fuzz, Gguf) {
  const TempFolder folder;
  damage(
      gguf(), [](const std::string& bytes) { (void)parse_gguf(as_bytes(bytes), "w.gguf"); },
      [&](const std::string& bytes) { read_everything(folder.write("w.gguf", bytes)); });
}

TEST(Fuzz, Safetensors) {
  const TempFolder folder;
  damage(
      weights(),
      [](const std::string& bytes) { (void)parse_safetensors(as_bytes(bytes), "w.safetensors", Code::model); },
      [&](const std::string& bytes) { read_everything(folder.write("w.safetensors", bytes)); });
}

TEST(Fuzz, Index) {
  const TempFolder folder;
  folder.write("a.safetensors", weights());
  flip(R"({"metadata":{"total_size":14},"weight_map":{"v":"a.safetensors","w":"a.safetensors"}})", kRead,
       [&](const std::string& bytes) {
         folder.write("model.safetensors.index.json", bytes);
         read_everything(folder.path());
       });
}

}  // namespace
}  // namespace quoin::checkpoint::test
