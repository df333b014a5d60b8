// Runs a fuzz target without libFuzzer: every file of a corpus, its truncations, and random damage of it. Each input
// must keep the limits of limits.hpp. Prints TAP.
//
//   TARGET [--truncations N] [--flips N] [--mutations N] [--seed S] FILE|FOLDER ...
//
// Truncations: of each file at most N, evenly spaced. Flips: 1 to 4 random bits. Mutations: by the target's own
// mutator, which repairs checksums. QUOIN_FUZZ_FACTOR multiplies the counts of a test.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "limits.hpp"
#include "target.hpp"

extern "C" __attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t*, size_t, size_t, unsigned);

namespace {

using Input = std::vector<uint8_t>;

constexpr size_t kGrowth = 64;       // bytes that a mutation may add
constexpr unsigned kWallLimit = 60;  // seconds, of one input on a busy machine

std::mt19937_64 randomness;

struct Options {
  size_t truncations = 0, flips = 0, mutations = 0;
  std::vector<std::string> paths;
};

const Input* current = nullptr;  // for the signal handler
char crash_file[64];

// What broke the target stays beside it, to run again.
void save_and_die(int signal) {
  const int out = ::open(crash_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (out >= 0 && current != nullptr) (void)!::write(out, current->data(), current->size());
  constexpr char kText[] = "not ok 1 # the input is in the file crash-PID of this folder\n";
  (void)!::write(STDOUT_FILENO, kText, sizeof kText - 1);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

double processor_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double slowest = 0;

void run(const Input& input) {
  current = &input;
  ::alarm(kWallLimit);
  const double begin = processor_seconds();
  quoin::fuzz::require(LLVMFuzzerTestOneInput(input.data(), input.size()) == 0, "a target returns 0");
  slowest = std::max(slowest, processor_seconds() - begin);
  if (quoin::fuzz::counts_allocations())  // sanitizers take several times as long
    quoin::fuzz::require(slowest <= quoin::fuzz::kMaxSeconds, "no input takes more than a second");
  ::alarm(0);
}

size_t pick(size_t count) { return static_cast<size_t>(randomness() % count); }

Input flipped(Input input) {
  for (size_t bits = 1 + pick(4); bits > 0 && !input.empty(); --bits)
    input[pick(input.size())] ^= static_cast<uint8_t>(1u << pick(8));
  return input;
}

Input mutated(Input input) {
  const size_t size = input.size(), most = size + kGrowth;
  input.resize(most);
  const auto seed = static_cast<unsigned>(randomness());
  input.resize(LLVMFuzzerCustomMutator != nullptr ? LLVMFuzzerCustomMutator(input.data(), size, most, seed)
                                                  : LLVMFuzzerMutate(input.data(), size, most));
  return input;
}

void cut(const Input& input, size_t most) {
  const size_t count = std::min(most, input.size());
  for (size_t i = 0; i < count; ++i)
    run(Input(input.begin(), input.begin() + static_cast<long>(i * input.size() / count)));
}

Input read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::printf("1..1\nnot ok 1 cannot read %s\n", path.c_str());
    std::exit(1);
  }
  return Input(std::istreambuf_iterator<char>(file), {});
}

std::vector<Input> read_corpus(const std::vector<std::string>& paths) {
  std::vector<std::filesystem::path> files;
  for (const std::string& path : paths)
    if (std::filesystem::is_directory(path))
      for (const auto& entry : std::filesystem::directory_iterator(path)) files.push_back(entry.path());
    else
      files.emplace_back(path);
  std::sort(files.begin(), files.end());
  std::vector<Input> inputs;
  for (const auto& file : files) inputs.push_back(read_file(file));
  return inputs;
}

Options parse(int argc, char** argv) {
  Options options;
  const char* text = std::getenv("QUOIN_FUZZ_FACTOR");
  const size_t factor = text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto number = [&] { return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0; };
    if (word == "--truncations")
      options.truncations = number() * factor;
    else if (word == "--flips")
      options.flips = number() * factor;
    else if (word == "--mutations")
      options.mutations = number() * factor;
    else if (word == "--seed")
      randomness.seed(number());
    else
      options.paths.push_back(word);
  }
  return options;
}

}  // namespace

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size) {
  if (size == 0) return 0;
  switch (pick(4)) {
    case 0: {  // a byte less or more
      const size_t at = pick(size);
      if (size < max_size && pick(2) == 0) {
        std::memmove(data + at + 1, data + at, size - at);
        return size + 1;
      }
      std::memmove(data + at, data + at + 1, size - at - 1);
      return size - 1;
    }
    case 1: {  // a word that limits are made of
      constexpr uint32_t kWords[] = {0,      1,      0x7f,       0x80,       0xff,       0x7fff,
                                     0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff};
      const uint32_t word = kWords[pick(std::size(kWords))];
      const size_t bytes = std::min<size_t>(size_t{1} << pick(3), size);
      std::memcpy(data + pick(size - bytes + 1), &word, bytes);
      return size;
    }
    case 2: {  // bytes of another place
      const size_t bytes = 1 + pick(std::min<size_t>(size, 16));
      std::memmove(data + pick(size - bytes + 1), data + pick(size - bytes + 1), bytes);
      return size;
    }
    default:
      data[pick(size)] = static_cast<uint8_t>(randomness());
      return size;
  }
}

int main(int argc, char** argv) {
  std::snprintf(crash_file, sizeof crash_file, "crash-%d", ::getpid());
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGALRM}) std::signal(signal, save_and_die);
  const Options options = parse(argc, argv);
  const std::vector<Input> corpus = read_corpus(options.paths);
  std::printf("1..1\n");
  if (corpus.empty()) {
    std::printf("not ok 1 the corpus is empty\n");
    return 1;
  }
  for (const Input& input : corpus) run(input);
  if (!quoin::fuzz::any_accepted()) {
    std::printf("not ok 1 the target accepts no seed: everything ends before what it is to read\n");
    return 1;
  }
  for (const Input& input : corpus) cut(input, options.truncations);
  for (size_t i = 0; i < options.flips; ++i) run(flipped(corpus[i % corpus.size()]));
  // Half of the mutations build on another mutation.
  Input last = corpus[0];
  for (size_t i = 0; i < options.mutations; ++i) run(last = mutated(i % 2 == 1 ? last : corpus[i / 2 % corpus.size()]));
  std::printf("ok 1 %zu files, up to %zu truncations of each, %zu flips, %zu mutations; slowest %.3f s", corpus.size(),
              options.truncations, options.flips, options.mutations, slowest);
  if (quoin::fuzz::counts_allocations())
    std::printf(", largest allocation %.1f MB", static_cast<double>(quoin::fuzz::largest_allocation()) / 1e6);
  std::printf("\n");
  return 0;
}
