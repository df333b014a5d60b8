"""Code built for one instruction set must not leak into another: its library may define no weak or unique symbol, and no
global one but its entry point. The linker could otherwise pick, for example, an AVX-512 copy of a shared inline function
for code that runs everywhere.

usage: symbols_test.py NM LIBRARY...
"""
import re
import subprocess
import sys


def leaks(nm, library):
    listing = subprocess.run([nm, "-C", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    defined = re.findall(r"^[0-9a-f]+ (\S) (.+)$", listing, re.MULTILINE)
    entries = [name for kind, name in defined if kind == "T" and re.match(r"quoin::cpu::fill_\w+\(", name)]
    if len(entries) != 1:
        yield f"expected one entry point fill_*(), found {entries}"
    yield from (f"{kind} {name}" for kind, name in defined if kind not in "trbdnN" and name not in entries)


def main(nm, *libraries):
    bad = [f"{library}: {leak}" for library in libraries for leak in leaks(nm, library)]
    print("\n".join(bad) or f"{len(libraries)} libraries keep their symbols to themselves")
    return 1 if bad or not libraries else 0


sys.exit(main(*sys.argv[1:]))
