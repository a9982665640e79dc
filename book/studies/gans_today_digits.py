"""Table 1 of R3GAN on stacked digits of 8 x 8 pixels: 1,000 modes, two losses, four choices of penalties, ten seeds.

The networks are fully connected and without any normalisation, so that ten seeds run side by side on a CPU; the
pictures are flattened for them. Rows are {RpGAN, non-saturating} x {R1 and R2, R1 only, R2 only, none} at gamma = 1,
and again, half as long, at other gammas. Stored for every seed, at half time and at the end: modes and reverse KL of
10,000 samples of the averaged generator, told by the stored classifier of digits, and the Frechet distance of its
features, channel by channel; the critic's root mean square slope at data and at fakes; the gap of its scores. What the
data themselves score is stored beside them. A run is called lost if anything is not finite.

``python book/studies/gans_today_digits.py`` writes ``book/results/gans-today-digits.json`` (about ten minutes on one
free core). The page *GANs today* shows what was stored, and a claim test runs a part again.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from ganlab.drawings import stacked_digits
from ganlab.neural.features import extractor, label_report
from ganlab.neural.models.mlp import mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import DivergedError, Run
from ganlab.neural.training import train
from ganlab.quality import frechet

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from gans_today_plane import LOSSES, PENALTIES, slopes

SETTINGS = {"hidden": [96, 96], "latent": 32, "steps": 1000, "batch": 64, "lr": 1e-3, "betas": [0.0, 0.99],
            "ema": 0.995, "gamma": 1.0, "seeds": 10, "pictures": 20_000, "samples": 10_000}  # fmt: skip
GAMMAS = (0.1, 10.0)


def pictures(n=None, seed=0):
    """Stacked digits, (n, 3, 8, 8) in [-1, 1]."""
    return stacked_digits(n or SETTINGS["pictures"], np.random.default_rng(seed)).images


def make(loss, names, gamma, seeds, steps=None):
    """A run of all seeds of one row."""
    s, seeds = SETTINGS, list(seeds)
    recipe = Recipe(objective=loss, penalties=dict.fromkeys(names, gamma), steps=steps or s["steps"],
                    batch=s["batch"], latent=s["latent"], lr=s["lr"], betas=tuple(s["betas"]), ema=s["ema"],
                    check_every=50)  # fmt: skip
    hidden = tuple(s["hidden"])
    G = mlp(s["latent"], 192, hidden, "leaky_relu", seed=seeds)
    D = mlp(192, 1, hidden, "leaky_relu", seed=[100 + k for k in seeds])
    return Run(G, D, pictures().reshape(-1, 192), recipe, seed=seeds, device="cpu")


def judge(images, seen, real):
    """Modes, reverse KL and the Frechet distance of one seed's pictures; None where they are not finite."""
    images = np.reshape(images, (-1, 3, 8, 8))
    if not np.isfinite(images).all():
        return {"modes": 0, "kl": None, "frechet": None}
    images = images.clip(-1, 1)  # what a viewer sees: the last layer is linear and overshoots a little
    found = label_report(images, seen)
    each = seen.features(images[:2000].reshape(-1, 1, 8, 8))
    return {"modes": found.modes, "kl": round(found.reverse_kl, 4), "frechet": round(frechet(each, real).value, 3)}


def measure(run, seen, real):
    """`judge` for all seeds, as one list each."""
    samples = run.sample(SETTINGS["samples"])
    found = [judge(x, seen, real) for x in (samples if run.rng.stacked else samples[None])]
    return {key: [f[key] for f in found] for key in found[0]}


def study(loss, names, gamma, seeds, steps=None, run=None):
    """Train one row and measure it at half time and at the end."""
    run = run or make(loss, names, gamma, seeds, steps)
    seen, looks, gap = extractor("digits"), [], None
    real = seen.features(pictures(5000, seed=1).reshape(-1, 1, 8, 8))
    try:
        for record in train(run):
            gap = (record.real - record.fake).reshape(-1)
            if record.step in (run.recipe.steps // 2, run.recipe.steps):
                looks.append({"step": record.step, **measure(run, seen, real)})
    except DivergedError as error:
        return {"looks": looks, "lost": [True] * len(list(seeds)), "why": str(error)}
    last = looks[-1]
    return {"looks": looks, "lost": [kl is None for kl in last["kl"]], "gap": [round(v, 3) for v in gap.tolist()],
            **slopes(run)}  # fmt: skip


def floor():
    """What fresh pictures of the data score, by the same measure."""
    seen = extractor("digits")
    real = seen.features(pictures(5000, seed=1).reshape(-1, 1, 8, 8))
    found = [judge(pictures(SETTINGS["samples"], seed), seen, real) for seed in range(2, 12)]
    return {key: [f[key] for f in found] for key in found[0]}


def rows():
    """Name of every row, and what it changes: first the table, then other gammas for half as long."""
    for loss in LOSSES:
        for name, names in {**PENALTIES, "none": ()}.items():
            yield f"{loss}, {name}", (loss, names, SETTINGS["gamma"] if names else 0.0), None
    for gamma in GAMMAS:
        for loss in LOSSES:
            for name, names in PENALTIES.items():
                yield f"{loss}, {name}, {gamma:g}", (loss, names, gamma), SETTINGS["steps"] // 2


def main():
    from results import store

    seeds, found = range(SETTINGS["seeds"]), {}
    results = {"settings": SETTINGS, "gammas": GAMMAS, "data": floor(), "rows": found}
    print("data", results["data"], flush=True)
    for name, change, steps in rows():
        found[name] = study(*change, seeds, steps)
        print(name, found[name]["looks"][-1] if found[name]["looks"] else "lost", flush=True)
        store(__file__, seeds, results)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
