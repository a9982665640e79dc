"""Where does a GAN end that can only draw one Gaussian, when the data are two?

The generator is affine, ``x = m + s z``, so that its law is ``N(m, s^2)`` and the divergence that it should minimise
can be computed. The data are ``N(-a, 1) / 2 + N(a, 1) / 2``. Each run starts from one of two places, wide in the middle
(``m = 0.3``, ``s = a``) or on the right-hand mode (``m = a``, ``s = 1``), ten seeds each, which are trained at once.
Two objectives: the saturating one, whose generator follows 2 JS at the best critic, and the non-saturating one, which
follows ``KL(p_g || p_d) - 2 JS``.

``python book/studies/jensen_shannon_fits.py`` writes ``book/results/jensen-shannon-fits.json`` (about fifteen minutes
on one busy core). The page *Jensen-Shannon* draws what was stored over the exact minima, and a claim test runs one row
again.
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

SETTINGS = {"hidden": (32, 32), "batch": 128, "steps": 1500, "n_critic": 5, "lr": 2e-3, "lr_g": 5e-3, "ema": 0.99}
SEEDS = range(10)
DISTANCES = (2.0, 2.5, 3.0, 4.0, 5.0)
OBJECTIVES = ("saturating", "nonsaturating")


def fit(objective, a, seeds, steps=SETTINGS["steps"]):
    """Train from both starts with all seeds; returns the averaged ``(m, s)`` from the middle and from the mode."""
    seeds = list(seeds)
    starts = [(0.3, a)] * len(seeds) + [(a, 1.0)] * len(seeds)
    G = mlp(1, 1, (), seed=range(len(starts)))
    with torch.no_grad():
        G[0].bias.copy_(torch.tensor(starts)[:, :1, None])
        G[0].weight.copy_(torch.tensor(starts)[:, 1:, None])
    D = mlp(1, 1, SETTINGS["hidden"], "tanh", seed=[1000 + s for s in seeds * 2])
    recipe = Recipe(objective=objective, steps=steps, batch=SETTINGS["batch"], n_critic=SETTINGS["n_critic"],
                    lr=SETTINGS["lr"], lr_g=SETTINGS["lr_g"], betas=(0.5, 0.99), schedule="cosine", latent=1,
                    ema=SETTINGS["ema"], check_every=100)  # fmt: skip
    run = Run(G, D, data.two_peaks(2 * a), recipe, seed=[*seeds, *(100 + s for s in seeds)], device="cpu")
    for _ in train(run):
        pass
    ends = torch.stack([run.ema[0].bias.flatten(), run.ema[0].weight.flatten().abs()], dim=1).tolist()
    return [[round(m, 4), round(s, 4)] for m, s in ends[: len(seeds)]], [
        [round(m, 4), round(s, 4)] for m, s in ends[len(seeds) :]
    ]


def main():
    from results import store

    table = []
    for objective in OBJECTIVES:
        for a in DISTANCES:
            middle, mode = fit(objective, a, SEEDS)
            table.append({"objective": objective, "a": a, "middle": middle, "mode": mode})
            print(objective, a, middle, mode, flush=True)
    print(store(__file__, SEEDS, {"settings": SETTINGS, "table": table}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
