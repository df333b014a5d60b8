// Prefill and decode of a language program, beside what the memory of the machine can deliver.
//
//   language_bench PROGRAM [THREADS] [PREFILL_TOKENS] [DECODE_TOKENS] [--plugin FOLDER]
//
// Prints one JSON line: milliseconds (minimum, median), the bandwidth that a plain read of as many bytes as the
// program's weights reaches in the same process, and the share of it that decode reaches.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <numeric>
#include <thread>

#include "base/file.hpp"
#include "flow/flow.hpp"

namespace quoin {
namespace {

template <class T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  std::cerr << "error: " << result.error().text() << "\n";
  std::exit(1);
}

double milliseconds(const std::function<void()>& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

struct Times {
  double least = 0, median = 0;
};
Times summary(std::vector<double> times) {
  std::ranges::sort(times);
  return {times.front(), times[times.size() / 2]};
}

// Sums of words: eight independent chains, so that the loop waits for memory and not for additions.
uint64_t read_all(std::span<const std::byte> bytes) {
  const auto* words = reinterpret_cast<const uint64_t*>(bytes.data());
  uint64_t sums[8] = {};
  for (size_t i = 0; i + 8 <= bytes.size() / 8; i += 8)
    for (size_t lane = 0; lane < 8; ++lane) sums[lane] += words[i + lane];
  return std::accumulate(std::begin(sums), std::end(sums), uint64_t{0});
}

class Bench {
 public:
  Bench(runtime::Executable executable, uint32_t threads) : run_(std::move(executable)), threads_(threads) {}

  Times prefill(int64_t tokens, size_t rounds) {
    return time("prefill", tokens, rounds, [](size_t) { return int64_t{0}; });
  }
  Times decode(size_t rounds) {
    return time("decode", 1, rounds, [](size_t round) { return static_cast<int64_t>(round) + 8; });
  }
  // Bytes per second that `threads` threads read.
  double bandwidth(std::span<const std::byte> bytes, size_t rounds) {
    std::vector<double> times;
    std::vector<uint64_t> sums(threads_);
    for (size_t round = 0; round < rounds; ++round)
      times.push_back(milliseconds([&] {
        std::vector<std::thread> others;
        const size_t part = bytes.size() / threads_ / 64 * 64;
        for (uint32_t t = 1; t < threads_; ++t)
          others.emplace_back([&, t] { sums[t] += read_all(bytes.subspan(t * part, part)); });
        sums[0] += read_all(bytes.subspan(0, part));
        for (std::thread& other : others) other.join();
      }));
    if (std::accumulate(sums.begin(), sums.end(), uint64_t{0}) == 1) std::cerr << "\n";  // the sums are used
    return static_cast<double>(bytes.size()) / summary(times).least * 1e3;
  }

 private:
  Times time(const char* method, int64_t tokens, size_t rounds, const std::function<int64_t(size_t)>& first) {
    const auto index = run_.method(method);
    if (!index) {
      std::cerr << "error: the program has no method " << method << "\n";
      std::exit(1);
    }
    std::vector<double> times;
    for (size_t round = 0; round < rounds + 3; ++round) {
      Tensor ids(DType::s64, {tokens}), positions(DType::s64, {tokens});
      for (int64_t i = 0; i < tokens; ++i) {
        ids.as<int64_t>()[static_cast<size_t>(i)] = 3 + (i + static_cast<int64_t>(round)) % 200;
        positions.as<int64_t>()[static_cast<size_t>(i)] = first(round) + i;
      }
      const std::vector<Tensor> inputs = {ids, positions};
      const double spent = milliseconds([&] { must(run_.run(*index, inputs)); });
      if (round >= 3) times.push_back(spent);
    }
    return summary(times);
  }

  runtime::Executable run_;
  uint32_t threads_;
};

int run(const std::vector<std::string>& arguments) {
  std::vector<std::string> plain, folders;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--plugin" && i + 1 < arguments.size())
      folders.push_back(arguments[++i]);
    else
      plain.push_back(arguments[i]);
  }
  if (plain.empty()) {
    std::cerr << "usage: language_bench PROGRAM [THREADS] [PREFILL_TOKENS] [DECODE_TOKENS] [--plugin FOLDER]\n";
    return 2;
  }
  const auto number = [&](size_t i, int64_t missing) { return i < plain.size() ? std::stoll(plain[i]) : missing; };
  recipe::Recipe recipe;
  recipe.run.threads = number(1, 1);
  Diagnostics diagnostics;
  const auto context = must(flow::make_context(recipe, folders, true, diagnostics));
  const MappedFile file = must(MappedFile::open(plain[0]));
  Bench bench(must(flow::open_model(plain[0], recipe, *context, diagnostics)), static_cast<uint32_t>(number(1, 1)));
  const Times prefill = bench.prefill(number(2, 128), 6);
  const Times decode = bench.decode(static_cast<size_t>(number(3, 100)));
  const double read = bench.bandwidth(file.bytes(), 10);
  const double used = static_cast<double>(file.bytes().size()) / decode.least * 1e3;
  std::cout << fmt::format(
      R"({{"isa":"{}","threads":{},"prefill":{{"ms_min":{:.3f},"ms_median":{:.3f}}},"decode":{{"ms_min":{:.3f},"ms_median":{:.3f}}},)"
      R"("read_gb_s":{:.2f},"decode_gb_s":{:.2f},"decode_share":{:.3f}}})"
      "\n",
      host::isa_name(context->services->table().isa), recipe.run.threads, prefill.least, prefill.median, decode.least,
      decode.median, read / 1e9, used / 1e9, used / read);
  return 0;
}

}  // namespace
}  // namespace quoin

int main(int argc, char** argv) { return quoin::run({argv + 1, argv + argc}); }
