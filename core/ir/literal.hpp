// Exact literals of the graph text: what a writer here makes, the reader beside it turns back into the same bits.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/schema.hpp"

namespace quoin::ir {

// Letters, digits and _ . + - /: what names and numbers are made of without quotes.
bool is_word_char(char c);

// In double quotes; everything but printable ASCII as \xNN.
std::string quoted(std::string_view text);
// `body` is what stood between the quotes. Nothing: an unknown escape.
std::optional<std::string> unquoted(std::string_view body);
// As it is when it consists of word characters, else quoted.
std::string name_text(std::string_view name);

// Shortest decimal that reads back as the same number, "inf", "-inf", "nan", or "nan(7ff8000000000001)" for a NaN with
// other bits. A double always shows that it is no integer: "1.0".
std::string number_text(double value);
std::string number_text(float value);
std::string attr_text(const Attr& attr);

// Nothing: not such a number, or out of range. `bits`: hexadecimal bits of a NaN, else empty.
std::optional<int64_t> read_integer(std::string_view word);
std::optional<int32_t> read_small(std::string_view word);
std::optional<uint64_t> read_unsigned(std::string_view word);
std::optional<double> read_double(std::string_view word, std::string_view bits = {});
std::optional<float> read_float(std::string_view word);
std::optional<uint64_t> read_hex(std::string_view word);  // up to 16 digits

std::string base64(std::span<const std::byte> bytes);
// Standard alphabet with padding. Nothing: anything else.
std::optional<std::vector<std::byte>> from_base64(std::string_view text);

}  // namespace quoin::ir
