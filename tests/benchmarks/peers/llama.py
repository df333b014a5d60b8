"""Times a Llama-shaped program beside llama.cpp's Q4_0 of the same shape, in alternation, in one run.

    PYTHON tests/benchmarks/peers/llama.py --bench build/tests/benchmarks/language_bench --program llama176.quoin \\
        [--peer PYTHON_WITH_LLAMA_CPP] [--threads 1] [--rounds 3]

The program comes from random_llama.py and a recipe with 4 bits in groups of 32. The peer is the script `peers/llama.py` beside
the repository (QUOIN_SHARED). Times are ratios of llama.cpp's to ours, by minimum and by median over the rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from typing import Dict, List

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
SHARED = os.environ.get("QUOIN_SHARED") or os.path.join(ROOT, "..", "shared")


def lines(command: List[str]) -> List[dict]:
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--plugin", help="folder with the cpu plugin")
    parser.add_argument("--peer", default=sys.executable)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    ours: Dict[str, List[dict]] = {"prefill": [], "decode": []}
    theirs: Dict[str, List[dict]] = {"prefill": [], "decode": []}
    shares, isa = [], ""
    command = [options.bench, options.program, str(options.threads)]
    if options.plugin:
        command += ["--plugin", options.plugin]
    for _ in range(options.rounds):
        row = lines(command)[0]
        isa = row["isa"]
        shares.append(row["decode_share"])
        for name in ours:
            ours[name].append(row[name])
        peer = lines([options.peer, os.path.join(SHARED, "peers", "llama.py"), "--threads", str(options.threads)])
        for entry in peer:
            theirs["prefill" if entry["model"].startswith("prefill") else "decode"].append(entry)
    print(f"speed relative to llama.cpp Q4_0 ({isa}, {options.threads} thread(s), {options.rounds} rounds)")
    for name in ours:
        least = min(r["ms_min"] for r in theirs[name]) / min(r["ms_min"] for r in ours[name])
        median = statistics.median(r["ms_median"] for r in theirs[name]) / statistics.median(r["ms_median"] for r in ours[name])
        print(f"  {name:<8} {least:6.2f} (minimum) {median:6.2f} (median)")
    print(f"  decode reads {100 * statistics.median(shares):.0f} % of the bandwidth of a plain read")


if __name__ == "__main__":
    main()
