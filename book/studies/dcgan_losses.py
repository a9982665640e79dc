"""Does another loss make a DCGAN robust to its architecture? Two architectures, four losses, ten seeds each, faces.

The second architecture has no batch normalisation, and as few filters everywhere as on its largest map: the change that
the authors of the WGAN made. The non-saturating loss with the recipe itself is in ``dcgan_recipe.py``. All else is the
recipe's, one step of D for each of G included, so every cell costs about the same. WGAN-GP stands only where D has no
batch normalisation, because its penalty is meant sample by sample.

``python book/studies/dcgan_losses.py`` writes ``book/results/dcgan-losses.json`` (about five minutes on one core).
"""

import sys
from pathlib import Path

import torch
from dcgan_recipe import SETTINGS, table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

CONSTANT = {"networks": {"norm": None, "law": "constant"}}
LEAST_SQUARES = {"recipe": {"objective": "least_squares"}}
CLIPPED = {"recipe": {"objective": "wasserstein", "clip": 0.1}}
PENALTY = {"recipe": {"objective": "wasserstein", "penalties": {"wgan_gp": 10.0}}}
CELLS = {
    "non-saturating, constant filters": CONSTANT,
    "WGAN, constant filters": CLIPPED | CONSTANT,
    "WGAN-GP, constant filters": PENALTY | CONSTANT,
    "least squares, constant filters": LEAST_SQUARES | CONSTANT,
    "least squares, the recipe": LEAST_SQUARES,
    "WGAN, the recipe": CLIPPED,
}


def main():
    from results import store

    seeds = range(SETTINGS["seeds"])
    for rows in table(CELLS, seeds):
        store(__file__, seeds, {"rows": rows})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
