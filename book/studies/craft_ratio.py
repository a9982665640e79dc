"""A discriminator estimates a ratio of densities: how well, after how much training, and how sure of itself?

The laws are N(0, 1) for the data and N(1, 1) for the fakes, so the logarithm of the ratio is 1/2 - x. Twenty networks
at once, once with fresh samples at every step, once with the same 60 samples a side at every step, and each with and
without one-sided label smoothing. Nothing is sampled in the measurements: they are sums over a fine grid.
``python book/studies/craft_ratio.py`` writes ``book/results/craft-ratio.json`` (half a minute of one free core). The
page *Craft* shows what was stored.
"""

import sys
from pathlib import Path

import numpy as np
import torch

import ganlab as gl
from ganlab.neural._scores import scores
from ganlab.neural.draws import Draws
from ganlab.neural.models.mlp import mlp

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"hidden": (32, 32), "lr": 5e-3, "batch": 60, "seeds": 20}
MOMENTS = (0, 10, 30, 100, 300, 1000)
LABELS = {"label 1": 1.0, "label 0.9": 0.9}
X = np.linspace(-5, 6, 1101)
P_D, P_G = np.exp(-(X**2) / 2), np.exp(-((X - 1) ** 2) / 2)
REAL = P_D / (P_D + P_G)  # the probability that a sample at x is real
WEIGHT = (P_D + P_G) / (P_D + P_G).sum()  # where the samples of both laws are


def critics(alpha, fresh, seeds, moments=MOMENTS):
    """Train one critic a seed; yields the step and D on the grid, one row a seed, at every moment."""
    seeds = list(seeds)
    D, rng = mlp(1, 1, SETTINGS["hidden"], seed=[1000 + s for s in seeds]), Draws(seeds)
    optimizer, objective = torch.optim.Adam(D.parameters(), SETTINGS["lr"]), gl.label_smoothing(alpha)
    grid = torch.tensor(X).float()[:, None].expand(len(seeds), -1, 1)
    for step in range(max(moments) + 1):
        if step in moments:
            with torch.no_grad():
                yield step, torch.sigmoid(scores(D, grid)).double().numpy()
        rng.at(step if fresh else 0)
        real, fake = rng.normal(SETTINGS["batch"], 1), 1 + rng.normal(SETTINGS["batch"], 1)
        optimizer.zero_grad()
        (-objective.d_gain(scores(D, real), scores(D, fake)).sum()).backward()
        optimizer.step()


def log_odds(p):
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return np.log(p / (1 - p))


def measure(D, alpha):
    """Errors of D, one number a seed; a smoothed D is read as what it estimates, alpha times the probability."""
    claimed = np.minimum(D / alpha, 1)
    sure = np.maximum(claimed, 1 - claimed)
    right = np.where(claimed > 0.5, REAL, 1 - REAL)
    return {
        "error": ((log_odds(D) - log_odds(alpha * REAL)) ** 2 @ WEIGHT) ** 0.5,
        "overconfidence": (sure - right) @ WEIGHT,
    }


def calibration(D, alpha, bins=10):
    """What D claims and what is true, averaged over the samples of each bin of claims and over all seeds."""
    claimed = np.minimum(D / alpha, 1)
    bin_of, curve = np.minimum((claimed * bins).astype(int), bins - 1), []
    for k in range(bins):
        inside = (bin_of == k) * WEIGHT
        if inside.sum() > 1e-3 * len(D):
            curve.append([round(float((inside * v).sum() / inside.sum()), 4) for v in (claimed, REAL + 0 * D)])
    return curve


def study(label, fresh, seeds, moments=MOMENTS):
    """Errors at every moment, and the calibration curve at the last one."""
    found, alpha = {}, LABELS[label]
    for step, D in critics(alpha, fresh, seeds, moments):
        found[step] = {name: values.round(4).tolist() for name, values in measure(D, alpha).items()}
    return {"at": found, "calibration": calibration(D, alpha)}


def main():
    from results import store

    seeds, results = range(SETTINGS["seeds"]), {}
    for name, fresh in (("fresh", True), ("fixed", False)):
        results[name] = {label: study(label, fresh, seeds) for label in LABELS}
    print(store(__file__, seeds, {"settings": SETTINGS, **results}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
