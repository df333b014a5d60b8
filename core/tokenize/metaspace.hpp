// The component Metaspace of tokenizer.json, which writes spaces as a visible character; both a pre-tokenizer and a
// decoder.
#pragma once

#include <string>

#include "tokenize/component.hpp"

namespace quoin::tokenize {

struct Metaspace {
  enum Prepend { always, first, never };
  std::string replacement = "\xe2\x96\x81";  // U+2581
  Prepend prepend = always;

  static Result<Metaspace> read(const Place& from) {
    Metaspace out;
    if (const Place given = from["replacement"]; !given.is_null()) {
      QUOIN_TRY(out.replacement, given.text());
      if (out.replacement.empty()) return given.expected("a character");
    }
    if (const Place scheme = from["prepend_scheme"]; !scheme.is_null()) {
      QUOIN_TRY(const std::string text, scheme.text());
      if (text != "always" && text != "first" && text != "never") return scheme.unsupported("the scheme " + text);
      out.prepend = text == "always" ? always : text == "first" ? first : never;
    } else {
      QUOIN_TRY(const bool prefix, from["add_prefix_space"].flag(true));  // how older files say it
      out.prepend = prefix ? always : never;
    }
    return out;
  }
};

}  // namespace quoin::tokenize
