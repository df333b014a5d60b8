"""Architecture tests over the source tree; prints TAP. Usage: arch_test.py SOURCE_ROOT"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from typing import Callable, List, Tuple

import tree

FOLDERS = ["core", "plugins", "sdk", "tests"]
ABI = os.path.join("sdk", "include", "quoin", "abi.h")


class Skipped(Exception):
    pass


def compiles(root: str, compiler: str, language: List[str]) -> List[str]:
    """abi.h alone in a translation unit, every warning an error."""
    if shutil.which(compiler) is None:
        raise Skipped(f"{compiler} is not installed")
    command = [compiler, *language, "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror",
               "-fsyntax-only", "-I", os.path.join(root, "sdk", "include"), "-"]
    text = "#include <quoin/abi_frozen.h>\nQUOIN_MANIFEST(\"{}\");\nint unit;\n"
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return done.stderr.splitlines() if done.returncode != 0 else []


def abi_length(root: str) -> List[str]:
    count = len(tree.lines(root, ABI))
    return [f"{ABI}: {count} lines, the limit is {tree.MAX_ABI_LINES}"] if count > tree.MAX_ABI_LINES else []


def no_unknown_modules(root: str) -> List[str]:
    folders = {name for name in os.listdir(os.path.join(root, "core")) if os.path.isdir(os.path.join(root, "core", name))}
    return [f"core/{name} has no line in DEPENDENCIES" for name in sorted(folders - set(tree.DEPENDENCIES))]


def exit_codes(root: str) -> List[str]:
    """docs/exit_codes.md has one row per value of quoin::Code, with its name."""
    text = "\n".join(tree.lines(root, os.path.join("core", "base", "result.hpp")))
    codes = re.findall(r"^  (\w+) = (\d+),", text, re.MULTILINE)
    page = "\n".join(tree.lines(root, os.path.join("docs", "exit_codes.md")))
    if not codes:
        return ["no codes found in core/base/result.hpp"]
    return [f"docs/exit_codes.md has no row for {value} {name}" for name, value in codes if f"| {value} | {name} |" not in page]


def finds(file: str, text: str, expected: str) -> Callable[[str], List[str]]:
    """The checks themselves are checked: a tree with this one bad file must give one fault with `expected` in it."""
    def run(_: str) -> List[str]:
        with tempfile.TemporaryDirectory() as root:
            path = os.path.join(root, file)
            os.makedirs(os.path.dirname(path))
            with open(path, "w", encoding="utf-8") as handle:
                handle.write(text)
            top = [file.split("/")[0]]
            faults = (tree.include_faults(root, top[0]) + tree.length_faults(root, top)
                      + tree.left_over_faults(root, top) + tree.guard_faults(root, top))
            right = len(faults) == 1 and expected in faults[0]
            return [] if right else [f"expected one fault with '{expected}', found {faults}"]
    return run


def cases() -> List[Tuple[str, Callable[[str], List[str]]]]:
    found = [(f"core/{module} includes only what it may", lambda root, m=module: tree.include_faults(root, f"core/{m}"))
             for module in tree.DEPENDENCIES]
    return found + [
        ("plugins include only the SDK and their own", lambda root: tree.include_faults(root, "plugins")),
        ("sdk headers depend on the standard library only", lambda root: tree.include_faults(root, "sdk/include")),
        ("every module of core is in the table", no_unknown_modules),
        ("files are short", lambda root: tree.length_faults(root, FOLDERS)),
        ("nothing is left unfinished", lambda root: tree.left_over_faults(root, FOLDERS)),
        ("headers have guards", lambda root: tree.guard_faults(root, FOLDERS)),
        ("exit codes are documented", exit_codes),
        ("abi.h is short", abi_length),
        ("abi.h is C11 for gcc", lambda root: compiles(root, "gcc", ["-x", "c", "-std=c11"])),
        ("abi.h is C11 for clang", lambda root: compiles(root, "clang", ["-x", "c", "-std=c11"])),
        ("abi.h is C++20 for g++", lambda root: compiles(root, "g++", ["-x", "c++", "-std=c++20"])),
        ("abi.h is C++20 for clang++", lambda root: compiles(root, "clang++", ["-x", "c++", "-std=c++20"])),
        ("a forbidden module is found", finds("core/ir/a.cpp", '#include "host/registry.hpp"\n', "may not include host")),
        ("the loader in runtime is found", finds("core/runtime/a.cpp", '#include "host/registry.hpp"\n', "only")),
        ("the SDK in base is found", finds("core/base/a.cpp", "#include <quoin/abi.h>\n", "depends on nothing")),
        ("a leaked third party is found", finds("core/flow/a.cpp", "#include <boost/dll.hpp>\n", "not in the list")),
        ("a misplaced third party is found", finds("core/ir/a.cpp", "#include <zip.h>\n", "belongs to")),
        ("core in a plugin is found", finds("plugins/x/a.cpp", '#include "ir/graph.hpp"\n', "only <quoin/...>")),
        ("a long file is found", finds("core/ir/a.cpp", "\n" * 500, "500 lines")),
        ("a left-over note is found", finds("core/ir/a.cpp", "// TO" + "DO: later\n", "unfinished")),
        ("a header without guard is found", finds("core/ir/a.hpp", "#include <map>\n", "#pragma once")),
    ]


def main() -> int:
    root = sys.argv[1]
    print(f"1..{len(cases())}")
    failed = 0
    for number, (name, check) in enumerate(cases(), 1):
        try:
            faults = check(root)
        except Skipped as why:
            print(f"ok {number} {name} # SKIP {why}")
            continue
        failed += bool(faults)
        print(f"{'not ok' if faults else 'ok'} {number} {name}")
        for fault in faults:
            print(f"# {fault}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
