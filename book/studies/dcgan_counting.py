"""Can a DCGAN count, and does it keep to one perspective? Ten seeds on scenes of exactly three discs.

In a scene the size of a disc is a scale times a number that falls from the bottom to the top, as far things are small.
The scale is the same for the three discs of a scene and changes from scene to scene. So a scene keeps two promises that
no part of it shows: three discs, and one scale. Both are measured on pictures by counting connected spots; the same
measures on real scenes, of three discs and of other numbers, tell how far they can be trusted.

``python book/studies/dcgan_counting.py`` writes ``book/results/dcgan-counting.json`` (about four minutes on one core).
"""

import sys
from pathlib import Path

import numpy as np
import torch
from dcgan_recipe import SETTINGS, make, rounded
from scipy.ndimage import distance_transform_edt, label, sum_labels

from ganlab.drawings import Drawings, draw_scenes
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

LOOKS = (5, 12)  # epochs
SCALES = (0.75, 1.3)
LEVELS = (-0.5, 0.0, 0.5)  # a spot is brighter than this; 0 is half covered
LEVELS_OF_GREY = 16


def size(y):
    """Radius of a disc of scale 1 at height y, in half pictures."""
    return 0.21 - 0.06 * y


def discs(n, rng, count=3, gap=0.2):
    """Scenes of so many discs that do not touch, all of one scale."""
    found, scales = np.zeros((0, count, 2)), np.zeros((0, 1))
    while len(found) < n:
        at, scale = rng.uniform(-1, 1, (4 * n, count, 2)), rng.uniform(*SCALES, (4 * n, 1))
        r = scale * size(at[..., 1])
        good = (np.abs(at) + r[..., None] < 0.95).all(axis=(1, 2))
        for i in range(count):
            for j in range(i):
                good &= np.linalg.norm(at[:, i] - at[:, j], axis=1) > r[:, i] + r[:, j] + gap
        found, scales = np.concatenate([found, at[good]]), np.concatenate([scales, scale[good]])
    at, scale = found[:n], scales[:n]
    factors = {"count": count, "x": at[..., 0], "y": at[..., 1], "size": scale * size(at[..., 1])}
    return Drawings("discs", draw_scenes(factors, SETTINGS["resolution"], channels=1), factors | {"scale": scale[:, 0]})


def counted(images, level=0.0):
    """How many connected spots (pixels that share a side) are brighter than the level, (n,)."""
    return np.array([label(image > level)[1] for image in np.asarray(images)[:, 0]])


def scales_of(images):
    """The scale of each disc in the pictures with three spots, (m, 3): the root of the light around a spot."""
    side = np.asarray(images).shape[-1]
    rows, found = np.arange(side)[:, None] * np.ones(side), []
    for image in np.asarray(images)[:, 0]:
        spots, n = label(image > 0)
        if n != 3:
            continue
        nearest = distance_transform_edt(spots == 0, return_distances=False, return_indices=True)
        light, near = (image + 1) / 2, spots[tuple(nearest)]  # every pixel belongs to the nearest spot
        area, height = (sum_labels(light * weight, near, (1, 2, 3)) for weight in (1.0, rows))
        y = 1 - 2 * (height / area + 0.5) / side
        found.append(2 / side * np.sqrt(area / np.pi) / size(y))
    return np.array(found).reshape(-1, 3)


def disagreement(scales):
    """How much the three scales of a scene differ: the standard deviation of their logarithms, (m,)."""
    return np.log(scales).std(axis=1, ddof=1)


def shuffled(scales, rng):
    """The same discs, dealt to other scenes."""
    return np.stack([rng.permutation(column) for column in scales.T], axis=1)


def histogram(counts, most=8):
    """How many pictures have 0, 1, ... spots; the last number has all beyond."""
    return np.bincount(np.minimum(counts, most), minlength=most + 1).tolist()


def shades(images):
    """Pictures as text, one hexadecimal digit a pixel, so that they take little room in the store."""
    grey = np.round((np.asarray(images) + 1) / 2 * (LEVELS_OF_GREY - 1)).astype(int)
    return ["".join(f"{v:x}" for v in image.ravel()) for image in grey]


def study(seed, looks=LOOKS):
    """Counts at every look and level, and the disagreement of the scales at the last look; with some pictures."""
    run = make(seed, epochs=looks[-1], data=discs(SETTINGS["faces"], np.random.default_rng(seed)))
    epoch, counts = SETTINGS["faces"] // SETTINGS["batch"], {}
    for record in train(run):
        if record.step % epoch == 0 and record.step // epoch in looks:
            images = run.sample(SETTINGS["samples"])
            counts[record.step // epoch] = [histogram(counted(images, level)) for level in LEVELS]
    scales = scales_of(images)
    return {"counts": counts, "pictures": shades(images[:16]),
            "scales": [rounded(np.median(disagreement(scales))), len(scales),
                       rounded(np.median(disagreement(shuffled(scales, np.random.default_rng(seed)))))],
            "disagreement": np.histogram(disagreement(scales), BINS)[0].tolist()}  # fmt: skip


BINS = np.linspace(0, 0.6, 25)


def truth(rng, n=2000):
    """The counter and the ruler on real scenes: spots counted where there are 1 to 5, and what the ruler gets wrong."""
    right = [[float((counted(discs(n // 4, rng, k).images, level) == k).mean()) for level in LEVELS]
             for k in range(1, 6)]  # fmt: skip
    data = discs(n, rng)
    scales = scales_of(data.images)
    wrong = np.abs(np.log(scales / data.factors["scale"][:, None]))
    return {"right": right, "wrong": rounded(np.median(wrong)), "scales": rounded(np.median(disagreement(scales))),
            "shuffled": rounded(np.median(disagreement(shuffled(scales, rng)))),
            "disagreement": np.histogram(disagreement(scales), BINS)[0].tolist(),
            "pictures": shades(data.images[:16])}  # fmt: skip


def main():
    from results import store

    real, seeds, found = truth(np.random.default_rng(1000)), range(SETTINGS["seeds"]), []
    for seed in seeds:
        found.append(study(seed))
        print(found[-1]["counts"], found[-1]["scales"], flush=True)
        store(__file__, range(seed + 1), {"levels": LEVELS, "bins": BINS.tolist(), "real": real, "seeds": found})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
