"""How good is a generator after so many seconds of one core? Twenty seeds, one by one, each timed.

``python benchmarks/quality.py`` prints one line a seed and the success rates, and puts them into
``benchmarks/quality.json`` beside the sets that were measured before. ``python benchmarks/quality.py grid 0 10`` runs
ten seeds of one task. Seconds are processor time of the training loop alone (one thread), so a busy machine changes
them little.
"""

import json
import sys
import time
from pathlib import Path

import torch

from ganlab import data, metrics
from ganlab.neural.models.mlp import mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train

ORTHOGONAL = {"init": "orthogonal", "gain": 1.4}
# task: (law, share of high quality to reach, seconds allowed, how D starts, recipe); G always starts orthogonal
TASKS = {
    "ring": (data.ring(), 0.90, 10.0, {}, Recipe(steps=3000, schedule="cosine", lr=1e-3)),
    "ring, finer": (data.ring(), 0.95, 30.0, {}, Recipe(steps=8000, schedule="cosine", lr=1e-3)),
    "grid": (data.grid(), 0.90, 30.0, ORTHOGONAL, Recipe(objective="rpgan", penalties={"r1": 0.2, "r2": 0.2}, lazy=8,
                                                         steps=7000, schedule="cosine", lr=2e-3, betas=(0.5, 0.99))),
}  # fmt: skip


def measure(task, seed):
    """Train one seed and return seconds, modes and high-quality share of 2,500 samples of the averaged generator."""
    law, _, _, critic, recipe = TASKS[task]
    G, D = mlp(2, 2, seed=seed, **ORTHOGONAL), mlp(2, 1, seed=1000 + seed, **critic)
    run = Run(G, D, law, recipe, seed=seed, device="cpu")
    start = time.process_time()
    for _ in train(run):
        pass
    seconds = time.process_time() - start
    report = metrics.modes_report(run.sample(2500), law)
    return {"seed": seed, "seconds": round(seconds, 2), "modes": report.modes, "hq": round(float(report.hq), 4)}


def main(task=None, first=0, last=20):
    torch.set_num_threads(1)
    path, found = Path(__file__).with_suffix(".json"), {}
    for name in [task] if task else TASKS:
        law, share, seconds, critic, recipe = TASKS[name]
        rows = []
        for seed in range(int(first), int(last)):
            rows.append(measure(name, seed))
            print(name, rows[-1], flush=True)
        good = sum(r["modes"] == len(law.modes) and r["hq"] >= share and r["seconds"] <= seconds for r in rows)
        print(
            f"{name}: {good} of {len(rows)} reach {len(law.modes)} modes and {share:.0%} in {seconds:g} s", flush=True
        )
        found[name] = {"recipe": repr(recipe), "D starts": critic or "as torch does", "share": share,
                       "seconds": seconds, "good": good, "rows": rows}  # fmt: skip
    if task is None:
        before = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(before | found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
