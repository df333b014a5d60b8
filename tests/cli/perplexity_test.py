"""quoin eval --metric perplexity: the story model alone, and quantized beside its float form."""

import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *
from language import *

SIZES = ("--set", "lower.order=[cpu]", "--set", "model.language.context=256", "--set", "model.language.chunk=256")
RECIPE_8DA8W = b"""quantize:
  source:
    rules:
      - {quantizer: int8-dynamic-int8-weight}
      - {module: lm_head, quantizer: null}
"""


class Perplexity(CommandTest):
    @classmethod
    def setUpClass(cls) -> None:
        if not os.path.isdir(STORIES):
            raise unittest.SkipTest("the shared models are not there (set QUOIN_SHARED)")
        cls._made = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls._made.cleanup)
        cls.real, cls.int8 = (os.path.join(cls._made.name, name) for name in ("real.quoin", "int8.quoin"))
        recipe = os.path.join(cls._made.name, "r.yaml")
        with open(recipe, "wb") as file:
            file.write(RECIPE_8DA8W)
        for arguments in ((STORIES, "-o", cls.real), (STORIES, "-c", recipe, "-o", cls.int8)):
            done = quoin("quantize", *arguments, *SIZES)
            if done.returncode != 0:
                raise RuntimeError(done.stderr)

    def evaluated(self, model: str, *arguments: str) -> dict:
        data = () if "--data" in arguments else ("--data", REFERENCE, "--tensor", "stories")
        result = self.json_of("eval", model, "--metric", "perplexity", *data, *arguments)
        self.matches_schema(result, "eval")
        return result

    def test_the_float_model_has_the_perplexity_of_the_reference(self):
        result = self.evaluated(self.real)
        self.assertAlmostEqual(result["perplexity"] / 3.644037961959839, 1, delta=1e-3)
        self.assertEqual((result["n"], result["tokens"], result["scored_tokens"]), (96, 96 * 256, 96 * 255))

    def test_int8_is_hardly_worse_than_float(self):
        result = self.evaluated(self.int8, "--against", self.real)
        self.assertLess(result["perplexity_ratio"], 1.002)
        self.assertAlmostEqual(result["against_perplexity"] / 3.644037961959839, 1, delta=1e-3)
        self.assertAlmostEqual(result["perplexity"] / result["against_perplexity"], result["perplexity_ratio"], delta=1e-9)
        self.assertGreater(result["top1_agreement"], 0.97)
        self.assertTrue(0 < result["kl_mean"] < 0.005 and result["kl_mean"] < result["kl_p99"] <= result["kl_max"])

    def test_a_model_agrees_with_itself(self):
        result = self.evaluated(self.int8, "--against", self.int8, "--limit", "4")
        self.assertEqual((result["kl_max"], result["top1_agreement"], result["perplexity_ratio"]), (0, 1, 1))

    def test_windows_do_not_change_what_is_scored(self):
        whole = self.evaluated(self.real, "--first", "90", "--limit", "3")
        parts = self.evaluated(self.real, "--first", "90", "--limit", "3", "--window", "64", "--stride", "32")
        self.assertEqual(whole["scored_tokens"], parts["scored_tokens"])
        self.assertGreater(parts["perplexity"], whole["perplexity"], "less context")
        self.assertLess(parts["perplexity"], 1.2 * whole["perplexity"])

    def test_a_text_is_scored_by_the_tokenizer_of_the_program(self):
        text = self.write("story.txt", b"Once upon a time, there was a little girl named Lily. She loved to play outside in the park.")
        result = self.evaluated(self.real, "--data", text)
        self.assertLess(result["perplexity"], 3)
        scrambled = self.write("other.txt", b"girl park the Lily in upon a outside named little. time, was There loved she play to a")
        self.assertGreater(self.evaluated(self.real, "--data", scrambled)["perplexity"], 10 * result["perplexity"])
        self.assertIn("perplexity", self.succeeds("eval", self.real, "--metric", "perplexity", "--data", text))

    def test_what_cannot_be_scored_is_named(self):
        at = ("eval", self.real, "--metric", "perplexity")
        self.fails(USAGE, ["no data to score", "--data"], *at)
        self.fails(DATA, ["several tensors of integers"], *at, "--data", REFERENCE)
        self.fails(DATA, ["no tensor \"storys\""], *at, "--data", REFERENCE, "--tensor", "storys")
        self.fails(USAGE, ["there are 96"], *at, "--data", REFERENCE, "--tensor", "stories", "--first", "96")
        self.fails(USAGE, ["--limit must be at least 1"], *at, "--data", REFERENCE, "--tensor", "stories", "--limit", "0")
        self.fails(USAGE, ["the context of 256"], *at, "--data", REFERENCE, "--tensor", "stories", "--window", "257")
        self.fails(NOT_FOUND, ["none.txt"], *at, "--data", self.path("none.txt"))
        safetensors(self.path("wild.safetensors"), {"ids": ("I64", [1, 3], integers([5, 512, 6]))})
        self.fails(DATA, ["token 1 of row 0 is 512, the vocabulary has 512"], *at, "--data", self.path("wild.safetensors"))

    def test_models_of_other_vocabularies_are_not_compared(self):
        folder = self.path("tiny")
        write_model(folder, dict(tiny_config(), max_position_embeddings=256), {"model.safetensors": tiny_tensors()})
        self.fails(USAGE, ["the models have 512 and 40 tokens"], "eval", self.real, "--metric", "perplexity", "--against", folder,
                   "--data", REFERENCE, "--tensor", "stories", "--limit", "1")

    def test_programs_that_are_no_language_models_are_refused(self):
        digits = self.path("digits.quoin")
        self.succeeds("quantize", DIGITS, "-o", digits, "--set", "lower.order=[cpu]")
        self.fails(INPUT, ["keeps no key/value cache"], "eval", digits, "--metric", "perplexity",
                   "--data", REFERENCE, "--tensor", "stories")


tap.run(Perplexity)
