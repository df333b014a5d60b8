// What is generated from the schema table: docs/recipe.md and configs/schema.json.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "recipe/recipe.hpp"
#include "recipe/schema.hpp"

namespace quoin::recipe {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = QUOIN_SOURCE_ROOT;

// QUOIN_UPDATE=1 writes the generated files instead of comparing them.
void compare_generated(const fs::path& path, const std::string& text) {
  if (std::getenv("QUOIN_UPDATE") != nullptr) {
    ASSERT_TRUE(write_file(path.string(), as_bytes(text)));
    return;
  }
  const auto stored = read_text(path.string());
  ASSERT_TRUE(stored) << stored.error().text();
  EXPECT_EQ(*stored, text) << path << " is out of date; run this test with QUOIN_UPDATE=1";
}

TEST(Generated, reference_page_is_up_to_date) { compare_generated(kRoot / "docs/recipe.md", markdown_reference()); }
TEST(Generated, json_schema_is_up_to_date) { compare_generated(kRoot / "configs/schema.json", json_schema()); }

TEST(Generated, json_schema_knows_every_key) {
  const auto schema_json = nlohmann::json::parse(json_schema());
  for (const Key& key : schema()) {
    nlohmann::json at = schema_json;
    std::string rest = key.path;
    while (!rest.empty()) {
      const std::string part = rest.substr(0, rest.find('.'));
      rest = part.size() == rest.size() ? "" : rest.substr(part.size() + 1);
      const bool item = part.ends_with("[]");
      const std::string name = item ? part.substr(0, part.size() - 2) : part;
      ASSERT_TRUE(at.contains("properties") && at["properties"].contains(name)) << key.path;
      at = nlohmann::json(at["properties"][name]);
      if (item) at = nlohmann::json(at["items"]);
    }
    EXPECT_EQ(at.value("description", ""), key.doc);
  }
}

}  // namespace
}  // namespace quoin::recipe
