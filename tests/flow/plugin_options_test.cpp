#include "flow/plugin_options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/abi_read.hpp"

namespace quoin::flow {
namespace {

using ::testing::HasSubstr;

quoin_str str(std::string_view text) { return {text.data(), text.size()}; }
quoin_param_spec spec(std::string_view name, uint32_t kind, uint32_t scope) {
  quoin_param_spec out{};
  out.name = str(name);
  out.kind = kind;
  out.scope = scope;
  out.high = 8;
  return out;
}

// A plugin with an option of every scope.
class PluginOptionsTest : public ::testing::Test {
 protected:
  PluginOptionsTest() {
    specs_[2].choices = {modes_, 2, sizeof(quoin_str)};
    table_.name = "npu";
    table_.options = {specs_, 5, sizeof(quoin_param_spec)};
  }
  // The options as "name=value" in the order of the list, or the error.
  std::string given(const std::string& key, recipe::Scalar value, uint32_t scope = QUOIN_SCOPE_BACKEND) {
    PluginOptions options({{"npu", {{{key, std::move(value)}}, {{key, {"r.yaml:4:12"}}}, {"r.yaml:3:5"}}}});
    const auto list = options.list(table_, scope);
    if (!list) {
      EXPECT_EQ(list.error().code, Code::recipe);
      return list.error().text();
    }
    std::string out;
    for (const quoin_param& param : elements<quoin_param>(*list)) {
      out += text(param.name) + "=";
      if (param.kind == QUOIN_PARAM_BOOL) out += *static_cast<const uint8_t*>(param.data) != 0 ? "true" : "false";
      if (param.kind == QUOIN_PARAM_INT) out += std::to_string(*static_cast<const int64_t*>(param.data));
      if (param.kind == QUOIN_PARAM_FLOAT) out += std::to_string(*static_cast<const double*>(param.data));
      if (param.kind == QUOIN_PARAM_STR) out += text(*static_cast<const quoin_str*>(param.data));
    }
    return out;
  }
  const quoin_str modes_[2] = {str("fast"), str("exact")};
  quoin_param_spec specs_[5] = {spec("device", QUOIN_PARAM_INT, QUOIN_SCOPE_BACKEND),
                                spec("share", QUOIN_PARAM_FLOAT, QUOIN_SCOPE_BACKEND | QUOIN_SCOPE_LOAD),
                                spec("mode", QUOIN_PARAM_STR, QUOIN_SCOPE_LOAD),
                                spec("fuse", QUOIN_PARAM_BOOL, QUOIN_SCOPE_COMPILE),
                                spec("trace", QUOIN_PARAM_BOOL, QUOIN_SCOPE_RUN)};
  quoin_plugin table_{};
};

TEST_F(PluginOptionsTest, ReachTheCallOfTheirScope) {
  EXPECT_EQ(given("device", int64_t{3}), "device=3");
  EXPECT_EQ(given("device", int64_t{3}, QUOIN_SCOPE_LOAD), "");
  EXPECT_EQ(given("mode", std::string("fast")), "");
  EXPECT_EQ(given("mode", std::string("fast"), QUOIN_SCOPE_LOAD), "mode=fast");
  EXPECT_EQ(given("share", int64_t{2}), "share=2.000000") << "a whole number where a number is declared";
  EXPECT_EQ(given("share", 0.5, QUOIN_SCOPE_LOAD), "share=0.500000");
}

TEST_F(PluginOptionsTest, PluginsThatTheRecipeDoesNotNameGetNone) {
  PluginOptions options(PluginOptions::Given{{"other", {}}});
  EXPECT_EQ(options.list(table_, QUOIN_SCOPE_BACKEND).value().count, 0u);
}

TEST_F(PluginOptionsTest, UnknownOnesNameTheLineAndTheNearest) {
  EXPECT_EQ(given("devise", int64_t{3}), "r.yaml:4:12: plugin npu has no option \"devise\"; did you mean \"device\"?");
  EXPECT_EQ(given("zzzzzzzz", int64_t{3}),
            "r.yaml:4:12: plugin npu has no option \"zzzzzzzz\"; its options are device, share, mode");
  EXPECT_THAT(given("trace", true), HasSubstr("no option \"trace\""));
  EXPECT_EQ(given("fuse", true), "r.yaml:4:12: plugin npu takes \"fuse\" when it compiles; move it to lower.params");
  table_.options = {};
  EXPECT_THAT(given("device", int64_t{3}), HasSubstr("it takes none"));
}

TEST_F(PluginOptionsTest, AreCheckedWhateverTheirScope) {
  EXPECT_EQ(given("device", std::string("one")), "r.yaml:4:12: plugin npu: parameter device: an integer expected");
  EXPECT_EQ(given("device", int64_t{9}), "r.yaml:4:12: plugin npu: parameter device: 9 is outside 0 to 8");
  EXPECT_EQ(given("mode", std::string("fats")),
            "r.yaml:4:12: plugin npu: parameter mode: \"fats\" is not one of: fast, exact; did you mean \"fast\"?");
}

TEST_F(PluginOptionsTest, ListsStayWhereTheyAre) {
  PluginOptions options({{"npu", {{{"device", int64_t{1}}}, {{"device", {}}}, {}}}});
  const quoin_array first = options.list(table_, QUOIN_SCOPE_BACKEND).value();
  EXPECT_EQ(options.list(table_, QUOIN_SCOPE_BACKEND).value().data, first.data);
}

}  // namespace
}  // namespace quoin::flow
