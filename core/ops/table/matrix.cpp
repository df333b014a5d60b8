// Matrix products.
#include "ops/table/build.hpp"

namespace quoin::table {
namespace {

Types infer_linear(Operands operands, const Attrs&) {
  const Shape &x = operands[0]->shape, &w = operands[1]->shape;
  QUOIN_CHECK(expect_rank(*operands[1], 2, "weight"));
  if (x.empty() || x.back() != w[1])
    return fail(Code::model, "input {} does not fit weight {}: the last dims must be equal", to_string(x),
                to_string(w));
  if (operands.size() > 2) QUOIN_CHECK(expect_shape(operands[2], {w[0]}, "bias"));
  Shape out = x;
  out.back() = w[0];
  return one(operands[0]->dtype, out);
}

// numpy matmul: vectors get a dim of 1 that is removed again; leading dims broadcast.
Types infer_matmul(Operands operands, const Attrs&) {
  Shape a = operands[0]->shape, b = operands[1]->shape;
  if (a.empty() || b.empty())
    return fail(Code::model, "operands need a dim, found {} and {}", to_string(a), to_string(b));
  const bool a_vector = a.size() == 1, b_vector = b.size() == 1;
  if (a_vector) a.insert(a.begin(), 1);
  if (b_vector) b.push_back(1);
  const int64_t rows = a[a.size() - 2], inner = a.back(), columns = b.back();
  if (b[b.size() - 2] != inner)
    return fail(Code::model, "inner dims differ: {} and {}", to_string(operands[0]->shape),
                to_string(operands[1]->shape));
  a.resize(a.size() - 2);
  b.resize(b.size() - 2);
  QUOIN_TRY(Shape out, broadcast(a, b));
  if (!a_vector) out.push_back(rows);
  if (!b_vector) out.push_back(columns);
  return one(promote(operands[0]->dtype, operands[1]->dtype), out);
}

Types infer_bmm(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_rank(*operands[0], 3, "self"));
  QUOIN_CHECK(expect_rank(*operands[1], 3, "mat2"));
  if (operands[0]->shape[0] != operands[1]->shape[0])
    return fail(Code::model, "batch dims differ: {} and {}", to_string(operands[0]->shape),
                to_string(operands[1]->shape));
  return infer_matmul(operands, attrs);
}

Types infer_mm(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_rank(*operands[0], 2, "self"));
  QUOIN_CHECK(expect_rank(*operands[1], 2, "mat2"));
  return infer_matmul(operands, attrs);
}

constexpr Row kRows[] = {
    {"aten.linear.default", "input, weight, bias?", infer_linear},
    {"aten.matmul.default", "self, other", infer_matmul},
    {"aten.bmm.default", "self, mat2", infer_bmm},
    {"aten.mm.default", "self, mat2", infer_mm},
};

}  // namespace

Rows matrix() { return kRows; }

}  // namespace quoin::table
