// Speed of the grouped low-bit kernels on the linear layers of a Llama-shaped model (4 layers of 2048 / 5632, 8
// key/value heads' worth of 256 columns, 176 million weights), which no cache holds.
//   grouped_bench [--threads N] [--tier NAME] [--bits 2|4|8] [--group N] [--rows N] [--zeros] [--float] [--cpu-time]
// decode: one token through all layers, GB/s of packed weights and the share of the read bandwidth measured beside it.
// prefill: --rows tokens (128), GOPS (a multiply-add is 2). Quantizing the tokens is part of both; --float: weight
// only. Times are the minimum and the median of the repetitions.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <thread>

#include "../cpu/kernels/machine.hpp"
#include "grouped.hpp"
#include "pack_grouped.hpp"

namespace quoin::cpu::test {
namespace {

struct Options {
  int64_t threads = 1, rows = 128;
  std::string tier;
  GroupedSpec spec;
  bool weight_only = false, cpu_time = false;
};

// `threads` threads that run the same function together, and a barrier for them.
class Crew {
 public:
  explicit Crew(int64_t threads) : size_(threads) {}
  void run(const std::function<void(int64_t)>& work) {
    std::vector<std::thread> others;
    for (int64_t i = 1; i < size_; ++i) others.emplace_back(work, i);
    work(0);
    for (std::thread& t : others) t.join();
  }
  void meet() {
    const int64_t round = round_.load();
    if (waiting_.fetch_add(1) + 1 == size_) {
      waiting_ = 0;
      round_ = round + 1;
      return;
    }
    while (round_.load() == round) std::this_thread::yield();
  }
  int64_t size() const { return size_; }
  // Part `i` of `count` things.
  std::pair<int64_t, int64_t> share(int64_t count, int64_t i) const {
    return {count * i / size_, count * (i + 1) / size_};
  }

