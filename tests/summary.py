"""Prints failed and skipped test cases of a Meson test run, then one line "N passed, N failed, N skipped".

Usage: summary.py BUILD_FOLDER    Exit code 1 when anything failed or nothing ran.
"""

import json
import os
import sys
import xml.etree.ElementTree as xml
from typing import Iterator, List, NamedTuple

GOOD = {"OK", "SKIP", "EXPECTEDFAIL"}


class Case(NamedTuple):
    name: str
    state: str  # passed, failed, skipped
    text: str   # why


def first_line(text: str) -> str:
    """GoogleTest puts "file:line" before the reason that a person wrote."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[1] if len(lines) > 1 and ":" in lines[0] and " " not in lines[0] else lines[0] if lines else ""


def tap_reason(suite: xml.Element, name: str) -> str:
    """The comment below "not ok NAME" in the output of a script."""
    output = (suite.findtext("system-out") or "").splitlines()
    for line, following in zip(output, output[1:]):
        if line.startswith(f"not ok {name}") and following.startswith("#"):
            return following.lstrip("# ")
    return ""


def cases(path: str) -> Iterator[Case]:
    for suite in xml.parse(path).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            name = f"{suite.get('name')}.{case.get('name')}"
            broken = case.find("failure") if case.find("failure") is not None else case.find("error")
            skipped = case.find("skipped")
            if broken is not None:
                text = broken.get("message") or broken.text or tap_reason(suite, case.get("name", ""))
                yield Case(name, "failed", text)
            elif skipped is not None:
                yield Case(name, "skipped", skipped.get("message") or case.findtext("system-out") or "")
            else:
                yield Case(name, "passed", "")


def broken_programs(path: str, found: List[Case]) -> Iterator[Case]:
    """Tests that Meson calls failed without a failed case: crashed, timed out, or never started."""
    with open(path, encoding="utf-8") as handle:
        results = [json.loads(line) for line in handle]
    for result in results:
        own = any(case.state == "failed" and result["name"] in case.name for case in found)
        if result["result"] not in GOOD and not own:
            yield Case(result["name"], "failed", f"{result['result']}, exit code {result.get('returncode')}")


def main() -> int:
    logs = os.path.join(sys.argv[1], "meson-logs")
    found: List[Case] = []
    try:
        found = list(cases(os.path.join(logs, "testlog.junit.xml")))
        found += list(broken_programs(os.path.join(logs, "testlog.json"), found))
    except (OSError, xml.ParseError, ValueError) as error:
        found.append(Case("test results", "failed", str(error)))
    if not found:
        found.append(Case("test results", "failed", "no test ran"))
    for state in ("skipped", "failed"):
        for case in found:
            if case.state == state:
                print(f"{state.upper()}: {case.name}: {first_line(case.text)}")
    counts = {state: sum(case.state == state for case in found) for state in ("passed", "failed", "skipped")}
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
