"""docs/parity.md names only tests that exist and counts its rows rightly."""

import os
import re
import sys
import unittest
from typing import List, Set, Tuple

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path[:0] = [os.path.join(HERE, "..")]
import tap

with open(os.path.join(ROOT, "docs", "parity.md"), encoding="utf-8") as page:
    PAGE = page.read()


def rows() -> List[Tuple[str, str, str]]:
    """(reference test, ours, why not) of every table."""
    lines = [[cell.strip() for cell in line[1:-1].split("|")] for line in PAGE.splitlines() if line.startswith("|")]
    return [tuple(cells) for cells in lines if cells[0] != "reference test" and set(cells[0]) != {"-"}]


def defined() -> Set[str]:
    """Suite.Name of every GoogleTest in the sources."""
    found = set()
    for folder, _, files in os.walk(os.path.join(ROOT, "tests")):
        for name in files:
            if not name.endswith(".cpp"):
                continue
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                tests = re.findall(r"^TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\)", file.read(), re.M)
            found |= {".".join(pair) for pair in tests}
    return found


class Parity(unittest.TestCase):
    def test_every_row_is_covered_or_says_why_not(self):
        for reference, ours, why in rows():
            self.assertNotEqual(bool(ours), bool(why), reference)

    def test_every_test_it_names_exists(self):
        known = defined()
        for reference, ours, _ in rows():
            names = re.findall(r"`([^`]+)`", ours)
            self.assertEqual(ours, " ".join(f"`{name}`" for name in names), reference)
            for name in names:
                self.assertIn(name, known, reference)

    def test_the_count_at_its_top_is_right(self):
        stated = re.search(r"\*\*(\d+) of (\d+) rows are covered", PAGE)
        self.assertEqual((int(stated[1]), int(stated[2])), (sum(1 for row in rows() if row[1]), len(rows())))


tap.run(Parity)
