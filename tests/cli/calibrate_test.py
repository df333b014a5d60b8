"""`quoin calibrate` and the calibration cache: parts equal the whole, what does not fit is refused by name."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *

EXACT = ("minmax", "mse", "percentile", "entropy")  # merged parts equal the whole
ALL = EXACT + ("histogram", "moving_average")       # resumed parts equal the whole


class Calibrate(CommandTest):
    def calibrate(self, name: str, *options: str, observer: str = "histogram") -> str:
        path = self.path(name + ".safetensors")
        self.succeeds("calibrate", DIGITS, "-c", RECIPE, "-o", path, "--set", f"quantize.calibrate.observer={observer}", *options)
        return path

    def content(self, path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    def quantize(self, name: str, *options: str):
        path = self.path(name + ".quoin")
        return path, self.json_of("quantize", DIGITS, "-c", RECIPE, "-o", path, *options)

    def test_resumed_parts_equal_the_whole(self):
        for observer in ALL:
            whole = self.calibrate("whole", observer=observer)
            part = self.calibrate("part", "--samples", "0:37", observer=observer)
            rest = self.calibrate("rest", "--resume", part, observer=observer)
            self.assertEqual(self.content(rest), self.content(whole), observer)

    def test_merged_parts_equal_the_whole(self):
        for observer in EXACT:
            whole = self.calibrate("whole", observer=observer)
            parts = [self.calibrate(f"part{i}", "--samples", span, observer=observer) for i, span in enumerate(("60:100", "0:25", "25:60"))]
            merged = self.calibrate("merged", *(word for part in parts for word in ("--merge", part)), observer=observer)
            self.assertEqual(self.content(merged), self.content(whole), observer)

    def test_a_histogram_merges_with_a_warning_free_result_near_the_whole(self):
        parts = [self.calibrate(f"part{i}", "--samples", span) for i, span in enumerate(("0:50", "50:100"))]
        merged = self.calibrate("merged", "--merge", parts[0], "--merge", parts[1])
        program, result = self.quantize("merged", "--calibration", merged)
        self.assertEqual(result["samples"], 100)
        self.assertGreater(self.json_of("eval", program, "-c", RECIPE)["top1"], 0.9)

    def test_a_calibration_gives_the_program_that_the_data_give(self):
        state = self.calibrate("state")
        measured, plain = self.quantize("measured")
        taken, result = self.quantize("taken", "--calibration", state, "--set", "quantize.calibrate.data=nowhere")
        self.assertEqual(plain["calibration"], "")
        self.assertEqual(result["calibration"], state)
        same, _ = self.quantize("same", "--calibration", state)
        self.assertEqual(self.content(same), self.content(measured))
        self.assertTrue(os.path.exists(taken))

    def test_json_says_what_was_run(self):
        path = self.path("a.safetensors")
        result = self.json_of("calibrate", DIGITS, "-c", RECIPE, "-o", path, "--samples", "10:30")
        self.assertEqual((result["ran"], result["samples"], result["stopped"]), (20, "10:30", False))
        self.assertGreater(result["observers"], 3)
        self.matches_schema(result, "calibrate")

    def test_what_cannot_be_joined_is_refused(self):
        part = self.calibrate("part", "--samples", "0:40")
        output = self.path("out.safetensors")
        call = ["calibrate", DIGITS, "-c", RECIPE, "-o", output]
        self.fails(DATA, ["sample 30 is in both"], *call, "--merge", part, "--merge", self.calibrate("other", "--samples", "30:50"))
        self.fails(DATA, ["other specs or observers", part], *call, "--resume", part, "--set", "quantize.calibrate.observer=minmax")
        moving = ["--set", "quantize.calibrate.observer=moving_average"]
        first = self.calibrate("first", "--samples", "0:40", observer="moving_average")
        second = self.calibrate("second", "--samples", "40:50", observer="moving_average")
        self.fails(DATA, ["order"], *call, *moving, "--merge", first, "--merge", second)
        self.fails(DATA, ["other data"], *call, "--resume", part, "--set",
                   "quantize.calibrate.data=" + os.path.join(QUICKSTART, "test.safetensors"))
        self.fails(NOT_FOUND, ["nowhere"], *call, "--resume", self.path("nowhere"))
        self.fails(DATA, [], *call, "--resume", self.write("damaged", b"no calibration"))
        self.assertFalse(os.path.exists(output))

    def test_ranges_of_samples_are_checked(self):
        call = ["calibrate", DIGITS, "-c", RECIPE, "-o", self.path("out.safetensors"), "--samples"]
        for text in ("7", "a:b", "5:5", "9:3", "0:101", ":4", "4:"):
            self.fails(USAGE, ["sample"], *call, text)
        self.fails(USAGE, ["-o"], "calibrate", DIGITS, "-c", RECIPE)

    def test_the_cache_is_kept_used_and_refused(self):
        cache = self.path("cache.safetensors")
        using = ["--set", f"quantize.calibrate.cache={cache}"]
        first, measured = self.quantize("first", *using)
        self.assertEqual(measured["calibration"], "")
        self.assertTrue(os.path.exists(cache))
        second, taken = self.quantize("second", *using, "--strict")
        self.assertEqual(taken["calibration"], cache)
        self.assertEqual(self.content(second), self.content(first))
        text = self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", self.path("a.quoin"), *using)
        self.assertIn("calibration skipped", text)

        before = self.content(cache)
        other = ["--set", "quantize.calibrate.observer=minmax"]
        self.fails(STRICT, ["other specs or observers", cache], "quantize", DIGITS, "-c", RECIPE, "-o", self.path("b.quoin"), *using,
                   *other, "--strict")
        self.assertEqual(self.content(cache), before, "a refused run changes nothing")
        _, again = self.quantize("third", *using, *other)
        self.assertIn("other specs or observers", str(again["notes"]))
        self.assertNotEqual(self.content(cache), before)

        _, fewer = self.quantize("fourth", *using, *other, "--set", "quantize.calibrate.samples=20")
        self.assertEqual(fewer["samples"], 20)
        self.assertIn("is for", str(fewer["notes"]))
        self.write("cache.safetensors", b"garbage")
        _, repaired = self.quantize("fifth", *using, *other)
        self.assertIn("cannot be read", str(repaired["notes"]))
        self.assertEqual(self.quantize("sixth", *using, *other)[1]["calibration"], cache)


tap.run(Calibrate)
