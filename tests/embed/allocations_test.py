"""No heap memory from the end of plan to the end of a run: every model of shared/models, in its plugin and on kernels."""

import os
import re

from support import PLUGIN, SHARED, EmbedTest, models
import tap

COUNT = os.environ["QUOIN_COUNT_ALLOCATIONS"]
SAMPLES = ["--set", "quantize.calibrate.samples=4", "--set", "lower.keep_original=true"]


class Allocations(EmbedTest):
    def none(self, program: str, *plugins: str) -> None:
        done = self.runs([COUNT, program, *plugins])
        self.assertRegex(done.stdout.decode(), re.compile("^0 allocations between plan and the end of the last run, [1-9]"))

    def test_the_quickstart(self):
        program = self.program(extra=["--set", "lower.keep_original=true"])
        self.none(program, PLUGIN)
        self.none(program)

    def test_every_model(self):
        if not models():
            self.skipTest(f"{SHARED}/models is not there")
        for model, recipe in models():
            with self.subTest(model=model):
                program = self.program(model, recipe, SAMPLES)
                self.none(program, PLUGIN)
                self.none(program)

    def test_a_language_model(self):
        folder = os.path.join(SHARED, "models", "stories260k")
        if not os.path.isdir(folder):
            self.skipTest(f"{folder} is not there")
        recipe = self.path("stories.yaml")
        with open(recipe, "w", encoding="utf-8") as file:
            file.write("lower: {keep_original: true}\n")
        program = self.program(folder, recipe)
        self.none(program, PLUGIN)
        self.none(program)


tap.run(Allocations)
