// quoin: quantize a trained model by the rules of a backend plugin, lower it to a program, run it.
#include <algorithm>
#include <iostream>
#include <sstream>

#include "base/text.hpp"
#include "cli/common.hpp"
#include "cli/terminal.hpp"

namespace quoin::cli {
namespace {

constexpr const char* kVersion = QUOIN_VERSION;

std::vector<std::string> verb_names() {
  std::vector<std::string> names;
  for (const Verb& verb : verbs()) names.push_back(verb.name);
  return names;
}

void print_help() {
  std::cout << "quoin " << kVersion << ": make a trained model small, fast and exact on the hardware of a plugin\n\n"
            << "usage: quoin VERB [options]\n\n";
  for (const Verb& verb : verbs()) std::cout << fmt::format("  {:<12}{}\n", verb.name, verb.summary);
  std::cout << "\nStart with:\n"
            << "  quoin quantize model.pt2 -c recipe.yaml -o model.quoin\n"
            << "  quoin run model.quoin --input photo.jpg\n\n"
            << "`quoin VERB --help` explains a verb. Exit codes: docs/exit_codes.md\n";
}

// Paragraphs flow to 80 columns; indented lines, which are examples, stay as they are.
std::string reflow(const std::string& details) {
  std::string out, paragraph;
  const auto end_paragraph = [&] {
    if (!paragraph.empty())
      for (const std::string& line : wrap(paragraph, 80)) out += line + "\n";
    paragraph.clear();
  };
  std::istringstream lines(details);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.starts_with(' ')) {
      end_paragraph();
      out += line + "\n";
    } else {
      paragraph += (paragraph.empty() ? "" : " ") + line;
    }
  }
  end_paragraph();
  return out;
}

po::options_description options_of(const Verb& verb) {
  po::options_description options("options");
  verb.add_options(options);
  options.add_options()("json", "print one JSON document (docs/json)")("strict", "warnings are errors")(
      "quiet,q", "no progress")("verbose,v", "also print notes that need no action")("help,h", "this text");
  return options;
}

Status parse(const Verb& verb, const po::options_description& options, const std::vector<std::string>& arguments,
             Invocation& call) {
  po::positional_options_description positional;
  for (const std::string& name : verb.positional) {
    const auto* value = dynamic_cast<const po::typed_value_base*>(options.find(name, false).semantic().get());
    const bool list = value != nullptr && value->value_type() == typeid(std::vector<std::string>);
    positional.add(name.c_str(), list ? -1 : 1);
  }
  try {
    po::store(po::command_line_parser(arguments).options(options).positional(positional).run(), call.options);
    po::notify(call.options);
  } catch (const po::error& error) {
    return fail(Code::usage, "{}", error.what())
        .at("quoin {}", verb.name)
        .hint(fmt::format("see quoin {} --help", verb.name));
  }
  call.json = call.has("json");
  call.quiet = call.has("quiet") || call.json;
  return {};
}

Status execute(const Verb& verb, const std::vector<std::string>& arguments, Invocation& call) {
  const po::options_description options = options_of(verb);
  QUOIN_CHECK(parse(verb, options, arguments, call));
  if (call.has("help")) {
    std::cout << "usage: quoin " << verb.name << " " << verb.usage << "\n\n" << reflow(verb.details) << "\n" << options;
    return {};
  }
  const Status status = verb.run(call);
  const bool already_told = !status && status.error().code == Code::strict;  // the error holds the warnings
  if (!already_told) print_notes(call.diagnostics.notes(), call.has("verbose"));
  return status;
}

int report(const Error& error, bool json) {
  std::cerr << "error: " << error.text() << "\n";
  if (json)
    print({{"error",
            {{"kind", code_name(error.code)},
             {"exit_code", static_cast<int>(error.code)},
             {"what", error.what},
             {"where", error.where},
             {"hint", error.hint}}}});
  return static_cast<int>(error.code);
}

int main_checked(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h" || arguments[0] == "help") {
    print_help();
    return arguments.empty() ? static_cast<int>(Code::usage) : 0;
  }
  if (arguments[0] == "--version") {
    std::cout << "quoin " << kVersion << "\n";
    return 0;
  }
  const auto verb = std::find_if(verbs().begin(), verbs().end(), [&](const Verb& v) { return v.name == arguments[0]; });
  if (verb == verbs().end())
    return report(
        {Code::usage, fmt::format("\"{}\" is not a verb", arguments[0]), {}, did_you_mean(arguments[0], verb_names())},
        false);
  Invocation call;
  const Status status = execute(*verb, {arguments.begin() + 1, arguments.end()}, call);
  return status ? 0 : report(status.error(), call.json && !call.answered);
}

}  // namespace

std::span<const Verb> verbs() {
  static const std::vector<Verb> table = {quantize_verb(), calibrate_verb(), export_verb(), run_verb(),
                                          eval_verb(),     generate_verb(),  bench_verb(),  explain_verb(),
                                          inspect_verb(),  verify_verb(),    plugin_verb(), completion_verb()};
  return table;
}

}  // namespace quoin::cli

int main(int argc, char** argv) {
  try {
    const int code = quoin::cli::main_checked({argv + 1, argv + argc});
    if (code != 0 || std::cout.flush()) return code;
    std::cerr << "error: cannot write to standard output (full disk?)\n";
    return static_cast<int>(quoin::Code::io);
  } catch (const std::bad_alloc&) {
    std::cerr << "error: out of memory\n";
    return static_cast<int>(quoin::Code::limit);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << " (a bug in quoin; please report it)\n";
    return static_cast<int>(quoin::Code::internal);
  }
}
