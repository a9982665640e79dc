"""Which of DCGAN's choices matter? Each is taken away alone, ten seeds of everything, on made faces of 16 x 16.

Two things are measured on 2,000 pictures of every run: the Frechet distance of features, whose floor is that of two
sets of real faces of this size, and the shares of four attributes. The features are those of a small network that
reads these attributes off a face and is trained here, on other faces.

``python book/studies/dcgan_recipe.py`` writes ``book/results/dcgan-recipe.json`` (about ten minutes on one core). The
page *DCGAN* shows what was stored, and takes its reader and its networks from here; claim tests run small parts again.
"""

import sys
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ganlab import drawings, quality
from ganlab.neural.models import dcgan
from ganlab.neural.models._images import ImageBatchNorm, drawn, normal
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import DivergedError, Run
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"resolution": 16, "faces": 4096, "width": 16, "latent": 32, "batch": 32, "epochs": 5, "lr": 1e-3,
            "ema": 0.99, "seeds": 10, "samples": 2000}  # fmt: skip
ATTRIBUTES = ("glasses", "hat", "dark skin", "long hair")


# ---- the reader


@cache
def faces(n, seed):
    """Made faces that are no one's training data but this seed's."""
    return drawings.faces(n, np.random.default_rng(seed), SETTINGS["resolution"])


def attributes(factors):
    """The truth as 0 and 1, (n, 4), in the order of ATTRIBUTES; skin and hair are cut at their middle."""
    columns = factors["glasses"], factors["hat"], factors["skin"] > 0.5, factors["length"] > 0.5
    return np.stack(columns, axis=1).astype(np.float32)


@cache
def reader(steps=600, width=8, seed=0):
    """A small convolutional network from a face to four logits, trained on 8,192 faces with a little noise on them."""
    data, draws = faces(8192, 10_001), torch.Generator().manual_seed(seed)
    x, truth = torch.as_tensor(data.images), torch.as_tensor(attributes(data.factors))
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, 2 * width, 3, 2, 1), nn.ReLU(),
                            nn.Flatten(), nn.Linear(32 * width, 32), nn.ReLU(), nn.Linear(32, 4))  # fmt: skip
    adam = torch.optim.Adam(net.parameters(), 3e-3)
    for k in range(steps):
        adam.param_groups[0]["lr"] = 3e-3 * (1 - k / steps)
        some = torch.randint(len(x), (128,), generator=draws)
        noisy = x[some] + 0.05 * torch.randn(128, *x.shape[1:], generator=draws)
        loss = F.binary_cross_entropy_with_logits(net(noisy), truth[some])
        adam.zero_grad()
        loss.backward()
        adam.step()
    return net.eval().requires_grad_(False)


def accuracy(net, n=2000, seed=10_002):
    """The share of new faces of which each attribute is read correctly."""
    data = faces(n, seed)
    return ((read(net, data.images) > 0) == (attributes(data.factors) > 0)).mean(axis=0)


def read(net, images):
    """The four logits of each picture, (n, 4)."""
    return net(torch.as_tensor(images)).numpy()


def features(net, images):
    """The 32 numbers from which the reader makes its logits."""
    return net[:-1](torch.as_tensor(images)).numpy()


# ---- the recipe, and what is taken away from it


def swapped(net, old, new):
    """The network with every layer of one kind put in another's place: `new` makes a list of layers from one."""
    return nn.Sequential(*(part for layer in net for part in (new(layer) if isinstance(layer, old) else [layer])))


def normalised_everywhere(G, D):
    """Batch normalisation also at G's output and after D's first layer, where the paper has none."""
    width = SETTINGS["width"]
    return nn.Sequential(*G[:-1], ImageBatchNorm(3), G[-1]), nn.Sequential(D[0], ImageBatchNorm(width), *D[1:])


def pooled(G, D):
    """Each halving convolution of D but the last becomes one of stride 1, and a maximum over 2 x 2."""

    def halve(layer):
        if layer.stride == (1, 1):
            return [layer]
        sizes = layer.in_channels, layer.out_channels, 3, 1, 1
        draws = torch.Generator().manual_seed(layer.out_channels)
        same = drawn(nn.Conv2d, *sizes, bias=layer.bias is not None, init=normal(0.02), generator=draws)
        return [same, nn.MaxPool2d(2)]

    return G, swapped(D, nn.Conv2d, halve)


