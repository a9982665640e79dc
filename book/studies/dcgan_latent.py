"""What do the codes and the filters of a DCGAN know? Walks, vector arithmetic and removed filters, ten seeds.

Every seed trains the recipe for twelve epochs of made faces. Then, with the reader of ``dcgan_recipe.py``:

- the distance to real faces after epochs 1, 5 and 12;
- walks between two codes: steps, slopes, the product of the layers' norms, and the pictures in the middle;
- z1 - z2 + z3 for codes sorted by two attributes: single codes, averages, and two controls;
- hidden filters removed: those that follow an attribute most, those that a trial on other codes chose, and as many
  random ones.

``python book/studies/dcgan_latent.py`` writes ``book/results/dcgan-latent.json`` (about seven minutes on one core).
"""

import sys
from pathlib import Path

import numpy as np
import torch
from dcgan_recipe import (
    ATTRIBUTES,
    SETTINGS,
    accuracy,
    attributes,
    distance,
    faces,
    features,
    make,
    read,
    reader,
    rounded,
)
from torch import nn

from ganlab import quality
from ganlab.neural.models._images import ImageBatchNorm
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

LOOKS = (1, 5, 12)  # epochs
PAIRS = (("hat", "dark skin"), ("glasses", "hat"), ("glasses", "dark skin"))
AVERAGES = (1, 3, 10)
SURE = 2.0  # a logit beyond it sorts a code: the reader gives the attribute, or its absence, more than 88 %
# Where an attribute is drawn on the maps of 8 x 8 before the last layer: rows, columns.
REGIONS = {"glasses": (slice(3, 5), slice(2, 6)), "hat": (slice(0, 3), slice(2, 6))}
REMOVED = (1, 2, 4)
RANDOM = 20  # random choices of filters


def trained(seed, net, looks=LOOKS):
    """The averaged generator of one seed, and its distance to real faces after some epochs."""
    run, found = make(seed, epochs=looks[-1]), []
    epoch = SETTINGS["faces"] // SETTINGS["batch"]
    for record in train(run):
        if record.step % epoch == 0 and record.step // epoch in looks:
            found.append(distance(net, run.sample(SETTINGS["samples"])))
    return run.ema, found


def codes(n, seed):
    """Codes of the prior."""
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(n, SETTINGS["latent"], generator=draws)


@torch.no_grad()
def draw(G, z):
    """The pictures of codes, as an array."""
    return G(z).numpy()


# ---- walks


def arc(a, b, t):
    """The point at share t of the arc from a to b, whose length changes evenly."""
    angle = torch.arccos((a * b).sum(-1, keepdim=True) / a.norm(dim=-1, keepdim=True) / b.norm(dim=-1, keepdim=True))
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def straight(a, b, t):
    """The point at share t of the straight way from a to b."""
    return (1 - t) * a + t * b


@torch.no_grad()
def layer_norms(G):
    """The largest singular value of each convolution of an evaluated G, with the normalisation that follows it."""
    shape, norms, matrix = (G[1].in_channels, 1, 1), [], None
    for layer in G[1:]:
        if isinstance(layer, nn.ConvTranspose2d):
            unit = torch.eye(int(np.prod(shape))).reshape(-1, *shape)
            matrix = nn.functional.conv_transpose2d(unit, layer.weight, None, layer.stride, layer.padding)
            shape = tuple(matrix.shape[1:])
        elif isinstance(layer, ImageBatchNorm):
            matrix = matrix * (layer.weight / (layer.running_var + layer.eps).sqrt())[:, None, None]
        else:  # an activation ends the layer; ReLU and tanh have slopes of at most 1
            norms.append(torch.linalg.matrix_norm(matrix.flatten(1), 2).item())
    return norms


def steps_of(G, a, b, n, way=straight):
    """The lengths of n steps from the picture of each a to that of each b, (n, pairs)."""
    t = torch.linspace(0, 1, n + 1)[:, None, None]
    path = draw(G, way(a, b, t).reshape(-1, a.shape[1])).reshape(n + 1, len(a), -1)
    return np.linalg.norm(np.diff(path, axis=0), axis=2)


def walks(G, net, pairs=50, samples=2000):
    """How far a walk steps, against random pictures; and how good the pictures in its middle are."""
    z, w = codes(samples, 1), codes(samples, 2)
    x, y = draw(G, z), draw(G, w)
    ends = np.linalg.norm((x - y)[:pairs].reshape(pairs, -1), axis=1)
    apart = (z - w)[:pairs].norm(dim=1).numpy()
    found = {"random": ends.mean(), "least random": ends.min(), "bound": np.prod(layer_norms(G))}
    for n in (16, 64, 256):
        longest = steps_of(G, z[:pairs], w[:pairs], n).max(axis=0)
        found[f"longest of {n}"] = np.mean(longest / ends)
        found["slope"] = (longest * n / apart).max()
    middle = {"samples": x, "arc": draw(G, arc(z, w, 0.5)), "straight": draw(G, (z + w) / 2), "fade": (x + y) / 2}
    return found | {name: distance(net, images) for name, images in middle.items()}


# ---- arithmetic


def averages(z, k, n, rng):
    """n averages of k codes each, drawn with replacement."""
    return z[torch.as_tensor(rng.integers(len(z), size=(n, k)))].mean(dim=1)


def sorted_codes(net, G, pair, z):
    """Codes by whether their picture surely has (1) or lacks (0) each attribute of a pair: keys (1, 0), (0, 0)..."""
    logits = read(net, draw(G, z))[:, [ATTRIBUTES.index(name) for name in pair]]
    sure = (np.abs(logits) > SURE).all(axis=1)
    return {(i, j): z[torch.as_tensor(sure & ((logits > 0) == (i, j)).all(axis=1))] for i in (0, 1) for j in (0, 1)}


