"""Compares quoin/abi.h with sdk/abi.lock.yaml: every struct field's type, offset and size, every constant's value; and the
lock with that of every released tag (v*).

What the lock of a release holds never changes within a major version; new fields and constants raise the minor. Run with
--update after an intended change, and read the difference.
"""

import os
import re
import shutil
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


# Embedded by value in other structs: they cannot grow.
BY_VALUE = {"quoin_str", "quoin_bytes", "quoin_array", "quoin_place"}


def entries(lock: str) -> dict[str, str]:
    """"struct.field" or the constant's name -> what the lock says of it."""
    found, struct = {}, ""
    for line in lock.splitlines():
        if match := re.fullmatch(r"  (\w+): # \d+ bytes", line):
            struct = match[1]
        elif match := re.fullmatch(r"    (\w+): (\{.*\})", line):
            found[f"{struct}.{match[1]}"] = match[2]
        elif match := re.fullmatch(r"  (\w+): (-?\d+)", line):
            found[match[1]] = match[2]
    return found


def faults(tag: str, released: str, now: str) -> list[str]:
    """How the lock `now` breaks what the release promised; empty for another major version."""
    old, new = entries(released), entries(now)
    if old["QUOIN_ABI_MAJOR"] != new["QUOIN_ABI_MAJOR"]:
        return []
    minor = "QUOIN_ABI_MINOR"
    out = [f"{tag} had {name}: {old[name]}, now {new.get(name, 'nothing')}"
           for name in old if name != minor and new.get(name) != old[name]]
    added = [name for name in new if name not in old]
    out += [f"{name} is new since {tag}, but its struct is embedded by value" for name in added
            if name.split(".")[0] in BY_VALUE]
    if added and int(new[minor]) <= int(old[minor]):
        out.append(f"{added[0]} is new since {tag}: raise {minor}, which is {new[minor]}")
    return out


def released_locks(root: Path) -> dict[str, str]:
    """Tag -> its lock. Raises SkipTest where nothing can be compared."""
    def git(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    try:
        tags = git("tag", "--list", "v*")
    except FileNotFoundError:
        raise unittest.SkipTest("git is not installed") from None
    if tags.returncode != 0:
        raise unittest.SkipTest("not a git checkout: " + tags.stderr.strip())
    locks = {tag: git("show", f"{tag}:sdk/abi.lock.yaml") for tag in tags.stdout.split()}
    found = {tag: shown.stdout for tag, shown in locks.items() if shown.returncode == 0}
    if not found:
        raise unittest.SkipTest("no released tag (v*) with an abi.lock.yaml in this checkout")
    return found


class Releases(unittest.TestCase):
    def test_every_release_is_kept(self):
        now = LOCK.read_text()
        for tag, lock in released_locks(ROOT).items():
            self.assertEqual(faults(tag, lock, now), [])

    def changed(self, old: str, new: str) -> list[str]:
        lock = LOCK.read_text()
        self.assertIn(old, lock)
        return faults("v1", lock, lock.replace(old, new))

    def test_the_same_lock_is_kept(self):
        self.assertEqual(self.changed("abi:", "abi:"), [])

    def test_a_field_that_moved_is_found(self):
        self.assertIn("v1 had quoin_run.scratch_size", self.changed(
            "    scratch_size: {offset: 48", "    scratch_size: {offset: 56")[0])

    def test_a_constant_that_changed_is_found(self):
        self.assertIn("v1 had QUOIN_CORRUPT: 6, now 7", self.changed("  QUOIN_CORRUPT: 6", "  QUOIN_CORRUPT: 7"))

    def test_growth_without_a_new_minor_is_found(self):
        ext = "    ext: {offset: 120, size: 8, type: 'const quoin_ext*'}\n"
        more = ext + "    more: {offset: 128, size: 8, type: 'uint64_t'}\n"
        self.assertIn("raise QUOIN_ABI_MINOR", self.changed(ext, more)[0])
        lock = LOCK.read_text()
        grown = lock.replace(ext, more).replace("  QUOIN_ABI_MINOR: 0", "  QUOIN_ABI_MINOR: 1")
        self.assertEqual(faults("v1", lock, grown), [])

    def test_growth_of_what_is_embedded_is_found(self):
        data = "  quoin_bytes: # 16 bytes\n"
        self.assertIn("embedded by value", "".join(self.changed(
            data, data + "    more: {offset: 16, size: 8, type: 'uint64_t'}\n")))

    @unittest.skipUnless(shutil.which("git"), "git is not installed")
    def test_locks_are_read_from_tags(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "sdk").mkdir()
            (Path(folder) / "sdk/abi.lock.yaml").write_text("the lock\n")
            identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
            for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "release"], ["tag", "v1.0.0"]):
                if subprocess.run(["git", "-C", folder, *command], check=False, capture_output=True).returncode != 0:
                    self.skipTest("git cannot commit here")
            self.assertEqual(released_locks(Path(folder)), {"v1.0.0": "the lock\n"})


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
        tap.run(AbiLock, Releases)
