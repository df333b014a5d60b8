#include <iostream>

#include "cli/plugin_action.hpp"

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

// What a verb's first argument may be, where it is no file.
std::string actions(const Verb& verb) {
  std::string names;
  if (verb.name == "plugin")
    for (const PluginAction& action : plugin_actions()) names += (names.empty() ? "" : " ") + action.name;
  return !names.empty() ? names : verb.name == "completion" ? "bash" : "";
}

Status run(Invocation& call) {
  if (call.text("shell") != "bash")
    return fail(Code::usage, "{}", "no completion for " + call.text("shell")).hint("bash is known");
  std::string verbs_line, cases;
  for (const Verb& verb : verbs()) {
    verbs_line += verb.name + " ";
    cases += fmt::format("    {}) words=\"{}\" actions=\"{}\";;\n", verb.name, long_options(verb), actions(verb));
  }
  std::cout << "_quoin() {\n  local words=\"" << verbs_line << "--help --version\" actions=\n"
            << R"(  local current="${COMP_WORDS[COMP_CWORD]}" IFS=$' \n'
  if [ "$COMP_CWORD" -gt 1 ]; then
    case "${COMP_WORDS[1]}" in
)" << cases << R"(    esac
  fi
  if [ "$COMP_CWORD" -gt 1 ] && [ "${current#-}" = "$current" ]; then
    if [ -n "$actions" ]; then COMPREPLY=($(compgen -W "$actions" -- "$current"))
    else IFS=$'\n' COMPREPLY=($(compgen -f -- "$current")); fi
  else COMPREPLY=($(compgen -W "$words" -- "$current")); fi
}
complete -o filenames -F _quoin quoin
)";
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
