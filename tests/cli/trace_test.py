"""What --trace writes is what trace viewers read, and tells of every step."""

import json
import os
import sys
from typing import Any, Dict, List

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *

DATA = os.path.join(QUICKSTART, "test.safetensors")


class Trace(CommandTest):
    def program(self, *options: str) -> str:
        path = self.path("digits.quoin")
        self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", path, *options)
        return path

    def read(self, name: str) -> List[Dict[str, Any]]:
        with open(self.path(name), encoding="utf-8") as file:
            return json.load(file)["traceEvents"]

    def steps(self, events: List[Dict[str, Any]], process: int = 1) -> List[Dict[str, Any]]:
        return [event for event in events if event["ph"] == "X" and event["pid"] == process]

    def test_run_traces_delegates_and_their_operations(self):
        program = self.program("--set", "lower.keep_original=true")
        self.succeeds("run", program, "--input", DATA, "--trace", self.path("t.json"))
        events = self.read("t.json")
        call, *inner = self.steps(events)
        self.assertEqual((call["args"]["op"], call["cat"], call["ts"]), ("delegate", "cpu", 0))
        for event in inner:  # nested, so that viewers put them below the call
            self.assertGreaterEqual(event["ts"], call["ts"])
            self.assertLessEqual(event["ts"] + event["dur"], call["ts"] + call["dur"] + 1e-3)
        depthwise = next(event for event in inner if event["args"]["module"] == "block.depthwise.0")
        channels, pixels = 32, 8 * 8  # of operand and result, of a byte each; 3x3 weights of a byte, a bias of four
        self.assertEqual(depthwise["args"]["operations"], 2 * 9 * channels * pixels)
        self.assertEqual(depthwise["args"]["bytes"], channels * (2 * pixels + 9 + 4))
        names = {event["name"]: event["args"]["name"] for event in events if event["ph"] == "M"}
        self.assertEqual(names, {"process_name": program, "thread_name": "run"})

    def test_without_originals_only_products_are_known(self):
        self.succeeds("run", self.program("--set", "lower.keep_original=false"), "--input", DATA, "--trace", self.path("t.json"))
        steps = self.steps(self.read("t.json"))
        self.assertTrue(any("operations" in event["args"] for event in steps))
        self.assertEqual([event["args"]["op"] for event in steps if "bytes" in event["args"]], ["delegate"])

    def test_bench_has_a_process_per_program(self):
        program = self.program("--set", "lower.order=[xnnpack]")  # every node on a portable kernel
        self.succeeds("bench", program, DIGITS, "--runs", "2", "--no-memory", "--trace", self.path("t.json"))
        events = self.read("t.json")
        self.assertEqual([e["args"]["name"] for e in events if e["name"] == "process_name"], [program, DIGITS])
        kernels, delegates = self.steps(events, 1), self.steps(events, 2)
        self.assertTrue(all(event["cat"].startswith("portable") and event["args"]["bytes"] > 0 for event in kernels))
        products = lambda steps: sorted(e["args"]["operations"] for e in steps if "operations" in e["args"])
        self.assertEqual(products(kernels), products(delegates), "int8 and float do the same products")

    def test_traces_match_their_schema(self):
        self.succeeds("bench", self.program(), DIGITS, "--runs", "2", "--no-memory", "--trace", self.path("t.json"))
        with open(self.path("t.json"), encoding="utf-8") as file:
            self.matches_schema(json.load(file), "trace")

    def test_nothing_else_is_overwritten(self):
        program = self.program()
        for arguments in (("run", program, "--input", DATA), ("bench", program, "--runs", "1", "--no-memory")):
            self.fails(USAGE, ["the model and --trace are one file"], *arguments, "--trace", program)
        self.fails(USAGE, ["are one file"], "run", program, "--input", DATA, "--trace", DATA)
        self.fails(IO, ["not a regular file"], "run", program, "--input", DATA, "--trace", "/dev/null")


tap.run(Trace)
