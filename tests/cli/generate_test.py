"""quoin generate: texts of the shared story model, and what is refused."""

import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *
from language import *

PROMPT = "Once upon a time"


class Generate(CommandTest):
    @classmethod
    def setUpClass(cls) -> None:
        if not os.path.isdir(STORIES):
            raise unittest.SkipTest("the shared models are not there (set QUOIN_SHARED)")
        cls._made = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls._made.cleanup)
        cls.program = os.path.join(cls._made.name, "stories.quoin")
        done = quoin("quantize", STORIES, "-o", cls.program, "--set", "lower.order=[cpu]", "--set", "model.language.context=256")
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        with open(os.path.join(STORIES, "reference.json"), encoding="utf-8") as file:
            cls.reference = json.load(file)

    def text(self, *arguments: str) -> str:
        return self.json_of("generate", self.program, "--prompt", PROMPT, *arguments)["text"]

    def with_input(self, given: str, *arguments: str) -> str:
        done = subprocess.run([QUOIN, "generate", self.program, *arguments], input=given, capture_output=True, text=True,
                              check=False, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_the_greedy_text_is_that_of_the_reference(self):
        result = self.json_of("generate", self.program, "--prompt", PROMPT, "--greedy", "--max-tokens", "120")
        self.matches_schema(result, "generate")
        self.assertEqual(PROMPT + result["text"], self.reference["greedy_text"])
        said = read_integers(REFERENCE, "greedy")
        self.assertEqual(result["tokens"], said[len(said) - 120:])
        self.assertEqual((result["finish"], result["prompt_tokens"], result["new_tokens"]), ("max_tokens", 5, 120))
        self.assertGreater(result["decode_tokens_per_second"], 0)
        self.assertEqual(result["state_bytes"], 5 * 2 * 256 * 4 * 8 * 4, "layers, keys and values, positions, heads, floats")

    def test_text_streams_to_standard_output_and_figures_to_standard_error(self):
        arguments = ("generate", self.program, "--prompt", PROMPT, "--temperature", "0", "-n", "20")
        done = quoin(*arguments)
        self.assertEqual(done.stdout, self.text("--greedy", "-n", "20") + "\n")
        for word in ("5 prompt tokens", "20 new tokens at", "key/value cache", "the limit of new tokens"):
            self.assertIn(word, done.stderr)
        self.assertEqual(quoin(*arguments, "--quiet").stderr, "")

    def test_the_same_seed_gives_the_same_text(self):
        sampled = ("--temperature", "1.2", "-n", "40")
        first = self.text("--seed", "7", *sampled)
        self.assertEqual(self.text("--seed", "7", *sampled), first)
        self.assertEqual(self.text("--seed", "7", "--threads", "2", *sampled), first)
        self.assertNotEqual(self.text("--seed", "8", *sampled), first)
        self.assertEqual(self.text("--seed", "8", "--top-k", "1", *sampled), self.text("--greedy", "-n", "40"))

    def test_every_instruction_set_writes_the_same(self):
        expected = self.text("--greedy", "-n", "60")
        for tier in ("scalar", "avx2"):
            self.assertEqual(self.text("--greedy", "-n", "60", "--set", f"lower.isa={tier}"), expected, tier)

    def test_a_stop_text_ends_it_and_is_not_shown(self):
        result = self.json_of("generate", self.program, "--prompt", PROMPT, "--greedy", "--stop", "Lily")
        self.assertEqual((result["finish"], result["text"]), ("stop_string", ", there was a little girl named "))

    def test_it_ends_when_the_context_is_full(self):
        result = self.json_of("generate", self.program, "--prompt", PROMPT, "--greedy", "-n", "0", "--ignore-eos")
        self.assertEqual((result["finish"], result["prompt_tokens"] + result["new_tokens"]), ("context", 257),
                         "the last token is written and not read")

    def test_prompts_come_from_files_and_standard_input(self):
        expected = self.text("--greedy", "-n", "20")
        path = self.write("prompt.txt", PROMPT.encode())
        self.assertEqual(self.json_of("generate", self.program, "--prompt-file", path, "--greedy", "-n", "20")["text"], expected)
        self.assertEqual(self.with_input(PROMPT, "--prompt-file", "-", "--greedy", "-n", "20"), expected + "\n")

    def test_a_conversation_goes_on_from_all_text_before(self):
        chat = self.with_input("Once upon\n a time\n", "--interactive", "--greedy", "-n", "1", "--quiet")
        self.assertEqual(chat.count("\n"), 2)
        first = self.json_of("generate", self.program, "--prompt", "Once upon", "--greedy", "-n", "1")["text"]
        self.assertEqual(chat.split("\n")[0], first)

    def test_a_folder_is_lowered_on_the_spot(self):
        result = self.json_of("generate", STORIES, "--prompt", PROMPT, "--greedy", "-n", "20")
        self.assertTrue(self.reference["greedy_text"].startswith(PROMPT + result["text"]))

    def test_what_makes_no_sense_is_refused(self):
        at = ("generate", self.program)
        self.fails(USAGE, ["no prompt", "--interactive"], *at)
        self.fails(USAGE, ["one is enough"], *at, "--prompt", "a", "--prompt-file", "b")
        self.fails(USAGE, ["--json prints one text"], *at, "--interactive", "--json")
        self.fails(USAGE, ["--max-tokens"], *at, "--prompt", "a", "-n", "-1")
        for option, value in (("temperature", "-1"), ("temperature", "nan"), ("top-p", "1.5"), ("top-p", "0"), ("min-p", "2"),
                              ("top-k", "-1"), ("repetition-penalty", "0")):
            with self.subTest(option=option, value=value):
                words = option if option != "repetition-penalty" else "repetition penalty"
                self.fails(USAGE, [words], *at, "--prompt", "a", f"--{option}", value)
        self.fails(USAGE, ["stop text"], *at, "--prompt", "a", "--stop", "")

    def test_bad_prompts_and_files_are_named(self):
        at = ("generate", self.program)
        self.fails(INPUT, ["the context of 256", "model.language.context"], *at, "--prompt", "once " * 300)
        self.fails(NOT_FOUND, ["none.txt"], *at, "--prompt-file", self.path("none.txt"))
        self.fails(INPUT, ["UTF-8"], *at, "--prompt-file", self.write("bad.txt", b"\xff\xfe"))
        self.fails(NOT_FOUND, ["none.quoin"], "generate", self.path("none.quoin"), "--prompt", "a")
        self.fails(NOT_FOUND, ["none.model"], *at, "--prompt", "a", "--tokenizer", self.path("none.model"))

    def test_errors_are_json_if_asked(self):
        done = quoin("generate", self.program, "--prompt", "once " * 300, "--json")
        self.assertEqual(done.returncode, INPUT)
        self.matches_schema(json.loads(done.stdout), "error")

    def test_programs_that_are_no_language_models_are_refused(self):
        digits = self.path("digits.quoin")
        self.succeeds("quantize", DIGITS, "-o", digits, "--set", "lower.order=[cpu]")
        self.fails(INPUT, ["keeps no key/value cache", "quoin quantize"], "generate", digits, "--prompt", "a")

    def test_a_program_without_a_tokenizer_asks_for_one(self):
        folder, program = self.path("tiny"), self.path("tiny.quoin")
        write_model(folder, tiny_config(), {"model.safetensors": tiny_tensors()})
        self.succeeds("quantize", folder, "-o", program)
        self.fails(USAGE, ["the program holds no tokenizer", "--tokenizer"], "generate", program, "--prompt", "a")
        self.fails(INPUT, ["the tokenizer has 512 tokens, the model knows 40"], "generate", program, "--prompt", "a",
                   "--tokenizer", STORIES)


tap.run(Generate)
