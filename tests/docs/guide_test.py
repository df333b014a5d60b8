"""Runs the plugin author's guide: its commands in order in an empty folder with an installation, its C++ through a compiler."""

import os
import re
import sys
import tempfile
import unittest
from typing import List

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "out_of_tree")]
import tap
from stage import Stage, install

ROOT = os.environ["QUOIN_SOURCE_ROOT"]
BUILD = os.environ["QUOIN_BUILD_ROOT"]
PRELUDE = "#include <quoin/layers.hpp>\n#include <quoin/specs.hpp>\nnamespace {\nnamespace sdk = quoin::sdk;\n"
FLAGS = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wno-unused", "-Werror"]


def page(name: str) -> str:
    with open(os.path.join(ROOT, "docs", name), encoding="utf-8") as file:
        return file.read()


def commands_of(text: str) -> List[str]:
    """Indented lines, but those of code blocks."""
    return re.findall(r"^ {4,}(\S.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)


class Guide(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def installed(self) -> Stage:
        root = os.path.join(self.folder, "stage")
        self.assertIsNone(install(BUILD, root, "runtime,devel"))
        stage = Stage(root)
        if not stage.quoin:
            self.skipTest("the quoin command is not built (option tools)")
        self.assertIsNone(stage.fault())
        return stage

    def runs(self, commands: List[str]) -> str:
        """In an empty folder, which is returned."""
        stage, work = self.installed(), os.path.join(self.folder, "work")
        os.mkdir(work)
        fault = stage.script("set -x\n" + "\n".join(commands), work)
        self.assertIsNone(fault, fault)
        return work

    def test_commands_work_as_written(self):
        commands = commands_of(page("plugin_guide.md"))
        self.assertGreaterEqual(len(commands), 20)
        self.assertEqual(commands[0], "quoin plugin new acme")
        project = os.path.join(self.runs(commands), "acme")
        for name in ("digits.quoin", "trace.json", "conformance.md", "without/linear.npy"):
            self.assertTrue(os.path.exists(os.path.join(project, name)), name)

    def test_a_plugin_builds_without_a_build_system(self):
        commands = commands_of(page("abi.md").split("## A plugin of your own")[1])
        self.assertGreaterEqual(len(commands), 4)
        work = self.runs(["quoin plugin new acme", "cd acme", *commands])
        self.assertTrue(os.path.exists(os.path.join(work, "acme", "quoin-acme.so")))

    def test_every_piece_of_code_compiles(self):
        blocks = re.findall(r"```cpp\n(.*?)```", page("plugin_guide.md"), re.DOTALL)
        self.assertGreaterEqual(len(blocks), 4)
        source = os.path.join(self.folder, "guide.cpp")
        with open(source, "w", encoding="utf-8") as file:
            file.write(PRELUDE + "\n".join(blocks) + "}\n")
        compiler = os.environ.get("CXX", "g++").split()
        done = Stage(self.folder).run([*compiler, *FLAGS, "-I", os.path.join(ROOT, "sdk", "include"), source], self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)


tap.run(Guide)
