"""Table 1 of R3GAN with the book's small convolutional baseline on stacked digits: the paper's four rows, ten seeds.

The networks of `ganlab.neural.models.baseline`, residual and without any normalisation, at 8 x 8 pixels and with 8
channels: as long as two CPU cores allow, which is not long. {RpGAN, non-saturating} x {R1 and R2, R1 only}, gamma = 1.
What is stored is what `gans_today_digits.py` stores, and 32 pictures of the first seed of the first row.

``python book/studies/gans_today_baseline.py`` writes ``book/results/gans-today-baseline.json`` (forty minutes on one
free core). With ``GANLAB_PROFILE=gpu`` the same rows are trained at a size nearer to the paper's.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from ganlab.neural.devices import profile
from ganlab.neural.models.baseline import discriminator, generator
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from gans_today_digits import LOSSES, PENALTIES, pictures, study

SIZES = {
    "class": {"width": 8, "blocks": 1, "steps": 1000, "batch": 32, "lr": 1e-3, "latent": 32, "ema": 0.99, "seeds": 10},
    "gpu": {
        "width": 64,
        "blocks": 2,
        "steps": 50_000,
        "batch": 512,
        "lr": 2e-4,
        "latent": 64,
        "ema": 0.999,
        "seeds": 10,
    },
}
ROWS = ("R1 and R2", "R1 only")


def make(loss, names, seed, size, steps=None):
    """One run of one row."""
    recipe = Recipe(objective=loss, penalties=dict.fromkeys(names, 1.0), steps=steps or size["steps"],
                    batch=size["batch"], latent=size["latent"], lr=size["lr"], betas=(0.0, 0.99), ema=size["ema"],
                    check_every=50)  # fmt: skip
    G = generator(8, 3, size["latent"], size["width"], size["blocks"], seed=seed)
    D = discriminator(8, 3, size["width"], size["blocks"], seed=100 + seed)
    return Run(G, D, pictures(), recipe, seed=seed)


def main():
    from results import store

    size, found, sheet = SIZES[profile()], {}, None
    seeds = range(size["seeds"])
    for loss in LOSSES:
        for name in ROWS:
            found[f"{loss}, {name}"] = each = []
            for seed in seeds:
                run = make(loss, PENALTIES[name], seed, size)
                each.append(study(loss, PENALTIES[name], 1.0, [seed], run=run))
                sheet = sheet or np.round(run.sample(32).clip(-1, 1) * 8 + 8).astype(int).tolist()
                print(loss, name, seed, each[-1], flush=True)
                store(__file__, seeds, {"settings": size, "rows": found, "sheet": sheet})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
