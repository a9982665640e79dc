"""Does another loss make a DCGAN robust to its architecture? Three architectures, four losses, ten seeds each, faces.

The architectures are the recipe's, one without batch normalisation, and one that besides has as few filters everywhere
as on its largest map: the change that the authors of the WGAN made. The non-saturating loss with the first two is in
``dcgan_recipe.py``. All else is the recipe's, one step of D for each of G included, so every cell costs about the same.
WGAN-GP stands only where D has no batch normalisation, because its penalty is meant sample by sample.

``python book/studies/dcgan_losses.py`` writes ``book/results/dcgan-losses.json`` (about six minutes on one core).
"""

import sys
from pathlib import Path

import torch
from dcgan_recipe import SETTINGS, table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

PLAIN, CONSTANT = {"networks": {"norm": None}}, {"networks": {"norm": None, "law": "constant"}}
LEAST_SQUARES = {"recipe": {"objective": "least_squares"}}
CLIPPED = {"recipe": {"objective": "wasserstein", "clip": 0.1}}
PENALTY = {"recipe": {"objective": "wasserstein", "penalties": {"wgan_gp": 10.0}}}
CELLS = {
    "least squares, the recipe": LEAST_SQUARES,
    "least squares, no BatchNorm": LEAST_SQUARES | PLAIN,
    "WGAN-GP, no BatchNorm": PENALTY | PLAIN,
    "WGAN-GP, constant filters": PENALTY | CONSTANT,
    "non-saturating, constant filters": CONSTANT,
    "WGAN, the recipe": CLIPPED,
    "WGAN, constant filters": CLIPPED | CONSTANT,
    "least squares, constant filters": LEAST_SQUARES | CONSTANT,
    "WGAN, no BatchNorm": CLIPPED | PLAIN,
}


def main():
    from results import store

    seeds = range(SETTINGS["seeds"])
    for rows in table(CELLS, seeds):
        store(__file__, seeds, {"rows": rows})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
