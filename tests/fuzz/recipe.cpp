// Any text as a recipe. What is accepted is written in its canonical form, which must be accepted and stay the same.
#include "recipe/recipe.hpp"
#include "target.hpp"

using namespace quoin;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto recipe = recipe::parse(std::string(reinterpret_cast<const char*>(data), size), "");
  if (!recipe) {
    fuzz::require(recipe.error().code != Code::internal, "an error is not a bug");
    return 0;
  }
  fuzz::accepted();
  const auto again = recipe::parse(recipe->resolved, "");
  fuzz::require(again.has_value(), "the canonical form of a recipe is a recipe");
  fuzz::require(again->resolved == recipe->resolved, "the canonical form of a recipe is its own");
  return 0;
}
