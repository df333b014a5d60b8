"""Backends that do not compile, and whether the first error of the compiler says what to do; prints TAP.

Every case is a complete, right backend with one mistake put in. The backend without a mistake compiles.
"""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

ROOT = Path(os.environ.get("QUOIN_SOURCE_ROOT", Path(__file__).resolve().parent.parent.parent))
FLAGS = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ferror-limit=1000",
         "-I", str(ROOT / "sdk/include"), "-x", "c++", "-"]

BACKEND = """
#include <quoin/rules.hpp>
namespace sdk = quoin::sdk;
static constexpr int64_t kDepth = 4;
struct Peak {
  static constexpr std::string_view name = "peak", doc = "largest magnitude";
  explicit Peak(const sdk::ObserverSpec&) {}
  void observe(const quoin_tensor&) {}
  sdk::Scales qparams() { return {}; }
  std::vector<std::byte> save() { return {}; }
  void merge(quoin_bytes) {}
};
static constexpr sdk::Rule kRules[] = {{.name = "linear", .pattern = "linear [> relu|hardtanh]"}};
struct Mine : sdk::RuleBackend<Mine> {
  static constexpr std::string_view vendor = "Mine";
  static constexpr quoin_preset presets[] = {{sdk::str("int8"), sdk::str("8 bits"), {}}};
  static constexpr uint32_t blob_format = 1;
  static constexpr bool reentrant = true;
  static constexpr quoin_param_spec options[] = {sdk::param_spec("depth", QUOIN_SCOPE_BACKEND, kDepth, "of the queue")};
  using Observers = std::tuple<Peak>;
  Mine(const quoin_host& h, sdk::Params) : host(h) {}
  static const sdk::RuleTable& rules() { static const sdk::RuleTable table("mine", kRules); return table; }
  void compile(const sdk::LowerRequest&, sdk::Blob& blob) { blob.put(uint32_t{1}); }
  void set_option(const quoin_param&) {}
  quoin_param get_option(std::string_view) { return {}; }
  void derive(uint32_t, std::span<const quoin_qparams* const>, quoin_qparams&) {}
  struct Delegate {
    Delegate(Mine& m, const sdk::Load&) : mine(m) {}
    void plan(sdk::Array<quoin_tensor>, sdk::Array<quoin_tensor>, quoin_memory_need&) {}
    void run(const sdk::Run&) { sdk::parallel_for(mine.host, 1, 1, [](uint64_t, uint64_t, uint32_t) noexcept {}); }
    Mine& mine;
  };
  const quoin_host& host;
};
QUOIN_PLUGIN(Mine, "mine", "1.0.0")
"""


class Mistake(NamedTuple):
    name: str
    right: str    # what of BACKEND
    wrong: str    # is replaced by this
    message: str  # and what the first error says


