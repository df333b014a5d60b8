// What language models add: rotary positions, key/value caches and attention over them. T tokens, H query heads, G
// key/value heads (G divides H), D elements per head, S rows of cache.
//
// A cache is a state of the graph (ir::State): an operand and a result of equal type that are one buffer at run time.
// Positions are row numbers of the cache, one per token.
#include <cmath>

#include "ops/table/build.hpp"

namespace quoin::table {
namespace {

Status expect_f32(const TensorType& type, std::string_view what) {
  if (type.dtype != DType::f32) return fail(Code::model, "{} must be f32, found {}", what, name(type.dtype));
  return {};
}

Status expect_positions(const TensorType& positions, int64_t tokens) {
  if (positions.dtype != DType::s64) return fail(Code::model, "positions must be s64, found {}", name(positions.dtype));
  return expect_shape(&positions, {tokens}, "positions");
}

Types infer_rope(Operands operands, const Attrs&) {
  const Shape &x = operands[0]->shape, &frequencies = operands[2]->shape;
  QUOIN_CHECK(expect_rank(*operands[0], 3, "input"));
  QUOIN_CHECK(expect_f32(*operands[0], "input"));
  QUOIN_CHECK(expect_positions(*operands[1], x[0]));
  QUOIN_CHECK(expect_rank(*operands[2], 1, "frequencies"));
  QUOIN_CHECK(expect_f32(*operands[2], "frequencies"));
  if (frequencies[0] * 2 > x[2])
    return fail(Code::model, "{} frequencies turn {} elements, a head has {}", frequencies[0], 2 * frequencies[0],
                x[2]);
  return same_as_first(operands, {});
}

// cache[S, G, *], rows[T, G, D], positions[T]
Status expect_update(const TensorType& cache, const TensorType& rows, const TensorType& positions) {
  QUOIN_CHECK(expect_rank(cache, 3, "cache"));
  QUOIN_CHECK(expect_rank(rows, 3, "rows"));
  QUOIN_CHECK(expect_f32(rows, "rows"));
  QUOIN_CHECK(expect_positions(positions, rows.shape[0]));
  if (cache.shape[1] != rows.shape[1] || cache.shape[2] != rows.shape[2])
    return fail(Code::model, "rows {} do not fit a cache of {}", to_string(rows.shape), to_string(cache.shape));
  return {};
}

Types infer_kv_update(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_f32(*operands[0], "cache"));
  QUOIN_CHECK(expect_update(*operands[0], *operands[1], *operands[2]));
  return same_as_first(operands, attrs);
}

// Scales and zero points of a cache of codes: f32 [S, G, 2].
Status expect_codes(const TensorType& codes, const TensorType& affine, std::string_view what) {
  QUOIN_CHECK(expect_rank(codes, 3, what));
  if (codes.dtype != DType::s8) return fail(Code::model, "{} must be s8, found {}", what, name(codes.dtype));
  QUOIN_CHECK(expect_f32(affine, "scales and zero points"));
  return expect_shape(&affine, {codes.shape[0], codes.shape[1], 2}, "scales and zero points");
}

Types infer_kv_update_int8(Operands operands, const Attrs&) {
  QUOIN_CHECK(expect_codes(*operands[0], *operands[1], "cache"));
  QUOIN_CHECK(expect_update(*operands[0], *operands[2], *operands[3]));
  return two(DType::s8, operands[0]->shape, DType::f32, operands[1]->shape);
}

Types attention(const TensorType& query, const TensorType& keys, const TensorType& values, const TensorType& positions,
                const Attrs& attrs) {
  QUOIN_CHECK(expect_rank(query, 3, "query"));
  QUOIN_CHECK(expect_f32(query, "query"));
  QUOIN_CHECK(expect_rank(keys, 3, "keys"));
  QUOIN_CHECK(expect_rank(values, 3, "values"));
  QUOIN_CHECK(expect_positions(positions, query.shape[0]));
  const Shape &q = query.shape, &k = keys.shape, &v = values.shape;
  if (k[1] < 1 || q[1] % k[1] != 0)
    return fail(Code::model, "{} key/value heads do not divide {} query heads", k[1], q[1]);
  if (q[2] != k[2] || k[0] != v[0] || k[1] != v[1])
    return fail(Code::model, "query {}, keys {} and values {} do not fit", to_string(q), to_string(k), to_string(v));
  if (get_int(attrs, "window") < 0) return fail(Code::model, "window {} is negative", get_int(attrs, "window"));
  if (!std::isfinite(get_number(attrs, "scale"))) return fail(Code::model, "scale is not finite");
  return one(DType::f32, {q[0], q[1], v[2]});
}

Types infer_attention(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_f32(*operands[1], "keys"));
  QUOIN_CHECK(expect_f32(*operands[2], "values"));
  return attention(*operands[0], *operands[1], *operands[2], *operands[3], attrs);
}

Types infer_attention_int8(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_codes(*operands[1], *operands[2], "keys"));
  QUOIN_CHECK(expect_codes(*operands[3], *operands[4], "values"));
  return attention(*operands[0], *operands[1], *operands[3], *operands[5], attrs);
}

constexpr Row kRows[] = {
    // Turns pairs of the first 2 * F elements of every head by positions[t] * frequencies[i] (one f32 product); pairs
    // are
    // (i, i + F), or (2i, 2i + 1) if interleaved. cos and sin are multiplied by `scale`.
    {"quoin.rope.default", "input, positions, frequencies; interleaved: bool = false, scale: float = 1", infer_rope},
    // The cache with row positions[t] replaced by rows[t]. A position outside the cache is an error of the input.
    {"quoin.kv_update.default", "cache, rows, positions", infer_kv_update, {.updates = 1}},
    // As kv_update; the D elements of every row and head become s8 codes with a scale and zero point of their own
    // (numerics::choose_dynamic, scheme token), kept as two f32.
    {"quoin.kv_update_int8.default",
     "cache, affine, rows, positions -> cache, affine",
     infer_kv_update_int8,
     {.updates = 2}},
    // softmax(scale * q . k) . v over cache rows 0 .. positions[t], of which the last `window` count if it is not 0.
    // Head
    // h reads key/value head h / (H / G).
    {"quoin.attention.default", "query, keys, values, positions; scale: float, window: int = 0", infer_attention},
    // The same over caches of kv_update_int8.
    {"quoin.attention_int8.default",
     "query, keys, key_affine, values, value_affine, positions; scale: float, window: int = 0", infer_attention_int8},
};

}  // namespace

Rows language() { return kRows; }

}  // namespace quoin::table
