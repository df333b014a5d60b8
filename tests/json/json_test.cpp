#include <gtest/gtest.h>

#include <limits>

#include "../fails_with.hpp"
#include "json/parse.hpp"

namespace quoin::json {
namespace {

using test::fails_with;

testing::AssertionResult refuses(std::string_view text, const std::string& message) {
  return fails_with(parse(text, "a.json"), Code::model, "a.json: " + message);
}

std::string nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(Parse, GivesTheDocument) {
  const auto document = parse(R"({"a": [1, 2.5, "x", null, true]})", "a.json");
  ASSERT_TRUE(document);
  EXPECT_EQ(*document, (Document{{"a", {1, 2.5, "x", nullptr, true}}}));
}

TEST(Parse, NamesLineAndColumnOfAFault) {
  EXPECT_TRUE(refuses("", "not readable JSON: wrong at line 1, column 0"));
  EXPECT_TRUE(refuses("{", "not readable JSON: wrong at line 1"));
  EXPECT_TRUE(refuses("{\n \"a\": 1,\n \"b\": x}", "not readable JSON: wrong at line 3, column 7"));
  EXPECT_TRUE(refuses("[1] 2", "not readable JSON: wrong at line 1, column 5"));
  EXPECT_TRUE(refuses("[\"\xff\"]", "not readable JSON: wrong at line 1"));
}

TEST(Parse, RefusesAKeyThatOccursTwice) {
  EXPECT_TRUE(refuses(R"({"w": 1, "v": {"w": 2}, "w": 3})", "key \"w\" occurs twice"));
  EXPECT_TRUE(parse(R"([{"w": 1}, {"w": 2, "v": {"w": 3}}])", "a.json"));
}

TEST(Parse, RefusesDeepNesting) {
  EXPECT_TRUE(parse(nested(kMaxDepth), "a.json"));
  EXPECT_TRUE(refuses(nested(kMaxDepth + 1), "nested deeper than 100"));
  EXPECT_TRUE(refuses(std::string(1 << 20, '['), "nested deeper than 100")) << "before the end is looked for";
}

TEST(Parse, ErrorsHaveTheCodeThatWasAskedFor) {
  EXPECT_TRUE(fails_with(parse("{", "a", Code::data), Code::data, "not readable JSON"));
  EXPECT_TRUE(fails_with(parse_object("[]", "a", Code::data), Code::data, "a: not a JSON object but of type array"));
  EXPECT_TRUE(parse_object("{}", "a"));
}

class PlaceTest : public testing::Test {
 protected:
  const Document document = Document::parse(
      R"({"text": "x", "whole": 7, "large": 18446744073709551615, "half": 0.5, "yes": true, "none": null,
          "list": [1, {"deep": "y"}], "tag": {"as_int": 3, "as_text": null}, "two": {"a": 1, "b": 2}, "far": "-Infinity"})");
  const Place root{document, "f"};
};

TEST_F(PlaceTest, ReadsWhatIsThere) {
  EXPECT_EQ(*root["text"].text(), "x");
  EXPECT_EQ(*root["whole"].integer(), 7);
  EXPECT_EQ(*root["half"].number(), 0.5);
  EXPECT_EQ(*root["whole"].number(), 7.0);
  EXPECT_EQ(*root["far"].number(), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(*root["yes"].flag());
  EXPECT_TRUE(root["text"].is_text());
  EXPECT_TRUE(root["list"].is_list());
}

TEST_F(PlaceTest, KnowsWhereItIs) {
  const auto items = root["list"].items();
  ASSERT_TRUE(items);
  ASSERT_EQ(items->size(), 2u);
  EXPECT_EQ(items->at(1)["deep"].where(), "f.list[1].deep");
  EXPECT_EQ(*items->at(1)["deep"].text(), "y");
  EXPECT_EQ(root["missing"]["further"].where(), "f.missing.further");
}

TEST_F(PlaceTest, TellsMissingFromRequired) {
  EXPECT_TRUE(root["missing"].is_null());
  EXPECT_TRUE(root["text"]["x"].is_null());
  EXPECT_FALSE(root.find("missing"));
  EXPECT_FALSE(root.find("none"));
  EXPECT_TRUE(root.find("text"));
  EXPECT_TRUE(fails_with(root.at("missing"), Code::model, "f: key \"missing\" is missing"));
  EXPECT_TRUE(fails_with(root["text"].at("x"), Code::model, "f.text: expected an object, found string"));
  EXPECT_TRUE(*root["none"].flag(true));
  EXPECT_FALSE(*root["missing"].flag(false));
  EXPECT_TRUE(root["none"].items()->empty());
}

TEST_F(PlaceTest, RefusesOtherTypes) {
  EXPECT_TRUE(fails_with(root["whole"].text(), Code::model, "f.whole: expected a text, found number"));
  EXPECT_TRUE(fails_with(root["half"].integer(), Code::model, "expected a whole number"));
  EXPECT_TRUE(fails_with(root["large"].integer(), Code::model, "expected a whole number of 64 bits"));
  EXPECT_TRUE(fails_with(root["text"].number(), Code::model, "expected a number"));
  EXPECT_TRUE(fails_with(root["text"].flag(true), Code::model, "expected true or false"));
  EXPECT_TRUE(fails_with(root["text"].items(), Code::model, "expected a list"));
  EXPECT_TRUE(fails_with(root["list"].members(), Code::model, "expected an object"));
}

TEST_F(PlaceTest, ReadsTaggedUnions) {
  const auto tag = root["tag"].only_member();
  ASSERT_TRUE(tag);
  EXPECT_EQ(tag->first, "as_int");
  EXPECT_EQ(*tag->second.integer(), 3);
  EXPECT_TRUE(fails_with(root["two"].only_member(), Code::model, "expected an object with one key"));
  EXPECT_TRUE(fails_with(root["none"].only_member(), Code::model, "expected an object with one key"));
  EXPECT_EQ(root["two"].members()->size(), 2u);
}

}  // namespace
}  // namespace quoin::json
