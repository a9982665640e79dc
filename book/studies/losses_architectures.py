"""Least squares or cross-entropy: which finds the ring when the architecture changes?

The 8-Gaussian ring, four pairs of small networks (with and without batch normalisation), three objectives (the third is
the least-squares coding of the chi-square theorem), two learning rates for the first two, ten seeds each, which are
trained at once as one stack. Stored: modes found and high-quality share of 2,500 samples of each seed, for the averaged
generator and for the last one, and some samples of seed 0.

``python book/studies/losses_architectures.py`` writes ``book/results/losses-architectures.json`` (about six minutes on
one free core). The page *Losses* shows what was stored, and a claim test runs one cell of the table again.
"""

import sys
from pathlib import Path

import torch

import ganlab as gl
from ganlab import data, metrics
from ganlab.neural.models.mlp import mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import DivergedError, Run
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"hidden": (64, 64), "batch": 64, "steps": 2500, "schedule": "cosine", "seeds": 10, "samples": 2500}
OBJECTIVES = {
    "nonsaturating": "nonsaturating",
    "least_squares": gl.least_squares(0, 1, 1),
    "chi_square": gl.least_squares(-1, 1, 0),
}
# activation, what normalises G, what normalises D
ARCHITECTURES = {
    "relu": ("relu", None, None),
    "relu, BN in G": ("relu", "batch", None),
    "relu, BN in G and D": ("relu", "batch", "batch"),
    "tanh": ("tanh", None, None),
}
CELLS = [
    (objective, architecture, lr)
    for lr, objectives in ((1e-3, tuple(OBJECTIVES)), (3e-3, ("nonsaturating", "least_squares")))
    for architecture in ARCHITECTURES
    for objective in objectives
]


def run_cell(objective, architecture, lr, seeds, steps):
    """Train one cell of the table for all seeds; returns the run, and whether it reached its last step."""
    activation, norm_g, norm_d = ARCHITECTURES[architecture]
    seeds = list(seeds)
    run = Run(
        mlp(2, 2, SETTINGS["hidden"], activation, norm_g, seed=seeds),
        mlp(2, 1, SETTINGS["hidden"], activation, norm_d, seed=[1000 + s for s in seeds]),
        data.ring(),
        Recipe(objective=OBJECTIVES[objective], steps=steps, batch=SETTINGS["batch"], lr=lr,
               schedule=SETTINGS["schedule"], check_every=100),
        seed=seeds, device="cpu")  # fmt: skip
    try:
        for _ in train(run):
            pass
    except DivergedError:
        return run, False
    return run, True


def measure(run):
    """Modes found and high-quality share, one number a seed, of the averaged and of the last generator."""
    found, ring = {}, data.ring()
    for name, averaged in (("averaged", True), ("last", False)):
        samples = run.sample(SETTINGS["samples"], averaged=averaged)
        covers = [metrics.modes_report(x, ring, allow_nonfinite=True) for x in samples]
        found[name] = {"modes": [c.modes for c in covers], "hq": [round(c.hq, 4) for c in covers]}
    return found


def main():
    from results import store

    seeds, table = range(SETTINGS["seeds"]), []
    for objective, architecture, lr in CELLS:
        run, finished = run_cell(objective, architecture, lr, seeds, SETTINGS["steps"])
        row = {"objective": objective, "architecture": architecture, "lr": lr, "finished": finished, **measure(run)}
        if lr == CELLS[0][2]:
            row["points"] = run.sample(400)[0].round(2).tolist()
        table.append(row)
        print(objective, architecture, lr, row["averaged"]["modes"], flush=True)
    settings = {**SETTINGS, "architectures": list(ARCHITECTURES), "rates": [1e-3, 3e-3]}
    print(store(__file__, seeds, {"settings": settings, "table": table}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
