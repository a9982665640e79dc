"""What do clipped, penalised and normalised critics see of a blur? The generator stands still.

Three laws of Gulrajani et al. 2017 (8 Gaussians, 25 Gaussians, swiss roll). The fakes are the data plus noise N(0, I),
and every noise comes with its opposite, so that data and fakes have *exactly* the same mean. 512 points a side are
kept, and for these sets the best 1-Lipschitz critic and the distance W1 are known exactly. Six critics, three layers of
64 ReLU units, 1,500 steps, ten seeds as one stack. Stored for every seed: gain (mean score of data less that of fakes),
the steepest slope K on a grid and at the points, the share of weights within 0.001 of the clip; of seed 0 the values on
a grid. No critic can have a gain above K W1, so gain / (K W1) is the share of the distance that it sees.

Then the line: data N(0, 1), fakes N(2, 1), WGAN-GP with both kinds of penalty and three weights, slopes on a grid for
ten seeds. There the best critic of the penalised game is known in closed form.

``python book/studies/clipping_critics.py`` writes ``book/results/clipping-critics.json`` (about four minutes on one
free core). The page *From clipping to penalties* draws it, and claim tests run a part again.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ganlab import data
from ganlab.neural.models.mlp import mlp
from ganlab.neural.penalties import spectral_normalise
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train
from ganlab.transport import wasserstein

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"seeds": 10, "hidden": (64, 64, 64), "batch": 128, "points": 512, "critic_steps": 1500, "grid": 41}
LAWS = {
    "8 Gaussians": (data.ring(8, 2.0, 0.02), 4.5),
    "25 Gaussians": (data.grid(5, 2.0, 0.05), 6.0),
    "swiss roll": (data.swiss_roll(0.25 / 7.5, 4.5 * np.pi / 7.5), 3.2),
}
CLIPPED = {"optimizer": "rmsprop", "betas": (0.0, 0.99), "lr": 1e-3}
FREE = {"betas": (0.0, 0.9), "lr": 2e-3}
RULES = {
    "clip 0.01": CLIPPED | {"clip": 0.01},
    "clip 0.05": CLIPPED | {"clip": 0.05},
    "WGAN-GP, 10": FREE | {"penalties": {"wgan_gp": 10.0}},
    "WGAN-GP, 0.1": FREE | {"penalties": {"wgan_gp": 0.1}},
    "one-sided, 10": FREE | {"penalties": {"wgan_gp_one_sided": 10.0}},
    "spectral norm": FREE,
}
LINE = {"mean": 2.0, "weights": (0.1, 1.0, 10.0), "hidden": (32, 32), "low": -3.0, "high": 5.0, "grid": 41}


class Bank(nn.Module):
    """A generator that draws from a fixed set of fakes and does not learn: its only weight has no effect."""

    def __init__(self, fakes, seeds):
        super().__init__()
        self.register_buffer("fakes", torch.as_tensor(fakes, dtype=torch.float32))
        self.idle = nn.Parameter(torch.zeros(seeds, 1, 1))

    def forward(self, z):
        share = torch.special.ndtr(z[..., 0]) * len(self.fakes)  # a normal number becomes a place in the list
        return self.fakes[share.long().clamp(max=len(self.fakes) - 1)] + 0 * self.idle


class Normal(nn.Module):
    """A generator that draws N(mean, 1) on the line and does not learn."""

    def __init__(self, mean, seeds):
        super().__init__()
        self.mean, self.idle = mean, nn.Parameter(torch.zeros(seeds, 1, 1))

    def forward(self, z):
        return self.mean + z + 0 * self.idle


def blurred(name, points=None):
    """Data of a law, and the same points plus noise; each half of the noise is the other's opposite."""
    rng, half = np.random.default_rng(0), (points or SETTINGS["points"]) // 2
    real, noise = LAWS[name][0].sample(half, rng), rng.normal(size=(half, 2))
    real = np.concatenate([real, real])
    return real, real + np.concatenate([noise, -noise])


def critic(real, fakes, rule, seeds, critic_steps=None, hidden=None):
    """Train the critic alone between two sets of points, for all seeds at once."""
    seeds, recipe = list(seeds), dict(rule)
    D = mlp(2, 1, hidden or SETTINGS["hidden"], seed=seeds)
    if "clip" not in recipe and "penalties" not in recipe:
        spectral_normalise(D)
    recipe = Recipe(objective="wasserstein", steps=(critic_steps or SETTINGS["critic_steps"]) // 5, n_critic=5, ema=0.0,
                    batch=SETTINGS["batch"], schedule="cosine", check_every=100, **recipe)  # fmt: skip
    points = torch.as_tensor(real, dtype=torch.float32)
    run = Run(Bank(fakes, len(seeds)), D, points, recipe, seed=seeds, device="cpu")
    for _ in train(run):
        pass
    return D.eval()


