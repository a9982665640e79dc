"""The same loop on a GPU: the ring with one seed and with hundreds at once, and whether it repeats bit for bit.

Rates are generator steps a second of wall time, times the seeds; the CPU is one thread of the machine that holds the
card. The run is the page's, 3,000 steps, with 100 seeds in one stack; its high-quality shares are stored.

``python book/studies/training_loop_gpu.py`` writes ``book/results/training-loop-gpu.json`` (a minute, on a GPU).
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from ganlab import data, metrics
from ganlab.neural.runs import Run
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from training_loop_seeds import RECIPE, SAMPLES, networks

SEEDS, STACKS = 100, (1, 20, 100, 500)


def make(seeds, device="auto", **changes):
    """The page's run, one seed or a stack."""
    return Run(*networks(seeds), data.ring(), replace(RECIPE, check_every=50, **changes), seed=seeds, device=device)


def rates(device, stacks, seconds):
    """Steps a second, times the seeds, for each size of a stack."""
    from gpu import rate, short

    return {str(n): short(n * rate(make(range(n), device, steps=10**9), seconds)) for n in stacks}


def repeats(steps=200):
    """Whether two runs of one seed have the same bits."""
    runs = [make(range(3), steps=steps) for _ in range(2)]
    for run in runs:
        for _ in train(run):
            pass
    return all(torch.equal(a, b) for a, b in zip(*(run.G.parameters() for run in runs), strict=True))


def main(seeds=SEEDS, stacks=STACKS, seconds=3.0, **changes):
    from gpu import card, wait
    from results import store

    run, law = make(range(seeds), **changes), data.ring()
    wait()
    start = time.perf_counter()
    for _ in train(run):
        pass
    wait()
    spent = time.perf_counter() - start
    reports = [metrics.modes_report(x, law) for x in run.sample(SAMPLES)]
    found = {"card": card(), "device": str(run.device), "recipe": repr(run.recipe), "seconds": round(spent, 1),
             "modes": [r.modes for r in reports], "hq": [round(float(r.hq), 4) for r in reports],
             "repeats": repeats(), "rates": rates("auto", stacks, seconds),
             "one thread": rates("cpu", stacks[:2], seconds)}  # fmt: skip
    store(__file__, range(seeds), found)
    print({k: v for k, v in found.items() if k not in ("modes", "hq")}, min(found["modes"]), sorted(found["hq"])[:5])


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
