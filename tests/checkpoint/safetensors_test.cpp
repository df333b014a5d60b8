#include <cmath>

#include "support.hpp"

namespace quoin::checkpoint::test {
namespace {

using Floats = std::vector<float>;

// [1.5, -2, 2^-24 (f16) or 2^-126 (bf16)] in three element types.
const std::string kThreeTypes = safetensors(
    R"({"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[3],"data_offsets":[8,14]},)"
    R"("c":{"dtype":"BF16","shape":[3],"data_offsets":[14,20]},"ids":{"dtype":"I64","shape":[1],"data_offsets":[20,28]},)"
    R"("__metadata__":{"format":"pt"}})",
    raw<float>({1.5f, -2}) + raw<uint16_t>({0x3e00, 0xc000, 1}) + raw<uint16_t>({0x3fc0, 0xc000, 0x0080}) +
        raw<int64_t>(7));

TEST(Safetensors, GivesEveryTypeOfWeightsExactly) {
  const TempFolder folder;
  const auto checkpoint = Checkpoint::open(folder.write("w.safetensors", kThreeTypes));
  ASSERT_TRUE(checkpoint) << checkpoint.error().text();
  EXPECT_EQ(checkpoint->names(), (std::vector<std::string>{"a", "b", "c", "ids"}));
  EXPECT_EQ(checkpoint->find("b")->type, "F16");
  EXPECT_EQ(checkpoint->find("a")->shape, (Shape{1, 2}));
  EXPECT_EQ(checkpoint->find("d"), nullptr);
  EXPECT_EQ(floats(checkpoint->load_f32("a")), (Floats{1.5f, -2}));
  EXPECT_EQ(floats(checkpoint->load_f32("b")), (Floats{1.5f, -2, 0x1p-24f}));
  EXPECT_EQ(floats(checkpoint->load_f32("c")), (Floats{1.5f, -2, 0x1p-126f}));
  EXPECT_EQ(std::get<std::string>(checkpoint->metadata().at("format")), "pt");
  EXPECT_FALSE(checkpoint->load_quantized("a").value());
  EXPECT_TRUE(fails_with(checkpoint->load_f32("ids"), Code::unsupported, "tensor ids has element type I64"));
  EXPECT_TRUE(fails_with(checkpoint->load_f32("id"), Code::not_found, "did you mean \"ids\""));
}

TEST(Safetensors, AlignedFloatsAreNotCopied) {
  const TempFolder folder;
  const std::string text = R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  for (const size_t shift : {0, 1}) {
    std::string header = text;
    header.resize((text.size() + 7) / 8 * 8 + shift, ' ');
    const auto checkpoint = Checkpoint::open(folder.write("w.safetensors", safetensors(header, raw<float>({1, 2}))));
    ASSERT_TRUE(checkpoint);
    const auto first = checkpoint->load_f32("w"), second = checkpoint->load_f32("w");
    EXPECT_EQ(floats(first), (Floats{1, 2}));
    EXPECT_EQ(std::as_const(*first).data() == std::as_const(*second).data(), shift == 0);
  }
}

TEST(Safetensors, TensorsOutliveTheCheckpoint) {
  const TempFolder folder;
  Tensor kept;
  {
    const auto checkpoint = Checkpoint::open(folder.write("w.safetensors", one_tensor("w")));
    kept = checkpoint->load_f32("w").value();
  }
  EXPECT_EQ(floats(kept), (Floats{1, 2}));
}

// Resident bytes of files that this process has mapped.
size_t resident_file_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssFile:")) return std::stoul(line.substr(8)) << 10;
  return 0;
}

