// Files cut short or garbled: an error or a tensor, never a crash. Most useful under AddressSanitizer.
#include "support.hpp"

namespace quoin::data::test {
namespace {

constexpr int kFlips = 300;

struct Format {
  const char* name;
  std::function<std::string()> make;
  std::function<Status(const std::string&)> read;
};
void PrintTo(const Format& format, std::ostream* out) { *out << format.name; }

template <class T>
Status drop(Result<T> result) {
  return result ? Status{} : Status(std::move(result).failure());
}

std::string some_safetensors() {
  const TempFolder folder;
  EXPECT_TRUE(write_safetensors(folder / "a", {{"x", counting({3, 2})}, {"y", integers({1, 2})}}));
  return read_bytes(folder / "a");
}

std::string some_npy() {
  const TempFolder folder;
  EXPECT_TRUE(write_npy(folder / "a", counting({3, 2})));
  return read_bytes(folder / "a");
}

std::string some_npz(bool deflate) {
  const TempFolder folder;
  return read_bytes(write_npz(folder / "a", {{"x", some_npy()}, {"y", some_npy()}}, deflate));
}

const Format kFormats[] = {
    {"safetensors", some_safetensors, [](const std::string& path) { return drop(read_safetensors(path)); }},
    {"npy", some_npy, [](const std::string& path) { return drop(read_npy(path)); }},
    {"npz_stored", [] { return some_npz(false); }, [](const std::string& path) { return drop(read_npz(path)); }},
    {"npz_deflated", [] { return some_npz(true); }, [](const std::string& path) { return drop(read_npz(path)); }},
    {"jpeg", [] { return jpeg_of(pattern(24, 20)); }, [](const std::string& path) { return drop(read_image(path)); }},
    {"png", [] { return png_of(pattern(24, 20)); }, [](const std::string& path) { return drop(read_image(path)); }},
};

class Hostile : public ::testing::TestWithParam<Format> {};

TEST_P(Hostile, every_truncation_is_a_data_error) {
  const TempFolder folder;
  const std::string whole = GetParam().make();
  ASSERT_TRUE(GetParam().read(folder.write("whole", whole)));
  for (size_t size = 0; size < whole.size(); ++size)
    ASSERT_TRUE(fails_with(GetParam().read(folder.write("cut", whole.substr(0, size))), Code::data, "cut"))
        << size << " of " << whole.size();
}

TEST_P(Hostile, random_damage_is_an_error_or_a_tensor) {
  const TempFolder folder;
  const std::string whole = GetParam().make();
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < kFlips; ++i) {
    std::string bytes = whole;
    for (uint32_t flips = 1 + random() % 4; flips > 0; --flips)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    const Status status = GetParam().read(folder.write("garbled", bytes));
    refused += status ? 0 : 1;
    if (!status) {
      ASSERT_EQ(status.error().code, Code::data) << status.error().text();
    }
  }
  EXPECT_GT(refused, 0);
}

INSTANTIATE_TEST_SUITE_P(Formats, Hostile, ::testing::ValuesIn(kFormats),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace quoin::data::test
