"""Train the two classifiers that are stored in `ganlab/_data`, and measure how far one can trust them.

Stored: held-out accuracy, overall and for each class, that of other seeds, and what is taken for what. The digits are
trained on the 1,442 of the training split and tested on the 355 held out; the glyphs on a fresh batch at every step and
tested on 20,000 that were never drawn before.

``python book/studies/measuring_extractors.py`` writes ``book/results/measuring-extractors.json`` (three minutes on one
core) and compares the weights with the stored ones; with ``--write`` it puts them into ``ganlab/_data``. On another
processor or torch the last bits of the weights differ, and with them the hash; the accuracy does not.
"""

import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from ganlab import pictures
from ganlab.drawings import glyphs
from ganlab.neural._safetensors import pack
from ganlab.neural.features import EXTRACTORS, FOLDER, Extractor, classifier

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {
    "digits": {"steps": 1500, "batch": 128, "lr": 3e-3, "decay": 1e-2, "noise": 0.15, "smoothing": 0.05},
    "glyphs": {"steps": 1500, "batch": 128, "lr": 3e-3, "decay": 1e-2, "noise": 0.15, "smoothing": 0.05},
}
HELD_OUT = 20_000
SEEDS = {"digits": 10, "glyphs": 3}  # seed 0 is the one that is stored; the others tell how much of it is luck


def batches(name, rng):
    """Yield training pictures and their classes for ever."""
    size = SETTINGS[name]["batch"]
    if name == "digits":
        known = pictures.digits("train")
        while True:
            k = rng.integers(len(known), size=size)
            yield known.images[k], known.labels[k]
    while True:
        # drawing many at once costs less for each
        made = glyphs(20 * size, rng, 16)
        for part in np.split(np.arange(20 * size), 20):
            yield made.images[part], made.factors["character"][part]


def held_out(name):
    """Pictures that the classifier has not seen, and their classes."""
    if name == "digits":
        known = pictures.digits("test")
        return known.images, known.labels
    made = glyphs(HELD_OUT, np.random.default_rng(10_001), 16)
    return made.images, made.factors["character"]


def train(name, seed=0, steps=None):
    """Train a classifier; its weights are an average over the last half and are rounded to half precision."""
    s, rng, noise = SETTINGS[name], np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    steps = steps or s["steps"]
    network = classifier(name, seed)
    weights = dict(network.named_parameters())
    mean = {key: torch.zeros_like(w) for key, w in weights.items()}
    optimiser = torch.optim.AdamW(network.parameters(), lr=s["lr"], weight_decay=s["decay"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step, (x, y) in zip(range(steps), batches(name, rng), strict=False):
        x = torch.from_numpy(x)
        x = (x + s["noise"] * torch.randn(x.shape, generator=noise)).clamp(-1, 1)
        loss = F.cross_entropy(network(x), torch.from_numpy(y), label_smoothing=s["smoothing"])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step >= steps // 2:
            for key, w in weights.items():
                mean[key] += w.detach() / (steps - steps // 2)
    return {key: w.half().numpy() for key, w in mean.items()}


def as_extractor(name, arrays):
    """The extractor with these weights."""
    network = classifier(name)
    network.load_state_dict({key: torch.from_numpy(a).float() for key, a in arrays.items()})
    network.requires_grad_(False).eval()
    return Extractor(name, "", EXTRACTORS[name].resolution, EXTRACTORS[name].classes, network)


def judge(found, images, labels):
    """Accuracy, that of each class, and the commonest mistakes as (true, taken for, how many)."""
    guess, k = found.labels(images), len(found.classes)
    table = np.bincount(k * labels + guess, minlength=k * k).reshape(k, k)
    wrong = table - np.diag(np.diag(table))
    worst = np.argsort(-wrong, axis=None, kind="stable")[:5]
    named = [(*(found.classes[i] for i in divmod(int(at), k)), int(wrong.flat[at])) for at in worst if wrong.flat[at]]
    right = int(np.trace(table))
    return {"held out": len(labels), "right": right, "accuracy": round(right / len(labels), 4),
            "of each class": np.round(np.diag(table) / table.sum(1), 3).tolist(), "mistakes": named}  # fmt: skip


def main():
    from results import store

    found = {"settings": SETTINGS}
    for name in SETTINGS:
        arrays = train(name)
        data = pack(arrays)
        found[name] = {"sha256": sha256(data).hexdigest(), "bytes": len(data),
                       "weights": sum(a.size for a in arrays.values()),
                       **judge(as_extractor(name, arrays), *held_out(name))}  # fmt: skip
        others = [judge(as_extractor(name, train(name, seed)), *held_out(name)) for seed in range(1, SEEDS[name])]
        found[name]["other seeds"] = [other["accuracy"] for other in others]
        print(name, found[name], "as stored:", found[name]["sha256"] == EXTRACTORS[name].sha256, flush=True)
        if "--write" in sys.argv:
            (FOLDER / f"{name}.safetensors").write_bytes(data)
    store(__file__, range(max(SEEDS.values())), found)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
