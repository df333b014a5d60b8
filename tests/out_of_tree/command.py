"""The quoin command in a plugin's project: its plugin listed, a model quantized with it, scored and run."""

import json
import os
from typing import Any, Callable, List, Optional, Tuple

from stage import Stage


class Command:
    def __init__(self, stage: Stage, project: str, name: str) -> None:
        self.stage, self.project, self.name = stage, project, name

    def __call__(self, *arguments: str) -> Any:
        """The JSON that the command prints."""
        done = self.stage.run([self.stage.quoin, *arguments, "--json"], self.project)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(done.args)}\nexit code {done.returncode}\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)


def expect(right: bool, text: str) -> None:
    if not right:
        raise AssertionError(text)


def lists(quoin: Command) -> None:
    rows = {row["name"]: row for row in quoin("plugin", "list", "--plugin", "build")}
    mine, cpu = rows.get(quoin.name), rows.get("cpu")
    expect(mine is not None and mine["usable"] and mine["source"] == "--plugin", f"listed as {rows}")
    expect(cpu is not None and cpu["path"].startswith(quoin.stage.root), f"the installed plugin is {cpu}")


def quantizes(quoin: Command) -> None:
    placement = quoin("quantize", "-c", "recipe.yaml", "-o", "digits.quoin")["placement"]
    mine = [row["op"] for row in placement if row["backend"] == quoin.name and row["integer"]]
    layers = sorted(op for op in mine if op != "aten.hardtanh.default")
    expect(layers == ["aten.conv2d.default"] * 4 + ["aten.linear.default"] and len(mine) == 8, f"the plugin took {mine} of {placement}")
    reasons = [row["reason"] for row in placement if row["op"] == "aten.add.Tensor"]
    expect(reasons == [f"{quoin.name}: no rule for aten.add.Tensor"], f"the addition says {reasons}")


def evaluates(quoin: Command) -> None:
    score = quoin("eval", "digits.quoin", "-c", "recipe.yaml")
    expect(score["n"] == 400 and score["top1"] >= 0.99, f"scored {score}")  # float: 0.9950


def equals_the_reference(quoin: Command) -> None:
    """Without the plugin, the same program runs on the portable kernels."""
    outputs = []
    for option in (["--plugin", "build"], []):
        folder = "with" if option else "without"
        quoin("run", "digits.quoin", "--input", "quickstart/test.safetensors", "--output", folder, *option)
        with open(os.path.join(quoin.project, folder, "linear.npy"), "rb") as handle:
            outputs.append(handle.read())
    expect(len(outputs[0]) >= 40 and outputs[0] == outputs[1], "the plugin and the portable kernels differ")


STEPS: List[Tuple[str, Callable[[Command], None]]] = [
    ("the command lists the plugin, and finds the installed ones", lists),
    ("the command quantizes with the plugin", quantizes),
    ("the command scores what the plugin runs", evaluates),
    ("plugin and portable kernels give equal bytes", equals_the_reference),
]


def steps(stage: Stage, project: str, name: str) -> "List[Tuple[str, Optional[str]]]":
    """Name and fault of every step."""
    command = Command(stage, project, name)
    results: "List[Tuple[str, Optional[str]]]" = []
    for title, step in STEPS:
        try:
            step(command)
            results.append((f"{name}: {title}", None))
        except (AssertionError, KeyError, ValueError, OSError) as fault:
            results.append((f"{name}: {title}", f"{type(fault).__name__}: {fault}"))
    return results
