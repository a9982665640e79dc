"""How far should the discriminator be trained between two steps of the generator? A sweep on one toy.

The data are N(4, 1); a small generator starts near 0. Five losses, four numbers of discriminator steps, two optimisers
of the generator, twelve independent runs of each, which are trained at once as one stack of networks. Stored as
training goes on: the distance to the data, the length of the gradient that reaches the generator, D's accuracy.

``python book/studies/d_steps.py`` writes ``book/studies/d_steps.json`` (a quarter of an hour on one free core).
The page *The game* shows what was stored, and a claim test runs a small part again.
"""

import hashlib
import json
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from scipy.stats import norm, wasserstein_distance
from torch.nn.functional import leaky_relu

import ganlab as gl

SETTINGS = {
    "data_mean": 4.0, "data_sd": 1.0, "noise_dim": 4, "width": 32, "batch": 64, "runs": 12, "seed": 0, "samples": 2000,
    "critic_rate": 2e-3, "generator_rate": {"sgd": 3e-3, "adam": 5e-4}, "betas": [0.5, 0.9], "penalty": 10.0,
    "d_steps": [1, 5, 20, 100], "checkpoints": [1, 20, 50, 100, 150, 200, 250, 300, 350, 400],
}  # fmt: skip
# What the critic pays for its slope: nothing, |slope| - 1 on both sides (WGAN-GP), or only where the slope exceeds 1.
LOSSES = {
    "saturating": ("saturating", None),
    "nonsaturating": ("nonsaturating", None),
    "least_squares": ("least_squares", None),
    "wgan_gp": ("wasserstein", lambda slope: slope - 1),
    "wgan_gp_one_sided": ("wasserstein", lambda slope: (slope - 1).relu()),
}


def stack(sizes, random):
    """Weights and biases of `runs` networks of the same shape, as stacks that are trained together."""
    runs, layers = SETTINGS["runs"], []
    for n_in, n_out in pairwise(sizes):
        weight = torch.randn(runs, n_in, n_out, generator=random) / n_in**0.5
        layers += [weight.requires_grad_(), torch.zeros(runs, 1, n_out, requires_grad=True)]
    return layers


def apply(layers, x):
    """Send x, of shape (runs, batch, n), through each run's own network."""
    for k in range(0, len(layers), 2):
        x = torch.baddbmm(layers[k + 1], x, layers[k])
        x = leaky_relu(x, 0.2) if k < len(layers) - 2 else x
    return x


def draw_real(random, n):
    return SETTINGS["data_mean"] + SETTINGS["data_sd"] * torch.randn(SETTINGS["runs"], n, 1, generator=random)


def draw_fake(generator, random, n):
    return apply(generator, torch.randn(SETTINGS["runs"], n, SETTINGS["noise_dim"], generator=random))


def penalty(critic, real, fake, excess, random):
    """What the critic pays for its slope at random points between data and fakes."""
    share = torch.rand(real.shape, generator=random)
    between = (share * real + (1 - share) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(apply(critic, between).sum(), between, create_graph=True)
    return SETTINGS["penalty"] * (excess(slope.norm(dim=2)) ** 2).mean(1).sum()


def move(optimiser, gain, player):
    """One ascent step of one player; the other's gradients are not touched."""
    optimiser.zero_grad()
    (-gain).backward(inputs=player)
    optimiser.step()


def gradient_length(player):
    """The Euclidean length of each run's own gradient."""
    return torch.cat([p.grad.flatten(1) for p in player], dim=1).norm(dim=1)


def quantiles(n):
    """The data law's own sample: n equally likely quantiles."""
    return norm.ppf((np.arange(n) + 0.5) / n, SETTINGS["data_mean"], SETTINGS["data_sd"])


def measure(generator, critic, objective, random):
    """Distance W1 to the data, gradient length and accuracy of D, one number for each run."""
    n = SETTINGS["samples"]
    with torch.no_grad():
        real, fake = draw_real(random, n), draw_fake(generator, random, n)
        says_real = [objective.link(apply(critic, x)) > 0.5 for x in (real, fake)]
    w1 = [wasserstein_distance(x, quantiles(n)) for x in fake.squeeze(2).numpy()]
    found = {"w1": w1, "gradient": gradient_length(generator).tolist()}
    if objective.name != "wasserstein":  # a Wasserstein score has no natural threshold
        found["accuracy"] = torch.cat([says_real[0], ~says_real[1]], dim=1).float().mean((1, 2)).tolist()
    return {name: [float(f"{value:.3g}") for value in values] for name, values in found.items()}


def train(loss, d_steps, optimiser, checkpoints=None):
    """Train all runs of one setting; returns {generator step: what `measure` found}."""
    checkpoints = checkpoints or SETTINGS["checkpoints"]
    random = torch.Generator().manual_seed(SETTINGS["seed"])
    (name, excess), width, n = LOSSES[loss], SETTINGS["width"], SETTINGS["batch"]
    f = gl.OBJECTIVES[name]
    generator, critic = stack([SETTINGS["noise_dim"], width, width, 1], random), stack([1, width, width, 1], random)
    rate, adam = SETTINGS["generator_rate"][optimiser], partial(torch.optim.Adam, betas=SETTINGS["betas"])
    of_critic = adam(critic, SETTINGS["critic_rate"])
    of_generator = torch.optim.SGD(generator, rate) if optimiser == "sgd" else adam(generator, rate)
    found = {}
    for step in range(1, checkpoints[-1] + 1):
        for _ in range(d_steps):
            real = draw_real(random, n)
            with torch.no_grad():
                fake = draw_fake(generator, random, n)
            of_real, of_fake = apply(critic, torch.cat([real, fake], dim=1)).split(n, dim=1)
            gain = f.f1(of_real).mean(1).sum() + f.f2(of_fake).mean(1).sum()
            if excess:
                gain = gain - penalty(critic, real, fake, excess, random)
            move(of_critic, gain, critic)
        move(of_generator, f.f3(apply(critic, draw_fake(generator, random, n))).mean(1).sum(), generator)
        if step in checkpoints:
            found[step] = measure(generator, critic, f, random)
    return found


def floor():
    """W1 that a perfect generator would show: real samples against the data's quantiles."""
    random, n = torch.Generator().manual_seed(SETTINGS["seed"] + 1), SETTINGS["samples"]
    return [float(f"{wasserstein_distance(x, quantiles(n)):.3g}") for x in draw_real(random, n).squeeze(2).numpy()]


def fingerprint(path=__file__):
    """SHA-256 of this script, the same on every system."""
    return hashlib.sha256(Path(path).read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def main():
    torch.set_num_threads(1)
    rows, last = [], SETTINGS["checkpoints"][-1]
    for optimiser in SETTINGS["generator_rate"]:
        for loss in LOSSES:
            for d_steps in SETTINGS["d_steps"]:
                found = train(loss, d_steps, optimiser)
                rows.append({"optimiser": optimiser, "loss": loss, "d_steps": d_steps, "at": found})
                print(f"{optimiser:5} {loss:18} {d_steps:4}  median W1 {np.median(found[last]['w1']):.3f}", flush=True)
    record = {"script": fingerprint(), "settings": SETTINGS, "floor": floor(), "rows": rows}
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
