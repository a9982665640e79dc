"""Does a curve of the loss tell how good the samples are? And what does the critic need a constraint for?

The ring of eight Gaussians, networks with two layers of 64 ReLU units, ten seeds of each row: WGAN by Algorithm 1 with
a clip and a rate for small networks, the same with the paper's own c and rate, WGAN with a gradient penalty, the
non-saturating GAN, and, for 500 steps, WGAN without any constraint (with one and with five critic steps, and with
plain gradient steps).
Every 50 generator steps: W1 between 500 samples of the present generator and 500 fixed samples of the ring (by
assignment), what the critic raised (mean over those steps: its own estimate of W1, or minus the loss of the
discriminator), what the generator raised, and the root mean square of the critic's weights.

``python book/studies/wasserstein_gan_training.py`` writes ``book/results/wasserstein-gan-training.json`` (about three
minutes on one free core). The page *Moving earth* draws it, and a claim test runs a part again.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from ganlab import data
from ganlab.neural.models.mlp import mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import DivergedError, Run
from ganlab.neural.training import train
from ganlab.transport import wasserstein

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"seeds": 10, "hidden": (64, 64), "batch": 64, "steps": 2000, "free_steps": 500, "look_every": 50,
            "samples": 500}  # fmt: skip
ALGORITHM_1 = {"objective": "wasserstein", "optimizer": "rmsprop", "betas": (0.0, 0.99), "n_critic": 5}
ROWS = {
    "WGAN, c = 0.1": ALGORITHM_1 | {"clip": 0.1, "lr": 1e-3},
    "WGAN, c = 0.01 as printed": ALGORITHM_1 | {"clip": 0.01, "lr": 5e-5},
    "WGAN-GP": {"objective": "wasserstein", "n_critic": 5, "lr": 1e-3, "betas": (0.0, 0.9),
                "penalties": {"wgan_gp": 1.0}},
    "GAN": {"lr": 1e-3},
    "no constraint": ALGORITHM_1 | {"lr": 1e-3},
    "no constraint, 1 critic step": ALGORITHM_1 | {"lr": 1e-3, "n_critic": 1},
    "no constraint, gradient steps": {"objective": "wasserstein", "optimizer": "sgd", "lr": 1e-2, "n_critic": 5},
}  # fmt: skip


def make(name, seeds, steps=None):
    """The run of one row, for all seeds."""
    steps = steps or SETTINGS["free_steps" if name.startswith("no constraint") else "steps"]
    seeds, recipe = list(seeds), Recipe(steps=steps, batch=SETTINGS["batch"], ema=0.0, check_every=50, **ROWS[name])
    G, D = mlp(2, 2, SETTINGS["hidden"], seed=seeds), mlp(2, 1, SETTINGS["hidden"], seed=[100 + s for s in seeds])
    return Run(G, D, data.ring(), recipe, seed=seeds, device="cpu")


def distance(run, real):
    """Exact W1 between samples of the present generator and the fixed real samples, one number a seed; None if lost."""
    samples = run.sample(len(real))
    return [round(wasserstein(x, real), 4) if np.isfinite(x).all() and np.abs(x).max() < 1e6 else None for x in samples]


def size(run):
    """Root mean square of all the critic's weights, one number a seed."""
    flat = torch.cat([p.detach().flatten(1) for p in run.D.parameters()], dim=1)
    return flat.square().mean(1).sqrt().tolist()


def reals():
    """The fixed real samples, and what two such sets are apart (the floor of every distance here)."""
    sets = [data.ring().sample(SETTINGS["samples"], np.random.default_rng([7, k])) for k in range(11)]
    return sets[0], [round(wasserstein(sets[0], x), 4) for x in sets[1:]]


def digits(values):
    return [float(f"{v:.4g}") if np.isfinite(v) else None for v in np.asarray(values, dtype=float)]


def follow(run, real):
    """Train, and look every now and then."""
    looks, gains = [], []
    looks.append({"step": 0, "W1": distance(run, real), "size": digits(size(run))})
    try:
        for record in train(run):
            gains.append((record.d_gain.numpy(), record.g_gain.detach().numpy()))
            if record.step % SETTINGS["look_every"] == 0:
                d, g = (np.mean(column, axis=0) for column in zip(*gains, strict=True))
                looks.append({"step": record.step, "W1": distance(run, real), "d_gain": digits(d), "g_gain": digits(g),
                              "size": digits(size(run))})  # fmt: skip
                gains = []
    except DivergedError as error:
        return looks, str(error)
    return looks, None


def main():
    from results import store

    seeds, rows, (real, floor) = range(SETTINGS["seeds"]), {}, reals()
    for name in ROWS:
        looks, stopped = follow(make(name, seeds), real)
        rows[name] = {"looks": looks, "stopped": stopped}
        print(name, stopped, looks[-1], flush=True)
        store(__file__, seeds, {"settings": SETTINGS, "floor": floor, "rows": rows})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
