"""Discriminator and critics between two fixed Gaussians, trained to the end: what is left for a generator to follow?

Data N(2, 1/4), fakes N(-2, 1/4) on the line, so that W1 = 4 and the critic x is exact; the generator stands still.
Networks with two layers of 64 ReLU units, ten seeds at once. One discriminator (logistic loss) and critics with
clipped weights (three values of c) or a gradient penalty. Stored at three lengths of training: value and slope of the
score on a grid, for every seed, and the mean length of the gradient that a fake receives. Then the same clipped and
penalised critics for other distances between the Gaussians: estimate, steepest slope between the means, and exact W1.

``python book/studies/wasserstein_gan_critics.py`` writes ``book/results/wasserstein-gan-critics.json`` (about five
minutes on one free core). The page *Moving earth* draws it, and claim tests run a part again.
"""

import sys
from pathlib import Path

import torch
from torch import nn

from ganlab import data
from ganlab.neural._scores import scores
from ganlab.neural.models.mlp import mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"seeds": 10, "hidden": (64, 64), "batch": 256, "mean": 2.0, "sd": 0.5, "looks": (250, 1000, 4000)}
WGAN = {"objective": "wasserstein", "optimizer": "rmsprop", "betas": (0.0, 0.99), "lr": 1e-3}
RULES = {
    "discriminator": {"objective": "saturating", "lr": 1e-3},
    "clip 0.01": WGAN | {"clip": 0.01},
    "clip 0.1": WGAN | {"clip": 0.1},
    "clip 0.3": WGAN | {"clip": 0.3},
    "penalty 10": {"objective": "wasserstein", "lr": 1e-3, "betas": (0.0, 0.9), "penalties": {"wgan_gp": 10.0}},
}
DISTANCES = (0.5, 1.0, 2.0, 4.0)
GRID = [round(-5 + k / 10, 1) for k in range(101)]


class Still(nn.Module):
    """A generator that draws N(mean, sd^2) and does not learn: its only weight has no effect."""

    def __init__(self, mean, sd, seeds):
        super().__init__()
        self.mean, self.sd, self.idle = mean, sd, nn.Parameter(torch.zeros(seeds, 1, 1))

    def forward(self, z):
        return self.mean + self.sd * z + 0 * self.idle


def critic_run(rule, seeds, steps, distance=None):
    """A run of `steps` steps of the critic alone, for all seeds, between Gaussians `distance` apart."""
    seeds, half = list(seeds), SETTINGS["mean"] if distance is None else distance / 2
    law = data.gaussian(1, half, SETTINGS["sd"])
    D = mlp(1, 1, SETTINGS["hidden"], seed=seeds)
    recipe = Recipe(steps=steps, batch=SETTINGS["batch"], latent=1, ema=0.0, check_every=100, schedule="cosine",
                    **RULES[rule])  # fmt: skip
    return Run(Still(-half, SETTINGS["sd"], len(seeds)), D, law, recipe, seed=seeds, device="cpu")


def score_and_slope(run, x=GRID):
    """Scores and their slopes at the points x, one row a seed."""
    points = torch.tensor(x)[None, :, None].repeat(len(run.rng.seeds), 1, 1).requires_grad_()
    t = scores(run.D, points)
    return t.detach(), torch.autograd.grad(t.sum(), points)[0][..., 0]


def wage(rule, t, slope):
    """The length of the gradient that a fake receives from the generator's loss, by the loss."""
    if rule != "discriminator":
        return {"linear": slope.abs()}
    belief = torch.sigmoid(t)
    return {"saturating": belief * slope.abs(), "nonsaturating": (1 - belief) * slope.abs()}


def look(rule, run, x):
    """Mean wages of the fakes x; the grid too, where it is drawn."""
    t, slope = score_and_slope(run, x)
    return {name: [float(f"{v:.3g}") for v in g.mean(-1)] for name, g in wage(rule, t, slope).items()}


def estimate(run, n=100_000):
    """E_real f - E_fake f of the trained critic by quantiles of the two laws, one number a seed."""
    z = torch.special.ndtri((torch.arange(n) + 0.5) / n)[:, None]
    S, mean = len(run.rng.seeds), -run.G.mean
    with torch.no_grad():
        both = [scores(run.D, (m + SETTINGS["sd"] * z).expand(S, -1, -1)) for m in (mean, -mean)]
    return both[0].mean(-1) - both[1].mean(-1)


def digits(t):
    return [[float(f"{v:.4g}") for v in row] for row in t.tolist()]


def main():
    from results import store

    seeds, rows, across = range(SETTINGS["seeds"]), {}, []
    fakes = (-SETTINGS["mean"] + SETTINGS["sd"] * torch.special.ndtri((torch.arange(200) + 0.5) / 200)).tolist()
    for rule in RULES:
        row = {"wages": {}}
        for steps in SETTINGS["looks"]:
            run = critic_run(rule, seeds, steps)
            for _ in train(run):
                pass
            row["wages"][steps] = look(rule, run, fakes)
        t, slope = score_and_slope(run)
        row |= {"score": digits(t), "slope": digits(slope), "estimate": [float(f"{v:.4g}") for v in estimate(run)]}
        rows[rule] = row
        print(rule, row["wages"], row["estimate"], flush=True)
    for rule in ("clip 0.1", "clip 0.3", "penalty 10"):
        for distance in DISTANCES:
            run = critic_run(rule, seeds, 1000, distance)
            for _ in train(run):
                pass
            inside = [-distance / 2 + distance * k / 50 for k in range(51)]
            steepest = score_and_slope(run, inside)[1].abs().amax(-1)
            across.append({"rule": rule, "W1": distance, "estimate": [float(f"{v:.4g}") for v in estimate(run)],
                           "steepest": [float(f"{v:.4g}") for v in steepest]})  # fmt: skip
            print(across[-1], flush=True)
    store(__file__, seeds, {"settings": SETTINGS, "grid": GRID, "rows": rows, "across": across})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
