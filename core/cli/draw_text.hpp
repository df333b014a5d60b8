// Words and escapes of drawings.
#pragma once

#include <string>
#include <string_view>

#include "quantize/annotation.hpp"

namespace quoin::cli {

// A quoted DOT string that shows `text` as it is, newlines as line breaks. What is no printable UTF-8 becomes "?".
std::string dot_text(std::string_view text);
// For inside an HTML-like label.
std::string html_text(std::string_view text);

// "aten.add.Tensor" -> "add.Tensor", "aten.conv2d.default" -> "conv2d"
std::string op_words(std::string_view op);
// "s8", "s8 per channel", "s4 groups of 32", "u8 dynamic", "s32 derived"
std::string spec_words(const quantize::Spec& spec);
// What a module's box is called: its path within the box around it, and the last part of its type.
std::string module_words(std::string_view path, std::string_view type, std::string_view outer);

}  // namespace quoin::cli
