"""The package's loop against the plainest loop one would write by hand: same networks, same data, one run.

Rates are CPU seconds of one thread; the two loops take turns, and the ratio is the median over rounds.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import softplus  # noqa: E402
from turns import ratio  # noqa: E402

from ganlab.data import ring  # noqa: E402
from ganlab.neural.models.mlp import mlp  # noqa: E402
from ganlab.neural.recipes import Recipe  # noqa: E402
from ganlab.neural.runs import Run  # noqa: E402
from ganlab.neural.training import train  # noqa: E402


def by_hand(batch, n_critic=1, penalty=0.0):
    """Yield after every generator step of a minimal eager loop, written without the package."""
    G, D = mlp(2, 2, seed=1), mlp(2, 1, seed=2)
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), 1e-3, (0.5, 0.999)) for net in (G, D))
    data = torch.tensor(ring().sample(100_000, np.random.default_rng(0))).float()
    while True:
        for _ in range(n_critic):
            real = data[torch.randint(len(data), (batch,))]
            with torch.no_grad():
                fake = G(torch.randn(batch, 2))
            if penalty:
                loss = D(fake).mean() - D(real).mean()
                share = torch.rand(batch, 1)
                between = (share * real + (1 - share) * fake).requires_grad_()
                (slope,) = torch.autograd.grad(D(between).sum(), between, create_graph=True)
                loss = loss + penalty * ((slope.norm(dim=1) - 1) ** 2).mean()
            else:
                loss = softplus(-D(real)).mean() + softplus(D(fake)).mean()
            opt_D.zero_grad()
            loss.backward()
            opt_D.step()
        score = D(G(torch.randn(batch, 2)))
        loss = -score.mean() if penalty else softplus(-score).mean()
        opt_G.zero_grad()
        loss.backward()
        opt_G.step()
        yield


def by_package(batch, n_critic=1, penalty=0.0, seed=1):
    """The same training by the package; the averaged generator, which the other loop has not, is left out."""
    terms = {"objective": "wasserstein", "penalties": {"wgan_gp": penalty}} if penalty else {}
    networks = [mlp(2, n, seed=seed) for n in (2, 1)]
    return train(Run(*networks, ring(), Recipe(steps=10**9, batch=batch, n_critic=n_critic, ema=0.0, **terms),
                     seed=seed, device="cpu"))  # fmt: skip


@pytest.mark.parametrize("batch", [128, 256])
def test_ring(benchmark, capsys, batch):
    """Target: 1.25 or better."""
    ratio(capsys, f"ring, batch {batch}", by_package(batch), by_hand(batch), 150)
    benchmark(next, by_package(batch))


def test_wgan_gp(benchmark, capsys):
    """Target: 1.0 or better."""
    ratio(capsys, "WGAN-GP, 5 critic steps, batch 256", by_package(256, 5, 10.0), by_hand(256, 5, 10.0), 20)
    benchmark(next, by_package(256, 5, 10.0))


def test_twenty_seeds(benchmark, capsys):
    """Target: 2 or better, against the loop by hand one seed after another; beside it, against our own."""
    together = by_package(128, seed=range(20))
    for name, alone in {"by hand": by_hand(128), "by the package": by_package(128)}.items():
        ratio(capsys, f"20 seeds at once against one by one {name}, batch 128", together, alone, 10, each=20)
    benchmark(next, together)
