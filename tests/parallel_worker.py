"""What tests/test_parallel.py runs: in one process, and in two by `torchrun --nproc-per-node=2 parallel_worker.py`."""

import sys
from functools import partial
from unittest.mock import patch

import torch

from ganlab.checks import InputError
from ganlab.data import ring
from ganlab.neural import parallel
from ganlab.neural._weights import Weights
from ganlab.neural.game_terms import GAME_TERMS
from ganlab.neural.minibatch import MinibatchDiscrimination, MinibatchStdDev
from ganlab.neural.models import baseline, dcgan, infogan, progan
from ganlab.neural.models.mlp import mlp
from ganlab.neural.penalties import PENALTIES, dragan, spectral_normalise
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import ascend, train
from ganlab.objectives import OBJECTIVES
from ganlab.relativistic import RELATIVISTIC

STEPS = 4
BATCH = 16
NUMBERS = ("d_gain", "g_gain", "real", "fake", "penalty", "d_norm", "g_norm")


def critic(features=2, **options):
    return mlp(features, 1, hidden=(16, 16), activation="tanh", **{"seed": 2, **options})


def watchful(layer, more):
    """A critic with a layer that sees the whole batch."""
    first = mlp(2, 8, hidden=(), seed=2)
    return torch.nn.Sequential(first, torch.nn.Tanh(), layer, mlp(8 + more, 1, hidden=(), seed=3))


def images():
    """A pair of networks for images, whose weights have a memory layout of their own."""
    torch.manual_seed(0)
    G = torch.nn.Sequential(mlp(2, 3 * 4 * 4, hidden=(8,), seed=1), torch.nn.Unflatten(1, (3, 4, 4)))
    D = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(24, 1))
    return G, D, torch.randn(64, 3, 4, 4)


def build(dtype=torch.float64, D=critic, seed=0, data=None, batch_norm=None, **recipe):
    """A small run of the given kind; the same on every rank."""
    if data == "images":
        G, D, data = images()
    elif data is not None:
        G, D = PAPERS[data]()
        data = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=dtype)
    else:
        G = mlp(2, 2, hidden=(16, 16), activation="tanh", norm=batch_norm, seed=[1, 3] if seed else 1)
        D, data = D(), ring(sd=0.2)
    recipe = {"steps": STEPS, "batch": BATCH, "lr": 1e-2, "optimizer": "adam", **recipe}
    return Run(G.to(dtype), D.to(dtype), data, Recipe(**recipe), seed=seed, device="cpu", points=500)


CODES = infogan.Codes((3,), 1)
# The generator and discriminator of each paper, for pictures of 8 by 8 numbers; ProGAN's last blocks are fading in.
PAPERS = {
    "dcgan": lambda: (dcgan.generator(8, 1, 5, 4), dcgan.discriminator(8, 1, 4, seed=1)),
    "infogan": lambda: (infogan.generator(CODES, 8, noise=3, width=2), infogan.discriminator(CODES, 8, width=2)),
    "progan": lambda: (progan.grow(progan.generator(4, 1, 5, 4), steps=5),
                       progan.grow(progan.discriminator(4, 1, 4, seed=1), steps=5)),
    "baseline": lambda: (baseline.generator(8, 1, 5, 4), baseline.discriminator(8, 1, 4, seed=1)),
}  # fmt: skip


def dropout():
    return critic(dropout=0.3)


CASES = {
    **{f"objective {name}": {"objective": name} for name in (*OBJECTIVES, *RELATIVISTIC)},
    **{f"penalty {name}": {"penalties": {name: 0.7}} for name in PENALTIES if name != "consistency"},
    **{f"game term {name}": {"game_terms": {name: 0.1}} for name in GAME_TERMS},
    **{f"game term {name} of RaGAN": {"game_terms": {name: 0.1}, "objective": "ragan"} for name in GAME_TERMS},
    "penalty consistency": {"penalties": {"consistency": 0.7}, "D": dropout},
    "released dragan": {"penalties": {partial(dragan, form="code"): 0.7}},
    "lazy penalties": {"penalties": {"r1": 0.1, "r2": 0.1}, "lazy": 2, "n_critic": 3},
    "unrolled": {"unroll": 2},
    "unrolled RaGAN": {"unroll": 2, "objective": "ragan"},
    "unrolled, stopped": {"unroll": 2, "unroll_through": False},
    "packed": {"pack": 2, "D": partial(critic, 4), "penalties": {"wgan_gp": 1.0}},
    "instance noise": {"instance_noise": 0.5, "penalties": {"dragan": 1.0}},
    "n_critic 2": {"n_critic": 2},
    "clipped": {"objective": "wasserstein", "clip": 0.1, "n_critic": 2},
    "averaged generator": {"ema": 0.5},
    "no average": {"ema": 0.0},
    "RMSprop": {"optimizer": "rmsprop", "penalties": {"r1": 0.1}},
    "gradient descent": {"optimizer": "sgd", "lr": 0.1, "lr_g": 0.05, "schedule": "linear"},
    "two seeds": {"seed": [0, 5], "D": partial(critic, seed=[2, 4]), "penalties": {"wgan_gp": 1.0}},
    "two seeds, consensus": {"seed": [0, 5], "D": partial(critic, seed=[2, 4]), "game_terms": {"consensus": 0.1}},
    "images, channels last": {"data": "images", "channels_last": True, "penalties": {"r1": 1.0}},
    "DCGAN": {"data": "dcgan", "latent": 5},
    "InfoGAN": {"data": "infogan", "latent": 5, "game_terms": {infogan.information: 1.0}},
    "ProGAN": {"data": "progan", "latent": 5, "objective": "wasserstein", "penalties": {"wgan_gp": 10.0, "drift": 0.1}},
    "baseline": {"data": "baseline", "latent": 5, "objective": "rpgan", "penalties": {"r1": 1.0, "r2": 1.0}},
    "batch normalisation": {"batch_norm": "batch"},
    "minibatch deviation": {"D": lambda: watchful(MinibatchStdDev(), 1), "penalties": {"r1": 0.1}},
    "minibatch discrimination": {"D": lambda: watchful(MinibatchDiscrimination(8, 3, 2, generator=torch.Generator()
                                                                               .manual_seed(0)), 3)},
    "spectral normalisation": {"D": lambda: spectral_normalise(critic())},
    "everything": {"objective": "ragan", "penalties": {"r1": 0.1, "consistency": 0.5}, "lazy": 2, "n_critic": 2,
                   "instance_noise": 0.3, "pack": 2, "D": partial(critic, 4, dropout=0.2), "ema": 0.9,
                   "schedule": "cosine", "unroll": 1},
    "float32": {"dtype": torch.float32, "penalties": {"r1": 0.1}},
}  # fmt: skip

