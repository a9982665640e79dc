"""Does a GAN repeat its data? Few training points against many, two tests, several training sets.

The law is one round Gaussian in the plane. For each training set as many other points of the law are held out.
``python book/studies/craft_memory.py`` writes ``book/results/craft-memory.json`` (two minutes of one free core). The
page *Craft* shows what was stored.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from ganlab import data
from ganlab.neural.models.mlp import mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train
from ganlab.two_sample import memorisation, mmd, permutation_test

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"hidden": (64, 64, 64), "steps": 3000, "batch": 50, "lr": 2e-3, "samples": 500, "sets": 5, "seeds": 2}
POINTS = (50, 2000)


def split(points, k):
    """Training points and points held out, of the k-th training set."""
    rng = np.random.default_rng([points, k])
    return data.gaussian(2).sample(points, rng), data.gaussian(2).sample(points, rng)


def judge(samples, train_points, holdout):
    """The share of samples nearer to the training points, and three p-values."""
    rng, few = np.random.default_rng(0), slice(0, 100)
    found = memorisation(samples, train_points, holdout, rng)
    tests = {
        name: permutation_test(samples[few], points[few], lambda x, y: mmd(x, y, bandwidth=0.5), rng, draws=99)
        for name, points in (("against_train", train_points), ("against_holdout", holdout))
    }
    return {"share": round(found.share, 4), "p_memory": found.p_value, **tests}


def study(points, k, seeds, steps=SETTINGS["steps"]):
    """Train on the k-th set; one judgement a seed."""
    train_points, holdout = split(points, k)
    recipe = Recipe(steps=steps, batch=SETTINGS["batch"], lr=SETTINGS["lr"], schedule="cosine", check_every=50)
    G = mlp(2, 2, SETTINGS["hidden"], init="orthogonal", gain=1.4, seed=list(seeds))
    D = mlp(2, 1, SETTINGS["hidden"], seed=[1000 + s for s in seeds])
    run = Run(G, D, torch.tensor(train_points).float(), recipe, seed=list(seeds), device="cpu")
    for _ in train(run):
        pass
    return [judge(x, train_points, holdout) for x in run.sample(SETTINGS["samples"])]


def main():
    from results import store

    seeds, results = range(SETTINGS["seeds"]), {}
    for points in POINTS:
        results[points] = [found for k in range(SETTINGS["sets"]) for found in study(points, k, seeds)]
        print(points, [f["share"] for f in results[points]], [f["p_memory"] for f in results[points]], flush=True)
    print(store(__file__, seeds, {"settings": SETTINGS, "found": results}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