 private:
  int64_t size_;
  std::atomic<int64_t> waiting_ = 0, round_ = 0;
};

struct Times {
  double best = 0, median = 0;
};

double seconds_now(bool cpu_time) {
  timespec now{};
  clock_gettime(cpu_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Seconds of work(thread) by all threads together.
Times measure(Crew& crew, bool cpu_time, int repetitions, const std::function<void(int64_t)>& work) {
  std::vector<double> seconds;
  crew.run([&](int64_t thread) {
    for (int i = 0; i < repetitions + 1; ++i) {
      crew.meet();
      const double start = seconds_now(cpu_time);
      work(thread);
      crew.meet();
      if (thread == 0 && i > 0) seconds.push_back(seconds_now(cpu_time) - start);
    }
  });
  std::sort(seconds.begin(), seconds.end());
  return {seconds.front(), seconds[seconds.size() / 2]};
}

struct Free {
  void operator()(uint8_t* p) const { std::free(p); }
};
using Bytes = std::unique_ptr<uint8_t, Free>;
Bytes allocate(int64_t bytes) {
  return Bytes(static_cast<uint8_t*>(std::aligned_alloc(4096, static_cast<size_t>(round_up(bytes, 4096)))));
}

// Reads [begin, end) as `Streams` streams side by side.
template <int Streams>
uint64_t read(const uint8_t* begin, const uint8_t* end) {
  using Wide = uint64_t __attribute__((vector_size(64)));
  Wide sum[Streams] = {};
  const int64_t lines = (end - begin) / 64 / Streams;
  for (int64_t i = 0; i < lines; ++i)
    for (int s = 0; s < Streams; ++s) {
      Wide line;
      std::memcpy(&line, begin + (s * lines + i) * 64, sizeof line);
      sum[s] ^= line;
      __builtin_prefetch(begin + (s * lines + i) * 64 + 2048);
    }
  for (int s = 1; s < Streams; ++s) sum[0] ^= sum[s];
  return sum[0][0] ^ sum[0][5];
}

struct Layer {
  GroupedLayout layout;
  uint8_t* weights = nullptr;
  bool same_input = false;  // as the layer before: no new quantization
  std::vector<float> corr, bias;
};

class Model {
 public:
  Model(const Options& o) : options_(o) {
    struct Shape {
      int64_t n, k;
      bool same_input;
    };
    constexpr Shape kShapes[] = {{2048, 2048, false}, {256, 2048, true},  {256, 2048, true},  {2048, 2048, false},
                                 {5632, 2048, false}, {5632, 2048, true}, {2048, 5632, false}};
    for (int i = 0; i < 4; ++i)
      for (const Shape& s : kShapes) add(s.n, s.k, s.same_input);
    add(512, 2048, false);
    pack();
    const int64_t rows = o.rows;
    Random random(1);
    x_ = random.reals(rows * 5632, -2, 3);
    y_.resize(static_cast<size_t>(rows * 5632));
    codes_ = allocate(token_chunks(5632, o.spec.group) * rows * kGroupedChunk);
    sums_.resize(static_cast<size_t>(rows * 5632 / 8));
    scale_.resize(static_cast<size_t>(rows));
    zero_.resize(static_cast<size_t>(rows));
  }

  // This thread's part of all layers for `rows` tokens.
  void run(const KernelTable& kernels, Crew& crew, int64_t rows, int64_t thread, float* panel) {
    for (const Layer& layer : layers_) {
      const auto [block, block_end] = crew.share(layer.layout.blocks, thread);
      if (options_.weight_only) {
        GemmGroupedF32 g;
        g.layout = &layer.layout, g.weights = layer.weights, g.x = x_.data(), g.x_stride = layer.layout.spec.k;
        g.y = y_.data(), g.y_stride = layer.layout.spec.n, g.rows = rows, g.panel = panel;
        g.block_begin = block, g.block_end = block_end;
        kernels.gemm_grouped_f32(g);
      } else {
        if (!layer.same_input) quantize(kernels, crew, layer, rows, thread);
        GemmGrouped g;
        g.layout = &layer.layout, g.weights = layer.weights, g.corr = layer.corr.data();
        g.codes = reinterpret_cast<int8_t*>(codes_.get()), g.sums = sums_.data(), g.scale = scale_.data();
        g.zero_point = zero_.data(), g.rows = g.row_end = rows, g.y = y_.data(), g.y_stride = layer.layout.spec.n;
        g.block_begin = block, g.block_end = block_end;
        kernels.gemm_grouped(g);
      }
      crew.meet();
    }
  }
  double bytes() const { return static_cast<double>(bytes_); }
  double weights() const { return static_cast<double>(weights_); }
  double pack_seconds() const { return pack_seconds_; }
  const uint8_t* begin() const { return arena_.get(); }
  const uint8_t* end() const { return arena_.get() + bytes_; }

 private:
  void add(int64_t n, int64_t k, bool same_input) {
    GroupedSpec spec = options_.spec;
    spec.n = n, spec.k = k;
    Layer layer;
    layer.layout = GroupedLayout::make(spec).value();
    layer.same_input = same_input;
    layer.corr.resize(static_cast<size_t>(layer.layout.blocks * kGroupedBlock));
    bytes_ += layer.layout.bytes;
    weights_ += n * k;
    layers_.push_back(std::move(layer));
  }
  void pack() {
    arena_ = allocate(bytes_);
    std::memset(arena_.get(), 1, static_cast<size_t>(bytes_));  // page faults are not part of packing
    Random random(2);
    const auto codes = random.integers<uint8_t>(5632 * 2048, 0, 255);
    const std::vector<float> scales(5632 * 2048 / 8, 0.015625f);
    const std::vector<int8_t> zeros(5632 * 2048 / 8, 1);
    const double start = seconds_now(options_.cpu_time);
    uint8_t* at = arena_.get();
    for (Layer& layer : layers_) {
      layer.weights = at;
      at += layer.layout.bytes;
      pack_grouped(layer.layout, {codes.data(), scales.data(), options_.spec.zeros ? zeros.data() : nullptr}, 0,
                   layer.layout.blocks, layer.weights, layer.corr.data());
    }
    pack_seconds_ = seconds_now(options_.cpu_time) - start;
  }
  void quantize(const KernelTable& kernels, Crew& crew, const Layer& layer, int64_t rows, int64_t thread) {
    QuantizeTokens q;
    q.x = x_.data(), q.x_stride = q.k = layer.layout.spec.k, q.group = layer.layout.spec.group;
    q.codes = reinterpret_cast<int8_t*>(codes_.get()), q.sums = sums_.data(), q.scale = scale_.data();
    q.zero_point = zero_.data(), q.rows = rows, q.sum_factor = layer.layout.sum_factor();
    q.choose = choose_token, q.scheme = 2, q.eps = 1e-6f;
    std::tie(q.row_begin, q.row_end) = crew.share(rows, thread);
    kernels.quantize_tokens(q);
    crew.meet();
  }

  Options options_;
  std::vector<Layer> layers_;
  Bytes arena_, codes_;
  int64_t bytes_ = 0, weights_ = 0;
  double pack_seconds_ = 0;
  std::vector<float> x_, y_, scale_;
  std::vector<int32_t> sums_, zero_;
};

Times read_bandwidth(const Model& model, bool cpu_time, Crew& crew) {
  std::atomic<uint64_t> sink = 0;
  Times best{1e9, 1e9};
  for (const auto reader : {read<1>, read<2>, read<4>, read<8>}) {
    const Times t = measure(crew, cpu_time, 15, [&](int64_t thread) {
      const auto [first, last] = crew.share((model.end() - model.begin()) / 4096, thread);
      sink += reader(model.begin() + first * 4096, model.begin() + last * 4096);
    });
    best = {std::min(best.best, t.best), std::min(best.median, t.median)};
  }
  return best;
}

void run(const Options& o) {
  Model model(o);
  Crew crew(o.threads);
  const GroupedSpec& s = o.spec;
  std::printf("%.0f M weights of %u bits, group %ld%s, %ld threads: %.4f bytes per weight, packed in %.3f s\n",
              model.weights() / 1e6, s.bits, static_cast<long>(s.group), s.zeros ? ", zero points" : "",
              static_cast<long>(o.threads), model.bytes() / model.weights(), model.pack_seconds());
  std::vector<std::unique_ptr<float[]>> panels;
  for (int64_t i = 0; i < o.threads; ++i)
    panels.push_back(std::make_unique<float[]>(kGroupedPanelBlocks * kGroupedBlock * 5632));
  for (const KernelTable* tier : usable_tiers()) {
    if (!o.tier.empty() && o.tier != tier->name) continue;
    const bool slow = std::string(tier->name) == "scalar" && o.tier.empty();
    const auto pass = [&](int64_t rows) {
      const int repetitions = slow ? 1 : rows == 1 ? 40 : 7;
      return measure(crew, o.cpu_time, repetitions, [&](int64_t thread) {
        model.run(*tier, crew, rows, thread, panels[static_cast<size_t>(thread)].get());
      });
    };
    const Times bandwidth = read_bandwidth(model, o.cpu_time, crew), decode = pass(1), prefill = pass(o.rows);
    const double gigabytes = model.bytes() / 1e9, giga_ops = 2e-9 * model.weights() * static_cast<double>(o.rows);
    std::printf(
        "%-12s read %5.1f GB/s | decode %7.3f ms (median %7.3f) %5.1f GB/s, %3.0f %% of read (median %3.0f %%) | "
        "%ld tokens %8.2f ms (median %8.2f) %7.1f GOPS\n",
        tier->name, gigabytes / bandwidth.best, 1e3 * decode.best, 1e3 * decode.median, gigabytes / decode.best,
        100 * bandwidth.best / decode.best, 100 * bandwidth.median / decode.median, static_cast<long>(o.rows),
        1e3 * prefill.best, 1e3 * prefill.median, giga_ops / prefill.best);
    std::fflush(stdout);
  }
}

bool parse(int count, char** words, Options& o) {
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--float") {
      o.weight_only = true;
      continue;
    }
    if (word == "--zeros") {
      o.spec.zeros = true;
      continue;
    }
    if (word == "--cpu-time") {
      o.cpu_time = true;
      continue;
    }
    if (i + 1 == count) return false;
    const std::string value = words[++i];
    if (word == "--tier") {
      o.tier = value;
      continue;
    }
    const long number = std::atol(value.c_str());
    if (number < 1) return false;
    if (word == "--threads")
      o.threads = number;
    else if (word == "--rows")
      o.rows = number;
    else if (word == "--bits")
      o.spec.bits = static_cast<uint32_t>(number);
    else if (word == "--group")
      o.spec.group = number;
    else
      return false;
  }
  o.spec.n = o.spec.k = 2048;
  return GroupedLayout::make(o.spec).has_value();
}

}  // namespace
}  // namespace quoin::cpu::test

int main(int count, char** words) {
  quoin::cpu::test::Options options;
  if (!quoin::cpu::test::parse(count, words, options)) {
    std::fputs(
        "usage: grouped_bench [--threads N] [--tier NAME] [--bits 2|4|8] [--group N] [--rows N] [--zeros] [--float] "
        "[--cpu-time]\n",
        stderr);
    return 2;
  }
  quoin::cpu::test::run(options);
  return 0;
}
