"""Program files on the command line: what verify checks and inspect shows."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *


class Program(CommandTest):
    def setUp(self) -> None:
        super().setUp()
        self.program = self.path("digits.quoin")
        self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", self.program)

    def damaged(self, kind: str) -> str:
        """A copy with one bit flipped in the middle of the segment."""
        segment = next(s for s in self.json_of("inspect", self.program)["segments"] if s["kind"] == kind)
        with open(self.program, "rb") as file:
            content = bytearray(file.read())
        content[segment["offset"] + segment["bytes"] // 2] ^= 1
        return self.write("damaged.quoin", bytes(content))

    def test_verify_says_what_is_sound(self):
        result = self.json_of("verify", self.program)
        self.matches_schema(result, "verify")
        self.assertEqual(result["bytes"], os.path.getsize(self.program))
        self.assertEqual([s["kind"] for s in result["segments"]][:2], ["GRPH", "WGTS"])
        self.assertEqual(result["methods"], ["forward"])
        self.assertIn("sound", self.succeeds("verify", self.program))

    def test_verify_leads_to_the_fault(self):
        for kind in ("GRPH", "WGTS", "BLOB"):
            words = ["damaged.quoin: segment", f"({kind})", "checksum"]
            self.fails(PROGRAM, words, "verify", self.damaged(kind))
        self.fails(PROGRAM, ["not a Quoin program"], "verify", DIGITS)
        self.fails(NOT_FOUND, ["none.quoin"], "verify", self.path("none.quoin"))
        self.fails(USAGE, ["name a program file"], "verify")

    def test_verify_reads_weights_that_runs_trust(self):
        trusting = self.path("trusting.quoin")
        self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", trusting, "--set", "run.weights=trust")
        self.program = trusting
        damaged, data = self.damaged("WGTS"), os.path.join(QUICKSTART, "test.safetensors")
        self.succeeds("run", damaged, "--input", data)
        self.fails(PROGRAM, ["WGTS"], "verify", damaged)

    def test_verify_reports_faults_as_json(self):
        done = quoin("verify", self.damaged("WGTS"), "--json")
        self.assertEqual(done.returncode, PROGRAM)
        self.matches_schema(json.loads(done.stdout), "error")

    def test_sizes_add_up_to_the_file(self):
        result = self.json_of("inspect", self.program)
        sizes = dict(result["sizes"])
        by_dtype = sizes.pop("constants_by_dtype")
        self.assertEqual(sum(sizes.values()), os.path.getsize(self.program))
        self.assertEqual(sum(by_dtype.values()), sizes["constants"] + sizes["constants_of_originals"])
        self.assertEqual(sum(d["blob_bytes"] for d in result["delegates"]), sizes["blobs"])

    def test_segments_tile_the_file(self):
        result = self.json_of("inspect", self.program)
        end = 64 + 40 * len(result["segments"])
        for segment in result["segments"]:
            self.assertEqual(segment["offset"], -(-end // segment["alignment"]) * segment["alignment"])
            end = segment["offset"] + segment["bytes"]
        self.assertEqual(end, result["bytes"])

    def test_inspect_shows_memory_and_delegates(self):
        result = self.json_of("inspect", self.program)
        for method in result["methods"]:
            self.assertLessEqual(method["live_bytes"], method["arena_bytes"])
        self.assertEqual(result["delegates"][0]["original"]["nodes"], result["delegates"][0]["nodes"])
        text = self.succeeds("inspect", self.program)
        for word in ("GRPH", "WGTS", "BLOB", "delegate 0 (cpu)", "constants s8", "arena"):
            self.assertIn(word, text)


tap.run(Program)
