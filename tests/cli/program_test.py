"""Program files on the command line: what verify checks and inspect shows."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *


KEEP = ["--set", "lower.keep_original=true"]  # so that there are weights outside of the delegate


class Program(CommandTest):
    def setUp(self) -> None:
        super().setUp()
        self.program = self.path("digits.quoin")
        self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", self.program, *KEEP)

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
        self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", trusting, *KEEP, "--set", "run.weights=trust")
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

    def test_the_memory_map_tells_what_lies_where(self):
        kernels = self.path("kernels.quoin")
        self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", kernels, "--set", "lower.order=[xnnpack]")
        result = self.json_of("inspect", kernels)
        self.matches_schema(result, "inspect")
        method, = result["methods"]
        position = {node["name"]: i for i, node in enumerate(method["nodes"])}
        places = method["memory"]
        self.assertEqual(max(place["offset"] + place["bytes"] for place in places), method["arena_bytes"])
        for place in places:
            for other in places[:places.index(place)]:
                together = position[place["first"]] <= position[other["last"]] and position[other["first"]] <= position[place["last"]]
                overlap = place["offset"] < other["offset"] + other["bytes"] and other["offset"] < place["offset"] + place["bytes"]
                self.assertFalse(together and overlap, (place, other))
        self.assertTrue(any("conv2d" in place["values"] and "hardtanh" in place["values"] for place in places),
                        "the clamp is written over the products")
        text = self.succeeds("inspect", kernels, "--memory")
        self.assertIn("arena of method forward", text)
        self.assertNotIn("arena of method", self.succeeds("inspect", kernels))

    def test_weights_in_a_second_file(self):
        split = self.path("split.quoin")
        result = self.json_of("quantize", DIGITS, "-c", RECIPE, "-o", split, *KEEP, "--external-weights")
        self.matches_schema(result, "quantize")
        weights = self.path(result["weights_file"])
        self.assertEqual(os.path.getsize(weights), result["sizes"]["weights_bytes"])
        shown = self.json_of("inspect", split)
        self.matches_schema(shown, "inspect")
        self.assertEqual(shown["weights_file"]["name"], result["weights_file"])
        sizes = {key: value for key, value in shown["sizes"].items() if key != "constants_by_dtype"}
        self.assertEqual(sum(sizes.values()), os.path.getsize(split) + os.path.getsize(weights))
        data = os.path.join(QUICKSTART, "test.safetensors")
        for program, folder in ((split, "a"), (self.program, "b")):
            self.succeeds("run", program, "--input", data, "--output", self.path(folder))
        name, = os.listdir(self.path("a"))
        with open(os.path.join(self.path("a"), name), "rb") as a, open(os.path.join(self.path("b"), name), "rb") as b:
            self.assertEqual(a.read(), b.read())
        os.rename(weights, self.path("elsewhere"))
        self.fails(NOT_FOUND, [result["weights_file"]], "verify", split)

    def test_a_bundled_program_checks_itself(self):
        bundled, data = self.path("bundled.quoin"), os.path.join(QUICKSTART, "test.safetensors")
        made = self.json_of("quantize", DIGITS, "-c", RECIPE, "-o", bundled, "--bundle", data, "--bundle-samples", "3")
        self.assertEqual(made["tests"], 3)
        for tier in ("scalar", "avx512vnni"):
            os.environ["QUOIN_ISA_MAX"] = tier
            try:
                result = self.json_of("verify", bundled, "--run")
            finally:
                del os.environ["QUOIN_ISA_MAX"]
            self.matches_schema(result, "verify")
            self.assertEqual([test["passed"] for test in result["tests"]], [True] * 3)
        self.assertIn("passed", self.succeeds("verify", bundled, "--run"))
        self.fails(USAGE, ["carries no tests", "--bundle"], "verify", self.program, "--run")

    def test_a_program_says_what_made_it(self):
        data = os.path.join(QUICKSTART, "test.safetensors")
        bundled = self.path("bundled.quoin")
        self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", bundled, "--bundle", data, "--bundle-samples", "8")
        metadata = self.json_of("inspect", bundled)["metadata"]
        self.assertTrue(metadata["tool"].startswith("quoin "))
        for key in ("recipe_digest", "calibration_digest"):
            self.assertRegex(metadata[key], "^xxh3:[0-9a-f]{16}$")
        accuracy = json.loads(metadata["accuracy"])
        self.assertEqual((accuracy["metric"], accuracy["samples"]), ("top1", 8))
        self.assertNotIn(self._folder.name, json.dumps(metadata))
        other = self.path("other.quoin")
        self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", other, "--set", "quantize.calibrate.samples=50")
        changed = self.json_of("inspect", other)["metadata"]
        self.assertNotEqual(changed["recipe_digest"], metadata["recipe_digest"])
        self.assertEqual(changed["calibration_samples"], "50")

    def test_a_program_does_not_tell_where_it_was_made(self):
        made = []
        for folder in ("first-user", "second-user/projects"):
            for name in ("data", "ranges"):
                os.makedirs(self.path(os.path.join(folder, name)))
            for name in ("digits.pt2", "calibration.safetensors", "test.safetensors"):
                shutil.copy(os.path.join(QUICKSTART, name), self.path(os.path.join(folder, "data", name)))
            place = self.path(folder)
            program = os.path.join(place, "digits.quoin")
            self.succeeds("quantize", os.path.join(place, "data", "digits.pt2"), "-c", RECIPE, "-o", program, *KEEP,
                          "--set", f"quantize.calibrate.data={place}/data/calibration.safetensors",
                          "--set", f"quantize.calibrate.cache={place}/ranges/cache.safetensors",
                          "--set", f"eval.data={place}/data/test.safetensors",
                          "--set", f"plugins.search=[{place}/data/]")
            with open(program, "rb") as file:
                made.append(file.read())
        self.assertEqual(made[0], made[1])
        for word in (self._folder.name, "first-user", "second-user", "projects", os.sep + "data"):
            self.assertNotIn(word.encode(), made[0], word)
        self.assertIn(b"calibration.safetensors", made[0])
        self.fails(USAGE, ["by the name \"test.safetensors\" only", "add --data"], "eval", program)
        self.succeeds("eval", program, "--data", os.path.join(place, "data", "test.safetensors"))


tap.run(Program)
