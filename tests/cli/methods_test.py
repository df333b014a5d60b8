"""Programs with several methods: a small language model is lowered in float, inspected, run and timed by method."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *
from language import STORIES, integers


class Methods(CommandTest):
    def setUp(self) -> None:
        super().setUp()
        if not os.path.isdir(STORIES):
            self.skipTest("the shared models are not there (set QUOIN_SHARED)")
        self.program = self.path("stories.quoin")
        sizes = ("--set", "model.language.context=64", "--set", "model.language.chunk=8")
        self.succeeds("quantize", STORIES, "-o", self.program, "--set", "lower.order=[cpu]", *sizes)

    def tokens(self, ids: List[int]) -> str:
        path = self.path("tokens.safetensors")
        count = [len(ids)]
        safetensors(path, {"tokens": ("I64", count, integers(ids)), "positions": ("I64", count, integers(list(range(len(ids)))))})
        return path

    def test_inspect_shows_methods_states_and_dynamic_dims(self):
        result = self.json_of("inspect", self.program)
        self.matches_schema(result, "inspect")
        self.assertEqual([method["name"] for method in result["methods"]], ["prefill", "decode", "score"])
        prefill, decode = result["methods"][:2]
        self.assertEqual((prefill["inputs"][0]["shape"], prefill["inputs"][0]["dynamic"]), ([8], [0]))
        self.assertEqual((decode["inputs"][0]["shape"], decode["inputs"][0]["dynamic"]), ([1], []))
        self.assertEqual(prefill["states"], decode["states"])
        self.assertTrue(all(state["in_place"] for state in prefill["states"]))
        text = self.succeeds("inspect", self.program)
        self.assertIn("input  tokens: s64[..8]", text)
        self.assertIn("state  layers.0.k: f32[64, 4, 8]", text)

    def test_run_takes_a_method_and_any_length(self):
        for ids in ([403, 407], [403, 407, 261, 378, 430]):
            result = self.json_of("run", self.program, "--method", "score", "--input", self.tokens(ids))
            self.matches_schema(result, "run")
            self.assertEqual(result["outputs"][0]["shape"], [len(ids), 512])
        self.assertEqual(self.json_of("run", self.program, "--input", self.tokens([403]))["outputs"][0]["shape"], [1, 512])

    def test_too_many_tokens_and_unknown_methods_are_refused(self):
        self.fails(INPUT, ["tokens", "[9]", "[8]"], "run", self.program, "--input", self.tokens(list(range(9))))
        self.fails(USAGE, ["no method", "prefill, decode, score"], "run", self.program, "--method", "scored", "--input", self.tokens([1]))

    def test_bench_times_one_method(self):
        result = self.json_of("bench", self.program, "--method", "decode", "--runs", "2")
        self.matches_schema(result, "bench")
        self.assertIsNotNone(result["programs"][0]["peak_rss_mb"], "the child process runs the same method")

    def test_weights_may_be_trusted(self):
        with open(self.program, "r+b") as file:
            file.seek(-200000, os.SEEK_END)  # in the named data, in front of the blobs
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        self.fails(PROGRAM, ["WGTS", "checksum"], "run", self.program, "--input", self.tokens([1]))
        self.succeeds("run", self.program, "--input", self.tokens([1]), "--set", "run.weights=trust")


tap.run(Methods)
