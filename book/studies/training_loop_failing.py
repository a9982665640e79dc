"""A run that fails, and one change at a time: is it the objective, the algorithm or the parametrisation?

The failing run: the discriminator starts with large orthogonal weights, the generator with torch's small ones. Every
variant trains ten seeds at once. ``python book/studies/training_loop_failing.py`` writes
``book/results/training-loop-failing.json`` (five minutes on one core).
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from ganlab import data, metrics
from ganlab.neural.models.mlp import mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).parents[1] / "_tools"))
from results import store

SEEDS, SAMPLES, HIDDEN = range(10), 2500, (64, 64, 64)
RECIPE = Recipe(steps=2000, schedule="cosine", lr=1e-3)
LARGE, SMALL = {"init": "orthogonal", "gain": 1.4}, {}
# name: (group, what changes in the recipe, the generator's start, the discriminator's start)
VARIANTS = {
    "the failing run": ("", {}, SMALL, LARGE),
    "saturating": ("objective", {"objective": "saturating"}, SMALL, LARGE),
    "least squares": ("objective", {"objective": "least_squares"}, SMALL, LARGE),
    "hinge": ("objective", {"objective": "hinge"}, SMALL, LARGE),
    "Wasserstein, GP 1": ("objective", {"objective": "wasserstein", "penalties": {"wgan_gp": 1.0}}, SMALL, LARGE),
    "RpGAN": ("objective", {"objective": "rpgan"}, SMALL, LARGE),
    "D 5 steps": ("algorithm", {"n_critic": 5, "steps": 1000}, SMALL, LARGE),
    "D rate / 10": ("algorithm", {"lr": 1e-4, "lr_g": 1e-3}, SMALL, LARGE),
    "R1 0.1": ("algorithm", {"penalties": {"r1": 0.1}}, SMALL, LARGE),
    "instance noise 0.5": ("algorithm", {"instance_noise": 0.5, "noise_until": 0.5}, SMALL, LARGE),
    "D starts small": ("parametrisation", {}, SMALL, SMALL),
    "G starts large": ("parametrisation", {}, LARGE, LARGE),
    "G large, D small": ("parametrisation", {}, LARGE, SMALL),
}  # fmt: skip


def study(name, seeds=SEEDS, steps=None):
    """Train one variant; returns modes and high-quality share of every seed."""
    _, changes, of_G, of_D = VARIANTS[name]
    recipe, law = replace(RECIPE, **changes), data.ring()
    recipe = replace(recipe, steps=steps or recipe.steps)
    networks = mlp(2, 2, HIDDEN, seed=seeds, **of_G), mlp(2, 1, HIDDEN, seed=[1000 + s for s in seeds], **of_D)
    run = Run(*networks, law, recipe, seed=seeds, device="cpu")
    for _ in train(run):
        pass
    reports = [metrics.modes_report(x, law, allow_nonfinite=True) for x in run.sample(SAMPLES)]
    return {"modes": [r.modes for r in reports], "hq": [round(float(r.hq), 3) for r in reports]}


if __name__ == "__main__":
    torch.set_num_threads(1)
    results = {}
    for name, (group, *_) in VARIANTS.items():
        results[name] = {"group": group} | study(name)
        print(f"{name:20}", results[name], flush=True)
    store(__file__, SEEDS, results)
