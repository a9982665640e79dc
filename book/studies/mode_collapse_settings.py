"""Rings and grids of the published tables, ten seeds of each, with nothing left out.

Three settings: the ring and the networks of the unrolled GAN's demo notebook (radius 1, standard deviation 0.01, two
layers of 128 tanh units, orthogonal start of gain 1.4, noise of dimension 256, a generator ten times faster than the
discriminator), and the ring and the grid of PacGAN and VEEGAN with the small networks of this book and equal rates.
All are cut down: 1,500 of the demo's 25,000 steps with a batch of 128 instead of 512, and 2,000 and 4,000 instead of
PacGAN's 400,000. Stored for every seed: modes, high-quality share and reverse KL of 2,500 samples of the averaged
generator.

``python book/studies/mode_collapse_settings.py`` writes ``book/results/mode-collapse-settings.json`` (about three
minutes on one free core). The page *Mode collapse* shows what was stored, and a claim test runs a part again.
"""

import sys
from pathlib import Path

import torch

from ganlab import data
from ganlab.neural.models.mlp import mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from mode_collapse_cures import measure

SETTINGS = {"seeds": 10, "samples": 2500}
DEMO = {"batch": 128, "steps": 1500, "lr": 1e-4, "lr_g": 1e-3, "latent": 256}
RING = {"batch": 64, "steps": 2000, "lr": 2e-3, "schedule": "cosine"}
GRID = {"batch": 64, "steps": 4000, "lr": 2e-3, "schedule": "cosine"}
R1_R2 = {"objective": "rpgan", "penalties": {"r1": 0.1, "r2": 0.1}, "lazy": 4}
# The law, the hidden layers of both networks, their activation, and the recipe.
ROWS = {
    "demo ring, as in the demo": (data.ring(8, 1.0, 0.01), (128, 128), "tanh", DEMO),
    "PacGAN ring, plain": (data.ring(8, 1.0, 0.01), (64, 64), "relu", RING),
    "PacGAN ring, pack of 2": (data.ring(8, 1.0, 0.01), (64, 64), "relu", RING | {"pack": 2}),
    "grid, plain": (data.grid(), (64, 64, 64), "relu", GRID),
    "grid, RpGAN + R1 + R2": (data.grid(), (64, 64, 64), "relu", GRID | R1_R2),
}


def make(name, seeds):
    """A run of all seeds of one row. The demo draws both networks orthogonal, the other rows the generator only."""
    law, hidden, activation, recipe = ROWS[name]
    recipe, seeds = Recipe(**recipe, check_every=100), list(seeds)
    critic = {"init": "orthogonal", "gain": 1.4} if activation == "tanh" else {}
    G = mlp(recipe.latent, 2, hidden, activation, init="orthogonal", gain=1.4, seed=seeds)
    D = mlp(2 * recipe.pack, 1, hidden, activation, **critic, seed=[100 + s for s in seeds])
    return Run(G, D, law, recipe, seed=seeds, device="cpu")


def main():
    from results import store

    seeds, rows = range(SETTINGS["seeds"]), {}
    for name, (law, *_) in ROWS.items():
        run = make(name, seeds)
        for _ in train(run):
            pass
        rows[name] = measure(run, law)
        if law.name == "grid":
            rows[name]["points"] = run.sample(300)[0].round(2).tolist()
        print(name, rows[name]["modes"], rows[name]["hq"], flush=True)
        store(__file__, seeds, {"settings": SETTINGS, "rows": rows})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
