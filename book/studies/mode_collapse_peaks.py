"""Two peaks on a line: can they be learned, and does a generator in one peak stay there, spread out, or hop?

The data are half N(-3, 1), half N(3, 1). Four questions, ten seeds each. *Learn*: how near do small networks come, in
Wasserstein-1 distance and in Kolmogorov-Smirnov distance, to the law (against what true samples score)? *Wander*: where
is the sample mean through training when the generator is as fast as the discriminator, and when it is eight times
faster? *Narrow*: the same for a generator that can only shift, ``z + m``, at three speeds. *Affine*: for one that can
also scale, ``s z + m``. The last two start at the left peak, with ``m = -3``.

``python book/studies/mode_collapse_peaks.py`` writes ``book/results/mode-collapse-peaks.json`` (about two minutes on
one free core). The page *Mode collapse* shows what was stored, and claim tests run small parts again.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from scipy.special import ndtr
from scipy.stats import kstest
from torch import nn

from ganlab import data
from ganlab.neural.models.mlp import mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"seeds": 10, "samples": 2000, "look_every": 20, "floor_draws": 400}
LEARN = {"objective": "least_squares", "batch": 256, "steps": 2500, "lr": 2e-3, "betas": (0.0, 0.9),
         "schedule": "cosine"}  # fmt: skip
# The learning rates of D and G.
WANDER = {"G as fast as D": (1e-3, 1e-3), "G 8 times faster": (5e-4, 4e-3)}
NARROW = {"G as fast as D": (1e-3, 1e-3), "G 50 times faster": (1e-3, 5e-2), "G 200 times faster": (1e-3, 2e-1)}
AFFINE = {"D 2 times faster": (2e-3, 1e-3), "G 8 times faster": (1e-3, 8e-3)}


class Shift(nn.Module):
    """The narrowest generator: ``z + m``, one m a seed."""

    def __init__(self, seeds, start=-3.0):
        super().__init__()
        self.m = nn.Parameter(torch.full((seeds, 1, 1), start))

    def forward(self, z):
        return z + self.m


def cdf(x):
    """Distribution function of the two peaks."""
    return (ndtr(x + 3) + ndtr(x - 3)) / 2


def distances(x):
    """Wasserstein-1 distance (the area between the distribution functions) and Kolmogorov-Smirnov distance."""
    grid = np.linspace(-15, 15, 6001)
    gap = np.searchsorted(np.sort(x), grid, side="right") / len(x) - cdf(grid)
    return float(np.abs(gap).sum() * (grid[1] - grid[0])), float(kstest(x, cdf).statistic)


def run_of(G, seeds, hidden, activation="relu", **recipe):
    """A run against a stack of small critics."""
    D = mlp(1, 1, hidden, activation, seed=[100 + s for s in seeds])
    return Run(G, D, data.two_peaks(), Recipe(latent=1, check_every=100, **recipe), seed=list(seeds), device="cpu")


def watch(run, what):
    """Train, and note ``what(run)`` on the way."""
    return [what(run) for record in train(run) if record.step % SETTINGS["look_every"] == 0]


def two_digits(values):
    return [round(float(v), 2) for v in values]


def learn(seeds):
    G = mlp(1, 1, (32, 32), "tanh", init="orthogonal", gain=1.4, seed=seeds)
    run = run_of(G, seeds, (32, 32), "tanh", **LEARN)
    for _ in train(run):
        pass
    return [distances(x[:, 0]) for x in run.sample(SETTINGS["samples"])]


def wander(rates, seeds, steps=1200):
    """The mean of the present generator's samples, a row a look."""
    G = mlp(1, 1, (16, 16), init="orthogonal", gain=1.4, seed=seeds)
    run = run_of(G, seeds, (16, 16), lr=rates[0], lr_g=rates[1], batch=64, steps=steps)
    return watch(run, lambda run: two_digits(run.sample(400, averaged=False)[..., 0].mean(axis=1)))


def narrow(rates, seeds, steps=1500):
    run = run_of(Shift(len(seeds)), seeds, (32, 32), lr=rates[0], lr_g=rates[1], batch=64, steps=steps)
    return watch(run, lambda run: two_digits(run.G.m.flatten().detach()))


def affine(rates, seeds, steps=1500):
    """The end state (m, s) of each seed."""
    G = mlp(1, 1, (), seed=seeds)
    with torch.no_grad():
        G[0].weight.fill_(1.0)
        G[0].bias.fill_(-3.0)
    run = run_of(G, seeds, (32, 32), lr=rates[0], lr_g=rates[1], batch=64, steps=steps)
    for _ in train(run):
        pass
    return [[round(float(v), 3) for v in pair] for pair in zip(run.ema[0].bias, run.ema[0].weight.abs(), strict=True)]


def main():
    from results import store

    seeds = range(SETTINGS["seeds"])
    rng = np.random.default_rng(0)
    draws = data.two_peaks().sample(SETTINGS["floor_draws"] * SETTINGS["samples"], rng)
    floor = [distances(x) for x in draws.reshape(SETTINGS["floor_draws"], -1)]
    found = {"floor": np.quantile(floor, [0.5, 0.95], axis=0).round(4).tolist()}
    found["learn"] = np.round(learn(list(seeds)), 4).tolist()
    print("learn", found["floor"], found["learn"], flush=True)
    for name, function, table in (("wander", wander, WANDER), ("narrow", narrow, NARROW), ("affine", affine, AFFINE)):
        found[name] = {row: function(rates, list(seeds)) for row, rates in table.items()}
        print(name, {row: values[-1] for row, values in found[name].items()}, flush=True)
    print(store(__file__, seeds, {"settings": SETTINGS, **found}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
