#include "conform/declared.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conform/param.hpp"

namespace quoin::conform {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

quoin_str str(const char* text) { return {text, std::char_traits<char>::length(text)}; }

// A table with one option and one kernel, all in order; tests break one thing.
struct Plugin {
  int64_t eight = 8;
  std::vector<quoin_str> choices;
  std::vector<quoin_param_spec> options{{str("depth"),
                                         QUOIN_PARAM_INT,
                                         QUOIN_SCOPE_BACKEND,
                                         {str("depth"), QUOIN_PARAM_INT, 1, &eight},
                                         1,
                                         9,
                                         {},
                                         str("how deep")}};
  quoin_dtype signature[2] = {QUOIN_F32, 0};
  std::vector<quoin_kernel> kernels{
      {"aten.relu.default", 1, 0, signature, 2, 0, 0, "relu", nullptr, nullptr,
       [](const quoin_host*, void*, const quoin_run*, quoin_error*) { return QUOIN_OK + 0; }, nullptr}};
  quoin_executor executor{sizeof(quoin_executor), 0, 1, 2, nullptr, nullptr, nullptr, nullptr};
  quoin_compiler compiler{sizeof(quoin_compiler), 2, nullptr, nullptr};
  quoin_ext second{sizeof(quoin_ext), 1, "org.example.second", nullptr};
  quoin_ext first{sizeof(quoin_ext), 1, "org.example.first", &second};
  quoin_plugin table{};

  const quoin_plugin& get() {
    table.struct_size = sizeof table;
    table.name = "sample";
    table.version = "1";
    table.options = {options.data(), static_cast<uint32_t>(options.size()), sizeof(quoin_param_spec)};
    table.kernels = {kernels.data(), static_cast<uint32_t>(kernels.size()), sizeof(quoin_kernel)};
    table.executor = &executor;
    table.compiler = &compiler;
    table.ext = &first;
    return table;
  }
};

TEST(Declared, AWholeTableHasNoFault) {
  Plugin plugin;
  EXPECT_EQ(check_declarations(plugin.get()), "");
  EXPECT_EQ(check_arrays(plugin.get()), "");
  EXPECT_EQ(check_texts(plugin.get()), "");
  EXPECT_EQ(check_kernels(plugin.get()), "");
  EXPECT_EQ(check_extensions(plugin.get()), "");
}

TEST(Declared, DefaultsLieWithinTheirRange) {
  Plugin plugin;
  plugin.eight = 10;
  EXPECT_THAT(check_declarations(plugin.get()), HasSubstr("options: \"depth\": its default 10 is outside 1 to 9"));
}

TEST(Declared, DefaultsAreAmongTheChoices) {
  Plugin plugin;
  const quoin_str chosen = str("both");
  plugin.choices = {str("rows"), str("columns")};
  plugin.options[0].kind = plugin.options[0].fallback.kind = QUOIN_PARAM_STR;
  plugin.options[0].fallback.data = &chosen;
  plugin.options[0].choices = {plugin.choices.data(), 2, sizeof(quoin_str)};
  EXPECT_THAT(check_declarations(plugin.get()), HasSubstr("\"both\" is none of its choices"));
}

TEST(Declared, OptionsHaveOneNameADocAKnownKindAndScope) {
  Plugin twice, mute, kind, scope;
  twice.options.push_back(twice.options[0]);
  EXPECT_THAT(check_declarations(twice.get()), HasSubstr("two of this name"));
  mute.options[0].doc = {};
  EXPECT_THAT(check_declarations(mute.get()), HasSubstr("it has no doc"));
  kind.options[0].kind = 9;
  EXPECT_THAT(check_declarations(kind.get()), HasSubstr("its kind is 9"));
  scope.options[0].scope = 0;
  EXPECT_THAT(check_declarations(scope.get()), HasSubstr("its scope is"));
}

TEST(Declared, ListsAreWholeAndReachable) {
  Plugin narrow, nowhere;
  narrow.get();
  narrow.table.options.stride = 16;
  EXPECT_THAT(check_arrays(narrow.table), HasSubstr("options: elements of 16 bytes"));
  nowhere.get();
  nowhere.table.kernels.data = nullptr;
  EXPECT_THAT(check_arrays(nowhere.table), HasSubstr("kernels: 1 elements at address 0"));
}

TEST(Declared, AnExecutorReadsWhatItsCompilerWrites) {
  Plugin plugin;
  plugin.compiler.blob_format = 3;
  EXPECT_THAT(check_arrays(plugin.get()), HasSubstr("writes blob format 3, the executor reads 1 to 2"));
  plugin.executor.oldest_blob_format = 5;
  EXPECT_THAT(check_arrays(plugin.get()), HasSubstr("blob formats 5 to 2"));
}

TEST(Declared, TextsAreUtf8) {
  Plugin plugin;
  plugin.options[0].doc = str("caf\xe9");
  EXPECT_THAT(check_texts(plugin.get()), HasSubstr("the doc of depth is not UTF-8"));
}

TEST(Declared, KernelsRunOnKnownTypes) {
  Plugin type, idle;
  type.signature[1] = 77;
  EXPECT_THAT(check_kernels(type.get()), HasSubstr("element 1 of its signature is 77"));
  idle.kernels[0].run = nullptr;
  EXPECT_THAT(check_kernels(idle.get()), HasSubstr("it has no run function"));
}

TEST(Declared, AChainOfExtensionsEnds) {
  Plugin circle, plain;
  circle.second.next = &circle.first;
  EXPECT_THAT(check_extensions(circle.get()), HasSubstr("the chain has no end"));
  plain.second.name = "second";
  EXPECT_THAT(check_extensions(plain.get()), HasSubstr("no reverse-DNS name"));
}

TEST(Param, KnowsItsEndsAndWhatLiesBehind) {
  Plugin plugin;
  const auto legal = legal_values(plugin.options[0]), illegal = illegal_values(plugin.options[0]);
  EXPECT_THAT(legal, testing::ElementsAre(Param::Value(int64_t{1}), Param::Value(int64_t{9})));
  EXPECT_THAT(illegal, testing::IsSupersetOf({Param::Value(int64_t{0}), Param::Value(int64_t{10})}));
  plugin.options[0].low = 1, plugin.options[0].high = 0;  // unbounded
  EXPECT_THAT(legal_values(plugin.options[0]), SizeIs(0));
  EXPECT_THAT(illegal_values(plugin.options[0]), SizeIs(0));
}

TEST(Param, ComparesKindCountAndEveryElement) {
  const Param one("x", int64_t{1}), other("x", int64_t{2}), real("x", 1.0), text("x", std::string("1"));
  EXPECT_TRUE(same_value(one.get(), Param("y", int64_t{1}).get()));
  EXPECT_FALSE(same_value(one.get(), other.get()));
  EXPECT_FALSE(same_value(one.get(), real.get()));
  EXPECT_FALSE(same_value(one.get(), text.get()));
  EXPECT_EQ(describe(text.get()), "\"1\"");
}

}  // namespace
}  // namespace quoin::conform
