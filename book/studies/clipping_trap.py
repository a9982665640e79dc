"""Does a critic that points the wrong way turn round?

Data N(0, 1), fakes N(2, 1), as on the line of `clipping_critics.py`. Every critic is first trained with the two laws
exchanged and the one-sided penalty, so that it starts with the wrong sign and a slope near 1; then 1,000 steps with the
laws as they are. WGAN-GP and its one-sided form, three weights, ten seeds as one stack. Stored: each seed's slope at 0,
1 and 2 before and after.

``python book/studies/clipping_trap.py`` writes ``book/results/clipping-trap.json`` (about a minute on one free core).
The page *From clipping to penalties* prints it, and a claim test runs a part again.
"""

import sys
from pathlib import Path

import torch
from clipping_critics import LINE, Normal

from ganlab import data
from ganlab.neural.models.mlp import mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"seeds": 10, "batch": 128, "first": 300, "then": 1000, "at": (0.0, 1.0, 2.0)}


def slopes(D, seeds):
    x = torch.tensor(SETTINGS["at"])[:, None].expand(seeds, -1, -1).clone().requires_grad_()
    (g,) = torch.autograd.grad(D(x).sum(), x)
    return g[..., 0].numpy().round(3).tolist()


def turn(kind, weight, seeds, then=None):
    """Slopes of every seed's critic after training with exchanged laws, and after training with the right ones."""
    seeds, found = list(seeds), []
    D = mlp(1, 1, LINE["hidden"], "softplus", seed=seeds)
    exchanged = (2.0, 0.0, SETTINGS["first"], {"wgan_gp_one_sided": 10.0})
    for real, fake, steps, charge in (exchanged, (0.0, 2.0, then or SETTINGS["then"], {kind: weight})):
        recipe = Recipe(objective="wasserstein", steps=steps // 5, n_critic=5, ema=0.0, batch=SETTINGS["batch"],
                        latent=1, schedule="cosine", betas=(0.0, 0.9), lr=3e-3, penalties=charge)  # fmt: skip
        law, still = data.gaussian(1, real), Normal(fake, len(seeds))
        for _ in train(Run(still, D, law, recipe, seed=seeds, device="cpu")):
            pass
        found.append(slopes(D, len(seeds)))
    return found


def main():
    from results import store

    seeds, found = range(SETTINGS["seeds"]), {"settings": SETTINGS}
    for kind in ("wgan_gp", "wgan_gp_one_sided"):
        found[kind] = {}
        for weight in LINE["weights"]:
            before, after = turn(kind, weight, seeds)
            found[kind][str(weight)] = {"before": before, "after": after}
            print(kind, weight, [round(row[1], 2) for row in before], [round(row[1], 2) for row in after], flush=True)
    print(store(__file__, seeds, found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
