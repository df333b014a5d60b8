// The manifest of a backend class: JSON text in an ELF note, made at compile time. Part of quoin/plugin.hpp.
#pragma once

#include <quoin/roles.hpp>

namespace quoin::sdk::detail {

constexpr bool is_name(std::string_view text) {
  constexpr std::string_view legal = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
  return !text.empty() && text.size() <= 64 && text.find_first_not_of(legal) == text.npos;
}
// Printable ASCII that needs no escape in JSON.
constexpr bool is_plain(std::string_view text) {
  for (const char c : text)
    if (c < ' ' || c > '~' || c == '"' || c == '\\') return false;
  return !text.empty() && text.size() <= 64;
}

struct Text {
  std::array<char, 1024> data{};
  size_t size = 0;
  constexpr Text& operator+=(std::string_view s) {
    for (const char c : s) data[size++] = c;  // every part is bounded, so the whole fits
    return *this;
  }
  constexpr Text& operator+=(uint32_t n) {
    char digits[10] = {};
    size_t count = 0;
    do digits[count++] = static_cast<char>('0' + n % 10);
    while ((n /= 10) != 0);
    while (count != 0) *this += std::string_view(&digits[--count], 1);
    return *this;
  }
  constexpr void item(bool wanted, std::string_view s) {  // of a JSON array of strings
    if (!wanted) return;
    if (data[size - 1] != '[') *this += ",";
    (((*this += "\"") += s) += "\"");
  }
};

struct IsaName {
  uint64_t bit;
  std::string_view name;
};
inline constexpr IsaName kIsaNames[] = {{QUOIN_ISA_AVX2, "avx2"},
                                        {QUOIN_ISA_AVX_VNNI, "avxvnni"},
                                        {QUOIN_ISA_AVX512, "avx512"},
                                        {QUOIN_ISA_AVX512_VNNI, "avx512vnni"},
                                        {QUOIN_ISA_AMX_INT8, "amx"}};

template <class B>
constexpr Text manifest(std::string_view name, std::string_view version) {
  Text t;
  ((((t += "{\"name\":\"") += name) += "\",\"version\":\"") += version) += "\"";
  if constexpr (requires { B::vendor; }) {
    static_assert(is_plain(B::vendor), "`vendor` has 1 to 64 printable ASCII characters, no quotes or backslashes");
    ((t += ",\"vendor\":\"") += std::string_view(B::vendor)) += "\"";
  }
  ((t += ",\"abi\":{\"major\":") += QUOIN_ABI_MAJOR) += ",\"minor\":";
  (((t += QUOIN_ABI_MINOR) += ",\"minor_required\":") += minor_required<B>()) += "},\"roles\":[";
  t.item(wants_quantizer<B>, "quantizer");
  t.item(wants_compiler<B>, "compiler");
  t.item(wants_executor<B>, "executor");
  t.item(HasKernels<B>, "kernels");
  t += "],\"isa_required\":[";
  if constexpr (requires { B::isa_required; })
    for (const IsaName& isa : kIsaNames) t.item((B::isa_required & isa.bit) != 0, isa.name);
  t += "]";
  if constexpr (requires { B::blob_format; }) (t += ",\"blob_format\":") += B::blob_format;
  t += "}";
  return t;
}

template <size_t Size>
struct Note {
  uint32_t name_size = 4, desc_size = Size, type = QUOIN_NOTE_TYPE;
  char name[4] = {'Q', 'U', 'N', 0};
  char desc[(Size + 3) & ~size_t{3}] = {};
  constexpr explicit Note(const Text& text) {
    for (size_t i = 0; i < Size; ++i) desc[i] = text.data[i];
  }
};

}  // namespace quoin::sdk::detail
