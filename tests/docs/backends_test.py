"""The reference part of every page in docs/backends is what the plugin says of itself; every plugin of ours has a page.

Run with --update to write it anew.
"""

import json
import os
import subprocess
import sys
import unittest
from typing import List

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..")]
import tap  # noqa: E402

ROOT = os.environ["QUOIN_SOURCE_ROOT"]
QUOIN = os.environ["QUOIN_COMMAND"]
PAGES = os.path.join(ROOT, "docs", "backends")
MARK = "<!-- What follows is written by `quoin plugin describe {} --markdown`. -->\n"


def said_by(*arguments: str) -> str:
    return subprocess.run([QUOIN, "plugin", *arguments], capture_output=True, text=True, check=True).stdout


def our_plugins() -> List[str]:
    return [row["name"] for row in json.loads(said_by("list", "--json")) if row["source"] == "build tree"]


def page(name: str) -> str:
    return os.path.join(PAGES, f"{name}.md")


def update() -> None:
    for name in our_plugins():
        mark = MARK.format(name)
        with open(page(name), encoding="utf-8") as file:
            by_hand, found, _ = file.read().partition(mark)
        if not found:
            sys.exit(f"{page(name)}: no line {mark}")
        reference = said_by("describe", name, "--markdown")
        with open(page(name), "w", encoding="utf-8") as file:
            file.write(by_hand + mark + "\n" + reference)


class Pages(unittest.TestCase):
    def test_every_plugin_has_a_page(self):
        self.assertEqual(sorted(os.listdir(PAGES)), sorted(f"{name}.md" for name in our_plugins()))

    def test_the_reference_part_is_what_the_plugin_says(self):
        for name in our_plugins():
            with self.subTest(plugin=name), open(page(name), encoding="utf-8") as file:
                _, found, reference = file.read().partition(MARK.format(name))
                self.assertTrue(found, "the page has no line that starts the reference part")
                self.assertEqual(reference, "\n" + said_by("describe", name, "--markdown"),
                                 "out of date: run tests/docs/backends_test.py --update")


if sys.argv[1:] == ["--update"]:
    update()
else:
    tap.run(Pages)
