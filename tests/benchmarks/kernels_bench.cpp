// Throughput of the cpu kernels per tier: items are multiply-adds x 2 (OPS), so items_per_second is GOPS; `of_peak` is
// its share of what the tier's instructions reach on this machine, `of_read` that of the bytes a kernel must move in
// the bandwidth of memory (above 1 where they stay in a cache). Peaks are measured at the start and printed with the
// rest.
//   cpu_kernels_bench --benchmark_repetitions=10 --benchmark_filter=gemm_u8
// The minimum over the repetitions is reported as a statistic of its own.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "../cpu/kernels/graph_builder.hpp"
#include "peak.hpp"

namespace quoin::cpu::test {
namespace {

double smallest(const std::vector<double>& v) { return *std::min_element(v.begin(), v.end()); }

struct Limits {
  std::map<const KernelTable*, Peak> peaks;
  double read = 0;
};
Limits& limits() {
  static Limits all;
  return all;
}

// `operations` and `bytes` of one iteration.
void report(benchmark::State& state, double peak, int64_t operations, int64_t bytes) {
  state.SetItemsProcessed(state.iterations() * operations);
  state.SetBytesProcessed(state.iterations() * bytes);
  const auto share = [&](int64_t amount, double most) {
    return benchmark::Counter(static_cast<double>(state.iterations() * amount) / most, benchmark::Counter::kIsRate);
  };
  if (peak > 0) state.counters["of_peak"] = share(operations, peak);
  if (limits().read > 0) state.counters["of_read"] = share(bytes, limits().read);
}
void report_integer(benchmark::State& state, const KernelTable* tier, int64_t operations, int64_t bytes) {
  report(state, limits().peaks[tier].integer, operations, bytes);
}
void report_real(benchmark::State& state, const KernelTable* tier, int64_t operations, int64_t floats) {
  report(state, limits().peaks[tier].real, operations, floats * static_cast<int64_t>(sizeof(float)));
}

struct Shape {
  int64_t rows, n, k;
  int64_t operations() const { return 2 * rows * n * k; }
  int64_t elements() const { return rows * k + n * k + rows * n; }
};

void gemm_u8(benchmark::State& state, const KernelTable* tier, Shape s) {
  Random random(1);
  const std::vector<uint8_t> a = random.activations(s.rows * s.k);
  const std::vector<int8_t> w = random.integers<int8_t>(s.n * s.k, -127, 127);
  const int64_t padded = round_up(s.n, kChannelPadding);
  const std::vector<float> multiplier(static_cast<size_t>(padded), 0.001f);
  const std::vector<int32_t> bias(static_cast<size_t>(padded), 7);
  std::vector<int8_t> packed(static_cast<size_t>(packed_gemm_s8(s.n, s.k)) + 64);
  int8_t* b = packed.data() + (64 - reinterpret_cast<uintptr_t>(packed.data()) % 64) % 64;
  pack_gemm_s8(w.data(), s.n, s.k, b);
  std::vector<uint8_t> y(static_cast<size_t>(s.rows * s.n));
  GemmU8 g;
  g.a = a.data(), g.a_stride = s.k, g.b = b, g.bias = bias.data(), g.y = y.data(), g.y_stride = s.n;
  g.rows = s.rows, g.n = s.n, g.k = s.k, g.out = {multiplier.data(), 128, 0, 255};
  for (auto _ : state) {
    tier->gemm_u8(g);
    benchmark::ClobberMemory();
  }
  report_integer(state, tier, s.operations(), s.elements());
}

void gemm_f32(benchmark::State& state, const KernelTable* tier, Shape s) {
  Random random(1);
  const std::vector<float> a = random.reals(s.rows * s.k), w = random.reals(s.n * s.k);
  std::vector<float> packed(static_cast<size_t>(packed_gemm_f32(s.n, s.k)) + 16), y(static_cast<size_t>(s.rows * s.n));
  float* b = packed.data() + (64 - reinterpret_cast<uintptr_t>(packed.data()) % 64) % 64 / sizeof(float);
  pack_gemm_f32(w.data(), s.n, s.k, b);
  GemmF32 g;
  g.a = a.data(), g.a_stride = s.k, g.b = b, g.b_block_stride = 16 * s.k, g.y = y.data(), g.y_stride = s.n;
  g.rows = s.rows, g.n = s.n, g.k = s.k;
  for (auto _ : state) {
    tier->gemm_f32(g);
    benchmark::ClobberMemory();
  }
  report_real(state, tier, s.operations(), s.elements());
}

struct Map {
  int32_t size, kernel, stride;
  int64_t channels;
  Window window() const {
    Window w;
    w.in_h = w.in_w = size, w.out_h = w.out_w = size / stride, w.kernel_h = w.kernel_w = kernel;
    w.stride_h = w.stride_w = stride, w.pad_top = w.pad_left = (kernel - 1) / 2;
    return w;
  }
  int64_t operations() const { return 2 * channels * kernel * kernel * (size / stride) * (size / stride); }
  int64_t elements() const { return channels * (size * size + (size / stride) * (size / stride)); }
};

void depthwise_u8(benchmark::State& state, const KernelTable* tier, Map m) {
  Random random(1);
  const std::vector<uint8_t> x = random.activations(m.size * m.size * m.channels);
  const std::vector<int8_t> w = random.integers<int8_t>(packed_depthwise_s8(m.channels, m.kernel, m.kernel), -127, 127);
  const int64_t padded = round_up(m.channels, kChannelPadding);
  const std::vector<float> multiplier(static_cast<size_t>(padded), 0.001f);
  const std::vector<int32_t> bias(static_cast<size_t>(padded), 7);
  std::vector<uint8_t> y(x.size());
  DepthwiseU8 g;
  g.x = x.data(), g.w = w.data(), g.bias = bias.data(), g.y = y.data(),
  g.x_stride = g.y_stride = g.channels = m.channels;
  g.out = {multiplier.data(), 128, 0, 255}, g.window = m.window(), g.row_end = g.window.out_h;
  for (auto _ : state) {
    tier->depthwise_u8(g);
    benchmark::ClobberMemory();
  }
  report_integer(state, tier, m.operations(), m.elements());
}

void depthwise_f32(benchmark::State& state, const KernelTable* tier, Map m) {
  Random random(1);
  const std::vector<float> x = random.reals(m.size * m.size * m.channels);
  const std::vector<float> w = random.reals(packed_depthwise_f32(m.channels, m.kernel, m.kernel));
  std::vector<float> y(x.size());
  DepthwiseF32 g;
  g.x = x.data(), g.w = w.data(), g.y = y.data(), g.x_stride = g.y_stride = g.channels = m.channels;
  g.window = m.window(), g.row_end = g.window.out_h;
  for (auto _ : state) {
    tier->depthwise_f32(g);
    benchmark::ClobberMemory();
  }
  report_real(state, tier, m.operations(), m.elements());
}

// Elements per second of a function without weights that reads and writes `moved` bytes per element.
template <class Fn>
void elementwise(benchmark::State& state, int64_t moved, Fn run) {
  constexpr int64_t kCount = 56 * 56 * 24;
  Random random(1);
  const std::vector<float> real = random.reals(kCount, -4, 4);
  const std::vector<uint8_t> a = random.activations(kCount), b = random.activations(kCount);
  std::vector<uint8_t> bytes(kCount);
  std::vector<float> out(kCount);
  for (auto _ : state) {
    run(kCount, real.data(), a.data(), b.data(), bytes.data(), out.data());
    benchmark::ClobberMemory();
  }
  report(state, 0, kCount, kCount * moved);
}

// The convolutions and clamps of EfficientNet-Lite0 as single NCHW operators: what calibration costs per image.
class FloatNetwork {
 public:
  explicit FloatNetwork(uint64_t isa) : isa_(isa) {
    struct Stage {
      int64_t kernel, stride, expand, out, repeats;
    };
    const Stage stages[] = {{3, 1, 1, 16, 1},  {3, 2, 6, 24, 2},  {5, 2, 6, 40, 2}, {3, 2, 6, 80, 3},
                            {5, 1, 6, 112, 3}, {5, 2, 6, 192, 4}, {3, 1, 6, 320, 1}};
    convolution(32, 3, 2, 1);
    for (const Stage& s : stages)
      for (int64_t i = 0; i < s.repeats; ++i) {
        const int64_t wide = channels_ * s.expand;
        if (s.expand > 1) convolution(wide, 1, 1, 1);
        convolution(wide, s.kernel, i == 0 ? s.stride : 1, wide);
        convolution(s.out, 1, 1, 1);
      }
    convolution(1280, 1, 1, 1);
  }
  void run() {
    for (auto& p : prepared_) p->run();
  }

