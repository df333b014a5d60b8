#include <quoin/numerics.hpp>

#include <algorithm>
#include <vector>

#include "checks.hpp"
#include "grouped_weights.hpp"

namespace quoin::cpu {
namespace {

using sdk::Match, sdk::Value;

std::string quoted(const Value& value) { return "'" + std::string(sdk::view(value.raw.name)) + "'"; }

std::string check_floats(const Match& m, std::initializer_list<Value> values) {
  for (const Value& value : values) {
    if (std::string no = check_activation(value); !no.empty()) return no;
    if (value.qparams()) return quoted(value) + " is not f32";
  }
  return check_activation(m.output()).empty() ? "" : "the result is too large";
}

// Positions and indices; no node of the backend makes them, so they reach its delegates as inputs.
std::string check_tokens(const Value& value) {
  if (value.dtype() != QUOIN_S64 || value.qparams()) return quoted(value) + " is not s64";
  for (uint32_t d = 1; d < value.raw.rank; ++d)
    if (value.is_dynamic(d)) return quoted(value) + " has a dynamic dim that is not the first";
  return value.numel() > 0 ? "" : quoted(value) + " is empty";
}
std::string check_positions(const Value& value) {
  return value.is_constant() ? quoted(value) + " is a constant" : check_tokens(value);
}

// A cache that is overwritten in place must have no other reader. A constant is copied first.
std::string check_cache(const Value& cache, quoin_dtype dtype) {
  if (cache.qparams() || cache.dtype() != dtype) return quoted(cache) + " has another type than its operator";
  if (!cache.is_static()) return quoted(cache) + " has a dynamic shape";
  return cache.is_constant() || cache.users().size() == 1 ? "" : quoted(cache) + " is read by others, too";
}

}  // namespace

std::string check_groups(const Value& weight) {
  if (grouped_layout(weight, weight.dims()[1])) return "";
  return "groups of " + std::to_string(weight.qparams()->group) + " are no multiple of 8, or a zero point is no s8";
}

std::string check_embedding(const Match& m) {
  const Value table = m.input(0), indices = m.input(1);
  if (!table.is_constant() || table.raw.rank != 2) return "the table is not a constant of two dims";
  if (std::string no = check_tokens(indices); !no.empty()) return no;
  if (std::string no = check_activation(m.output()); !no.empty()) return no;
  if (m.output().qparams()) return "the result is not f32";
  if (!table.qparams()) return table.dtype() == QUOIN_F32 ? "" : "the table is not f32";
  return is_grouped(table, true) ? check_groups(table) : "the table has neither groups nor scales per row";
}

std::string check_rms_norm(const Match& m) {
  if (std::string no = check_floats(m, {m.input(0)}); !no.empty()) return no;
  if (m.root().has_input(1) && (!m.input(1).is_constant() || m.input(1).dtype() != QUOIN_F32))
    return "the weight is not a constant of f32";
  const size_t normalized = m.root().attrs().integers("normalized_shape").size();
  return m.input(0).is_static() || normalized < m.input(0).raw.rank ? "" : "it normalizes over the length of a run";
}

std::string check_rope(const Match& m) {
  if (std::string no = check_floats(m, {m.input(0)}); !no.empty()) return no;
  if (std::string no = check_positions(m.input(1)); !no.empty()) return no;
  const Value frequencies = m.input(2);
  return frequencies.is_constant() && frequencies.numel() > 0 ? "" : "the frequencies are not a constant";
}

std::string check_kv_update(const Match& m) {
  const bool codes = m.root().outputs().size() == 2;
  const uint32_t rows = codes ? 2 : 1;
  if (std::string no = check_cache(m.input(0), codes ? QUOIN_S8 : QUOIN_F32); !no.empty()) return no;
  if (codes)
    if (std::string no = check_cache(m.input(1), QUOIN_F32); !no.empty()) return no;
  if (std::string no = check_activation(m.input(rows)); !no.empty()) return no;
  return check_positions(m.input(rows + 1));
}

std::string check_attention(const Match& m) {
  const bool codes = m.root().op() == "quoin.attention_int8.default";
  const uint32_t values = codes ? 3 : 2, positions = codes ? 5 : 3;
  if (std::string no = check_floats(m, {m.input(0)}); !no.empty()) return no;
  for (const uint32_t slot : {1u, values}) {
    const Value cache = m.input(slot);
    if (cache.qparams() || cache.dtype() != (codes ? QUOIN_S8 : QUOIN_F32) || !cache.is_static())
      return quoted(cache) + " has another type than its operator, or a dynamic shape";
    if (cache.numel() < 1) return quoted(cache) + " is empty";
  }
  return check_positions(m.input(positions));
}

}  // namespace quoin::cpu
