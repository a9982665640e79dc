"""Every objective, penalty and tip of this book on two benchmarks: what is it worth on its own?

One run is the measure (non-saturating, Adam, a generator that starts with orthogonal weights), and every row changes
one thing in it, or names another pair of objective and penalty. Ten seeds a row, trained at once as one stack; seed s
starts from the same weights in every row that leaves the networks alone. ``python book/studies/craft_table.py`` writes
``book/results/craft-table.json`` (a quarter of an hour of one free core). The page *Craft* shows what was stored.
"""

import math
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import ganlab as gl
from ganlab import data, metrics
from ganlab.neural._scores import scores
from ganlab.neural.minibatch import MinibatchStdDev, WithReference
from ganlab.neural.models.mlp import mlp
from ganlab.neural.penalties import spectral_normalise
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import DivergedError, Run
from ganlab.neural.training import ascend, train
from ganlab.primitives import sigmoid, softplus

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"hidden": (64, 64, 64), "steps": 800, "batch": 64, "lr": 2e-3, "seeds": 10, "samples": 2500}
BENCHMARKS = {"ring": data.ring(), "grid": data.grid(5, 1.0, 0.05)}
SMOOTH_BOTH = gl.Objective(
    f1=lambda t: -0.9 * softplus(-t) - 0.1 * softplus(t), f2=lambda t: -0.1 * softplus(-t) - 0.9 * softplus(t),
    f3=lambda t: -softplus(-t), link=sigmoid, name="labels 0.9 and 0.1")  # fmt: skip


# ---------------------------------------------------------------- labels: they travel as extra columns of a sample


class Labelled(nn.Module):
    """A generator that is told which class to draw, and says so: its third noise number chooses the class."""

    def __init__(self, net, classes):
        super().__init__()
        self.net, self.classes = net, classes

    def forward(self, z):
        label = (torch.special.ndtr(z[..., 2]) * self.classes).long().clamp(max=self.classes - 1)
        label = nn.functional.one_hot(label, self.classes).to(z)
        return torch.cat([self.net(torch.cat([z[..., :2], label], -1)), label], -1)


class Unlabelled(nn.Module):
    """A generator that knows no labels: it leaves their columns at zero."""

    def __init__(self, net, classes):
        super().__init__()
        self.net, self.classes = net, classes

    def forward(self, z):
        return nn.functional.pad(self.net(z), (0, self.classes))


