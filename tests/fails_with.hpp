// Whether a result is an error of a kind, for EXPECT_TRUE.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/result.hpp"

namespace quoin::test {

template <class T>
::testing::AssertionResult fails_with(const Result<T>& result, Code code, const std::string& part) {
  if (result) return ::testing::AssertionFailure() << "succeeded, expected an error with \"" << part << '"';
  const std::string text = result.error().text();
  if (result.error().code != code)
    return ::testing::AssertionFailure() << code_name(result.error().code) << ": " << text;
  if (text.find(part) == std::string::npos)
    return ::testing::AssertionFailure() << '"' << text << "\" lacks \"" << part << '"';
  return ::testing::AssertionSuccess();
}

}  // namespace quoin::test
