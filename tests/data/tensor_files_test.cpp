#include "support.hpp"

namespace quoin::data::test {
namespace {

std::string float_entry(const std::string& name, const std::string& shape, int begin, int end) {
  return '"' + name + R"(":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":[)" + std::to_string(begin) + ',' +
         std::to_string(end) + "]}";
}

std::vector<float> values(const Tensor& tensor) { return {tensor.as<float>().begin(), tensor.as<float>().end()}; }

TEST(Safetensors, keeps_every_tensor_through_a_round_trip) {
  const TempFolder folder;
  TensorMap tensors;
  tensors.emplace("wide \"quoted\" name", counting({2, 3}));
  tensors.emplace("flags", Tensor::of<uint8_t>(DType::boolean, {3}, std::vector<uint8_t>{1, 0, 1}));
  tensors.emplace("ids", integers({-5, 7}));
  tensors.emplace("scalar", counting({}));
  tensors.emplace("empty", Tensor(DType::f32, {0, 4}));
  ASSERT_TRUE(write_safetensors(folder / "a.safetensors", tensors));
  const auto read = read_safetensors(folder / "a.safetensors");
  ASSERT_TRUE(read) << read.error().text();
  ASSERT_EQ(read->size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const Tensor& back = read->at(name);
    EXPECT_EQ(back.dtype(), tensor.dtype()) << name;
    EXPECT_EQ(back.shape(), tensor.shape()) << name;
    EXPECT_EQ(std::memcmp(back.data(), tensor.data(), tensor.bytes()), 0) << name;
  }
}

TEST(Safetensors, writes_the_same_bytes_for_the_same_tensors) {
  const TempFolder folder;
  const TensorMap tensors{{"b", counting({4})}, {"a", integers({1})}};
  ASSERT_TRUE(write_safetensors(folder / "1", tensors));
  ASSERT_TRUE(write_safetensors(folder / "2", tensors));
  EXPECT_EQ(read_bytes(folder / "1"), read_bytes(folder / "2"));
}

TEST(Safetensors, reads_a_tensor_at_an_odd_address) {
  const TempFolder folder;
  const std::string header =
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)" + float_entry("b", "[2]", 1, 9) + "}";
  const auto read = read_safetensors(folder.write("odd", safetensors(header, "x" + raw<float>({1.5f, -2.0f}))));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(values(read->at("b")), (std::vector<float>{1.5f, -2.0f}));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(read->at("b").data()) % alignof(float), 0u);
}

TEST(Safetensors, has_tensors_that_outlive_the_map) {
  const TempFolder folder;
  ASSERT_TRUE(write_safetensors(folder / "a", {{"x", counting({5})}}));
  Tensor kept;
  {
    auto read = read_safetensors(folder / "a");
    ASSERT_TRUE(read);
    kept = read->at("x");
  }
  EXPECT_EQ(values(kept), (std::vector<float>{0, 1, 2, 3, 4}));
}

struct Refusal {
  const char* name;
  std::string bytes;
  const char* part;
};
void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class BadSafetensors : public ::testing::TestWithParam<Refusal> {};

TEST_P(BadSafetensors, is_refused_with_the_reason) {
  const TempFolder folder;
  const std::string path = folder.write("bad.safetensors", GetParam().bytes);
  EXPECT_TRUE(fails_with(read_safetensors(path), Code::data, GetParam().part));
  EXPECT_TRUE(fails_with(read_safetensors(path), Code::data, path));
}

