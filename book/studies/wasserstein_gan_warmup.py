"""How near to its best is the critic when the generator takes its first steps? Five critic steps a round, or a hundred.

The released code of the WGAN gives the critic 100 steps before each of the first 25 generator steps; the paper's
algorithm says 5 throughout. The ring of eight Gaussians, two layers of 64 ReLU units, c = 0.01, RMSProp with rate
5e-5, batch 64, ten seeds. After generator steps 1, 5, 10 and 25: the estimate E_real f - E_fake f of the critic on
4,000 samples of each side, and its estimate after 500 more steps against the same generator standing still.
Also, over all 25 generator steps, how often the estimate of one batch was negative.

``python book/studies/wasserstein_gan_warmup.py`` writes ``book/results/wasserstein-gan-warmup.json`` (about a minute on
one free core). The page *Moving earth* shows it, and a claim test runs a part again.
"""

import copy
import sys
from pathlib import Path

import torch
from torch import nn

from ganlab import data
from ganlab.neural._scores import scores
from ganlab.neural.draws import Draws
from ganlab.neural.models.mlp import mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"seeds": 10, "hidden": (64, 64), "looks": (1, 5, 10, 25), "more": 500, "samples": 4000}
PRINTED = {"objective": "wasserstein", "optimizer": "rmsprop", "betas": (0.0, 0.99), "lr": 5e-5, "clip": 0.01,
           "batch": 64, "ema": 0.0}  # fmt: skip


class Still(nn.Module):
    """A generator that stands still: its only weight has no effect."""

    def __init__(self, G, seeds):
        super().__init__()
        self.G, self.idle = [G], nn.Parameter(torch.zeros(seeds, 1, 1))  # in a list: its weights are not ours

    def forward(self, z):
        return self.G[0](z).detach() + 0 * self.idle


def make(n_critic, seeds, steps=25):
    seeds = list(seeds)
    G, D = mlp(2, 2, SETTINGS["hidden"], seed=seeds), mlp(2, 1, SETTINGS["hidden"], seed=[100 + s for s in seeds])
    return Run(G, D, data.ring(), Recipe(steps=steps, n_critic=n_critic, **PRINTED), seed=seeds, device="cpu")


@torch.no_grad()
def estimate(G, run):
    """E_real f - E_fake f of the run's critic against a generator, one number a seed."""
    draws, n = Draws(run.rng.seeds).at("estimate"), SETTINGS["samples"]
    real = run.data[draws.integers(len(run.data), n)]
    return scores(run.D, real).mean(-1) - scores(run.D, G(draws.normal(n, 2))).mean(-1)


def at_best(run, more):
    """The estimate after `more` steps of a copy of the critic, the generator standing still."""
    seeds = run.rng.seeds
    alone = Run(Still(run.G, len(seeds)), copy.deepcopy(run.D), run.data, Recipe(steps=more, **PRINTED), seed=seeds,
                device="cpu")  # fmt: skip
    for _ in train(alone):
        pass
    return estimate(run.G, alone)


def watch(n_critic, seeds, more):
    """Looks at a run of 25 generator steps, and the share of negative batch estimates of every seed."""
    run, looks, negative = make(n_critic, seeds), [], 0
    for record in train(run):
        negative = negative + (record.d_gain < 0)
        if record.step in SETTINGS["looks"]:
            now, best = estimate(run.G, run), at_best(run, more)
            looks.append({"step": record.step, "now": digits(now), "best": digits(best)})
    return {"looks": looks, "negative": digits(negative / run.step)}


def digits(values):
    return [float(f"{v:.4g}") for v in values.tolist()]


def main():
    from results import store

    seeds = range(SETTINGS["seeds"])
    rows = {n: watch(n, seeds, SETTINGS["more"]) for n in (5, 100)}
    for n, row in rows.items():
        print(n, row, flush=True)
    store(__file__, seeds, {"settings": SETTINGS, "rows": rows})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
