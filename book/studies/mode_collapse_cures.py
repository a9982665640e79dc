"""Which cure helps a generator that is faster than its discriminator? One benchmark, ten seeds of everything.

The ring of eight Gaussians of the unrolled GAN's paper (radius 2, standard deviation 0.02), two small networks, and a
generator whose learning rate is four times the discriminator's (in the authors' demo it is ten times). Every cure
changes one thing and nothing else. Stored for every seed: modes, high-quality share and reverse KL of 2,500 samples of
the averaged generator; through training, modes that the present generator reaches and the critic's slope at the data;
and the CPU time of a step in units of the plain run's.

``python book/studies/mode_collapse_cures.py`` writes ``book/results/mode-collapse-cures.json`` (about eight minutes on
one free core). The page *Mode collapse* shows what was stored, and claim tests run small parts again.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ganlab import data, metrics
from ganlab.neural.minibatch import MinibatchDiscrimination, MinibatchStdDev
from ganlab.neural.models.mlp import mlp, stack
from ganlab.neural.penalties import r1
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"width": 64, "gain": 1.4, "batch": 64, "steps": 2000, "lr": 5e-4, "lr_g": 2e-3, "schedule": "cosine",
            "seeds": 10, "samples": 2500, "look_every": 100}  # fmt: skip
# What each row changes: entries of the recipe, and the kind of critic.
CURES = {
    "nothing": {},
    "D as fast as G": {"lr": 2e-3},
    "unrolled, K = 1": {"unroll": 1, "unroll_lr": 0.03},
    "unrolled, K = 5": {"unroll": 5, "unroll_lr": 0.03},
    "pack of 2": {"pack": 2},
    "pack of 3": {"pack": 3},
    "pack of 4": {"pack": 4},
    "DRAGAN, weight 1": {"penalties": {"dragan": 1.0}},
    "DRAGAN, weight 10": {"penalties": {"dragan": 10.0}},
    "instance noise": {"instance_noise": 0.5},
    "RpGAN + R1 + R2": {"objective": "rpgan", "penalties": {"r1": 0.02, "r2": 0.02}},
    "minibatch std dev": {"critic": "std dev"},
    "minibatch discr.": {"critic": "discrimination"},
    "unrolled, K = 10": {"unroll": 10, "unroll_lr": 0.03},
}


def critic(kind, pack, seeds):
    """A stack of critics; the two batch layers stand before the last layer, where their papers put them."""
    width = SETTINGS["width"]
    if kind == "plain":
        return mlp(2 * pack, 1, (width, width), seed=seeds)

    def one(seed):
        body = mlp(2, width, (width,), seed=seed)
        if kind == "std dev":
            layer, more = MinibatchStdDev(), 1
        else:
            layer, more = MinibatchDiscrimination(width, 4, 3, generator=torch.Generator().manual_seed(seed)), 4
        return nn.Sequential(*body, nn.ReLU(), layer, *mlp(width + more, 1, (), seed=seed))

    return stack([one(seed) for seed in seeds])


def make(change, seeds, steps=None):
    """A run of all seeds of one row."""
    change = dict(change)
    kind, seeds = change.pop("critic", "plain"), list(seeds)
    chosen = {name: SETTINGS[name] for name in ("batch", "steps", "lr", "lr_g", "schedule")} | change
    recipe = Recipe(**chosen | ({} if steps is None else {"steps": steps}), check_every=100)
    width = SETTINGS["width"]
    G = mlp(2, 2, (width, width), init="orthogonal", gain=SETTINGS["gain"], seed=seeds)
    D = critic(kind, recipe.pack, [100 + s for s in seeds])
    return Run(G, D, data.ring(), recipe, seed=seeds, device="cpu")


def reached(samples, law):
    """Modes with at least a tenth of the samples that are due to them, however far from the mode these lie."""
    counts = np.array(metrics.modes_report(samples, law, z=1e12).counts)
    return int(np.sum(counts >= 0.1 * law.weights * len(samples)))


def look(run):
    """Modes reached now, and the root mean square of the critic's slope at the data: one number each a seed."""
    real = run.prepare(run.data[: 500 * run.recipe.pack].expand(len(run.rng.seeds), -1, -1))
    slope = (2 * r1(run.D, real)).sqrt().tolist()
    modes = [reached(x, data.ring()) for x in run.sample(800, averaged=False)]
    return {"step": run.step, "reached": modes, "slope": [float(f"{v:.3g}") for v in slope]}


def measure(run, law=None):
    """Modes, high-quality share and reverse KL of the averaged generator, one number each a seed."""
    law = law or data.ring()
    reports = [metrics.modes_report(x, law, allow_nonfinite=True) for x in run.sample(SETTINGS["samples"])]
    return {"modes": [c.modes for c in reports], "hq": [round(c.hq, 4) for c in reports],
            "kl": [None if np.isnan(c.reverse_kl) else round(c.reverse_kl, 4) for c in reports],
            "reached": [reached(x, law) for x in run.sample(SETTINGS["samples"])]}  # fmt: skip


def train_row(change, seeds, steps=None):
    """Train one row; returns what was found, with the CPU seconds of a step."""
    run, looks, spent = make(change, seeds, steps), [], 0.0
    clock = time.process_time()
    for record in train(run):
        if record.step % SETTINGS["look_every"] == 0:
            spent += time.process_time() - clock
            looks.append(look(run))
            clock = time.process_time()
    return {**measure(run), "through": looks, "seconds": spent / run.recipe.steps}


def main():
    from results import store

    seeds, rows, plain = range(SETTINGS["seeds"]), {}, None
    for name, change in CURES.items():
        row = train_row(change, seeds)
        plain = plain or row["seconds"]
        row["cost"] = float(f"{row.pop('seconds') / plain:.2g}")
        rows[name] = row
        print(name, row["modes"], row["hq"], row["cost"], flush=True)
        store(__file__, seeds, {"settings": SETTINGS, "rows": rows})  # after every row: nothing is lost


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
