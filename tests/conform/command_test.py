"""quoin plugin check: exit codes, JSON, JUnit XML, Markdown, conform.yaml, names and files."""

import os
import re
import shlex
import shutil
import sys
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "cli")]
import tap
from command import *

VARIANTS = os.environ["QUOIN_VARIANT_FOLDER"]
NONCONFORMING = 17


def variant(name: str) -> str:
    """A plugin of tests/host/plugins, each of which breaks one promise."""
    return os.path.join(VARIANTS, name + ".so")


class Check(CommandTest):
    def test_a_plugin_is_found_by_name_and_by_file(self):
        by_name = self.json_of("plugin", "check", "cpu", "--group", "manifest", "--group", "exports")
        by_file = self.json_of("plugin", "check", by_name["path"], "--group", "manifest")
        self.assertTrue(by_name["conforms"])
        self.assertEqual([group["name"] for group in by_name["groups"]], ["exports", "manifest"])
        self.assertEqual(by_file["sha256"], by_name["sha256"])
        self.assertEqual(sum(by_name["counts"].values()), len(by_name["cases"]))
        self.matches_schema(by_name, "plugin_check")

    def test_a_plugin_that_does_not_conform_has_an_exit_code_of_its_own(self):
        words = ["plugin open_throws", "cases failed", "docs/conformance.md"]
        self.fails(NONCONFORMING, words, "plugin", "check", variant("open_throws"), "--group", "negotiation")

    def test_failures_say_what_was_found_and_how_to_see_them_again(self):
        done = quoin("plugin", "check", variant("open_crashes"), "--group", "negotiation", "--seed", "3")
        self.assertIn("failed negotiation/first-release", done.stdout)
        self.assertIn("crashed: signal 11", done.stdout)
        self.assertRegex(done.stdout, r"again: quoin plugin check \S+ --group negotiation --seed 3")
        self.assertRegex(done.stdout, r"debug: gdb --args \S+quoin-conform \S+open_crashes.so negotiation only=\S+ seed=3")

    def test_json_is_one_document_also_when_cases_fail(self):
        done = quoin("plugin", "check", variant("open_throws"), "--group", "negotiation", "--json")
        self.assertEqual(done.returncode, NONCONFORMING)
        document = json.loads(done.stdout)
        self.assertFalse(document["conforms"])
        self.matches_schema(document, "plugin_check")

    def test_junit_and_markdown_are_written_also_when_cases_fail(self):
        junit, page = self.path("junit.xml"), self.path("page.md")
        self.fails(NONCONFORMING, [], "plugin", "check", variant("open_crashes"), "--group", "negotiation", "--group",
                   "manifest", "--junit", junit, "--report", page)
        suites = ElementTree.parse(junit).getroot()
        self.assertEqual([suite.get("name") for suite in suites], ["manifest", "negotiation"])
        cases = suites.findall("testsuite/testcase")
        self.assertEqual(len(cases), int(suites.get("tests")))
        self.assertEqual(len(suites.findall("testsuite/testcase/failure")), int(suites.get("failures")))
        self.assertGreater(int(suites.get("failures")), 0)
        with open(page, encoding="utf-8") as file:
            text = file.read()
        self.assertIn("# Conformance of open\\_crashes 1.2.0", text)
        self.assertIn("Does not conform", text)
        self.assertRegex(text, r"SHA-256 \| `[0-9a-f]{64}`")

    def test_conform_yaml_turns_known_failures_into_expected_ones(self):
        config = self.write("conform.yaml", b"xfail:\n  - cases: negotiation/*\n    link: https://example.org/1\n")
        done = quoin("plugin", "check", variant("open_throws"), "--group", "negotiation", "--config", config, "--json")
        document = json.loads(done.stdout)
        outcomes = {case["name"]: case["outcome"] for case in document["cases"]}
        self.assertEqual(outcomes["first-release"], "xfail")
        self.assertEqual(outcomes["static-table"], "xpass")
        self.assertEqual(done.returncode, NONCONFORMING)

    def test_a_tag_that_is_not_needed_is_a_warning_and_strict_makes_it_an_error(self):
        config = self.write("conform.yaml", b"unsupported:\n  - cases: manifest/roles\n    reason: it never will\n")
        arguments = ["plugin", "check", "cpu", "--group", "manifest", "--config", config]
        self.assertIn("manifest/roles is tagged unsupported, but it passes", quoin(*arguments).stderr)
        self.fails(STRICT, ["conform.yaml:2:5"], *arguments, "--strict")

    def test_the_commands_of_the_page_do_what_it_says(self):
        with open(os.path.join(ROOT, "docs", "conformance.md"), encoding="utf-8") as file:
            page = file.read()
        commands = re.findall(r"^    quoin (.*)$", page, re.MULTILINE)
        self.assertGreaterEqual(len(commands), 4)
        os.mkdir(self.path("build"))
        shutil.copy(self.json_of("plugin", "check", "cpu", "--group", "exports")["path"], self.path("build/quoin-acme.so"))
        self.write("conform.yaml", re.search(r"```yaml\n(tolerance.*?)```", page, re.DOTALL).group(1).encode())
        before = os.getcwd()
        os.chdir(self.path("."))
        try:
            for command in commands:
                done = quoin(*shlex.split(command))
                self.assertIn(done.returncode, (0, NONCONFORMING), command + done.stderr)
                self.assertIn("cases passed", done.stdout)
        finally:
            os.chdir(before)
        self.assertTrue(os.path.exists(self.path("CONFORMANCE.md")))

    def test_the_page_has_a_row_for_every_group(self):
        groups = self.json_of("plugin", "check", "xnnpack")["groups"]
        with open(os.path.join(ROOT, "docs", "conformance.md"), encoding="utf-8") as file:
            page = file.read()
        self.assertEqual(len(groups), 17)
        for group in groups:
            self.assertIn(f"| {group['number']} | `{group['name']}` |", page)

    def test_wrong_use_is_refused_with_a_hint(self):
        self.fails(USAGE, ["FILE|NAME"], "plugin", "check")
        self.fails(USAGE, ['did you mean "quick"?'], "plugin", "check", "cpu", "--profile", "quik")
        self.fails(USAGE, ['did you mean "manifest"?'], "plugin", "check", "cpu", "--group", "manifes")
        self.fails(NOT_FOUND, ['did you mean "cpu"?'], "plugin", "check", "cpuu")
        self.fails(NOT_FOUND, ["nowhere.so"], "plugin", "check", "./nowhere.so")
        self.fails(PLUGIN, ["not a shared library"], "plugin", "check", self.write("x.so", b"hello"))
        self.fails(RECIPE_ERROR, ['did you mean "xfail"?'], "plugin", "check", "cpu", "--config",
                   self.write("conform.yaml", b"xfial: []\n"))
        self.fails(USAGE, ["one file"], "plugin", "check", "cpu", "--junit", self.path("a"), "--report", self.path("a"))


tap.run(Check)
