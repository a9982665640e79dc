"""What do the codes of an InfoGAN find in handwritten digits, without labels? Ten seeds of everything.

scikit-learn's digits, 8 x 8. Every row changes one thing: the plain GAN has no information term (a reader of its own
learns beside it what its pictures say about the codes), one row gives both players D's learning rate, and one gives
continuous codes the weight of the categorical one. Stored for every seed: the bound L_I of the ten classes through
training; the error of the code as a classifier, with clusters named on the training pictures, on those and on held-out
ones; and what a supervised classifier sees of the code in the generated pictures. Of seed 0 also pictures. k-means and
the supervised classifier stand beside it.

``python book/studies/infogan_digits.py`` writes ``book/results/infogan-digits.json`` (about twenty minutes on one free
core; names of rows as arguments train only those and keep the others).
"""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ganlab import pictures
from ganlab.codes import exact_information, matching, matching_error
from ganlab.neural.draws import Draws
from ganlab.neural.models import infogan
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"resolution": 8, "width": 32, "noise": 16, "batch": 64, "steps": 1200, "seeds": 10, "look_every": 50,
            "codes": 2000, "reader_lr": 1e-3}  # fmt: skip
CODES = infogan.Codes((10,), uniform=2)
PAPER = {"lr": 2e-4, "lr_g": 1e-3, "betas": (0.5, 0.999)}
ROWS = {
    "InfoGAN": {"continuous": 0.1},
    "plain GAN": {"continuous": None},
    "equal rates": {"continuous": 0.1, "lr_g": 2e-4},
    "one weight": {"continuous": 1.0},
}


def make(row, seed, steps=None):
    """A run of one row: InfoGAN's networks and data, with or without the information term."""
    change = dict(ROWS[row])
    weight = change.pop("continuous")
    terms = {} if weight is None else {partial(infogan.information_seen, continuous=weight): 1.0}
    size = SETTINGS["resolution"], 1
    G = infogan.generator(CODES, *size, noise=SETTINGS["noise"], width=SETTINGS["width"], seed=seed)
    D = infogan.discriminator(CODES, *size, width=SETTINGS["width"], seed=100 + seed)
    recipe = Recipe(**PAPER | change, game_terms=terms, steps=steps or SETTINGS["steps"], batch=SETTINGS["batch"],
                    latent=G.latent, ema=0.0, check_every=50)  # fmt: skip
    return Run(G, D, pictures.digits(), recipe, seed=seed, device="cpu")


def reader(run, seed, size=SETTINGS):
    """A Q with a network of its own, which learns beside a game and never touches it; with its step."""
    codes = run.G.codes
    Q = infogan.discriminator(codes, size["resolution"], width=size["width"], seed=200 + seed)
    optimizer, draws = torch.optim.Adam(Q.parameters(), size["reader_lr"], betas=(0.5, 0.999)), Draws(1000 + seed)

    def step():
        z = draws.at(run.step).normal(size["batch"], run.G.latent)
        run.G.eval()  # so that its batch statistics stay the game's
        with torch.no_grad():
            fakes = run.G(z)
        run.G.train()
        optimizer.zero_grad()
        (-infogan.information_bound(codes, Q.read(fakes), codes.split(z)[0])).backward()
        optimizer.step()

    return Q, step


@torch.no_grad()
def bounds(run, Q, n=None):
    """The bound of each code on fresh fakes, in nats."""
    z = Draws(7).normal(n or SETTINGS["codes"], run.G.latent)
    run.G.eval(), Q.eval()
    found = infogan.information_bounds(run.G.codes, Q.read(run.G(z)), run.G.codes.split(z)[0])
    run.G.train(), Q.train()
    return [round(v, 4) for v in found.tolist()]


@torch.no_grad()
def classes(Q, images):
    """The class that Q reads off each picture."""
    Q.eval()
    return Q.read(torch.as_tensor(images, dtype=torch.float32))[:, :10].argmax(1).numpy()


