"""WGAN-QC on scikit-learn's 1,797 digits of 8x8 pixels: both forms of its regulariser and none, ten seeds each.

897 pictures to learn from, 900 held out. The critic takes one step for one of the generator, as the authors' does.

``python book/studies/wgan_qc_digits.py`` writes ``book/results/wgan-qc-digits.json`` (two minutes on one free core).
The page *Quadratic transport* shows what was stored. Layout (key ``results``)::

    {"settings": {...},
     "floor": [10 numbers],                              # real against real, ten random splits of the same sizes
     "mean": number,                                     # as many copies of the mean picture: what blur alone gets
     "real": [[64 ints from 0 to 16], ...20],            # held-out pictures, row by row
     "rows": {"vector": {"steps": [0, 100, ...],
                         "cost": [[10 numbers], ...],    # one list a look, one number a seed
                         "pictures": [[64 ints], ...20]},# of the first seed, at the end
              "norm": ..., "none": ...}}

``cost`` is ``K/2 W_2^2`` with K = 1/64 and pixels from -1 to 1, between 897 pictures of the averaged generator and the
900 held-out ones.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ganlab.neural.models.mlp import mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train
from ganlab.neural.transport_critic import TRANSPORT, QuadraticCritic

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"width": 128, "latent": 16, "batch": 64, "steps": 600, "n_critic": 1, "lr": 1e-3, "lr_g": 5e-4,
            "schedule": "cosine", "betas": [0.5, 0.99], "ema": 0.99, "weight": 1.0, "seeds": 10, "learn": 897,
            "look_every": 100}  # fmt: skip
ROWS = ("none", "norm", "vector")


def pictures(rng):
    """The digits with pixels from -1 to 1, in the order of `rng`: some to learn from, the others held out."""
    from sklearn.datasets import load_digits

    x = rng.permutation(load_digits().data / 8 - 1)
    return x[: SETTINGS["learn"]], x[SETTINGS["learn"] :]


def cost(x, y):
    """``K/2 W_2^2`` with K = 1/64, exactly, by POT."""
    import ot

    return round(float(ot.emd2([], [], ot.dist(x, y), numItermax=1_000_000)) / 2 / x.shape[1], 5)


def make(row, seeds, steps=None):
    """A run of all seeds of one row; the generator ends in tanh."""
    seeds, width = list(seeds), SETTINGS["width"]
    chosen = {
        name: SETTINGS[name] for name in ("latent", "batch", "steps", "n_critic", "lr", "lr_g", "schedule", "ema")
    }
    chosen |= {"betas": tuple(SETTINGS["betas"]), "check_every": 100} | ({} if steps is None else {"steps": steps})
    loss = QuadraticCritic(None if row == "none" else row, SETTINGS["weight"])
    learn, _ = pictures(np.random.default_rng(0))
    G = nn.Sequential(*mlp(SETTINGS["latent"], 64, (width, width), seed=seeds), nn.Tanh())
    D = mlp(64, 1, (width, width), activation="leaky_relu", seed=[100 + s for s in seeds])
    return Run(G, D, torch.as_tensor(learn, dtype=torch.float32), Recipe(TRANSPORT, {loss: 1.0}, **chosen), seed=seeds,
               device="cpu")  # fmt: skip


def look(run, held_out):
    """The cost of every seed's pictures to the held-out ones."""
    return [cost(x, held_out) for x in run.sample(SETTINGS["learn"]).astype(float)]


def ints(x):
    """Pixels as whole numbers from 0 to 16."""
    return np.clip(np.round(8 * (x + 1)), 0, 16).astype(int).tolist()


def train_row(row, seeds, steps=None, look_every=None):
    """Train one row; returns its looks and pictures."""
    run, (_, held_out) = make(row, seeds, steps), pictures(np.random.default_rng(0))
    found = {"steps": [0], "cost": [look(run, held_out)]}
    for record in train(run):
        if record.step % (look_every or SETTINGS["look_every"]) == 0:
            found["steps"].append(record.step)
            found["cost"].append(look(run, held_out))
    return found | {"pictures": ints(run.sample(20)[0])}


def main():
    from results import store

    seeds, rows = range(SETTINGS["seeds"]), {}
    floor = [cost(*pictures(np.random.default_rng([1, s]))) for s in seeds]
    learn, held_out = pictures(np.random.default_rng(0))
    known = {"floor": floor, "mean": cost(0 * learn + learn.mean(0), held_out), "real": ints(held_out[:20])}
    for row in ROWS:
        rows[row] = train_row(row, seeds)
        print(row, rows[row]["cost"][-1], flush=True)
        store(__file__, seeds, {"settings": SETTINGS, **known, "rows": rows})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
