"""Which measure sees which sickness? Made sicknesses, twelve measures, each with an alarm that is false one time in 20.

A world of ten kinds of picture, the digits among `ganlab.drawings.glyphs` at 16 x 16, drawn afresh for every seed: 500
real ones, the training set; 500 more held out; and 500 "fakes", drawn from the same law and then made sick in one way.
Each measure compares fakes with the training set. Its alarm threshold is the quantile of what healthy fakes score, over
seeds that are used for nothing else; so whatever the measure's units, all of them raise false alarms equally often, and
the row "healthy" checks it with other seeds.

The strengths of the sicknesses were chosen in a pilot with other seeds, so that the table is neither all nor nothing.

``python book/studies/measuring_sicknesses.py`` writes ``book/results/measuring-sicknesses.json`` (about five minutes on
one core). The page *Measuring* shows what was stored; claim tests run a few cells again.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import convolve1d

from ganlab.drawings import glyphs
from ganlab.neural.features import extractor, label_report
from ganlab.quality import classifier_test, frechet, kernel_distance, patch_sliced_wasserstein
from ganlab.two_sample import density_coverage, memorisation, precision_recall

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

DIGITS, SIDE = "0123456789", 16
SETTINGS = {"n": 500, "seeds": 30, "calibration": 200, "level": 0.05, "noise": 0.1, "blur": 0.12, "contrast": 0.97,
            "brightness": 0.03, "jitter": 0.02, "pictures": 100, "patches": 8, "directions": 64}  # fmt: skip


def draw(n, rng, **factors):
    """Healthy pictures."""
    return glyphs(n, rng, SIDE, **{"character": DIGITS} | factors).images


def healthy(train, n, rng):
    return draw(n, rng)


def mode_dropped(train, n, rng):
    """No picture of a 7."""
    return draw(n, rng, character=DIGITS.replace("7", ""))


def one_style(train, n, rng):
    """All digits, all of them upright."""
    return draw(n, rng, rotation=0.0, slant=0.0)


def repeats(train, n, rng):
    """A hundred pictures, each five times."""
    few = draw(SETTINGS["pictures"], rng)
    return few[np.arange(n) % len(few)]


def blurred(train, n, rng):
    """Each pixel takes a part of its neighbours."""
    x, s = draw(n, rng), SETTINGS["blur"]
    for axis in (2, 3):
        x = convolve1d(x, [s / 2, 1 - s, s / 2], axis=axis, mode="nearest")
    return x


def noisy(train, n, rng):
    x = draw(n, rng)
    return (x + SETTINGS["noise"] * rng.normal(size=x.shape)).clip(-1, 1)


def faded(train, n, rng):
    """Ground and ink a little greyer: what a wrong colour is to grey pictures."""
    return SETTINGS["contrast"] * draw(n, rng) + SETTINGS["brightness"]


def shifted(train, n, rng):
    """One pixel to the right."""
    return np.roll(draw(n, rng), 1, axis=3)


def copied(train, n, rng):
    """The training set itself, with a trace of noise."""
    return (train[rng.permutation(len(train))[:n]] + SETTINGS["jitter"] * rng.normal(size=train[:n].shape)).clip(-1, 1)


SICKNESSES = {
    "healthy": healthy, "a digit is missing": mode_dropped, "all stand upright": one_style,
    "100 pictures, 5 times": repeats, "blur": blurred, "noise": noisy, "faded": faded, "one pixel aside": shifted,
    "copies of the training set": copied,
}  # fmt: skip
# Whether a sick set scores high (1) or low (-1).
SIGNS = {"FID": 1, "KID": 1, "precision": -1, "recall": -1, "density": -1, "coverage": -1, "C2ST": 1, "patches": 1,
         "patches, each scaled": 1, "class score": -1, "KL of classes": 1, "memorisation": 1}  # fmt: skip


def class_score(p):
    """The exponential of the mean KL(p(y|x) || p(y)): what the Inception score is to another classifier."""
    mean = p.mean(0)
    return float(np.exp((p * (np.log(p + 1e-12) - np.log(mean + 1e-12))).sum(1).mean()))


def measures(train, holdout, fake, rng):
    """Every measure of one set of fakes, in the order of `SIGNS`."""
    seen = extractor("glyphs")
    x, y = seen.features(train), seen.features(fake)
    kinds = {"patches": SETTINGS["patches"], "directions": SETTINGS["directions"], "smallest": 8}
    flat = [z.reshape(len(z), -1) for z in (fake, train, holdout)]
    weights = np.r_[np.full(10, 0.1 - 2.6e-7), np.full(26, 1e-7)]  # of the 36 characters only the digits are there
    return [
        frechet(x, y).value, kernel_distance(x, y, rng, 1).value, *precision_recall(x, y), *density_coverage(x, y),
        classifier_test(x, y, rng).accuracy,
        *(patch_sliced_wasserstein(train, fake, rng, standardise=s, **kinds).mean for s in ("real", "each")),
        class_score(seen.probabilities(fake)), label_report(fake, seen, weights).reverse_kl,
        memorisation(*flat, rng, draws=1).share,
    ]  # fmt: skip


def cell(sickness, seed):
    """What all measures say about one set of fakes."""
    rng, n = np.random.default_rng(seed), SETTINGS["n"]
    train, holdout = draw(n, rng), draw(n, rng)
    return measures(train, holdout, SICKNESSES[sickness](train, n, rng).astype(np.float32), rng)


def thresholds(null):
    """The value of each measure beyond which one healthy set in twenty lies."""
    signs = np.array(list(SIGNS.values()))
    return signs * np.quantile(signs * null, 1 - SETTINGS["level"], axis=0, method="higher")


def alarms(values, limits):
    """Whether each measure raises an alarm."""
    signs = np.array(list(SIGNS.values()))
    return signs * values > signs * limits


def main():
    from results import store

    null = np.array([cell("healthy", 10_000 + s) for s in range(SETTINGS["calibration"])])
    limits, found = thresholds(null), {}
    for name in SICKNESSES:
        values = np.array([cell(name, s) for s in range(SETTINGS["seeds"])])
        mean = [float(f"{v:.4g}") for v in values.mean(0)]
        found[name] = {"alarms": alarms(values, limits).sum(0).tolist(), "mean": mean,
                       "largest FID": round(float(values[:, 0].max()), 2)}  # fmt: skip
        print(name, dict(zip(SIGNS, found[name]["alarms"], strict=True)), flush=True)
    store(__file__, range(SETTINGS["seeds"]), {
        "settings": SETTINGS, "measures": list(SIGNS), "signs": list(SIGNS.values()),
        "thresholds": [float(f"{v:.6g}") for v in limits], "sicknesses": found,
        "lowest FID of the healthy": round(float(null[:, 0].min()), 2)})  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
