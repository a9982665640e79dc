"""Does WGAN-QC train, and does the form of its regulariser matter? Two laws in the plane, ten seeds of everything.

Every row changes one thing: the regulariser of the transport critic ("vector", "norm" or "none"), its weight ("light":
a tenth), which optimal potentials it learns ("vertex": where the solver happens to stop, as in the authors' code), or
the whole method (WGAN-GP, for comparison). All take three critic steps for one of the generator; the authors take one,
with which the critic lags behind on these laws.

``python book/studies/wgan_qc_toys.py`` writes ``book/results/wgan-qc-toys.json`` (about four minutes on one free core).
The page *Quadratic transport* shows what was stored. Layout (key ``results``)::

    {"settings": {...},
     "laws": {"ring": {"floor": [10 numbers], "real": [[x, y], ...400],
                       "rows": {"vector": {"steps": [0, 100, ...],      # looks
                                           "w2": [[10 numbers], ...],   # one list a look, one number a seed
                                           "samples": [[x, y], ...400]  # of the first seed, at the end
                                           "cost": 1.0},                # CPU time of a step, in those of "none"
                                "norm": ..., "none": ..., "norm, light": ...,
                                "vector, vertex": ..., "WGAN-GP": ...}},
              "swiss roll": ...}}                                       # only "none", "norm" and "vector"

``w2`` is the exact distance W_2 (not its square, not halved) between 500 samples of the averaged generator and 500
fresh samples of the law, the same ones at every look; ``floor`` the same between two sets of 500 real samples.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch

from ganlab import data
from ganlab.neural.models.mlp import mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train
from ganlab.neural.transport_critic import TRANSPORT, QuadraticCritic

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"width": 64, "batch": 32, "steps": 600, "n_critic": 3, "lr": 1e-3, "schedule": "cosine",
            "betas": [0.5, 0.99], "ema": 0.99, "scale": 1.0, "weight": 1.0, "gp_weight": 1.0, "seeds": 10,
            "samples": 500, "look_every": 100}  # fmt: skip
LAWS = {"ring": data.ring(sd=0.05), "swiss roll": data.swiss_roll()}
# What each row of the transport critic changes: form, share of the weight, choice of potentials.
CRITICS = {"none": (None, 1, "centre"), "norm": ("norm", 1, "centre"), "vector": ("vector", 1, "centre"),
           "norm, light": ("norm", 0.1, "centre"), "vector, vertex": ("vector", 1, "vertex")}  # fmt: skip
ROWS = {"ring": (*CRITICS, "WGAN-GP"), "swiss roll": ("none", "norm", "vector")}


def recipe(row, steps=None):
    """The recipe of one row."""
    chosen = {name: SETTINGS[name] for name in ("batch", "steps", "n_critic", "lr", "schedule", "ema")}
    chosen |= {"betas": tuple(SETTINGS["betas"]), "check_every": 100} | ({} if steps is None else {"steps": steps})
    if row == "WGAN-GP":
        return Recipe("wasserstein", {"wgan_gp": SETTINGS["gp_weight"]}, **chosen)
    form, share, choice = CRITICS[row]
    loss = QuadraticCritic(form, share * SETTINGS["weight"], SETTINGS["scale"], choice)
    return Recipe(TRANSPORT, {loss: 1.0}, **chosen)


def make(law, row, seeds, steps=None):
    """A run of all seeds of one row."""
    seeds, width = list(seeds), SETTINGS["width"]
    G = mlp(2, 2, (width, width, width), seed=seeds)
    D = mlp(2, 1, (width, width, width), seed=[100 + s for s in seeds])
    return Run(G, D, LAWS[law], recipe(row, steps), seed=seeds, device="cpu")


def w2(x, y):
    """The exact W_2 between two sets of points, by POT."""
    import ot

    return float(np.sqrt(ot.emd2([], [], ot.dist(x, y))))


def real(law, seed):
    """Fresh samples of the law, for the measure of one seed."""
    return LAWS[law].sample(SETTINGS["samples"], np.random.default_rng([7, seed]))


def look(run, law):
    """W_2 of every seed's samples to fresh ones."""
    fakes = run.sample(SETTINGS["samples"]).astype(float)
    return [round(w2(x, real(law, s)), 4) for x, s in zip(fakes, run.rng.seeds, strict=True)]


def train_row(law, row, seeds, steps=None):
    """Train one row; returns its looks, samples and the CPU seconds of a step."""
    run = make(law, row, seeds, steps)
    found, spent = {"steps": [0], "w2": [look(run, law)]}, 0.0
    clock = time.process_time()
    for record in train(run):
        if record.step % SETTINGS["look_every"] == 0 or record.step == run.recipe.steps:
            spent += time.process_time() - clock
            found["steps"].append(record.step)
            found["w2"].append(look(run, law))
            clock = time.process_time()
    found["samples"] = np.round(run.sample(400)[0].astype(float), 3).tolist()
    return found | {"cost": spent / run.recipe.steps}


def floor(law, seeds):
    """W_2 between two sets of real samples, once a seed."""
    return [round(w2(LAWS[law].sample(SETTINGS["samples"], np.random.default_rng([8, s])), real(law, s)), 4)
            for s in seeds]  # fmt: skip


def main():
    from results import store

    seeds, laws, plain = range(SETTINGS["seeds"]), {}, None
    for law in LAWS:
        points = LAWS[law].sample(400, np.random.default_rng(9))
        laws[law] = {"floor": floor(law, seeds), "real": np.round(points, 3).tolist(), "rows": {}}
        for row in ROWS[law]:
            found = train_row(law, row, seeds)
            seconds = found["cost"]
            plain = plain or seconds
            found["cost"] = float(f"{seconds / plain:.2g}")
            laws[law]["rows"][row] = found
            print(law, row, found["cost"], f"{seconds * 1e3:.1f} ms", found["w2"][-1], flush=True)
            store(__file__, seeds, {"settings": SETTINGS, "laws": laws})  # after every row: nothing is lost


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
