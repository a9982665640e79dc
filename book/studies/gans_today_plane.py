"""Table 1 of R3GAN in the plane: two losses and four choices of penalties, ten seeds, three weights gamma.

Rows are {RpGAN, non-saturating} x {R1 and R2, R1 only, R2 only, none} on two benchmarks of this book: the ring of
eight with a generator that learns four times faster than the critic (`mode_collapse_cures.py`, half as long), for three
gammas, a hundred times apart from end to end; and the grid of 25 with equal rates, for one gamma. One more row of
either applies both penalties at every sixteenth step only, sixteen times as strong. Stored for every seed: modes,
high-quality share and reverse KL of 2,500 samples of the averaged generator, and the root mean square slope of the
critic at the data and at the fakes at the end. A run is called lost if anything is not finite, or if no sample is of
high quality.

``python book/studies/gans_today_plane.py`` writes ``book/results/gans-today-plane.json`` (about ten minutes on one free
core). The page *GANs today* shows what was stored, and a claim test runs a part again.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from ganlab import data, metrics
from ganlab.neural.models.mlp import mlp
from ganlab.neural.penalties import r1, r2
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import DivergedError, Run
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"seeds": 10, "samples": 2500, "batch": 64, "schedule": "cosine", "lazy": 16}
LAWS = {"ring": data.ring(), "grid": data.grid()}
HIDDEN = {"ring": (64, 64), "grid": (64, 64, 64)}
RATES = {"ring": {"steps": 1000, "lr": 5e-4, "lr_g": 2e-3}, "grid": {"steps": 1500, "lr": 2e-3}}
GAMMAS = {"ring": (0.02, 0.2, 2.0), "grid": (0.1,)}
LOSSES = ("rpgan", "nonsaturating")
PENALTIES = {"R1 and R2": ("r1", "r2"), "R1 only": ("r1",), "R2 only": ("r2",)}


def make(law, loss, names, gamma, seeds, lazy=1, steps=None):
    """A run of all seeds of one row."""
    rates, seeds = dict(RATES[law]), list(seeds)
    rates["steps"] = steps or rates["steps"]
    recipe = Recipe(objective=loss, penalties=dict.fromkeys(names, gamma), lazy=lazy, batch=SETTINGS["batch"],
                    schedule=SETTINGS["schedule"], check_every=50, **rates)  # fmt: skip
    G = mlp(2, 2, HIDDEN[law], init="orthogonal", gain=1.4, seed=seeds)
    D = mlp(2, 1, HIDDEN[law], seed=[100 + k for k in seeds])
    return Run(G, D, LAWS[law], recipe, seed=seeds, device="cpu")


def slopes(run, n=1000):
    """Root mean square slope of the critic at data and at fakes of the present generator, one number each a seed."""
    real, fake = run.data[:n], torch.as_tensor(run.sample(n, averaged=False))
    if run.rng.stacked:
        real = real.expand(len(run.rng.seeds), *real.shape)
    both = ((2 * r1(run.D, real)).sqrt(), (2 * r2(run.D, real, fake)).sqrt())
    at_data, at_fakes = ([float(f"{v:.3g}") for v in x.reshape(-1).tolist()] for x in both)
    return {"at_data": at_data, "at_fakes": at_fakes}


def study(law, loss, names, gamma, seeds, lazy=1, steps=None):
    """Train one row and measure it."""
    run, seeds = make(law, loss, names, gamma, seeds, lazy, steps), list(seeds)
    try:
        for _ in train(run):
            pass
    except DivergedError as error:
        return {"modes": [0] * len(seeds), "hq": [0.0] * len(seeds), "kl": [None] * len(seeds),
                "lost": [True] * len(seeds), "why": str(error)}  # fmt: skip
    found = [metrics.modes_report(x, LAWS[law], allow_nonfinite=True) for x in run.sample(SETTINGS["samples"])]
    row = {"modes": [c.modes for c in found], "hq": [round(c.hq, 4) for c in found],
           "kl": [round(c.reverse_kl, 4) if c.modes else None for c in found],
           "lost": [bool(c.nonfinite or not c.modes) for c in found]}  # fmt: skip
    return row | (slopes(run) if np.isfinite(run.sample(10)).all() else {})


def rows():
    """Name of every row, and what it changes."""
    for law in LAWS:
        for loss in LOSSES:
            yield f"{law}, {loss}, none", (law, loss, (), 0.0)
            for name, names in PENALTIES.items():
                for gamma in GAMMAS[law]:
                    yield f"{law}, {loss}, {name}, {gamma:g}", (law, loss, names, gamma)


def main():
    from results import store

    seeds, found = range(SETTINGS["seeds"]), {}
    results = {"settings": SETTINGS | {"rates": RATES}, "gammas": GAMMAS, "rows": found}
    lazy = [(f"{law}, lazy", (law, "rpgan", ("r1", "r2"), GAMMAS[law][len(GAMMAS[law]) // 2])) for law in LAWS]
    for name, change in [*rows(), *lazy]:
        found[name] = study(*change, seeds, SETTINGS["lazy"] if "lazy" in name else 1)
        print(name, found[name]["modes"], found[name]["hq"], found[name]["kl"], flush=True)
        store(__file__, seeds, results)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