TEST(Safetensors, NeedMemoryForTheTensorsInHandOnly) {
  constexpr size_t kElements = 4 << 20;  // 16 MiB each
  const TempFolder folder;
  const std::string header = fmt::format(R"({{"a":{{"dtype":"F32","shape":[{0}],"data_offsets":[0,{1}]}},)"
                                         R"("b":{{"dtype":"F32","shape":[{0}],"data_offsets":[{1},{2}]}}}})",
                                         kElements, 4 * kElements, 8 * kElements);
  const auto checkpoint =
      Checkpoint::open(folder.write("w.safetensors", safetensors(header, std::string(8 * kElements, '\0'))));
  ASSERT_TRUE(checkpoint) << checkpoint.error().text();
  const size_t before = resident_file_bytes();
  for (const char* name : {"a", "b", "a", "b"}) {
    const auto tensor = checkpoint->load_f32(name);
    ASSERT_TRUE(tensor);
    EXPECT_EQ(tensor->as<float>()[kElements - 1], 0.0f);
  }
  EXPECT_LT(resident_file_bytes(), before + kElements);
}

TEST(Safetensors, NamesTheFirstElementThatIsNotFinite) {
  const TempFolder folder;
  const std::string header = R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})";
  const auto with = [&](float value) {
    return Checkpoint::open(folder.write("w.safetensors", safetensors(header, raw<float>({1, 2, 3, 4, 5, value}))))
        ->load_f32("w");
  };
  EXPECT_TRUE(fails_with(with(NAN), Code::model, "w.safetensors: tensor w: element [1, 2] is NaN"));
  EXPECT_TRUE(fails_with(with(-INFINITY), Code::model, "tensor w: element [1, 2] is Inf"));
}

TEST(Safetensors, RefusesDamagedFilesByName) {
  const TempFolder folder;
  const auto entry = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"w":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  const auto refuses = [&](const std::string& bytes, const std::string& part) {
    return fails_with(Checkpoint::open(folder.write("w.safetensors", bytes)), Code::model, part);
  };
  const std::string data = raw<float>({1, 2});
  EXPECT_TRUE(refuses("", "0 bytes are too few"));
  EXPECT_TRUE(refuses(raw<uint64_t>(~0ull) + "{}", "not safetensors, or truncated"));
  EXPECT_TRUE(refuses(safetensors("{\"w\":"), "not readable JSON"));
  EXPECT_TRUE(refuses(safetensors(R"({"w":{},"w":{}})"), "key \"w\" occurs twice"));
  EXPECT_TRUE(refuses(safetensors(entry("F8_E4M3", "[8]", "[0,8]"), data), "tensor w: element type \"F8_E4M3\""));
  EXPECT_TRUE(refuses(safetensors(entry("F32", "[3]", "[0,8]"), data), "needs 12 bytes, but its offsets span 8"));
  EXPECT_TRUE(refuses(safetensors(entry("F32", "[2]", "[0,8]"), data.substr(1)), "truncated?"));
  EXPECT_TRUE(refuses(safetensors(entry("F32", "[4294967296,4294967296]", "[0,8]"), data), "more than 2^48 elements"));
  EXPECT_TRUE(refuses(
      safetensors(R"({"v":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)" + entry("F32", "[2]", "[0,8]").substr(1),
                  data),
      "(hole or overlap)"));
}

// A folder of two shards, "a" in 1 and "b" in 2, and its index.
struct Shards {
  TempFolder folder;
  Shards() {
    folder.write("1.safetensors", one_tensor("a"));
    folder.write("2.safetensors", one_tensor("b", {3}));
    index(R"({"a":"1.safetensors","b":"2.safetensors"})");
  }
  void index(const std::string& map) const {
    folder.write("model.safetensors.index.json", R"({"metadata":{"total_size":12},"weight_map":)" + map + "}");
  }
  Result<Checkpoint> open() const { return Checkpoint::open(folder.path()); }
};