def both(net, images, pair):
    """The share of pictures that have both attributes."""
    return (read(net, images)[:, [ATTRIBUTES.index(name) for name in pair]] > 0).all(axis=1).mean()


def arithmetic(G, net, pair, rng, n=500):
    """(first only) - (neither) + (second only): how often both are there."""
    z = codes(4000, 3)
    groups, found = sorted_codes(net, G, pair, z), {"prior": both(net, draw(G, z), pair)}
    for k in AVERAGES:
        first, neither, second = (averages(groups[key], k, n, rng) for key in ((1, 0), (0, 0), (0, 1)))
        anything = averages(z, k, n, rng) - averages(z, k, n, rng)
        to_prior = (k / 3) ** 0.5  # a sum of three averages of k has variance 3 / k
        sums = {"codes": first - neither + second, "scaled": to_prior * (first - neither + second),
                "random": to_prior * (anything + averages(z, k, n, rng)), "random step": anything + second}  # fmt: skip
        found |= {f"{name}, {k}": both(net, draw(G, v), pair) for name, v in sums.items()}
        pixels = [averages(torch.as_tensor(draw(G, groups[key])), k, n, rng) for key in ((1, 0), (0, 0), (0, 1))]
        images = (pixels[0] - pixels[1] + pixels[2]).clamp(-1, 1).numpy()
        found[f"pixels, {k}"] = both(net, images, pair)
        for name, made in (("codes", draw(G, sums["scaled"])), ("pixels", images)):
            found[f"far, {name}, {k}"] = far(net, made, pair)
    chosen = groups[1, 1]
    return found | {"far, sorted": far(net, draw(G, chosen[:n]), pair)}


def far(net, images, pair):
    """The distance of pictures to real faces that have both attributes."""
    data = faces(SETTINGS["samples"], 10_003)
    there = attributes(data.factors)[:, [ATTRIBUTES.index(name) for name in pair]].all(axis=1)
    return quality.frechet(features(net, data.images[there]), features(net, images)).value


# ---- filters


def following(G, net, attribute, z):
    """Hidden maps before the last layer, and their filters from the one that follows an attribute most."""
    with torch.no_grad():
        maps = G[:-2](z)
    rows, columns = REGIONS[attribute]
    there = maps[:, :, rows, columns].mean(dim=(2, 3)).numpy()
    logit = read(net, draw(G, z))[:, ATTRIBUTES.index(attribute)]
    there, logit = there - there.mean(axis=0), logit - logit.mean()
    lengths = np.linalg.norm(there, axis=0) * np.linalg.norm(logit)
    follows = there.T @ logit / (lengths + 1e-9)  # the correlation; 0 for a filter that is dead
    order = np.argsort(-follows)
    return maps, order, follows[order]


@torch.no_grad()
def without(G, maps, filters):
    """The pictures with these filters at zero."""
    maps = maps.clone()
    maps[:, filters] = 0
    return G[-2:](maps).numpy()


def damage(G, net, maps, before, j, filters):
    """After a removal: share of the attribute, share of its pictures that lost it, share of other attributes kept."""
    after = read(net, without(G, maps, filters)) > 0
    others = np.delete(before == after, j, axis=1).mean()
    return [after[:, j].mean(), 1 - after[before[:, j], j].mean(), others]


def by_trial(G, net, maps, before, j):
    """Filters one after the other, each the one whose removal loses most of the attribute and least of the others."""
    chosen = []
    for _ in range(REMOVED[-1]):
        left = [k for k in range(maps.shape[1]) if k not in chosen]
        worth = [sum(damage(G, net, maps, before, j, [*chosen, k])[1:]) for k in left]
        chosen.append(left[int(np.argmax(worth))])
    return chosen


def removal(G, net, attribute, rng):
    """What is lost with the filters that follow an attribute, with those that a trial chose, with random ones."""
    z, j = codes(1000, 4), ATTRIBUTES.index(attribute)
    maps, order, follows = following(G, net, attribute, z)
    before = read(net, draw(G, z)) > 0
    tried = by_trial(G, net, *(there[:500] for there in (maps, before)), j)
    held_out = (G, net, maps[500:], before[500:], j)
    found = {"before": before[500:, j].mean(), "follows": follows[:4].tolist()}
    for m in REMOVED:
        found[f"following, {m}"] = damage(*held_out, order[:m].copy())
        found[f"by trial, {m}"] = damage(*held_out, tried[:m])
        found[f"random, {m}"] = [damage(*held_out, rng.permutation(len(order))[:m]) for _ in range(RANDOM)]
    return found


def study(seed, net, looks=LOOKS):
    """Everything about one seed."""
    G, through = trained(seed, net, looks)
    rng = np.random.default_rng(seed)
    return {"through": through, "walks": walks(G, net),
            "arithmetic": {" + ".join(pair): arithmetic(G, net, pair, rng) for pair in PAIRS},
            "removal": {name: removal(G, net, name, rng) for name in REGIONS}}  # fmt: skip


def plain(value):
    """Numbers of numpy as numbers of three digits, through lists and dictionaries."""
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else rounded(float(value))


def main():
    from results import store

    net, seeds, found = reader(), range(SETTINGS["seeds"]), []
    for seed in seeds:
        found.append(plain(study(seed, net)))
        print(found[-1], flush=True)
        store(__file__, range(seed + 1), {"looks": LOOKS, "accuracy": plain(accuracy(net).tolist()), "seeds": found})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