 private:
  void convolution(int64_t filters, int64_t kernel, int64_t stride, int64_t groups) {
    const int64_t out = (size_ + stride - 1) / stride, pad = (kernel - 1) / 2, depth = channels_ / groups;
    add("aten.conv2d.default")
        .input({1, channels_, size_, size_}, random_.reals(channels_ * size_ * size_))
        .input({filters, depth, kernel, kernel}, random_.reals(filters * depth * kernel * kernel), true)
        .input({filters}, random_.reals(filters), true)
        .ints("stride", {stride, stride})
        .ints("padding", {pad, pad})
        .ints("dilation", {1, 1})
        .ints("groups", {groups})
        .output({1, filters, out, out});
    prepare();
    add("aten.relu6.default")
        .input({filters, out, out}, random_.reals(filters * out * out))
        .output({filters, out, out});
    prepare();
    size_ = out, channels_ = filters;
  }
  OneNode& add(const std::string& op) { return *nodes_.emplace_back(std::make_unique<OneNode>(op)); }
  void prepare() { prepared_.push_back(std::make_unique<OneNode::Prepared>(*nodes_.back(), isa_)); }

  uint64_t isa_;
  Random random_{1};
  int64_t size_ = 224, channels_ = 3;
  std::vector<std::unique_ptr<OneNode>> nodes_;
  std::vector<std::unique_ptr<OneNode::Prepared>> prepared_;
};

void add_one(const std::string& name, const std::function<void(benchmark::State&)>& run) {
  benchmark::RegisterBenchmark(name.c_str(), run)->Unit(benchmark::kMicrosecond)->ComputeStatistics("min", smallest);
}

void add_elementwise(const KernelTable* t, const std::string& suffix) {
  add_one("add_u8" + suffix, [t](benchmark::State& state) {
    elementwise(state, 3, [t](int64_t n, const float*, const uint8_t* a, const uint8_t* b, uint8_t* y, float*) {
      BinaryU8 g;
      g.a = a, g.b = b, g.y = y, g.cols = n, g.a_zero = g.b_zero = g.zero_point = 128;
      t->add_u8(g);
    });
  });
  add_one("quantize_nchw_3ch" + suffix, [t](benchmark::State& state) {
    elementwise(state, 5, [t](int64_t n, const float* x, const uint8_t*, const uint8_t*, uint8_t* y, float*) {
      t->quantize_transposed({x, y, 3, n / 3, n / 3, 3, 0.02f, 128, 0, 255});
    });
  });
  add_one("gelu_f32" + suffix, [t](benchmark::State& state) {
    elementwise(state, 8, [t](int64_t n, const float* x, const uint8_t*, const uint8_t*, uint8_t*, float* y) {
      t->gelu_f32(x, y, n);
    });
  });
  add_one("softmax_f32" + suffix, [t](benchmark::State& state) {
    elementwise(state, 8, [t](int64_t n, const float* x, const uint8_t*, const uint8_t*, uint8_t*, float* y) {
      t->softmax_f32({x, y, n / 128, 128, 128, 128, 1});
    });
  });
  add_one("quantize_rows" + suffix, [t](benchmark::State& state) {
    std::vector<float> scale(1 << 10);
    std::vector<int32_t> zero(1 << 10);
    elementwise(state, 5, [&](int64_t n, const float* x, const uint8_t*, const uint8_t*, uint8_t* y, float*) {
      constexpr int64_t kCols = 384;
      const auto choose = [](const QuantizeRows&, float, float) { return RowParams{0.05f, 3, true}; };
      t->quantize_rows({x, kCols, y, kCols, scale.data(), zero.data(), n / kCols, kCols, choose, 0, 1e-6f});
    });
  });
  add_one("layer_norm_f32" + suffix, [t](benchmark::State& state) {
    elementwise(state, 8, [t](int64_t n, const float* x, const uint8_t*, const uint8_t*, uint8_t*, float* y) {
      t->layer_norm_f32({x, nullptr, nullptr, y, n / 384, 384, 384, 384, 1e-12f});
    });
  });
  add_one("transpose_f32" + suffix, [t](benchmark::State& state) {
    elementwise(state, 8, [t](int64_t n, const float* x, const uint8_t*, const uint8_t*, uint8_t*, float* y) {
      t->transpose_f32({x, y, 24, n / 24, n / 24, 24, 1, 0, 0, 255});
    });
  });
}

void add_all() {
  const Shape pointwise[] = {{12544, 16, 32}, {12544, 96, 16},  {3136, 24, 144}, {784, 240, 40},  {196, 480, 80},
                             {196, 112, 672}, {49, 1152, 192},  {49, 192, 1152}, {49, 1280, 320}, {1, 1000, 1280},
                             {12544, 32, 27}, {128, 1536, 384}, {128, 384, 1536}};
  const Map maps[] = {{112, 3, 1, 32}, {112, 3, 2, 96}, {56, 3, 1, 144}, {56, 5, 2, 144},
                      {28, 5, 1, 240}, {14, 5, 1, 672}, {14, 5, 2, 672}, {7, 5, 1, 1152},
                      {7, 3, 1, 1152}, {48, 3, 1, 8},   {48, 3, 2, 16},  {24, 3, 1, 32}};
  for (const KernelTable* t : usable_tiers()) {
    const std::string tier = std::string("/") + t->name;
    for (const Shape& s : pointwise) {
      const std::string suffix =
          tier + "/" + std::to_string(s.rows) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k);
      add_one("gemm_u8" + suffix, [t, s](benchmark::State& state) { gemm_u8(state, t, s); });
      add_one("gemm_f32" + suffix, [t, s](benchmark::State& state) { gemm_f32(state, t, s); });
    }
    for (const Map& m : maps) {
      const std::string suffix = tier + "/" + std::to_string(m.size) + "x" + std::to_string(m.channels) + "/k" +
                                 std::to_string(m.kernel) + "s" + std::to_string(m.stride);
      add_one("depthwise_u8" + suffix, [t, m](benchmark::State& state) { depthwise_u8(state, t, m); });
      add_one("depthwise_f32" + suffix, [t, m](benchmark::State& state) { depthwise_f32(state, t, m); });
    }
    add_elementwise(t, tier);
    add_one("effnet_lite0_float_operators" + tier, [t](benchmark::State& state) {
      FloatNetwork network(t->isa);
      for (auto _ : state) network.run();
    });
  }
}

void measure_limits() {
  const auto tell = [](const std::string& what, double value) {
    benchmark::AddCustomContext(what, std::to_string(static_cast<int64_t>(value / 1e9)));
  };
  limits().read = measure_read_bandwidth();
  tell("read bandwidth, GB/s", limits().read);
  for (const KernelTable* t : usable_tiers()) {
    const Peak peak = limits().peaks[t] = measure_peak(*t);
    if (peak.integer == 0) continue;
    tell(std::string("int8 peak, GOPS, ") + t->name, peak.integer);
    tell(std::string("float peak, GFLOPS, ") + t->name, peak.real);
  }
}

}  // namespace
}  // namespace quoin::cpu::test

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  quoin::cpu::test::measure_limits();
  quoin::cpu::test::add_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
