"""Which leash trains? Eleven Wasserstein critics on the swiss roll, measured by the exact W1 of their samples.

G and D with two layers of 64 ReLU units, 500 steps of G with five of D each, batch 64, learning rate 0.001 with a
cosine, ten seeds as one stack. Stored for every seed: W1 between 1,000 fixed points of the data and 1,000 samples of
the averaged generator at four moments, the same of 1,000 fresh points of the data (the noise floor), and samples of
seed 0.

``python book/studies/clipping_roll.py`` writes ``book/results/clipping-roll.json`` (about five minutes on one free
core). The page *From clipping to penalties* draws it, and a claim test runs a part again.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from ganlab import data
from ganlab.neural.models.mlp import mlp
from ganlab.neural.penalties import spectral_normalise
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import DivergedError, Run
from ganlab.neural.training import train
from ganlab.transport import wasserstein

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"seeds": 10, "hidden": (64, 64), "steps": 500, "batch": 64, "lr": 1e-3, "looks": (50, 125, 250, 500),
            "samples": 1000}  # fmt: skip
CLIPPED = {"optimizer": "rmsprop", "betas": (0.0, 0.99)}
RULES = {
    "clip 0.01": CLIPPED | {"clip": 0.01},
    "clip 0.05": CLIPPED | {"clip": 0.05},
    "clip 0.1": CLIPPED | {"clip": 0.1},
    "WGAN-GP, 10": {"penalties": {"wgan_gp": 10.0}},
    "WGAN-GP, 0.1": {"penalties": {"wgan_gp": 0.1}},
    "one-sided, 10": {"penalties": {"wgan_gp_one_sided": 10.0}},
    "DRAGAN, 10": {"penalties": {"dragan": 10.0}},
    "R1, 1": {"penalties": {"r1": 1.0}},
    "R2, 1": {"penalties": {"r2": 1.0}},
    "spectral norm": {},
    "no leash": {},
}


def law():
    return data.swiss_roll(0.25 / 7.5, 4.5 * np.pi / 7.5)


def distances(run):
    """W1 of every seed's samples to 1,000 points of the data; None where samples are not finite."""
    real = law().sample(SETTINGS["samples"], np.random.default_rng(7))
    fakes = run.sample(SETTINGS["samples"])
    return [round(wasserstein(real, x), 4) if np.isfinite(x).all() else None for x in fakes]


def floor(n=10):
    """The same distance for fresh points of the data themselves."""
    real = law().sample(SETTINGS["samples"], np.random.default_rng(7))
    fresh = (law().sample(SETTINGS["samples"], np.random.default_rng(100 + k)) for k in range(n))
    return [round(wasserstein(real, x), 4) for x in fresh]


def train_rule(rule, seeds, looks):
    """Train all seeds under one rule; returns the run and the distances at the looks that were reached."""
    seeds, found = list(seeds), []
    G, D = mlp(2, 2, SETTINGS["hidden"], seed=seeds), mlp(2, 1, SETTINGS["hidden"], seed=[1000 + s for s in seeds])
    if rule == "spectral norm":
        spectral_normalise(D)
    options = {"betas": (0.0, 0.9)} | RULES[rule]
    recipe = Recipe(objective="wasserstein", steps=SETTINGS["steps"], n_critic=5, batch=SETTINGS["batch"], ema=0.99,
                    lr=SETTINGS["lr"], schedule="cosine", check_every=50, **options)  # fmt: skip
    run = Run(G, D, law(), recipe, seed=seeds, device="cpu")
    try:
        for record in train(run):
            if record.step in looks:
                found.append(distances(run))
            if record.step == max(looks):
                break
    except DivergedError:
        pass
    return run, found


def main():
    from results import store

    seeds, table = range(SETTINGS["seeds"]), {}
    for rule in RULES:
        run, found = train_rule(rule, seeds, SETTINGS["looks"])
        table[rule] = {"W1": found, "points": run.sample(300)[0].round(2).tolist()}
        print(rule, found[-1], flush=True)
    print(store(__file__, seeds, {"settings": SETTINGS, "floor": floor(), "rules": table}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