TEST(Shards, AreOneCheckpoint) {
  const Shards shards;
  const auto checkpoint = shards.open();
  ASSERT_TRUE(checkpoint) << checkpoint.error().text();
  EXPECT_EQ(checkpoint->names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(floats(checkpoint->load_f32("b")), (Floats{3}));
  EXPECT_EQ(checkpoint->find("b")->file, shards.folder / "2.safetensors");
}

TEST(Shards, ThatAreMissingAreNamed) {
  const Shards shards;
  fs::remove(shards.folder / "2.safetensors");
  EXPECT_TRUE(fails_with(shards.open(), Code::not_found, "shard 2.safetensors is missing, which holds tensor b"));
}

TEST(Shards, ThatDisagreeWithTheIndexAreNamed) {
  const Shards shards;
  shards.index(R"({"a":"1.safetensors","b":"1.safetensors"})");
  EXPECT_TRUE(fails_with(shards.open(), Code::model, "tensor b is not in 1.safetensors, where the index places it"));
  shards.index(R"({"a":"2.safetensors","b":"1.safetensors"})");
  EXPECT_TRUE(fails_with(shards.open(), Code::model, "tensor a is in 1.safetensors, the index says 2.safetensors"));
  shards.folder.write("2.safetensors", safetensors(R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                                   R"("c":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                                   "xy"));
  shards.index(R"({"a":"1.safetensors","b":"2.safetensors"})");
  EXPECT_TRUE(fails_with(shards.open(), Code::model, "2.safetensors is not in the index"));
}

TEST(Shards, WithOneNameTwiceAreRefused) {
  const Shards shards;
  shards.folder.write("3.safetensors", one_tensor("a"));
  shards.index(R"({"a":"1.safetensors","b":"2.safetensors","c":"3.safetensors"})");
  EXPECT_TRUE(fails_with(shards.open(), Code::model, "3.safetensors: tensor a is in this file and in "));
}

TEST(Shards, WithABadIndexAreRefused) {
  const Shards shards;
  shards.index(R"({"a":"../1.safetensors"})");
  EXPECT_TRUE(
      fails_with(shards.open(), Code::model, "\"../1.safetensors\" is not the name of a file beside the index"));
  shards.index(R"({"a":1})");
  EXPECT_TRUE(fails_with(shards.open(), Code::model, "tensor a: its file is not a text"));
  shards.index(R"({"a":"1.safetensors","a":"2.safetensors"})");
  EXPECT_TRUE(fails_with(shards.open(), Code::model, "key \"a\" occurs twice"));
  shards.folder.write("model.safetensors.index.json", "{}");
  EXPECT_TRUE(fails_with(shards.open(), Code::model, "\"weight_map\" is missing"));
}

TEST(Folder, WithoutWeightsIsRefused) {
  const TempFolder folder;
  EXPECT_TRUE(fails_with(Checkpoint::open(folder.path()), Code::not_found, "neither model.safetensors nor"));
  EXPECT_TRUE(fails_with(Checkpoint::open(folder / "none"), Code::not_found, "no such file or folder"));
  EXPECT_TRUE(fails_with(Checkpoint::open(folder / "none.gguf"), Code::not_found, "none.gguf"));
  EXPECT_TRUE(fails_with(Checkpoint::open(folder.write("w.bin", "x")), Code::unsupported, "not a checkpoint"));
  folder.write("a.gguf", "");
  folder.write("b.gguf", "");
  EXPECT_TRUE(fails_with(Checkpoint::open(folder.path()), Code::not_found, "2 .gguf files"));
}

TEST(Settings, AreNamedByTheirPath) {
  const TempFolder folder;
  const auto settings = read_json_settings(folder.write(
      "config.json", R"({"n":3,"x":1.5,"yes":true,"none":null,"rope":{"kind":"yarn","deep":{"n":1}},"eos":[1,2],)"
                     R"("names":["a"],"mixed":[1,"a"]})"));
  ASSERT_TRUE(settings) << settings.error().text();
  EXPECT_EQ(*settings, (Settings{{"n", int64_t{3}},
                                 {"x", 1.5},
                                 {"yes", true},
                                 {"none", std::monostate{}},
                                 {"rope.kind", std::string("yarn")},
                                 {"rope.deep.n", int64_t{1}},
                                 {"eos", std::vector<int64_t>{1, 2}},
                                 {"names", std::vector<std::string>{"a"}}}));
  EXPECT_TRUE(
      fails_with(read_json_settings(folder.write("bad.json", "{")), Code::model, "bad.json: not readable JSON"));
}

}  // namespace
}  // namespace quoin::checkpoint::test