def connected(G, D):
    """A fully connected hidden layer of 64 before D's score."""
    draws = torch.Generator().manual_seed(64)
    inputs = 16 * D[-2].in_channels
    hidden = drawn(nn.Linear, inputs, 64, init=normal(0.02), generator=draws)
    last = drawn(nn.Linear, 64, 1, init=normal(0.02), generator=draws)
    return G, nn.Sequential(*D[:-2], nn.Flatten(), hidden, nn.LeakyReLU(0.2), last, D[-1])


def torch_default(G, D):
    """The weights as torch draws them."""
    for k, layer in enumerate([*G, *D]):
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            with torch.random.fork_rng([]):
                torch.manual_seed(k + int(1e6 * layer.weight.flatten()[0].abs()))  # another for every seed
                layer.reset_parameters()
    return G, D


# What each row changes: arguments of both networks, the networks themselves, or the recipe.
ROWS = {
    "the recipe": {},
    "no BatchNorm": {"networks": {"norm": None}},
    "BatchNorm everywhere": {"surgery": normalised_everywhere},
    "ReLU in D": {"surgery": lambda G, D: (G, swapped(D, nn.LeakyReLU, lambda layer: [nn.ReLU()]))},
    "max pooling in D": {"surgery": pooled},
    "hidden linear layer in D": {"surgery": connected},
    "torch's initial weights": {"surgery": torch_default},
    "no BatchNorm, torch's weights": {"networks": {"norm": None}, "surgery": torch_default},
    "Adam's usual betas": {"recipe": {"betas": (0.9, 0.999)}},
    "learning rate 2e-4": {"recipe": {"lr": 2e-4}},
}


def make(seed, networks=None, surgery=None, recipe=None, epochs=None, data=None):
    """A run of one row with one seed."""
    s, networks, data = SETTINGS, networks or {}, faces(SETTINGS["faces"], seed) if data is None else data
    channels = data.images.shape[1]
    G = dcgan.generator(s["resolution"], channels, s["latent"], s["width"], seed=2 * seed, **networks)
    D = dcgan.discriminator(s["resolution"], channels, s["width"], seed=2 * seed + 1, **networks)
    if surgery:
        G, D = surgery(G, D)
    steps = (epochs or s["epochs"]) * len(data.images) // s["batch"]
    chosen = {name: s[name] for name in ("lr", "batch", "latent", "ema")} | {"steps": steps, "check_every": 50}
    return Run(G, D, data, Recipe(**chosen | (recipe or {})), seed=seed, device="cpu")


def distance(net, images):
    """The Frechet distance to real faces, in the features of the reader."""
    real = features(net, faces(SETTINGS["samples"], 10_003).images)
    return quality.frechet(real, features(net, images), "dcgan_recipe.reader").value


def measure(run, net):
    """Distance and shares of the averaged generator, and the distance of the present one."""
    n = SETTINGS["samples"]
    images = run.sample(n)
    return {"frechet": distance(net, images), "present": distance(net, run.sample(n, averaged=False)),
            "shares": (read(net, images) > 0).mean(axis=0).tolist()}  # fmt: skip


def train_row(change, seed, net, epochs=None):
    """Train one row with one seed; a run that leaves the finite numbers is None."""
    run = make(seed, **change, epochs=epochs)
    try:
        for _ in train(run):
            pass
    except DivergedError:
        return None
    return measure(run, net)


def table(rows, seeds):
    """Every row with every seed: lists of what `measure` found, three digits each."""
    net, found = reader(), {}
    for name, change in rows.items():
        results = [train_row(change, seed, net) for seed in seeds]
        kept = [r for r in results if r is not None]
        found[name] = {"diverged": len(results) - len(kept)}
        found[name] |= {key: [rounded(r[key]) for r in kept] for key in ("frechet", "present", "shares")}
        print(name, found[name]["frechet"], found[name]["present"], flush=True)
        yield found


def rounded(value):
    """Three digits that count."""
    return [rounded(v) for v in value] if isinstance(value, list) else float(f"{value:.3g}")


def main():
    from results import store

    net, seeds = reader(), range(SETTINGS["seeds"])
    floor = [distance(net, faces(SETTINGS["samples"], 20_000 + seed).images) for seed in seeds]
    for rows in table(ROWS, seeds):
        store(__file__, seeds, {"settings": SETTINGS, "accuracy": rounded(accuracy(net).tolist()),
                                "floor": rounded(floor), "rows": rows})  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
