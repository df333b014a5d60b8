"""Compares quoin/abi.h with sdk/abi.lock.yaml: every struct field's type, offset and size, every constant's value.

What the lock of a released minor version holds must never change; new lines may only be added. Run with --update after an
intended change, and read the difference.
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import tap  # noqa: E402

ROOT = Path(os.environ.get("QUOIN_SOURCE_ROOT", Path(__file__).resolve().parent.parent.parent))
HEADER = ROOT / "sdk/include/quoin/abi.h"
LOCK = ROOT / "sdk/abi.lock.yaml"


def declarations(body: str) -> list[str]:
    """The body of a struct cut at the semicolons outside of parentheses."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(body):
        depth += (c == "(") - (c == ")")
        if c == ";" and depth == 0:
            parts.append(body[start:i].strip())
            start = i + 1
    return [" ".join(p.split()) for p in parts if p.strip()]


def fields(body: str) -> list[tuple[str, str]]:
    """(name, type) of every field, in order."""
    out = []
    for text in declarations(body):
        function = re.fullmatch(r"(.+?)\(\*(\w+)\)(\(.*\))", text)
        if function:
            out.append((function[2], f"{function[1].strip()} (*){function[3]}"))
            continue
        first, *others = text.split(",")
        base, name = first.rsplit(None, 1)
        for item in [name, *(o.strip() for o in others)]:
            plain, array = re.fullmatch(r"(\w+)(\[.*\])?", item).groups()
            out.append((plain, base + (array or "")))
    return out


def header_text() -> str:
    text = re.sub(r"/\*.*?\*/", " ", HEADER.read_text(), flags=re.S)
    return re.sub(r"//[^\n]*", "", text)


def structs(text: str) -> list[tuple[str, list[tuple[str, str]]]]:
    found = re.findall(r"typedef struct \w+ \{(.*?)\}\s*(\w+);", text, flags=re.S)
    return [(name, fields(body)) for body, name in found]


def constants(text: str) -> list[str]:
    names = [n for body in re.findall(r"enum \{(.*?)\};", text, flags=re.S) for n in re.findall(r"(QUOIN_\w+) =", body)]
    return names + re.findall(r"#define (QUOIN_(?:ISA|ABI|NONE|NOTE_TYPE)\w*) ", text)


def current() -> str:
    """The lock's text for the header as it is, measured by a C compiler."""
    text = header_text()
    lines = ['#include <quoin/abi.h>', "#include <stdio.h>", "int main(void) {"]

    def say(line: str, *arguments: str) -> None:
        lines.append("  printf(" + ", ".join([f'"{line}\\n"', *arguments]) + ");")

    say("# Layout of sdk/include/quoin/abi.h on LP64; written by tests/sdk/abi_lock.py --update.")
    say("abi: %u.%u", "QUOIN_ABI_MAJOR", "QUOIN_ABI_MINOR")
    say("structs:")
    for name, members in structs(text):
        say(f"  {name}: # %zu bytes", f"sizeof({name})")
        for field, kind in members:
            member = f"(({name}*)0)->{field}"
            say(f"    {field}: {{offset: %zu, size: %zu, type: '{kind}'}}",
                f"offsetof({name}, {field})", f"sizeof({member})")
    say("constants:")
    for name in constants(text):
        say(f"  {name}: %lld", f"(long long){name}")
    program = "\n".join([*lines, "  return 0;", "}"])
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "lock.c")
        source.write_text(program)
        binary = Path(folder, "lock")
        compiler = os.environ.get("CC", "cc").split()
        subprocess.run([*compiler, "-std=c11", "-I", HEADER.parent.parent, source, "-o", binary], check=True)
        return subprocess.run([binary], check=True, capture_output=True, text=True).stdout


class AbiLock(unittest.TestCase):
    def test_header_equals_lock(self):
        self.assertEqual(LOCK.read_text().splitlines(), current().splitlines(),
                         "abi.h and abi.lock.yaml differ; if that is intended, run tests/sdk/abi_lock.py --update")

    def test_every_struct_is_found(self):
        text = header_text()
        self.assertEqual(len(structs(text)), len(re.findall(r"typedef struct \w+ \{", text)))

    def test_header_includes_only_the_standard_library(self):
        self.assertEqual(re.findall(r"#include .*", HEADER.read_text()), ["#include <stddef.h>", "#include <stdint.h>"])


if __name__ == "__main__":
    if "--update" in sys.argv:
        LOCK.write_text(current())
    else:
        tap.run(AbiLock)
