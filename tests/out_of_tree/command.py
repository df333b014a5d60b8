"""The quoin command with a plugin it has never seen: quantize, evaluate and run the quickstart's digit classifier."""

import json
import os
import subprocess
from typing import Any, Callable, List, Optional, Tuple

RECIPE = """
model: {{path: {data}/digits.pt2}}
quantize:
  quantizers: [{{plugin: acme, preset: int8}}]
  calibrate: {{data: {data}/calibration.safetensors}}
eval: {{data: {data}/test.safetensors, metric: top1}}
"""


class Command:
    def __init__(self, quoin: str, plugins: str, work: str) -> None:
        self.quoin, self.plugins, self.work = quoin, plugins, work

    def __call__(self, *arguments: str) -> Any:
        """The JSON that the command prints."""
        done = subprocess.run([self.quoin, *arguments, "--json", "--plugin", self.plugins], cwd=self.work,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(done.args)}\nexit code {done.returncode}\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)


def expect(right: bool, text: str) -> None:
    if not right:
        raise AssertionError(text)


def lists(quoin: Command, _: str) -> None:
    rows = [row for row in quoin("plugin", "list") if row["name"] == "acme"]
    expect(len(rows) == 1 and rows[0]["usable"] and rows[0]["source"] == "--plugin", f"listed as {rows}")


def quantizes(quoin: Command, _: str) -> None:
    placement = quoin("quantize", "-c", "recipe.yaml", "-o", "digits.quoin")["placement"]
    mine = [(row["op"], row["integer"]) for row in placement if row["backend"] == "acme"]
    expect(mine == [("aten.linear.default", True)], f"acme took {mine} of {placement}")
    reasons = [row["reason"] for row in placement if row["op"] == "aten.conv2d.default"]
    expect(bool(reasons) and all("acme" in reason for reason in reasons), f"convolutions say {reasons}")


def evaluates(quoin: Command, _: str) -> None:
    score = quoin("eval", "digits.quoin", "-c", "recipe.yaml")
    expect(score["n"] == 400 and score["top1"] >= 0.98, f"scored {score}")  # float: 0.9950


def runs(quoin: Command, data: str) -> None:
    outputs = quoin("run", "digits.quoin", "--input", os.path.join(data, "test.safetensors"))["outputs"]
    expect([output["shape"] for output in outputs] == [[1, 10]], f"outputs {outputs}")


STEPS: List[Tuple[str, Callable[[Command, str], None]]] = [
    ("the command lists the plugin", lists),
    ("the command quantizes with the plugin", quantizes),
    ("the command scores what the plugin runs", evaluates),
    ("the command runs one input", runs),
]


def steps(quoin: str, root: str, plugins: str, work: str) -> "List[Tuple[str, Optional[str]]]":
    """Name and fault of every step."""
    data = os.path.join(root, "configs", "quickstart")
    with open(os.path.join(work, "recipe.yaml"), "w", encoding="utf-8") as handle:
        handle.write(RECIPE.format(data=data))
    command = Command(quoin, plugins, work)
    results: "List[Tuple[str, Optional[str]]]" = []
    for name, step in STEPS:
        try:
            step(command, data)
            results.append((name, None))
        except (AssertionError, KeyError, ValueError) as fault:
            results.append((name, f"{type(fault).__name__}: {fault}"))
    return results
