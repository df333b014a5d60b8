#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <iterator>

#include "cli/common.hpp"
#include "cli/terminal.hpp"
#include "generate/program_model.hpp"
#include "generate/session.hpp"
#include "generate/stored_tokenizer.hpp"

namespace quoin::cli {
namespace {

constexpr uint64_t kMaxPrompt = 64u << 20;

void add_options(po::options_description& options) {
  using Text = std::string;
  const generate::Sampling defaults;
  options.add_options()("model", po::value<Text>()->value_name("FILE"), "a language model's program")(
      "prompt,p", po::value<Text>()->value_name("TEXT"), "the text to go on from")(
      "prompt-file", po::value<Text>()->value_name("FILE"), "read the prompt from a file (-: standard input)")(
      "interactive", "read one prompt per line; each goes on from all text before it")(
      "tokenizer", po::value<Text>()->value_name("PATH"),
      "tokenizer.json, tokenizer.model or their folder; default: the one in the program")(
      "max-tokens,n", po::value<int64_t>()->value_name("N")->default_value(256),
      "at most so many new tokens (0: until the context is full)")("greedy", "always the most probable token")(
      "temperature", po::value<double>()->value_name("T")->default_value(defaults.temperature, "0.8"),
      "below 1: safer, above 1: wilder; 0 is --greedy")(
      "top-k", po::value<int64_t>()->value_name("K")->default_value(defaults.top_k),
      "choose among the K most probable tokens (0: all)")(
      "top-p", po::value<double>()->value_name("P")->default_value(defaults.top_p, "0.95"),
      "choose among the most probable tokens that have probability P together")(
      "min-p", po::value<double>()->value_name("P")->default_value(defaults.min_p, "0"),
      "leave out tokens with less than P times the highest probability")(
      "repetition-penalty", po::value<double>()->value_name("X")->default_value(defaults.repetition_penalty, "1"),
      "above 1: tokens of the last 64 become less probable")(
      "seed", po::value<uint64_t>()->value_name("N")->default_value(0), "another seed, another text")(
      "stop", po::value<std::vector<Text>>()->value_name("TEXT"), "end before this text; repeatable")(
      "ignore-eos", "go on where the model would end the text");
  add_recipe_options(options);
}

generate::Sampling sampling_of(const Invocation& call) {
  generate::Sampling out;
  out.temperature = call.has("greedy") ? 0 : call.options["temperature"].as<double>();
  out.top_k = call.options["top-k"].as<int64_t>();
  out.top_p = call.options["top-p"].as<double>();
  out.min_p = call.options["min-p"].as<double>();
  out.repetition_penalty = call.options["repetition-penalty"].as<double>();
  out.seed = call.options["seed"].as<uint64_t>();
  return out;
}

Result<generate::Limits> limits_of(const Invocation& call) {
  generate::Limits out{call.options["max-tokens"].as<int64_t>(), call.has("ignore-eos"), call.list("stop")};
  if (out.max_tokens < 0) return fail(Code::usage, "--max-tokens must be at least 0, found {}", out.max_tokens);
  return out;
}

Status check_usage(const Invocation& call) {
  const int sources = (call.has("prompt") ? 1 : 0) + (call.has("prompt-file") ? 1 : 0);
  if (sources > 1) return fail(Code::usage, "--prompt and --prompt-file are given, one is enough");
  if (sources == 0 && !call.has("interactive"))
    return fail(Code::usage, "no prompt").hint("add --prompt TEXT, --prompt-file FILE or --interactive");
  if (call.has("interactive") && call.json)
    return fail(Code::usage, "--json prints one text, --interactive makes many").hint("leave one out");
  return generate::check(sampling_of(call));
}

Result<std::string> prompt_of(const Invocation& call) {
  if (call.has("prompt")) return call.text("prompt");
  const std::string file = call.text("prompt-file");
  if (file == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  return read_text(file, kMaxPrompt);
}

uint64_t file_bytes(const std::string& path) {
  std::error_code failed;
  const uint64_t size = std::filesystem::file_size(path, failed);
  return failed ? 0 : size;
}

uint64_t state_bytes(const runtime::Executable& executable) {
  uint64_t sum = 0;
  for (const runtime::TensorSpec& state : executable.states())
    sum += static_cast<uint64_t>(byte_size(state.type.dtype, state.type.shape));
  return sum;
}

void print_statistics(const generate::Outcome& outcome, const std::string& model,
                      const runtime::Executable& executable) {
  const generate::Statistics& s = outcome.statistics;
  const uint64_t states = state_bytes(executable);
  std::cerr << fmt::format(
      "{}; {} prompt tokens at {:.1f} tokens/s, {} new tokens at {:.1f} tokens/s, first after {:.0f} ms\n",
      generate::describe(outcome.finish), s.prompt_tokens, s.prompt_rate(), s.new_tokens, s.decode_rate(),
      s.first_seconds * 1e3);
  std::cerr << fmt::format("memory: {} key/value cache, {} arena and scratch, {} program (mapped), {} at most in all\n",
                           human_bytes(states), human_bytes(executable.memory() - states),
                           human_bytes(file_bytes(model)), human_bytes(peak_rss_bytes()));
}

Json outcome_json(const std::string& model, const std::string& prompt, const generate::Outcome& outcome,
                  const runtime::Executable& executable, const flow::Context& context) {
  const generate::Statistics& s = outcome.statistics;
  const quoin_host& host = context.services->table();
  const uint64_t states = state_bytes(executable);
  return {{"model", model},
          {"prompt", prompt},
          {"text", outcome.text},
          {"tokens", outcome.tokens},
          {"finish", generate::name(outcome.finish)},
          {"prompt_tokens", s.prompt_tokens},
          {"new_tokens", s.new_tokens},
          {"prefill_tokens_per_second", s.prompt_rate()},
          {"decode_tokens_per_second", s.decode_rate()},
          {"first_token_seconds", s.first_seconds},
          {"state_bytes", states},
          {"arena_bytes", executable.memory() - states},
          {"program_bytes", file_bytes(model)},
          {"peak_rss_bytes", peak_rss_bytes()},
          {"isa", host::isa_name(host.isa)},
          {"threads", host.workers(host.self)}};
}

// One prompt per line until the input ends, the user stops or the context is full.
Status chat(Invocation& call, generate::Session& session, const generate::Limits& limits, const std::string& model,
            const runtime::Executable& executable, const generate::Listener& listener) {
  const bool asks = on_terminal(STDIN_FILENO) && !call.quiet;
  std::optional<std::string> text;
  if (call.has("prompt") || call.has("prompt-file")) {
    QUOIN_TRY(text, prompt_of(call));
  }
  while (true) {
    if (!text) {
      if (asks) std::cerr << "> " << std::flush;
      std::string line;
      if (!std::getline(std::cin, line)) return {};
      if (line.empty()) continue;
      text = line;
    }
    QUOIN_TRY(const generate::Outcome outcome, session.generate(*text, limits, listener));
    std::cout << std::endl;
    if (!call.quiet) print_statistics(outcome, model, executable);
    using generate::Finish;
    if (outcome.finish == Finish::cancelled || outcome.finish == Finish::context) return {};
    text.reset();
  }
}

Status run(Invocation& call) {
  QUOIN_CHECK(check_usage(call));
  QUOIN_TRY(const generate::Limits limits, limits_of(call));
  QUOIN_TRY(const recipe::Recipe recipe, recipe_of(call, call.text("model")));
  QUOIN_TRY(const std::string model, model_of(call, recipe));
  QUOIN_TRY(const auto context, context_of(call, recipe));
  QUOIN_TRY(runtime::Executable executable, flow::open_model(model, recipe, *context, call.diagnostics));
  QUOIN_TRY(const auto steps, generate::open_program(executable, generate::Use::generate));
  QUOIN_TRY(const tokenize::Tokenizer tokenizer,
            generate::find_tokenizer(call.text("tokenizer"), executable.model().metadata, model));
  QUOIN_TRY(auto session, generate::Session::open(*steps, tokenizer, sampling_of(call)));
  QUOIN_CHECK(check_strict(call));
  TerminalProgress interrupt(true);  // shows nothing: the text is the progress; notices Ctrl-C
  const generate::Listener listener = [&](std::string_view text) {
    if (!call.json && !text.empty()) std::cout << text << std::flush;
    return interrupt.step(0) && std::cout.good();
  };
  if (call.has("interactive")) return chat(call, session, limits, model, executable, listener);
  QUOIN_TRY(const std::string prompt, prompt_of(call));
  QUOIN_TRY(const generate::Outcome outcome, session.generate(prompt, limits, listener));
  if (call.json) {
    print(outcome_json(model, prompt, outcome, executable, *context));
    return {};
  }
  std::cout << std::endl;
  if (!call.quiet) print_statistics(outcome, model, executable);
  return {};
}

}  // namespace

Verb generate_verb() {
  return {
      "generate",
      "go on with a text by a language model",
      "PROGRAM --prompt TEXT [--tokenizer PATH]",
      "Writes what the model thinks comes next, as it comes. The prompt is continued as it is: no chat template is\n"
      "applied, so give an instruction model its prompt in the form it was trained with. Ctrl-C ends the text;\n"
      "speed and memory are told at the end on standard error. The same seed gives the same text on every machine.\n\n"
      "  quoin generate stories.quoin --prompt \"Once upon a time\" --greedy --max-tokens 120\n"
      "  quoin generate llama.quoin --prompt-file story.txt --temperature 0.7 --seed 3 --stop \"The End\"\n"
      "  quoin generate llama.quoin --interactive --threads 4",
      {"model"},
      add_options,
      run};
}

}  // namespace quoin::cli
