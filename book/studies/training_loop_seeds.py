"""Twenty seeds of the ring, trained at once: how often does the loop work, and what does a healthy run look like?

``python book/studies/training_loop_seeds.py`` writes ``book/results/training-loop-seeds.json`` (two minutes).
The page *A training loop you can read* shows what was stored, and a claim test trains a small part again.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from ganlab import data, metrics
from ganlab.neural.models.mlp import mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train
from ganlab.two_sample import sliced_wasserstein

sys.path.insert(0, str(Path(__file__).parents[1] / "_tools"))
from results import store

SEEDS, SAMPLES = range(20), 2500
RECIPE = Recipe(steps=3000, schedule="cosine", lr=1e-3)
MOMENTS = (1, 50, 100, 200, 400, 700, 1000, 1500, 2000, 2500, 3000)


def networks(seeds):
    """One generator and one discriminator a seed; the generator starts with orthogonal weights."""
    return mlp(2, 2, init="orthogonal", gain=1.4, seed=seeds), mlp(2, 1, seed=[1000 + s for s in seeds])


def accuracy(run, samples, law):
    """How often D is right about fresh samples: half on data, half on fakes."""
    real = law.sample(SAMPLES, np.random.default_rng(1))
    with torch.no_grad():
        scores = [
            run.D(torch.as_tensor(np.broadcast_to(x, samples.shape).copy()).float())[..., 0] for x in (real, samples)
        ]
    return ((scores[0] > 0).float().mean(-1) / 2 + (scores[1] < 0).float().mean(-1) / 2).tolist()


def measure(run, law):
    """What the page shows of every seed at one moment."""
    now, averaged = run.sample(SAMPLES, averaged=False), run.sample(SAMPLES)
    real, random = law.sample(SAMPLES, np.random.default_rng(2)), np.random.default_rng(3)
    reports = [metrics.modes_report(x, law) for x in averaged]
    return {
        "modes": [r.modes for r in reports],
        "hq": [round(float(r.hq), 4) for r in reports],
        "accuracy": [round(a, 3) for a in accuracy(run, now, law)],
        "distance": [round(float(sliced_wasserstein(x, real, 64, random)), 4) for x in averaged],
    }


def study(seeds=SEEDS, recipe=RECIPE, moments=MOMENTS, law=None):
    """Train all seeds; returns what `measure` found and the gains at every moment."""
    law = law or data.ring()
    run = Run(*networks(seeds), law, recipe, seed=seeds, device="cpu")
    found = {}
    for record in train(run):
        if record.step in moments:
            gains = {k: [round(v, 4) for v in record.row()[k]] for k in ("d_gain", "g_gain")}
            found[record.step] = measure(run, law) | gains
    return found


def floor(law):
    """The distance that a perfect generator would show: one sample of the data against another."""
    pairs = [[law.sample(SAMPLES, np.random.default_rng(s)) for s in (k, 100 + k)] for k in range(20)]
    return [round(float(sliced_wasserstein(x, y, 64, np.random.default_rng(3))), 4) for x, y in pairs]


if __name__ == "__main__":
    torch.set_num_threads(1)
    store(__file__, SEEDS, {"recipe": repr(RECIPE), "at": study(), "floor": floor(data.ring())})