MISTAKES = [
    Mistake("presets without annotate", "struct Mine : sdk::RuleBackend<Mine>", "struct Mine", "a quantizer needs"),
    Mistake("annotate without presets", "presets[]", "presettings[]", "a quantizer needs"),
    Mistake("annotate with another signature", "  void set_option", "  void annotate(int) {}\n  void set_option", "a quantizer needs"),
    Mistake("partition without compile", "void compile(", "void compiles(", "a compiler needs"),
    Mistake("compile with another signature", "const sdk::LowerRequest&, sdk::Blob& blob", "sdk::Blob& blob", "a compiler needs"),
    Mistake("no blob format", "blob_format", "format", "a compiler needs"),
    Mistake("a delegate that cannot be made from a blob", "const sdk::Load&", "int", "an executor needs"),
    Mistake("a delegate without run", "void run(", "void execute(", "an executor needs"),
    Mistake("a plan with another signature", "quoin_memory_need&", "int", "`Delegate::plan` takes"),
    Mistake("reentrant that is no constant", "static constexpr bool reentrant = true", "static inline bool reentrant = true", "static constexpr bool"),
    Mistake("no constructor from the host", "Mine(const quoin_host& h, sdk::Params)", "Mine(const quoin_host& h)", "a backend needs the constructor"),
    Mistake("options nobody can set", "void set_option(const quoin_param&) {}", "", "needs `set_option"),
    Mistake("set_option without options", "options[]", "choices[]", "need a static array `options`"),
    Mistake("get_option with another signature", "get_option(std::string_view)", "get_option(int)", "`get_option` takes"),
    Mistake("an option's default of another type", "static constexpr int64_t kDepth", "static constexpr int kDepth", "an option's default is"),
    Mistake("an option's default that is a temporary", "QUOIN_SCOPE_BACKEND, kDepth", "QUOIN_SCOPE_BACKEND, int64_t{4}", "deleted function"),
    Mistake("derive with another signature", "void derive(uint32_t, ", "void derive(", "`derive` takes"),
    Mistake("an observer without qparams", "sdk::Scales qparams()", "sdk::Scales scales()", "an observer needs"),
    Mistake("an observer that is saved and never read", "void merge(quoin_bytes) {}", "", "needs both"),
    Mistake("a rule backend without rules", "static const sdk::RuleTable& rules()", "static const sdk::RuleTable& table()", "needs `static const RuleTable& rules()`"),
    Mistake("a pattern with a step left empty", "linear [> relu|hardtanh]", "linear > ", "a_pattern_needs_an_operator_in_every_step"),
    Mistake("a pattern with an alternative left empty", "linear [> relu|hardtanh]", "linear [> relu|]", "a_pattern_needs_an_operator_in_every_step"),
    Mistake("a pattern with an open bracket", "linear [> relu|hardtanh]", "linear [> relu", "a_pattern_needs_brackets_around_an_optional_step"),
    Mistake("a pattern that starts with an option", "linear [> relu|hardtanh]", "[linear]", "a_pattern_needs_brackets_around_an_optional_step"),
    Mistake("a pattern with a comma", "linear [> relu|hardtanh]", "linear, relu", "a_pattern_has_a_character_that_no_operator_has"),
    Mistake("a loop body that may throw", "uint32_t) noexcept", "uint32_t)", "must be noexcept"),
    Mistake("padding in a blob", "blob.put(uint32_t{1})", "struct P { char a; int b; }; blob.put(P{})", "padding bytes would make the blob differ"),
    Mistake("a name with a capital", 'QUOIN_PLUGIN(Mine, "mine"', 'QUOIN_PLUGIN(Mine, "Mine"', "a plugin's name has"),
    Mistake("no version", '"1.0.0"', '""', "a version has"),
    Mistake("a vendor with a quote", 'vendor = "Mine"', 'vendor = "\\"Mine\\""', "`vendor` has"),
    Mistake("a host newer than this header", "static constexpr bool reentrant", "static constexpr uint32_t abi_minor_required = 99;\n  static constexpr bool reentrant", "above the version of this SDK"),
]


def first_error(compiler: str, source: str) -> Optional[str]:
    flags = [flag for flag in FLAGS if "clang" in compiler or flag != "-ferror-limit=1000"]
    done = subprocess.run([compiler, *flags], input=source, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    # An error with the notes that belong to it, up to the next error.
    found = re.search(r"error: .*?(?=^[^\n]*: error: |\Z)", done.stderr, re.DOTALL | re.MULTILINE)
    return found[0] if found else done.stderr


def fault(compiler: str, mistake: Mistake) -> Optional[str]:
    if BACKEND.count(mistake.right) == 0:
        return f"the backend has no {mistake.right!r} any more"
    error = first_error(compiler, BACKEND.replace(mistake.right, mistake.wrong))
    if error is None:
        return "it compiles"
    return None if mistake.message in error else f"expected {mistake.message!r} in the first error:\n{error[:2000]}"


def checks(compiler: str) -> List[Tuple[str, Optional[str]]]:
    right = first_error(compiler, BACKEND)
    results = [(f"{compiler}: a backend without mistakes compiles", right)]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        faults = pool.map(lambda mistake: fault(compiler, mistake), MISTAKES)
        results += [(f"{compiler}: {mistake.name}", found) for mistake, found in zip(MISTAKES, faults)]
    return results


def main() -> int:
    count = failed = 0
    for compiler in ("g++", "clang++"):
        if shutil.which(compiler) is None:
            count += 1
            print(f"ok {count} {compiler} # SKIP {compiler} is not installed")
            continue
        for name, found in checks(compiler):
            count += 1
            failed += found is not None
            print(f"{'ok' if found is None else 'not ok'} {count} {name}")
            for line in (found or "").splitlines():
                print(f"# {line}")
    print(f"1..{count}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
