// Broken and malicious .pt2 files end in a clear error, never in a crash.
#include "support.hpp"

namespace quoin::import::test {
namespace {

Pt2 small() {
  Pt2 file({1, 2});
  file.parameter("w", {3, 2}, {1, 2, 3, 4, 5, 6})
      .node("aten.linear.default", "y", {{"input", tensor_arg("x")}, {"weight", tensor_arg("p_w")}}, {1, 3})
      .output("y");
  return file;
}

bool is_refusal(Code code) { return code == Code::model || code == Code::unsupported || code == Code::limit; }

void expect_model_error(const Pt2& file, const std::string& part) {
  const Error error = refusal(file.bytes());
  EXPECT_EQ(error.code, Code::model) << error.text();
  EXPECT_NE(error.text().find(part), std::string::npos) << error.text();
}

TEST(Pt2Hostile, EveryTruncationIsRefused) {
  const std::string bytes = small().bytes();
  ASSERT_TRUE(import_bytes(bytes).has_value());
  for (size_t size = 0; size < bytes.size(); size += 13) {
    const auto graph = import_bytes(bytes.substr(0, size));
    ASSERT_FALSE(graph.has_value()) << size << " of " << bytes.size() << " bytes";
    EXPECT_EQ(graph.error().code, Code::model) << graph.error().text();
  }
}

TEST(Pt2Hostile, EveryFlippedByteIsRefusedOrHarmless) {
  const std::string bytes = small().bytes();
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string broken = bytes;
    broken[at] = static_cast<char>(broken[at] ^ (at % 2 ? 0xFF : 0x01));
    const auto graph = import_bytes(broken);
    EXPECT_TRUE(graph || is_refusal(graph.error().code)) << at << ": " << graph.error().text();
  }
}

TEST(Pt2Hostile, EveryValueOfTheProgramMayBeOfAnotherType) {
  const Pt2 good = small();
  Pt2 file = good;
  const json flat = file.program().flatten();
  for (const auto& [path, value] : flat.items()) {
    for (const json& wrong :
         {json(nullptr), json("text"), json(-7), json(1e300), json::array({1}), json::object({{"a", 1}})}) {
      file = good;
      file.program()[json::json_pointer(path)] = wrong;
      const auto graph = import_bytes(file.bytes());
      EXPECT_TRUE(graph || graph.error().code != Code::internal) << path << ": " << graph.error().text();
    }
  }
}

TEST(Pt2Hostile, MissingMembersAreNamed) {
  auto members = small().members();
  members.erase(members.begin());
  EXPECT_NE(refusal(to_zip(members)).text().find("models/model.json"), std::string::npos);
  members = small().members();
  members.pop_back();
  EXPECT_NE(refusal(to_zip(members)).text().find("weight_0"), std::string::npos);
}

TEST(Pt2Hostile, WeightsMustHoldTheirShape) {
  Pt2 file = small();
  file.payloads()["weight_0"].resize(20);
  expect_model_error(file, "needs 24 bytes");
  file = small();
  file.weights()["config"]["w"]["tensor_meta"]["strides"][0]["as_int"] = int64_t{1} << 62;
  expect_model_error(file, "overflow");
  file = small();
  file.weights()["config"]["w"]["tensor_meta"]["storage_offset"]["as_int"] = -1;
  expect_model_error(file, "negative");
  file = small();
  file.weights()["config"]["w"]["tensor_meta"]["sizes"][0]["as_int"] = 4;
  expect_model_error(file, "bytes");
  file = small();
  file.weights()["config"]["w"]["tensor_meta"]["dtype"] = 8;
  expect_model_error(file, "bytes");
}

TEST(Pt2Hostile, HugeTensorsAreRefusedBeforeTheyAreMade) {
  Pt2 file = small();
  auto& meta = file.weights()["config"]["w"]["tensor_meta"];
  meta["sizes"] = {{{"as_int", 1 << 20}}, {{"as_int", 1 << 20}}};
  meta["strides"] = {{{"as_int", 0}}, {{"as_int", 0}}};
  expect_model_error(file, "bytes");
  meta["sizes"] = {{{"as_int", int64_t{1} << 40}}, {{"as_int", int64_t{1} << 40}}};
  EXPECT_EQ(refusal(file.bytes()).code, Code::limit);
  meta["sizes"] = {{{"as_int", -3}}, {{"as_int", 2}}};
  EXPECT_EQ(refusal(file.bytes()).code, Code::limit);
}

TEST(Pt2Hostile, PicklesAreNeverRead) {
  Pt2 file = small();
  file.weights()["config"]["w"]["use_pickle"] = true;
  const Error error = refusal(file.bytes());
  EXPECT_EQ(error.code, Code::unsupported);
  EXPECT_NE(error.text().find("pickle"), std::string::npos);
}

TEST(Pt2Hostile, NodesOutOfOrderAreRefused) {
  Pt2 file({2});
  file.node("aten.relu.default", "y", {{"self", tensor_arg("z")}}, {2});
  file.node("aten.relu.default", "z", {{"self", tensor_arg("y")}}, {2}).output("z");
  expect_model_error(file, "read before it is computed");
}

TEST(Pt2Hostile, NamesAreUnique) {
  Pt2 file({2});
  file.node("aten.relu.default", "y", {{"self", tensor_arg("x")}}, {2});
  file.node("aten.neg.default", "y", {{"self", tensor_arg("x")}}, {2}).output("y");
  expect_model_error(file, "defined twice");
}

TEST(Pt2Hostile, TwoMembersOfOneNameAreRefused) {
  auto members = small().members();
  members.emplace_back("m/data/weights/weight_X", "abcd");
  std::string bytes = to_zip(members);
  for (size_t at; (at = bytes.find("weight_X")) != std::string::npos;) bytes[at + 7] = '0';
  EXPECT_NE(refusal(bytes).text().find("two members"), std::string::npos);
}

TEST(Pt2Hostile, DeepJsonIsRefused) {
  const std::string deep = std::string(500'000, '[') + std::string(500'000, ']');
  const Error error = refusal(to_zip({{"m/models/model.json", deep}}));
  EXPECT_EQ(error.code, Code::model);
  EXPECT_NE(error.text().find("nested"), std::string::npos) << error.text();
}

TEST(Pt2Hostile, BombsAreRefusedBeforeTheyExpand) {
  Pt2 file = small();
  file.payloads()["weight_0"] = std::string(300u << 20, '\0');
  const Error error = refusal(to_zip(file.members(), true));
  EXPECT_EQ(error.code, Code::limit) << error.text();
  EXPECT_NE(error.text().find("expands"), std::string::npos) << error.text();
}

TEST(Pt2Hostile, OlderLayoutsAndSchemasSayWhatToDo) {
  const Error old = refusal(to_zip({{"serialized_exported_program.json", "{}"}}));
  EXPECT_EQ(old.code, Code::unsupported);
  EXPECT_NE(old.hint.find("torch.export"), std::string::npos);
  Pt2 file = small();
  file.program()["schema_version"]["major"] = 5;
  EXPECT_EQ(refusal(file.bytes()).code, Code::unsupported);
}

TEST(Pt2Hostile, OtherFilesAreNoModels) {
  EXPECT_EQ(refusal("").code, Code::model);
  EXPECT_EQ(refusal("hello, world\n").code, Code::model);
  EXPECT_EQ(refusal(to_zip({{"a.txt", "hello"}})).code, Code::model);
  Diagnostics diagnostics;
  EXPECT_EQ(import_model("/nonexistent/model.pt2", {}, diagnostics).error().code, Code::not_found);
}

TEST(Pt2Hostile, ErrorsNameTheFile) {
  const TempFolder folder;
  Diagnostics diagnostics;
  const auto graph = import_model(folder.write("broken.pt2", "PK\3\4 nothing"), {}, diagnostics);
  ASSERT_FALSE(graph.has_value());
  EXPECT_NE(graph.error().where.find("broken.pt2"), std::string::npos);
}

}  // namespace
}  // namespace quoin::import::test
