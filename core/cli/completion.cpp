#include <iostream>

#include "cli/command.hpp"

namespace quoin::cli {
namespace {

void add_options(po::options_description& options) {
  options.add_options()("shell", po::value<std::string>()->default_value("bash"),
                        "bash (zsh reads it after bashcompinit)");
}

std::string long_options(const Verb& verb) {
  po::options_description options;
  verb.add_options(options);
  std::string words = "--json --strict --quiet --verbose --help";
  for (const auto& option : options.options()) words += " --" + option->long_name();
  return words;
}

Status run(Invocation& call) {
  if (call.text("shell") != "bash")
    return fail(Error{Code::usage, "no completion for " + call.text("shell"), {}, "bash is known"});
  std::string verbs_line, cases;
  for (const Verb& verb : verbs()) {
    verbs_line += verb.name + " ";
    cases += fmt::format("    {}) words=\"{}\";;\n", verb.name, long_options(verb));
  }
  std::cout
      << "_quoin() {\n  local words=\"" << verbs_line
      << "--help --version\"\n  local current=\"${COMP_WORDS[COMP_CWORD]}\"\n"
      << "  if [ \"$COMP_CWORD\" -gt 1 ]; then case \"${COMP_WORDS[1]}\" in\n"
      << cases << "  esac; fi\n"
      << "  if [ \"$COMP_CWORD\" -gt 1 ] && [ \"${current#-}\" = \"$current\" ]; then COMPREPLY=($(compgen -f -- "
         "\"$current\"));\n"
      << "  else COMPREPLY=($(compgen -W \"$words\" -- \"$current\")); fi\n}\ncomplete -o filenames -F _quoin quoin\n";
  return {};
}

}  // namespace

Verb completion_verb() {
  return {"completion", "print a shell completion script",
          "[bash]",     "Put this into your shell's start file:\n\n  eval \"$(quoin completion bash)\"",
          {"shell"},    add_options,
          run};
}

}  // namespace quoin::cli
