"""Times engines in alternation within one run, and prints every time as a ratio to the first one.

A figure of one engine means little on its own: machines differ, and drift.
"""

import argparse
import json
import os
import subprocess
import time
from typing import Callable, Dict, Iterable, List, Tuple

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
SHARED = os.environ.get("QUOIN_SHARED") or os.path.join(ROOT, "..", "shared")

Figures = Tuple[float, float]  # minimum and median, milliseconds


def add_arguments(parser: argparse.ArgumentParser, runs: int) -> None:
    parser.add_argument("--quoin", required=True, help="the quoin command")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=runs, help="of each engine per round")
    parser.add_argument("--json", action="store_true")


def timed(call: Callable[[], object], runs: int) -> Figures:
    for _ in range(3):
        call()
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        call()
        times.append((time.perf_counter() - begin) * 1e3)
    return min(times), float(np.median(times))


def quoin(command: str, models: Dict[str, str], threads: int, runs: int) -> Tuple[str, Dict[str, Figures]]:
    """The instruction set, and figures of our own programs and models by their names in `models`."""
    arguments = [command, "bench", *models.values(), "--threads", str(threads), "--runs", str(runs), "--no-memory", "--json"]
    result = json.loads(subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=True).stdout)
    rows = {name: (row["ms_min"], row["ms_median"]) for name, row in zip(models, result["programs"])}
    return result["isa"], rows


class Comparison:
    """Rounds of figures by engine; the first engine that was added is what others are compared with."""

    def __init__(self) -> None:
        self.minima: Dict[str, float] = {}
        self.medians: Dict[str, List[float]] = {}

    def add(self, name: str, figures: Figures) -> None:
        self.minima[name] = min(self.minima.get(name, float("inf")), figures[0])
        self.medians.setdefault(name, []).append(figures[1])

    def rows(self) -> Iterable[Dict[str, object]]:
        first = next(iter(self.minima))
        base = float(np.median(self.medians[first]))
        for name, minimum in self.minima.items():
            yield {"engine": name, "min_ratio": minimum / self.minima[first],
                   "median_ratio": float(np.median(self.medians[name])) / base}


def compare(options: argparse.Namespace, title: str, own: Dict[str, str], peers: Dict[str, Callable[[], object]]) -> None:
    """Rounds of our models `own` and the calls `peers`, and the table of ratios."""
    result, isa = Comparison(), ""
    for _ in range(options.rounds):
        isa, rows = quoin(options.quoin, own, options.threads, options.runs)
        for name, figures in rows.items():
            result.add(name, figures)
        for name, call in peers.items():
            result.add(name, timed(call, options.runs))
    if options.json:
        print(json.dumps({"model": title, "isa": isa, "threads": options.threads, "rounds": options.rounds,
                          "engines": list(result.rows())}, indent=2))
        return
    print(f"{title}: time relative to {next(iter(own))} ({isa}, {options.threads} thread(s), {options.rounds} rounds of "
          f"{options.runs} runs)")
    for row in result.rows():
        print(f"  {row['engine']:<24} {row['min_ratio']:6.2f} (minimum) {row['median_ratio']:6.2f} (median)")
