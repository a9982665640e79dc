"""Does the digit GAN of the page *The game* copy, and is it more than a Gaussian? Ten seeds of the same training.

``python book/studies/digits.py`` writes ``book/studies/digits.json`` (two minutes on one free core). The page shows one
seed live and the spread of these ten; a claim test trains one of them again.
"""

import copy
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from d_steps import fingerprint
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn

import ganlab as gl

SETTINGS = {"seeds": 10, "steps": 4000, "batch": 64, "noise_dim": 16, "width": 128, "rate": 1e-3, "betas": [0.5, 0.999],
            "average": 1e-3, "samples": 2000, "copy": 0.5, "sure": 0.9}  # fmt: skip


def mlp(*sizes):
    """Linear layers with a leaky ReLU between them."""
    layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.LeakyReLU(0.2))]
    return nn.Sequential(*layers[:-1])


def load():
    """The 1797 digits as rows of 64 pixels in [-1, 1], and their labels."""
    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images / 8 - 1, dtype=torch.float32), labels


def train(data, seed):
    """Train as on the page; return samples of the averaged generator."""
    torch.manual_seed(seed)
    z, width, batch = SETTINGS["noise_dim"], SETTINGS["width"], SETTINGS["batch"]
    G, D = nn.Sequential(mlp(z, width, width, 64), nn.Tanh()), mlp(64, width, width, 1)
    average, f = copy.deepcopy(G), gl.OBJECTIVES["nonsaturating"]
    adam = {player: torch.optim.Adam(player.parameters(), SETTINGS["rate"], SETTINGS["betas"]) for player in (D, G)}
    for _ in range(SETTINGS["steps"]):
        for player in (D, G):
            fake = D(G(torch.randn(batch, z)))
            real = D(data[torch.randint(len(data), (batch,))])
            gain = f.f1(real).mean() + f.f2(fake).mean() if player is D else f.f3(fake).mean()
            adam[player].zero_grad()
            (-gain).backward(inputs=list(player.parameters()))
            adam[player].step()
        for slow, fast in zip(average.parameters(), G.parameters(), strict=True):
            slow.data.lerp_(fast.data, SETTINGS["average"])
    with torch.no_grad():
        return average(torch.randn(SETTINGS["samples"], z))


def neighbours(data):
    """The distance of each real digit to its nearest other one."""
    return torch.cdist(data, data).fill_diagonal_(torch.inf).min(dim=1).values


def judge_of(data, labels):
    """A reader of digits that knows nothing of the GAN, taught with every second digit."""
    return LogisticRegression(C=10, max_iter=5000).fit(data[::2].numpy(), labels[::2])


def sure(judge, pictures):
    """The share of pictures that the judge puts into one class with confidence."""
    return float(np.mean(judge.predict_proba(np.asarray(pictures)).max(axis=1) > SETTINGS["sure"]))


def gaussian(data):
    """Samples of the simplest model: a Gaussian with the mean and covariance of the data."""
    random, x = np.random.default_rng(0), data.numpy()
    return random.multivariate_normal(x.mean(axis=0), np.cov(x.T), SETTINGS["samples"]).clip(-1, 1)


def measure(drawn, data, judge):
    """Copies among the samples, their distance to the data over that of real digits, and what the judge says."""
    usual, distance = neighbours(data).median(), torch.cdist(drawn, data).min(dim=1).values
    counts = np.bincount(judge.predict(drawn.numpy()), minlength=10)
    return {
        "copies": int((distance < SETTINGS["copy"] * usual).sum()),
        "distance": round((distance.median() / usual).item(), 3),
        "sure": round(sure(judge, drawn), 3),
        "rarest": int(counts.min()),
    }


def main():
    torch.set_num_threads(1)
    data, labels = load()
    judge, rows = judge_of(data, labels), []
    for seed in range(SETTINGS["seeds"]):
        rows.append(measure(train(data, seed), data, judge))
        print(seed, rows[-1], flush=True)
    record = {"script": fingerprint(__file__), "settings": SETTINGS, "real": round(sure(judge, data[1::2]), 3),
              "gaussian": round(sure(judge, gaussian(data)), 3), "rows": rows}  # fmt: skip
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