// Ten seconds would be enough for a reader that is quadratic in the number of tensors to fail many times over.
TEST(Safetensors, ReadsManyTensorsInLinearTime) {
  std::string header = "{";
  for (int i = 0; i < 200'000; ++i) header += (i == 0 ? "" : ",") + float_entry(fmt::format("t{}", i), "[0]", 0, 0);
  const TempFolder folder;
  const std::string path = folder.write("many.safetensors", safetensors(header + "}"));
  const auto start = std::chrono::steady_clock::now();
  const auto tensors = read_safetensors(path);
  ASSERT_TRUE(tensors) << tensors.error().text();
  EXPECT_EQ(tensors->size(), 200'000u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

INSTANTIATE_TEST_SUITE_P(
    Safetensors, BadSafetensors,
    ::testing::Values(
        Refusal{"empty", "", "too few"},
        Refusal{"header_longer_than_file", std::string("\xff\xff\0\0\0\0\0\0{}", 10), "truncated"},
        Refusal{"huge_header", std::string(8, '\xff'), "header of 18446744073709551615"},
        Refusal{"no_json", safetensors("hello"), "not readable JSON"},
        Refusal{"list", safetensors("[]"), "not a JSON object"},
        Refusal{"deep", safetensors(R"({"a":)" + std::string(1000, '[') + std::string(1000, ']') + "}"),
                "nested deeper"},
        Refusal{"duplicate_tensor",
                safetensors("{" + float_entry("a", "[1]", 0, 4) + "," + float_entry("a", "[1]", 4, 8) + "}",
                            raw<float>({1, 2})),
                "twice"},
        Refusal{"duplicate_field",
                safetensors(R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", raw<float>({1})),
                "twice"},
        Refusal{"unknown_dtype", safetensors(R"({"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", "x"),
                "F8_E4M3"},
        Refusal{"unknown_field", safetensors(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", "x"),
                "unknown key \"x\""},
        Refusal{"negative_dim", safetensors("{" + float_entry("a", "[-1]", 0, 4) + "}", raw<float>({1})),
                "whole number"},
        Refusal{"fraction", safetensors("{" + float_entry("a", "[1.5]", 0, 4) + "}", raw<float>({1})), "whole number"},
        Refusal{"overflow", safetensors("{" + float_entry("a", "[4294967296,4294967296,4]", 0, 0) + "}"), "2^48"},
        Refusal{"rank", safetensors("{" + float_entry("a", "[1,1,1,1,1,1,1,1,1]", 0, 4) + "}", raw<float>({1})),
                "has more than 8 dimensions"},
        Refusal{"size", safetensors("{" + float_entry("a", "[2]", 0, 4) + "}", raw<float>({1})), "needs 8 bytes"},
        Refusal{"backward", safetensors("{" + float_entry("a", "[1]", 4, 0) + "}", raw<float>({1})), "[begin, end]"},
        Refusal{"hole", safetensors("{" + float_entry("a", "[1]", 4, 8) + "}", raw<float>({1, 2})), "hole or overlap"},
        Refusal{"overlap",
                safetensors("{" + float_entry("a", "[1]", 0, 4) + "," + float_entry("b", "[1]", 0, 4) + "}",
                            raw<float>({1})),
                "hole or overlap"},
        Refusal{"beyond", safetensors("{" + float_entry("a", "[1]", 0, 4) + "}", "xx"), "truncated"},
        Refusal{"trailing", safetensors("{" + float_entry("a", "[1]", 0, 4) + "}", raw<float>({1, 2})),
                "the file has 8"},
        Refusal{"bool_of_two", safetensors(R"({"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})", "\x02"),
                "neither 0 nor 1"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Npy, keeps_a_tensor_through_a_round_trip) {
  const TempFolder folder;
  for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 3, 4}, Shape{0, 2}}) {
    const Tensor tensor = counting(shape);
    ASSERT_TRUE(write_npy(folder / "a.npy", tensor));
    const auto read = read_npy(folder / "a.npy");
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(read->shape(), shape);
    EXPECT_EQ(values(*read), values(tensor));
  }
}

TEST(Npy, rearranges_fortran_order) {
  const TempFolder folder;
  const std::string bytes =
      npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", raw<float>({0, 3, 1, 4, 2, 5}));
  const auto read = read_npy(folder.write("f.npy", bytes));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(values(*read), (std::vector<float>{0, 1, 2, 3, 4, 5}));
}

TEST(Npy, reads_all_three_versions_and_any_key_order) {
  const TempFolder folder;
  for (const char major : {'\1', '\2', '\3'}) {
    const auto read = read_npy(folder.write(
        "v.npy", npy("{\"shape\": (1,), 'fortran_order': False, 'descr': '<i8'}", raw<int64_t>({42}), major)));
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(read->as<int64_t>()[0], 42);
  }
}

class BadNpy : public ::testing::TestWithParam<Refusal> {};

TEST_P(BadNpy, is_refused_with_the_reason) {
  const TempFolder folder;
  const std::string path = folder.write("bad.npy", GetParam().bytes);
  EXPECT_TRUE(fails_with(read_npy(path), Code::data, GetParam().part));
  EXPECT_TRUE(fails_with(read_npy(path), Code::data, path));
}

INSTANTIATE_TEST_SUITE_P(
    Npy, BadNpy,
    ::testing::Values(
        Refusal{"text", "hello world, not numpy", "signature"}, Refusal{"version", npy("{}", "", 4), "version 4"},
        Refusal{"big_endian", npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "abcd"), "big-endian"},
        Refusal{"object", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "abcd"), "|O"},
        Refusal{"structured", npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "abcd"),
                "structured"},
        Refusal{"missing_key", npy("{'descr': '<f4', 'shape': (1,), }", "abcd"), "lacks"},
        Refusal{"repeated_key", npy("{'descr': '<f4', 'descr': '<f4', 'shape': (1,), }", "abcd"), "repeated"},
        Refusal{"negative", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "abcd"), "shape"},
        Refusal{"huge_dim", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", ""),
                "shape"},
        Refusal{"product", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", ""),
                "2^48"},
        Refusal{"short", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "abcd"), "needs 8 bytes"},
        Refusal{"long", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "abcdefgh"), "needs 4 bytes"},
        Refusal{"code", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} + 1", "abcd"), "text after"},
        Refusal{"second_brace", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }}", "abcd"),
                "text after"},
        Refusal{"bool_of_two", npy("{'descr': '|b1', 'fortran_order': False, 'shape': (1,), }", "\x02"),
                "neither 0 nor 1"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Npz, reads_stored_and_deflated_arrays) {
  const TempFolder folder;
  const std::string a =
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000,), }", raw<float>(std::vector<float>(1000, 2.5f)));
  const std::string b = npy("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", raw<int64_t>({3, 4}));
  for (const bool deflate : {false, true}) {
    const auto read = read_npz(write_npz(folder / "a.npz", {{"x", a}, {"label", b}}, deflate));
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(read->at("x").as<float>()[999], 2.5f);
    EXPECT_EQ(read->at("label").as<int64_t>()[1], 4);
  }
}

