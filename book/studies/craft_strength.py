"""A larger discriminator against a longer trained one: two factors, three losses, ten seeds, on the ring.

Every run takes the same number of generator steps. ``python book/studies/craft_strength.py`` writes
``book/results/craft-strength.json`` (two minutes of one free core). The page *Craft* shows what was stored.
"""

import sys
from pathlib import Path

import torch

from ganlab import data, metrics
from ganlab.neural.models.mlp import mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"hidden_g": (64, 64, 64), "steps": 400, "batch": 64, "lr": 2e-3, "seeds": 10, "samples": 2500}
LOSSES = {
    "saturating": {"objective": "saturating"},
    "nonsaturating": {"objective": "nonsaturating"},
    "wasserstein, GP": {"objective": "wasserstein", "penalties": {"wgan_gp": 1.0}},
}
WIDTHS, D_STEPS = (16, 128), (1, 4)


def study(loss, width, d_steps, seeds, steps=SETTINGS["steps"]):
    """Train one cell; returns modes and high-quality share of every seed."""
    law, seeds = data.ring(), list(seeds)
    recipe = Recipe(steps=steps, batch=SETTINGS["batch"], lr=SETTINGS["lr"], n_critic=d_steps, schedule="cosine",
                    check_every=50, **LOSSES[loss])  # fmt: skip
    G = mlp(2, 2, SETTINGS["hidden_g"], init="orthogonal", gain=1.4, seed=seeds)
    D = mlp(2, 1, (width,) * 3, seed=[1000 + s for s in seeds])
    run = Run(G, D, law, recipe, seed=seeds, device="cpu", points=20_000)
    for _ in train(run):
        pass
    found = [metrics.modes_report(x, law, allow_nonfinite=True) for x in run.sample(SETTINGS["samples"])]
    return {"modes": [r.modes for r in found], "hq": [round(r.hq, 4) for r in found]}


def main():
    from results import store

    seeds, table = range(SETTINGS["seeds"]), []
    for loss in LOSSES:
        for width in WIDTHS:
            for d_steps in D_STEPS:
                table.append({"loss": loss, "width": width, "d_steps": d_steps} | study(loss, width, d_steps, seeds))
                print(table[-1], flush=True)
    print(store(__file__, seeds, {"settings": SETTINGS, "table": table}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
