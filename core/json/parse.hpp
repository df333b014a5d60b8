// JSON files of others, read without exceptions and without surprises. Every module that reads JSON comes through here.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "json/place.hpp"

namespace quoin::json {

constexpr size_t kMaxDepth = 100;  // of objects and lists in each other

// Errors (`code`), each with `where` in front: syntax, with line and column; a key that occurs twice in an object;
// nesting deeper than kMaxDepth. Takes time linear in the length of the text.
Result<Document> parse(std::string_view text, const std::string& where, Code code = Code::model);
// The same; another value than an object is an error, too.
Result<Document> parse_object(std::string_view text, const std::string& where, Code code = Code::model);

}  // namespace quoin::json