def grid_of(span, n):
    line = np.linspace(-span, span, n)
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def values(D, z, seeds):
    """Scores of the points z by each of the stack's critics, shape (S, n)."""
    with torch.no_grad():
        return D(torch.as_tensor(z, dtype=torch.float32).expand(seeds, -1, -1))[..., 0].double().numpy()


def slopes(D, z, seeds):
    """Length of the critic's gradient at the points z, shape (S, n)."""
    z = torch.as_tensor(z, dtype=torch.float32).expand(seeds, -1, -1).clone().requires_grad_()
    (g,) = torch.autograd.grad(D(z).sum(), z)
    return g.norm(dim=-1).double().numpy()


def weights(D):
    """All numbers of the weight matrices, without biases, shape (S, N)."""
    return torch.cat([p.detach().flatten(1) for name, p in D.named_parameters() if "bias" not in name], 1).numpy()


def measure(D, real, fakes, span, seeds):
    """Gain and steepest slope of every critic, in double precision."""
    gain = values(D, real, seeds).mean(1) - values(D, fakes, seeds).mean(1)
    return gain, slopes(D, np.concatenate([grid_of(span, 121), real, fakes]), seeds).max(1)


def near(w, c, width=1e-3):
    """Share of the weights within `width` of plus or minus c."""
    return (np.abs(np.abs(w) - c) < width).mean(1)


def line_slopes(kind, weight, seeds, critic_steps=None):
    """Slopes on a grid of WGAN-GP critics between N(0, 1) and N(mean, 1), shape (S, grid)."""
    seeds = list(seeds)
    D = mlp(1, 1, LINE["hidden"], "softplus", seed=seeds)
    recipe = Recipe(objective="wasserstein", steps=(critic_steps or SETTINGS["critic_steps"]) // 5, n_critic=5, ema=0.0,
                    batch=SETTINGS["batch"], schedule="cosine", check_every=100, latent=1, betas=(0.0, 0.9), lr=3e-3,
                    penalties={kind: weight})  # fmt: skip
    law = data.gaussian(1)
    run = Run(Normal(LINE["mean"], len(seeds)), D, law, recipe, seed=seeds, device="cpu")
    for _ in train(run):
        pass
    x = torch.linspace(LINE["low"], LINE["high"], LINE["grid"])[:, None].expand(len(seeds), -1, -1).clone()
    (g,) = torch.autograd.grad(D(x.requires_grad_()).sum(), x)
    return g[..., 0].double().numpy()


def study_law(name, seeds):
    real, fakes = blurred(name)
    span, distance, table = LAWS[name][1], wasserstein(*blurred(name)), {}
    for rule, options in RULES.items():
        D, n = critic(real, fakes, options, seeds), len(seeds)
        gain, steepest = measure(D, real, fakes, span, n)
        w = weights(D)
        scores = values(D, grid_of(span, SETTINGS["grid"]), n)[0]
        scores = scores - scores.mean()
        table[rule] = {
            "gain": [float(f"{v:.4g}") for v in gain],
            "steepest": [float(f"{v:.4g}") for v in steepest],
            "near": {str(c): near(w, c).round(4).tolist() for c in (0.01, 0.05)},
            "histogram": np.histogram(w, np.linspace(-0.5, 0.5, 101))[0].tolist(),
            "fine": np.histogram(w, np.linspace(-0.0525, 0.0525, 43))[0].tolist(),
            "surface": (scores / np.abs(scores).max()).round(3).tolist(),
        }
        print(name, rule, (gain / steepest / distance).round(2), flush=True)
    return {"W1": round(distance, 6), "critics": table}


def main():
    from results import store

    seeds = range(SETTINGS["seeds"])
    found = {"settings": SETTINGS, "laws": {name: study_law(name, seeds) for name in LAWS}, "line": {"settings": LINE}}
    for kind in ("wgan_gp", "wgan_gp_one_sided"):
        found["line"][kind] = {str(w): line_slopes(kind, w, seeds).round(3).tolist() for w in LINE["weights"]}
        print(kind, flush=True)
    print(store(__file__, seeds, found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