class Classifier(nn.Module):
    """A critic with one logit a class: the score is log sum exp of them (Salimans et al. 2016, section 5)."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x[..., :2]).logsumexp(-1, keepdim=True)


def label_loss(D, real, fake=None, rng=None):
    """How surprised the critic is at the labels of the data: its second task."""
    return -(real[..., 2:] * D.net(real[..., :2]).log_softmax(-1)).sum(-1).mean(-1)


def labelled(law, meaning):
    """Samples of a law with their mode, or a number that means nothing, in one-hot columns."""
    rng, modes = np.random.default_rng(0), torch.tensor(law.means)
    x = torch.tensor(law.sample(20_000, rng))
    label = (
        torch.cdist(x, modes).argmin(1) if meaning == "mode" else torch.tensor(rng.integers(len(modes), size=len(x)))
    )
    return torch.cat([x, nn.functional.one_hot(label, len(modes))], 1).float()


# ---------------------------------------------------------------- the rows


def row(group, recipe=None, G=None, D=None, kind="plain"):
    """What a row of the table changes: the recipe, the options of the two networks, or how they are put together."""
    return {"group": group, "recipe": recipe or {}, "G": G or {}, "D": D or {}, "kind": kind}


def wasserstein(kind="plain", D=None, **recipe):
    return row("Wasserstein and", {"objective": "wasserstein", **recipe}, D=D, kind=kind)


def activation(name):
    return row("activation", G={"activation": name}, D={"activation": name})


GP = {"wgan_gp": 1.0}
ROWS = {
    "baseline": row("baseline"),
    **{name: row("objective", {"objective": name}) for name in (
        "saturating", "least_squares", "hinge", "wasserstein", "quadratic", "maximum_likelihood", "rpgan", "ragan",
        "rahinge", "ralsgan")},
    "R1": row("penalty", {"penalties": {"r1": 0.1}}),
    "R1 and R2": row("penalty", {"penalties": {"r1": 0.1, "r2": 0.1}}),
    "GP": row("penalty", {"penalties": GP}),
    "GP, one side": row("penalty", {"penalties": {"wgan_gp_one_sided": 1.0}}),
    "DRAGAN": row("penalty", {"penalties": {"dragan": 1.0}}),
    "consistency": row("penalty", {"penalties": {"consistency": 1.0}}, D={"dropout": 0.2}),
    "gradient norm": row("penalty", {"game_terms": {"gradient_norm": 0.1}}),
    "consensus": row("penalty", {"game_terms": {"consensus": 0.1}}),
    "W, clip 0.01": wasserstein(clip=0.01),
    "W, clip 0.1": wasserstein(clip=0.1),
    "W, GP": wasserstein(penalties=GP),
    "W, GP one side": wasserstein(penalties={"wgan_gp_one_sided": 1.0}),
    "W, GP, consistency": wasserstein(penalties={**GP, "consistency": 1.0}, D={"dropout": 0.2}),
    "W, spectral norm": wasserstein(kind="spectral"),
    "RpGAN, R1, R2": row("other pair", {"objective": "rpgan", "penalties": {"r1": 0.1, "r2": 0.1}}),
    "hinge, spectral": row("other pair", {"objective": "hinge"}, kind="spectral"),
    "least squares, R1": row("other pair", {"objective": "least_squares", "penalties": {"r1": 0.1}}),
    "smooth 0.9": row("tip", {"objective": "label_smoothing"}),
    "smooth both": row("tip", {"objective": SMOOTH_BOTH}),
    "instance noise": row("tip", {"instance_noise": 0.3, "noise_until": 0.5}),
    "D 4 times faster": row("tip", {"lr_g": 5e-4}),
    "G 4 times faster": row("tip", {"lr": 5e-4, "lr_g": 2e-3}),
    "D 3 steps": row("tip", {"n_critic": 3}),
    "D twice as wide": row("tip", D={"hidden": (128, 128, 128)}),
    "dropout in D": row("tip", D={"dropout": 0.2}),
    "spectral norm": row("tip", kind="spectral"),
    "pack 2": row("tip", {"pack": 2}, kind="packed"),
    "minibatch deviation": row("tip", kind="deviation"),
    "virtual BN in G": row("tip", G={"norm": "virtual"}, kind="virtual"),
    "no averaging": row("tip", {"ema": 0.0}),
    "constant rate": row("tip", {"schedule": "constant"}),
    "BN in G": row("batch norm", G={"norm": "batch"}),
    "BN in D, apart": row("batch norm", D={"norm": "batch"}),
    "BN in D, together": row("batch norm", D={"norm": "batch"}, kind="together"),
    "BN in G and D": row("batch norm", G={"norm": "batch"}, D={"norm": "batch"}),
    "labels to G and D": row("labels", {"latent": 3}, kind="both"),
    "labels to D": row("labels", {"penalties": {label_loss: 1.0}}, kind="classifier"),
    "empty labels": row("labels", {"latent": 3}, kind="both"),
    **{name: activation(name) for name in ("leaky_relu", "tanh", "elu", "softplus")},
}  # fmt: skip


def networks(change, law, seeds):
    """The two stacks of networks of a row."""
    kind, modes, hidden = change["kind"], len(law.means), SETTINGS["hidden"]
    wide = modes if kind == "both" else 0
    of_G = {"hidden": hidden, "init": "orthogonal", "gain": 1.4, "seed": list(seeds)} | change["G"]
    of_D = {"hidden": hidden, "seed": [1000 + s for s in seeds]} | change["D"]
    G = mlp(2 + wide, 2, **of_G)
    D = mlp({"packed": 4, "deviation": 3}.get(kind, 2 + wide), modes if kind == "classifier" else 1, **of_D)
    if kind == "spectral":
        spectral_normalise(D)
    if kind == "deviation":
        D = nn.Sequential(MinibatchStdDev(), D)
    if kind == "virtual":
        G = WithReference(G, torch.randn(64, 2, generator=torch.Generator().manual_seed(0)))
    if kind == "both":
        G = Labelled(G, modes)
    if kind == "classifier":
        G, D = Unlabelled(G, modes), Classifier(D)
    return G, D


def train_together(run):
    """The loop of `ganlab.neural.training`, but D sees data and fakes as one batch, with one mean and one deviation."""

    def both(real, fake):
        return scores(run.D, torch.cat([real, fake], -2)).chunk(2, -1)

    while run.step < run.recipe.steps:
        with run.turn():
            real, z = run.batch()
            fake = run.G(z)
            ascend(run, run.opt_D, run.objective.d_gain(*both(real, fake.detach())))
            ascend(run, run.opt_G, run.objective.g_gain(*both(real, fake)))
            run.average()
            run.step += 1
        yield run.step


def study(name, benchmark, seeds, steps=SETTINGS["steps"]):
    """Train one row on one benchmark; returns modes, high-quality share and KL over the modes of every seed."""
    change, law = ROWS[name], BENCHMARKS[benchmark]
    recipe = {"steps": steps, "batch": SETTINGS["batch"], "lr": SETTINGS["lr"], "schedule": "cosine", "check_every": 50}
    meaning = {"empty labels": "nothing"}.get(name, "mode")
    points = labelled(law, meaning) if change["kind"] in ("both", "classifier") else law
    run = Run(*networks(change, law, seeds), points, Recipe(**recipe | change["recipe"]), seed=seeds, device="cpu",
              points=20_000)  # fmt: skip
    finished = True
    try:
        for _ in train_together(run) if change["kind"] == "together" else train(run):
            pass
    except DivergedError:
        finished = False
    found = [metrics.modes_report(x[:, :2], law, allow_nonfinite=True) for x in run.sample(SETTINGS["samples"])]
    return {
        "group": change["group"],
        "finished": finished,
        "modes": [r.modes for r in found],
        "hq": [round(r.hq, 4) for r in found],
        "kl": [round(r.reverse_kl, 4) if math.isfinite(r.reverse_kl) else None for r in found],
    }


def main():
    from results import store

    seeds, table = range(SETTINGS["seeds"]), {}
    for benchmark in BENCHMARKS:
        table[benchmark] = {}
        for name in ROWS:
            table[benchmark][name] = found = study(name, benchmark, seeds)
            print(benchmark, name, found["modes"], round(np.mean(found["hq"]), 3), flush=True)
    print(store(__file__, seeds, {"settings": SETTINGS, "table": table}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
