// Language models: rotary positions, key/value caches, attention over them.
#include <cmath>

#include <quoin/numerics.hpp>

#include "kernels/portable/products.hpp"

namespace quoin::kernels {
namespace {

// Positions must be rows of the cache. Error (input): the first that is none.
Status check_positions(const int64_t* positions, int64_t tokens, int64_t cache_rows) {
  for (int64_t t = 0; t < tokens; ++t)
    if (positions[t] < 0 || positions[t] >= cache_rows)
      return fail(
          Error{Code::input,
                fmt::format("position {} of token {} is outside the cache of {} rows", positions[t], t, cache_rows),
                {},
                "a longer context needs a program that was lowered for it"});
  return {};
}

// Angles, cosines and sines are those of one f32 product: position * frequency.
struct Rope : Kernel {
  int64_t tokens = 0, heads = 0, length = 0, turned = 0;  // turned: pairs per head
  bool interleaved = false;
  float scale = 1;

  static bool accepts(const NodeView& view) { return real_f32(view.in(0)) && real_f32(view.in(2)); }
  Status prepare(const NodeView& node) override {
    const Shape& x = node.in_shape();
    tokens = x[0];
    heads = x[1];
    length = x[2];
    turned = node.in_shape(2)[0];
    interleaved = node.get_bool("interleaved");
    scale = static_cast<float>(node.get_number("scale"));
    return {};
  }
  Status run(const Run& run) const override {
    const int64_t* positions = run.in<int64_t>(1);
    const float* frequencies = run.in<float>(2);
    parallel(run.host, tokens, heads * length + 40 * turned, [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t t = begin; t < end; ++t) {
        const float *x = run.in<float>(0) + t * heads * length, position = static_cast<float>(positions[t]);
        float* y = run.out<float>() + t * heads * length;
        if (x != y) std::copy_n(x, heads * length, y);
        for (int64_t i = 0; i < turned; ++i) {
          const float angle = position * frequencies[i];
          turn(y, i, std::cos(angle) * scale, std::sin(angle) * scale);
        }
      }
    });
    return {};
  }
  // Pair i of every head of a token.
  void turn(float* y, int64_t i, float cosine, float sine) const {
    const int64_t first = interleaved ? 2 * i : i, second = interleaved ? 2 * i + 1 : i + turned;
    for (int64_t h = 0; h < heads; ++h) {
      const float a = y[h * length + first], b = y[h * length + second];
      y[h * length + first] = a * cosine - b * sine;
      y[h * length + second] = b * cosine + a * sine;
    }
  }
};

// Cache operand to result: nothing to do where they are one buffer.
void carry_over(const void* from, void* to, int64_t bytes) {
  if (from != to && bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
}

struct KvUpdate : Kernel {
  int64_t rows = 0, line = 0, tokens = 0;  // line: elements of one row

  static bool accepts(const NodeView& view) { return real_f32(view.in(0)) && real_f32(view.in(1)); }
  Status prepare(const NodeView& node) override {
    const Shape& cache = node.in_shape();
    rows = cache[0];
    line = cache[1] * cache[2];
    tokens = node.in_shape(1)[0];
    return {};
  }
  Status run(const Run& run) const override {
    const int64_t* positions = run.in<int64_t>(2);
    QUOIN_CHECK(check_positions(positions, tokens, rows));
    carry_over(run.inputs[0], run.out(), rows * line * 4);
    for (int64_t t = 0; t < tokens; ++t)
      std::copy_n(run.in<float>(1) + t * line, line, run.out<float>() + positions[t] * line);
    return {};
  }
};

struct KvUpdateInt8 : Kernel {
  int64_t rows = 0, heads = 0, length = 0, tokens = 0;

  static bool accepts(const NodeView& view) { return real_f32(view.in(2)); }
  Status prepare(const NodeView& node) override {
    const Shape& cache = node.in_shape();
    rows = cache[0];
    heads = cache[1];
    length = cache[2];
    tokens = node.in_shape(2)[0];
    return {};
  }
  Status run(const Run& run) const override {
    const int64_t* positions = run.in<int64_t>(3);
    QUOIN_CHECK(check_positions(positions, tokens, rows));
    carry_over(run.inputs[0], run.out(0), rows * heads * length);
    carry_over(run.inputs[1], run.out(1), rows * heads * 8);
    for (int64_t i = 0; i < tokens * heads; ++i) {
      const int64_t at = positions[i / heads] * heads + i % heads;
      quantize(run.in<float>(2) + i * length, run.out<int8_t>(0) + at * length, run.out<float>(1) + at * 2);
    }
    return {};
  }
  void quantize(const float* x, int8_t* codes, float* affine) const {
    const DynamicRow row;
    const numerics::Affine q = row.choose(0, x, length);  // the scheme covers 0 anyhow
    for (int64_t i = 0; i < length; ++i) codes[i] = static_cast<int8_t>(row.quantize(x[i], q));
    affine[0] = q.scale;
    affine[1] = static_cast<float>(q.zero_point);
  }
};

// The rows of a cache, in floats or in codes with a scale and a zero point each.
struct Cache {
  const void* rows;
  const float* affine;  // null: floats

  // A head of one row as floats. `buffer` holds them where the cache has codes.
  const float* head(int64_t at, int64_t length, float* buffer) const {
    if (affine == nullptr) return static_cast<const float*>(rows) + at * length;
    const auto* codes = static_cast<const int8_t*>(rows) + at * length;
    for (int64_t i = 0; i < length; ++i)
      buffer[i] = (static_cast<float>(codes[i]) - affine[2 * at + 1]) * affine[2 * at];
    return buffer;
  }
};

// Scores and their exponentials are f32, their sum is f64, values are added in the order of the rows.
// Operands: query, keys, values, positions; keys and values of an int8 cache are codes and their scales.
struct Attention : Kernel {
  bool codes = false;
  int64_t tokens = 0, heads = 0, length = 0;
  int64_t rows = 0, shared_heads = 0, value_length = 0;  // of the cache
  int64_t window = 0;
  float scale = 1;

  static bool accepts(const NodeView& view) { return real_f32(view.in(0)); }
  Status prepare(const NodeView& node) override {
    const Shape &q = node.in_shape(), &k = node.in_shape(1);
    codes = node.is("quoin.attention_int8.default");
    tokens = q[0];
    heads = q[1];
    length = q[2];
    rows = k[0];
    shared_heads = k[1];
    value_length = node.in_shape(codes ? 3 : 2)[2];
    window = node.get_int("window");
    scale = static_cast<float>(node.get_number("scale"));
    return {};
  }
  // Per worker: a score for every row, one key and one value.
  uint64_t worker_floats() const { return static_cast<uint64_t>(rows + length + value_length); }
  uint64_t scratch(const quoin_host& host) const override {
    return host.workers(host.self) * worker_floats() * sizeof(float);
  }

  Status run(const Run& run) const override {
    const auto* positions = run.in<int64_t>(codes ? 5 : 3);
    QUOIN_CHECK(check_positions(positions, tokens, rows));
    const Cache keys{run.inputs[1], codes ? run.in<float>(2) : nullptr};
    const Cache values{run.inputs[codes ? 3 : 2], codes ? run.in<float>(4) : nullptr};
    parallel(run.host, tokens * heads, 2 * rows * length, [&](int64_t begin, int64_t end, uint32_t worker) {
      float* scores = reinterpret_cast<float*>(run.scratch) + worker * worker_floats();
      for (int64_t i = begin; i < end; ++i) {
        const int64_t last = positions[i / heads], first = window == 0 ? 0 : std::max<int64_t>(last - window + 1, 0);
        const int64_t shared = i % heads / (heads / shared_heads);
        const float inverse = softmax(run.in<float>(0) + i * length, keys, {first, last + 1, shared}, scores);
        float* y = run.out<float>() + i * value_length;
        std::fill_n(y, value_length, 0.0f);
        for (int64_t row = first; row <= last; ++row) {
          const float* v = values.head(row * shared_heads + shared, value_length, scores + rows + length);
          for (int64_t d = 0; d < value_length; ++d) y[d] += scores[row] * v[d];
        }
        for (int64_t d = 0; d < value_length; ++d) y[d] *= inverse;
      }
    });
    return {};
  }
  struct Range {
    int64_t first, end, head;  // rows of the cache, head of the cache
  };
  // scores[row] = exp(score - largest); returns 1 / their sum.
  float softmax(const float* query, const Cache& keys, const Range& range, float* scores) const {
    float largest = -INFINITY;
    for (int64_t row = range.first; row < range.end; ++row) {
      scores[row] = scale * dot(query, keys.head(row * shared_heads + range.head, length, scores + rows), length);
      largest = std::max(largest, scores[row]);
    }
    double sum = 0;
    for (int64_t row = range.first; row < range.end; ++row) {
      scores[row] = std::exp(scores[row] - largest);
      sum += static_cast<double>(scores[row]);
    }
    return static_cast<float>(1 / sum);
  }
};

constexpr Row kRows[] = {
    exact_row<Rope>("quoin.rope.default"),
    exact_row<KvUpdate>("quoin.kv_update.default"),
    exact_row<KvUpdateInt8>("quoin.kv_update_int8.default"),
    exact_row<Attention>("quoin.attention.default"),
    exact_row<Attention>("quoin.attention_int8.default"),
};

}  // namespace

Rows language_rows() { return kRows; }

}  // namespace quoin::kernels