TEST(Npz, says_which_array_is_bad) {
  const TempFolder folder;
  EXPECT_TRUE(fails_with(read_npz(write_npz(folder / "a.npz", {{"x", "junk"}})), Code::data, "a.npz: x: not an .npy"));
  EXPECT_TRUE(fails_with(read_npz(folder.write("b.npz", "PK junk")), Code::data, "archive"));
  EXPECT_TRUE(fails_with(read_npz(folder / "none.npz"), Code::not_found, "none.npz"));
}

TEST(Npz, notices_a_wrong_checksum) {
  const TempFolder folder;
  const std::string a = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", raw<float>({1, 2, 3, 4}));
  std::string bytes = read_bytes(write_npz(folder / "a.npz", {{"x", a}}));
  const size_t at = bytes.find(raw<float>({3}));
  ASSERT_NE(at, std::string::npos);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  EXPECT_TRUE(fails_with(read_npz(folder.write("b.npz", bytes)), Code::data, "cannot be unpacked"));
}

TEST(Files, missing_ones_are_not_found) {
  EXPECT_TRUE(fails_with(read_npy("/nonexistent/a.npy"), Code::not_found, "a.npy"));
  EXPECT_TRUE(fails_with(read_safetensors("/nonexistent/a.safetensors"), Code::not_found, "a.safetensors"));
  EXPECT_TRUE(fails_with(read_image("/nonexistent/a.png"), Code::not_found, "a.png"));
}

TEST(Files, refuse_element_types_that_the_format_lacks) {
  const TempFolder folder;
  EXPECT_TRUE(fails_with(write_npy(folder / "a.npy", Tensor(DType::bf16, {1})), Code::input, "bf16"));
  EXPECT_TRUE(fails_with(write_safetensors(folder / "a", {{"x", Tensor(DType::s4, {2})}}), Code::input, "s4"));
  EXPECT_FALSE(fs::exists(folder / "a.npy"));
}

}  // namespace
}  // namespace quoin::data::test
