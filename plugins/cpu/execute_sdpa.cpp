// sdpa_f32: per image (batch) and head (groups): y = softmax(ratio * x x2^T + mask) x3, with x [rows][k], x2 [n][k],
// x3 [n][width], y [rows][width], width = y_stride. Strides along image, head and row: x_strides[0..2] of x, [3..5] of
// x2; y_strides[0..2] of y, [3..5] of x3; dims[0..2] of the mask (sums; absent: none), 0 where it repeats.
#include "operations.hpp"
#include "tiles.hpp"

namespace quoin::cpu {
namespace {

// Elements from the first to the last that an operand with these strides has.
int64_t reach(const Instruction& i, const Checker& c, const int64_t* strides, int64_t rows, int64_t cols) {
  const int64_t images = c.mul(i.batch - 1, strides[0]), heads = c.mul(i.groups - 1, strides[1]);
  return c.add(c.add(images, heads), c.span(rows, strides[2], cols));
}

void check_sdpa(const Instruction& i, const Checker& c) {
  for (const int64_t size : {i.batch, i.groups, i.rows, i.n, i.k, i.y_stride}) c.size(size, "attention");
  c.mul(c.mul(i.batch, i.groups), i.rows);
  c.reads<float>(i.x, reach(i, c, i.x_strides, i.rows, i.k));
  c.reads<float>(i.x2, reach(i, c, i.x_strides + 3, i.n, i.k));
  c.reads<float>(i.x3, reach(i, c, i.y_strides + 3, i.n, i.y_stride));
  c.writes<float>(i.y, reach(i, c, i.y_strides, i.rows, i.y_stride));
  // Values whose rows are a packed block apart are read in whole blocks.
  c.require(i.y_strides[5] != kPackedColumns || i.y_stride == kPackedColumns, "values are read past their end");
  if (i.sums.space != Space::none) c.reads<float>(i.sums, reach(i, c, i.dims, i.rows, i.n));
  c.mul(c.mul(round_up(i.n, kPackedColumns), i.k), sizeof(float));
  c.mul(c.mul(kSdpaRows, i.n), sizeof(float));
  c.worker(static_cast<uint64_t>(sdpa_floats(i.n, i.k)) * sizeof(float));
}

// One head of one image.
struct Head {
  const float *q, *k, *v, *mask;
  float* y;
};

Head head_of(const Instruction& i, const Context& c, int64_t image, int64_t head) {
  const auto offset = [&](const int64_t* strides) { return image * strides[0] + head * strides[1]; };
  return {c.at<const float>(i.x, offset(i.x_strides)), c.at<const float>(i.x2, offset(i.x_strides + 3)),
          c.at<const float>(i.x3, offset(i.y_strides + 3)),
          i.sums.space == Space::none ? nullptr : c.at<const float>(i.sums, offset(i.dims)),
          c.at<float>(i.y, offset(i.y_strides))};
}

// Scores of `rows` rows from `first` on, as probabilities.
void probabilities(const Instruction& i, const Context& c, const Head& h, int64_t first, int64_t rows,
                   const float* keys, float* scores) {
  GemmF32 g;
  g.a = h.q + first * i.x_strides[2];
  g.a_stride = i.x_strides[2];
  g.b = keys;
  g.b_block_stride = kPackedColumns * i.k;
  g.b_row_stride = kPackedColumns;
  g.y = scores;
  g.y_stride = g.n = i.n;
  g.rows = rows;
  g.k = i.k;
  g.scale = i.ratio;
  c.kernels.gemm_f32(g);
  if (h.mask != nullptr) {
    BinaryF32 add;
    add.a = scores;
    add.b = h.mask + first * i.dims[2];
    add.y = scores;
    add.a_stride = add.y_stride = add.cols = i.n;
    add.b_stride = i.dims[2];
    add.rows = rows;
    c.kernels.add_f32(add);
  }
  SoftmaxF32 s;
  s.x = s.y = scores;
  s.rows = rows;
  s.cols = s.x_stride = s.y_stride = i.n;
  c.kernels.softmax_f32(s);
}

void weigh(const Instruction& i, const Context& c, const Head& h, int64_t first, int64_t rows, const float* scores) {
  GemmF32 g;
  g.a = scores;
  g.a_stride = g.k = i.n;
  g.b = h.v;
  g.b_block_stride = kPackedColumns;
  g.b_row_stride = i.y_strides[5];
  g.y = h.y + first * i.y_strides[2];
  g.y_stride = i.y_strides[2];
  g.rows = rows;
  g.n = i.y_stride;
  c.kernels.gemm_f32(g);
}

// Shares out heads, and parts of the rows of long ones; whoever takes a part packs the keys for itself.
void run_sdpa(const Instruction& i, const Context& c) {
  const int64_t parts = (i.rows + kSdpaPart - 1) / kSdpaPart;
  c.parallel(i.batch * i.groups * parts, 1, [&](uint64_t begin, uint64_t end, uint32_t worker) noexcept {
    float* keys = c.worker<float>(worker);
    float* scores = keys + round_up(i.n, kPackedColumns) * i.k;
    for (auto task = static_cast<int64_t>(begin); task < static_cast<int64_t>(end); ++task) {
      const Head h = head_of(i, c, task / parts / i.groups, task / parts % i.groups);
      c.kernels.pack_rows_f32({h.k, i.x_strides[5], i.n, i.k, keys});
      const int64_t last = std::min(i.rows, (task % parts + 1) * kSdpaPart);
      for (int64_t row = task % parts * kSdpaPart; row < last; row += kSdpaRows) {
        const int64_t rows = std::min(kSdpaRows, last - row);
        probabilities(i, c, h, row, rows, keys, scores);
        weigh(i, c, h, row, rows, scores);
      }
    }
  });
}

constexpr Operation kOperations[] = {{Op::sdpa_f32, "sdpa_f32", check_sdpa, run_sdpa}};

}  // namespace

std::span<const Operation> sdpa_operations() { return kOperations; }

}  // namespace quoin::cpu