# What happens where a mean over the batch stays a mean over the own half of it.
BROKEN = {
    "objective ragan": "ganlab.neural.parallel.average",
    "game term consensus": "ganlab.neural.game_terms.average",
    "unrolled": "ganlab.neural.unrolled.average",
    "released dragan": "ganlab.neural.penalties.average",
    "minibatch deviation": "ganlab.neural.minibatch.average",
    "penalty r1": "ganlab.neural._weights.average",
}


def vector(module):
    return torch.cat([t.detach().double().reshape(-1) for t in [*module.parameters(), *module.buffers()]])


def outcome(run, records):
    """The weights of a run, what it recorded, and whether all ranks agree about the weights."""
    rows = [[record.row()[key] for key in NUMBERS] for record in records]
    return {"G": vector(run.G), "D": vector(run.D), "ema": vector(run.ema),
            "equal": all(parallel.same_everywhere(m) for m in (run.G, run.D, run.ema)),
            "records": torch.tensor(rows, dtype=torch.float64)}  # fmt: skip


def trained(name):
    run = build(**CASES[name])
    return outcome(run, list(train(run)))


def penalty_alone(name):
    """Steps of Adam, with momentum from the loop, up a gain that is nothing but a penalty."""
    run = build(**CASES[f"penalty {name}"])
    list(train(run))
    with run.turn():
        for _ in range(3):
            real, z = run.batch()
            penalty = PENALTIES[name](run.D, real, run.prepare(run.G(z)).detach(), run.rng)
            ascend(run, run.opt_D, -penalty)
    return outcome(run, [])


def odd_gradients():
    """Slopes of a gain that knows two of four weights on one rank, another two on the other."""
    net = torch.nn.ParameterList([torch.zeros(2) for _ in range(4)])
    known = [net[k] for k in range(3) if k != parallel.rank() or k == 2]
    slope = Weights(net, stacked=False).slope(
        sum(p.sum() * 10.0**k for k, p in enumerate(net) if any(p is q for q in known))
    )
    return slope.reshape(4, 2).tolist()


def refusal():
    """The message for a batch that two processes cannot share."""
    try:
        build(batch=15)
    except InputError as error:
        return str(error)
    return None


def unlike_ranks():
    """Whether ranks that differ in one parameter, or one buffer, are found out; and whether NaN is equal to itself."""
    answers = []
    for change in ("weight", "running_mean", None):
        net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
        parallel.broadcast(net)
        with torch.no_grad():
            net[0].bias.fill_(float("nan"))
            if change is not None:
                getattr(net[1], change)[1] += 1e-3 * parallel.rank()
        answers.append(parallel.same_everywhere(net))
    return answers


def different_start():
    """Ranks that start with other networks train the network of rank 0."""
    run = build(D=lambda: critic(seed=2 + parallel.rank()))
    return outcome(run, list(train(run)))


def broken():
    """Cases that go wrong on purpose, to show that the comparison sees it."""
    for name, what in BROKEN.items():
        with patch(what, lambda x: x):
            yield name, trained(name)


def main(path):
    """Run everything on every rank; rank 0 writes it down."""
    torch.set_num_threads(1)
    parallel.join()
    results = {name: trained(name) for name in CASES}
    results |= {f"{name} alone": penalty_alone(name) for name in PENALTIES}
    results |= {f"broken {name}": found for name, found in broken()}
    results |= {"odd gradients": odd_gradients(), "refusal": refusal(), "unlike ranks": unlike_ranks(),
                "different start": different_start()}  # fmt: skip
    if parallel.rank() == 0:
        torch.save(results, path)
    parallel.leave()


if __name__ == "__main__":
    main(sys.argv[1])
