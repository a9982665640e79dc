"""Do the codes of an InfoGAN find the factors behind pictures? Glyphs whose factors are known, ten seeds of everything.

The digit 2 at 16 x 16, turned and stretched, everything else at rest, and two uniform codes. The plain GAN beside it
has the same networks and no information term; a reader of its own learns what its pictures say. In a third row there
are three glyphs, and a class code beside the two uniform ones. Stored for every seed: the bounds, how Q's reading of
held-out glyphs goes with their true factors (correlations, information, the gap and its level of chance), and what
rotation and width the nearest true glyph has when each code is swept from -2 to 2. Of seed 0 also pictures. A row
of readers with the weights they were born with says what any function of a picture knows of its factors.

``python book/studies/infogan_glyphs.py`` writes ``book/results/infogan-glyphs.json`` (about twenty minutes on one free
core; names of rows as arguments train only those and keep the others).
"""

import sys
from functools import cache, partial

import infogan_digits as digits
import numpy as np
import torch

from ganlab import drawings
from ganlab.codes import information_gap, information_table
from ganlab.neural.draws import Draws
from ganlab.neural.models import infogan
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train

SETTINGS = {"resolution": 16, "width": 16, "noise": 8, "batch": 64, "steps": 1500, "seeds": 10, "look_every": 100,
            "pictures": 4000, "held_out": 2000, "reader_lr": 1e-3, "sweep": 17}  # fmt: skip
STILL = {"slant": 0.0, "thickness": 0.14, "x": 0.0, "y": 0.0}
ONE = {"character": "2", "rotation": (-0.6, 0.6), "width": (0.6, 1.5)}
THREE = {"character": "147", "rotation": (-0.35, 0.35), "width": (0.6, 1.3)}
# What is drawn, the weight of the whole information term (none for a plain GAN), and in it that of continuous codes.
ROWS = {
    "InfoGAN": (ONE, 0.3, 1.0),
    "plain GAN": (ONE, None, 1.0),
    "three glyphs": (THREE, 1.0, 0.2),
}


def codes_of(row):
    """Two uniform codes, and one of three kinds where there are three glyphs."""
    return infogan.Codes((3,) if len(ROWS[row][0]["character"]) == 3 else (), uniform=2)


@cache
def glyphs(row, held_out=False):
    """Pictures and their factors."""
    n = SETTINGS["held_out" if held_out else "pictures"]
    rng = np.random.default_rng(int(held_out))
    return drawings.glyphs(n, rng, SETTINGS["resolution"], **ROWS[row][0] | STILL)


def make(row, seed, steps=None):
    """A run of one row."""
    _, weight, continuous = ROWS[row]
    terms = {} if weight is None else {partial(infogan.information_seen, continuous=continuous): weight}
    size, codes = (SETTINGS["resolution"], 1), codes_of(row)
    G = infogan.generator(codes, *size, noise=SETTINGS["noise"], width=SETTINGS["width"], seed=seed)
    D = infogan.discriminator(codes, *size, width=SETTINGS["width"], seed=100 + seed)
    recipe = Recipe(**digits.PAPER, game_terms=terms, steps=steps or SETTINGS["steps"], batch=SETTINGS["batch"],
                    latent=G.latent, ema=0.0, check_every=50)  # fmt: skip
    return Run(G, D, glyphs(row), recipe, seed=seed, device="cpu")


@torch.no_grad()
def read(row, Q):
    """What Q says of held-out glyphs, and the truth, as columns: kinds where there are some, then numbers."""
    truth, kinds = glyphs(row, True), sum(codes_of(row).categorical)
    Q.eval()
    said = Q.read(torch.as_tensor(truth.images)).numpy()
    columns = ([said[:, :kinds].argmax(1)] if kinds else []) + [said[:, kinds], said[:, kinds + 1]]
    factors = ([truth.factors["character"]] if kinds else []) + [truth.factors["rotation"], truth.factors["width"]]
    return columns, factors


