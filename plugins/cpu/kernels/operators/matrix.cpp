// aten.linear and the matmul family.
#include <algorithm>

#include "../pack.hpp"
#include "adapter.hpp"

namespace quoin::cpu {
namespace {

constexpr int64_t kRowChunk = 48;  // rows of a product per task

// y [rows][n] = x [rows][k] * w [n][k]^T + bias [n]
class Linear {
 public:
  static std::optional<Linear> make(const sdk::Graph& graph, const sdk::Node& node) {
    if (!node.has_input(1)) return std::nullopt;
    const sdk::Value input = graph.input(node, 0), weight = graph.input(node, 1), output = graph.output(node);
    const auto x = input.dims(), w = weight.dims();
    if (x.empty() || w.size() != 2 || w[0] < 1 || w[1] < 1 || x.back() != w[1]) return std::nullopt;
    Linear l;
    l.n_ = w[0], l.k_ = w[1], l.rows_ = product(x) / w[1];
    if (output.numel() != l.rows_ * l.n_) return std::nullopt;
    if (node.has_input(2) && graph.input(node, 2).numel() != l.n_) return std::nullopt;
    return l;
  }
  void pack(const sdk::Graph& graph, const sdk::Node& node) {
    const sdk::Value weight = graph.input(node, 1);
    if (!weight.is_constant()) return;
    const auto w = weight.constant<float>();
    if (static_cast<int64_t>(w.size()) < n_ * k_)
      throw sdk::Failure(QUOIN_INVALID, "the weight's constant is too small");
    packed_.resize(static_cast<size_t>(packed_gemm_f32(n_, k_)));
    pack_gemm_f32(w.data(), n_, k_, packed_.data());
  }
  uint64_t scratch(uint32_t) const {
    return packed_.empty() ? static_cast<uint64_t>(packed_gemm_f32(n_, k_)) * sizeof(float) : 0;
  }
  void run(const Call& call) const noexcept {
    const float* w = packed_.data();
    if (packed_.empty()) {
      float* fresh = reinterpret_cast<float*>(call.scratch);
      call.kernels.pack_rows_f32({call.in[1], k_, n_, k_, fresh});
      w = fresh;
    }
    const int64_t column_chunk = rows_ < kRowChunk ? 256 : round_up(n_, 16);
    const int64_t across = (n_ + column_chunk - 1) / column_chunk, down = (rows_ + kRowChunk - 1) / kRowChunk;
    const uint64_t tasks = static_cast<uint64_t>(across * down);
    sdk::parallel_for(call.host, tasks, 1, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
      for (int64_t task = static_cast<int64_t>(begin); task < static_cast<int64_t>(end); ++task) {
        const int64_t row = task / across * kRowChunk, column = task % across * column_chunk;
        GemmF32 g;
        g.a = call.in[0] + row * k_, g.a_stride = k_, g.b = w + column * k_, g.b_block_stride = 16 * k_;
        g.bias = call.in[2] ? call.in[2] + column : nullptr;
        g.y = call.out + row * n_ + column, g.y_stride = n_, g.k = k_;
        g.rows = std::min(kRowChunk, rows_ - row), g.n = std::min(column_chunk, n_ - column);
        call.kernels.gemm_f32(g);
      }
    });
  }

 private:
  int64_t rows_ = 0, n_ = 0, k_ = 0;
  std::vector<float> packed_;
};

// [batch][m][k] x [batch][k][n], or one right matrix for all: then the batch is just more rows.
class MatMul {
 public:
  static std::optional<MatMul> make(const sdk::Graph& graph, const sdk::Node& node) {
    if (!node.has_input(1)) return std::nullopt;
    const sdk::Value left = graph.input(node, 0), right = graph.input(node, 1);
    const auto a = left.dims(), b = right.dims();
    if (a.size() < 2 || b.size() < 2) return std::nullopt;
    const bool shared = b.size() == 2;
    if (!shared && !same(a.first(a.size() - 2), b.first(b.size() - 2))) return std::nullopt;
    MatMul m;
    m.k_ = b[b.size() - 2], m.n_ = b.back();
    if (a.back() != m.k_ || m.k_ < 1 || m.n_ < 1) return std::nullopt;
    m.batch_ = shared ? 1 : product(b.first(b.size() - 2));
    m.rows_ = m.batch_ == 0 ? 0 : product(a) / m.k_ / m.batch_;
    if (graph.output(node).numel() != m.batch_ * m.rows_ * m.n_) return std::nullopt;
    return m;
  }
  void pack(const sdk::Graph&, const sdk::Node&) {}
  uint64_t scratch(uint32_t) const { return 0; }
  void run(const Call& call) const noexcept {
    const int64_t down = (rows_ + kRowChunk - 1) / kRowChunk;
    const uint64_t tasks = static_cast<uint64_t>(batch_ * down);
    sdk::parallel_for(call.host, tasks, 1, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
      for (int64_t task = static_cast<int64_t>(begin); task < static_cast<int64_t>(end); ++task) {
        const int64_t image = task / down, row = task % down * kRowChunk, first = image * rows_ + row;
        GemmF32 g;
        g.a = call.in[0] + first * k_, g.a_stride = k_;
        g.b = call.in[1] + image * k_ * n_, g.b_block_stride = 16, g.b_row_stride = n_;
        g.y = call.out + first * n_, g.y_stride = n_, g.rows = std::min(kRowChunk, rows_ - row), g.n = n_, g.k = k_;
        call.kernels.gemm_f32(g);
      }
    });
  }

 private:
  int64_t batch_ = 0, rows_ = 0, n_ = 0, k_ = 0;
};

constexpr quoin_kernel kRows[] = {
    row<Linear>("aten.linear.default", "cpu:linear"),
    row<MatMul>("aten.matmul.default", "cpu:matmul"),
    row<MatMul>("aten.mm.default", "cpu:mm"),
    row<MatMul>("aten.bmm.default", "cpu:bmm"),
};

}  // namespace

std::span<const quoin_kernel> matrix_operators() { return kRows; }

}  // namespace quoin::cpu
