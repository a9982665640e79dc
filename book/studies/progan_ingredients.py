"""What each ingredient of the progressive GAN is worth: made faces of 16 x 16, ten seeds, one change a row.

Every row trains the same small pair on the same number of real pictures, 4 -> 8 -> 16, except the row that trains at 16
from the start. Stored for every seed: the sliced Wasserstein distance of patches (times a thousand, as in the paper) of
the averaged and of the present generator, recall of the faces' coarse colours (means over 4 x 4 fields), the fakes'
standard deviation over that of the faces, and CPU seconds; during the last level also distance against seconds.

``python book/studies/progan_ingredients.py`` writes ``book/results/progan-ingredients.json`` (about a quarter of an
hour on one core). Seeds that are stored already are kept, so it can be stopped. The page *ProGAN* shows what it found.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ganlab.drawings import faces
from ganlab.neural.growing import PUBLISHED, Growth, levels
from ganlab.neural.models.progan import EqualConv, PixelNorm
from ganlab.neural.runs import DivergedError
from ganlab.neural.training import train
from ganlab.quality import patch_sliced_wasserstein
from ganlab.two_sample import precision_recall

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"resolution": 16, "width": 16, "batch": 16, "latent": 32, "lr": 8e-3, "steps": 60, "faces": 4000,
            "measured": 500, "seeds": 10, "look_every": 30}  # fmt: skip
HE = 1 / 8.5  # the scale that an equalised layer of 16 filters has: sqrt(2 / 144)
# What each row changes: of the recipe, of the growth, and what is taken out of the networks.
ROWS = {
    "everything": {},
    "no growth": {"start": 16},
    "no fade": {"growth": "jump"},
    "no pixel norm": {"without": "pixel norm"},
    "no minibatch deviation": {"without": "minibatch deviation"},
    "no equalised rate": {"without": "equalised rate"},
    "no equalised rate, lr / 8.5": {"without": "equalised rate", "recipe": {"lr": SETTINGS["lr"] * HE}},
    "least squares": {"recipe": {"objective": "least_squares", "penalties": {}}},
}


class Jump(Growth):
    """Growth with as many steps, whose new layers are there at once: alpha is 0 for one step."""

    def steps(self, resolution):
        fade, steps = super().steps(resolution)
        return min(fade, 1), steps


class Blank(nn.Module):
    """In the place of the minibatch standard deviation: a feature that is always 0."""

    def forward(self, x):
        return F.pad(x, (0, 0, 0, 0, 0, 1))


@torch.no_grad()
def take_out(run, what):
    """Take an ingredient out of the networks of a run that has not begun; what a row before took out stays out."""
    for net in (run.G, run.ema, run.D):
        for block in net.blocks:
            for k, layer in enumerate(block):
                if what == "pixel norm" and isinstance(layer, PixelNorm) and (k or block is not net.blocks[0]):
                    block[k] = nn.Identity()  # all but the first, which makes the noise a direction
        if what == "equalised rate":
            for layer in (m for m in net.modules() if isinstance(m, EqualConv)):
                layer.weight.mul_(layer.scale)  # the same function, but what Adam moves is small now
                layer.scale = 1.0
    if what == "minibatch deviation":
        run.D.blocks[0][0] = Blank()


def growth_of(change, steps=None, resolution=None):
    """The growth of a row; all rows see as many real pictures."""
    s, n = SETTINGS, steps or SETTINGS["steps"]
    resolution = resolution or s["resolution"]
    recipe = replace(PUBLISHED, latent=s["latent"], batch=s["batch"], lr=s["lr"], check_every=50)
    recipe = replace(recipe, **change.get("recipe", {}))
    start, kind = change.get("start", 4), Jump if change.get("growth") == "jump" else Growth
    stable = n if start == 4 else n * (2 * int(np.log2(resolution)) - 3)
    return kind(resolution, start, stable * s["batch"], n * s["batch"], s["width"], recipe=recipe)


def coarse(x):
    """The mean colours of 4 x 4 fields, one row a picture."""
    side = x.shape[-1] // 4
    return x.reshape(len(x), 3, 4, side, 4, side).mean((3, 5)).reshape(len(x), -1)


def distance(real, fake, smallest=8):
    """Sliced Wasserstein distance of patches, times a thousand; fakes are cut off as a screen does."""
    rng = np.random.default_rng(0)
    found = patch_sliced_wasserstein(real, np.clip(fake, -1, 1), rng, patches=16, directions=64, smallest=smallest)
    return round(1000 * found.mean, 1)


def train_row(change, seed, pictures, held_out, steps=None, look_every=None):
    """Train one seed of one row; returns what was found."""
    growth, n = growth_of(change, steps, pictures.shape[-1]), SETTINGS["measured"]
    look_every, spent, looks = look_every or SETTINGS["look_every"], 0.0, []
    try:
        for run in levels(pictures, growth, seed, "cpu"):
            take_out(run, change.get("without"))
            clock = time.process_time()
            for record in train(run):
                if run.data.shape[-1] == growth.resolution and record.step % look_every == 0:
                    spent += time.process_time() - clock
                    looks.append([round(spent, 2), distance(held_out, run.sample(n))])
                    clock = time.process_time()
            spent += time.process_time() - clock
    except DivergedError as error:
        return {"diverged": str(error)}
    fakes, now = np.clip(run.sample(n), -1, 1), run.sample(n, averaged=False)
    return {"swd": distance(held_out, fakes), "no average": distance(held_out, now),
            "recall": round(precision_recall(coarse(held_out), coarse(fakes))[1], 3),
            "spread": round(float(fakes.std(0).mean() / held_out.std(0).mean()), 3),
            "seconds": round(spent, 2), "looks": looks}  # fmt: skip


def sets(resolution, n):
    """Faces to train on, and two other sets to measure with."""
    return [faces(k, np.random.default_rng(seed), resolution).images
            for seed, k in ((0, SETTINGS["faces"]), (1, n), (2, n))]  # fmt: skip


def prepare():
    """Faces, and what two sets of true ones score against each other."""
    pictures, held_out, others = sets(SETTINGS["resolution"], SETTINGS["measured"])
    recall = round(precision_recall(coarse(held_out), coarse(others))[1], 3)
    return pictures, held_out, {"swd": distance(held_out, others), "recall": recall}


def main():
    from results import RESULTS, fingerprint, store

    pictures, held_out, floor = prepare()
    rows, path = {name: [] for name in ROWS}, RESULTS / "progan-ingredients.json"
    if path.exists():
        old = json.loads(path.read_text(encoding="utf-8"))
        rows = old["results"]["rows"] if old["sha256"] == fingerprint(__file__) else rows
    for seed in range(SETTINGS["seeds"]):
        for name, change in ROWS.items():
            if len(rows[name]) == seed:
                rows[name].append(train_row(change, seed, pictures, held_out))
                print(name, seed, {k: v for k, v in rows[name][-1].items() if k != "looks"}, flush=True)
        store(__file__, range(seed + 1), {"settings": SETTINGS, "floor": floor, "rows": rows})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