def recovered(row, Q):
    """Correlations of the two uniform codes with rotation and width, the table of information, and its gap."""
    columns, factors = read(row, Q)
    gap = information_gap(columns, factors)
    entropies = np.diag(information_table(factors, factors))
    return {"correlations": np.corrcoef(columns[-2:], factors[-2:])[:2, 2:].round(3).tolist(),
            "share": (information_table(columns, factors) / entropies).round(3).tolist(),
            "gap": round(gap.value, 4), "by_factor": np.round(gap.by_factor, 4).tolist(),
            "chance": round(gap.chance, 4)}  # fmt: skip


@cache
def atlas():
    """Many rotations and widths of the first glyph, with their pictures: to find the nearest one."""
    rotation, width = (m.ravel() for m in np.meshgrid(np.linspace(-1.3, 1.3, 53), np.linspace(0.5, 1.5, 21)))
    factors = STILL | {"character": "2", "rotation": rotation, "width": width}
    return rotation, width, digits.flat(drawings.draw_glyphs(factors, SETTINGS["resolution"]))


def nearest(images):
    """Rotation and width of the true glyph nearest to each picture, and the root mean square of what differs."""
    rotation, width, known = atlas()
    x = digits.flat(images)
    squares = (x**2).sum(1)[:, None] - 2 * x @ known.T + (known**2).sum(1)
    k = squares.argmin(1)
    return rotation[k], width[k], np.sqrt(squares.min(1).clip(0).astype(float) / x.shape[1])


@torch.no_grad()
def sweeps(run, noises=20):
    """For each code from -2 to 2, the other at 0: mean rotation, width and misfit of the nearest glyphs."""
    run.G.eval()
    line, noise = torch.linspace(-2, 2, SETTINGS["sweep"]), Draws(11).normal(noises, SETTINGS["noise"])
    found = []
    for k in range(2):
        c = torch.zeros(len(line) * noises, 2)
        c[:, k] = line.repeat_interleave(noises)
        fakes = run.G.make(c, noise.repeat(len(line), 1)).numpy()
        found.append([v.reshape(len(line), noises).mean(1).round(3).tolist() for v in nearest(fakes)])
    return found


@torch.no_grad()
def sheets(run):
    """Sweeps of both codes in pictures of one noise, as whole numbers from 0 to 16; one class after the other."""
    run.G.eval()
    kinds, noise, rows = sum(run.G.codes.categorical), Draws(9).normal(1, SETTINGS["noise"]), []
    for k in range(2):
        for kind in range(max(kinds, 1)):
            c = torch.zeros(9, run.G.codes.width)
            if kinds:
                c[:, kind] = 1
            c[:, kinds + k] = torch.linspace(-2, 2, 9)
            rows.append(run.G.make(c, noise.expand(9, -1))[:, 0])
    return ((torch.cat(rows) + 1) * 8).round().int().tolist()


def train_one(row, seed, steps=None):
    """Train one seed of a row and measure it."""
    run = make(row, seed, steps)
    beside = not run.recipe.game_terms
    Q, learn = digits.reader(run, seed, SETTINGS) if beside else (run.D, lambda: None)
    curve = []
    for record in train(run):
        learn()
        if record.step % SETTINGS["look_every"] == 0:
            curve.append(digits.bounds(run, Q, 1000))
    found = {"curve": curve, **recovered(row, Q)}
    if row != "three glyphs":
        found["sweeps"] = sweeps(run)
    return found | ({"sheets": sheets(run)} if seed == 0 else {})


def untrained(seed):
    """What a reader with its first weights knows of the factors."""
    Q = infogan.discriminator(codes_of("InfoGAN"), SETTINGS["resolution"], width=SETTINGS["width"], seed=100 + seed)
    return recovered("InfoGAN", Q)


def main(rows):
    from results import RESULTS, store

    seeds = range(SETTINGS["seeds"])
    found = {"settings": SETTINGS, "untrained": [untrained(s) for s in seeds]}
    for row in rows or ROWS:
        done = []
        for seed in seeds:
            done.append(train_one(row, seed))
            last = done[-1]
            print(row, seed, last["curve"][-1], last["correlations"], last["gap"], last["chance"], flush=True)
        store(__file__, seeds, found | {"rows": digits.stored(RESULTS / "infogan-glyphs.json") | {row: done}})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