def errors(read):
    """The error of a clustering: on training pictures, on held-out ones with the same names, on those at best."""
    seen, held = pictures.digits(), pictures.digits("test")
    found, found_held = read(seen.images), read(held.images)
    names = matching(np.append(found, 9), np.append(seen.labels, 0))  # so that ten clusters have a name
    values = (matching_error(found, seen.labels), np.mean(names[found_held] != held.labels),
              matching_error(found_held, held.labels))  # fmt: skip
    return [round(float(v), 4) for v in values]


def seen_by(classifier, run):
    """Information, in nats, between the class code and what a supervised classifier calls the fake."""
    z = Draws(8).normal(SETTINGS["codes"], run.G.latent)
    run.G.eval()
    with torch.no_grad():
        fakes = run.G(z).numpy()
    c, joint = CODES.split(z)[0][:, :10].argmax(1).numpy(), np.zeros((10, 10))
    np.add.at(joint, (c, classifier.predict(flat(fakes))), 1 / len(c))
    return round(exact_information(joint), 4)


def flat(images):
    return np.reshape(images, (len(images), -1))


@torch.no_grad()
def sheets(run):
    """Pictures of one generator: ten classes of eight noises; then both sweeps of each class, from -2 to 2."""
    run.G.eval()
    eye, noise = torch.eye(10), Draws(9).normal(8, SETTINGS["noise"])
    first = torch.cat([eye.repeat_interleave(8, 0), Draws(10).uniform(80, 2) * 2 - 1], 1)
    sheet = {"classes": run.G.make(first, noise.repeat(10, 1))}
    for k in range(2):
        c = torch.zeros(90, 12)
        c[:, :10], c[:, 10 + k] = eye.repeat_interleave(9, 0), torch.linspace(-2, 2, 9).repeat(10)
        sheet[f"sweep {k + 1}"] = run.G.make(c, noise[:1].expand(90, -1))
    return {name: ((x[:, 0] + 1) * 8).round().int().tolist() for name, x in sheet.items()}


def train_one(row, seed, classifier, steps=None):
    """Train one seed of a row and measure it."""
    run = make(row, seed, steps)
    beside = not run.recipe.game_terms
    Q, learn = reader(run, seed) if beside else (run.D, lambda: None)
    curve = []
    for record in train(run):
        learn()
        if record.step % SETTINGS["look_every"] == 0:
            curve.append(bounds(run, Q)[0])
    found = {"curve": curve, "bounds": bounds(run, Q), "errors": errors(partial(classes, Q)),
             "seen": seen_by(classifier, run)}  # fmt: skip
    return found | ({"sheets": sheets(run)} if seed == 0 and row in ("InfoGAN", "plain GAN") else {})


def supervised():
    """A classifier that has the labels: the ceiling."""
    from sklearn.svm import SVC

    seen = pictures.digits()
    return SVC(C=10.0, gamma=0.06).fit(flat(seen.images), seen.labels)


def k_means(seed):
    """The errors of k-means with ten clusters on the same pixels."""
    from sklearn.cluster import KMeans

    fitted = KMeans(10, n_init=10, random_state=seed).fit(flat(pictures.digits().images))
    return errors(lambda images: fitted.predict(flat(images)).astype(int))


def stored(path):
    """The rows that were stored before: a row is trained by itself."""
    return json.loads(path.read_text(encoding="utf-8"))["results"]["rows"] if path.exists() else {}


def main(rows):
    from results import RESULTS, store

    seeds, held, classifier = range(SETTINGS["seeds"]), pictures.digits("test"), supervised()
    ceiling = round(float(np.mean(classifier.predict(flat(held.images)) != held.labels)), 4)
    found = {"settings": SETTINGS, "ceiling": ceiling, "k-means": [k_means(s) for s in seeds]}
    print("ceiling", ceiling, "k-means", found["k-means"], flush=True)
    for row in rows or ROWS:
        done = []
        for seed in seeds:
            done.append(train_one(row, seed, classifier))
            print(row, seed, done[-1]["bounds"], done[-1]["errors"], done[-1]["seen"], flush=True)
        store(__file__, seeds, found | {"rows": stored(RESULTS / "infogan-digits.json") | {row: done}})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
