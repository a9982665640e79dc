"""The package's loop against the plainest loop by hand on pictures: DCGAN, InfoGAN and every stage of ProGAN.

Same networks, same data, in turns. The averaged generator, which the loop by hand has not, is left out.
"""

import copy

import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import softplus  # noqa: E402
from turns import ratio  # noqa: E402

from ganlab.neural.models import dcgan, infogan, progan  # noqa: E402
from ganlab.neural.models._codes import Codes  # noqa: E402
from ganlab.neural.recipes import Recipe  # noqa: E402
from ganlab.neural.runs import Run  # noqa: E402
from ganlab.neural.training import train  # noqa: E402

CHOICES = {"float32": {}, "float32, channels last": {"channels_last": True},
           "bf16, channels last": {"precision": "bf16", "channels_last": True}}  # fmt: skip


def by_hand(G, D, data, batch, latent, penalty=0.0, extra=None):
    """Yield after every generator step of a minimal eager loop; `extra` is what both players pay beside their loss."""
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (G, D))
    extra = extra or (lambda z: 0.0)
    while True:
        real, z = data[torch.randint(len(data), (batch,))], torch.randn(batch, latent)
        with torch.no_grad():
            fake = G(z)
        if penalty:
            t_real, t_fake = D(real), D(fake)
            share = torch.rand(batch, 1, 1, 1)
            between = (share * real + (1 - share) * fake).requires_grad_()
            (slope,) = torch.autograd.grad(D(between).sum(), between, create_graph=True)
            loss = t_fake.mean() - t_real.mean() + penalty * ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
            loss = loss + 0.001 * (t_real**2).mean()
        else:
            loss = softplus(-D(real)).mean() + softplus(D(fake)).mean() + extra(z)
        opt_D.zero_grad()
        loss.backward()
        opt_D.step()
        z = torch.randn(batch, latent)
        score = D(G(z))
        loss = (-score.mean() if penalty else softplus(-score).mean()) + extra(z)
        opt_G.zero_grad()
        loss.backward()
        opt_G.step()
        yield


def compare(benchmark, capsys, what, G, D, side, batch, steps, hand=None, **recipe):
    """Print the ratio for a pair of networks."""
    data = torch.rand(1000, 1, side, side) * 2 - 1
    hand, latent = dict(hand or {}), recipe["latent"]
    mine, theirs = (G, D), copy.deepcopy((G, D))
    if "extra" in hand:
        hand["extra"] = hand["extra"](*theirs)
    run = Run(*mine, data, Recipe(steps=10**9, batch=batch, ema=0.0, lr=2e-4, **recipe), device="cpu")
    ours = train(run)
    ratio(capsys, what, ours, by_hand(*theirs, data, batch, latent, **hand), steps)
    benchmark.pedantic(next, (ours,), rounds=5)


@pytest.mark.parametrize(("name", "choices"), CHOICES.items())
def test_dcgan(benchmark, capsys, name, choices):
    """Targets: 1.25 in float32, 1.8 with bf16 and channels last."""
    G, D = dcgan.generator(32, 1, 100, 32), dcgan.discriminator(32, 1, 32)
    compare(benchmark, capsys, f"DCGAN 32 x 32, batch 64, {name}", G, D, 32, 64, 8, latent=100, **choices)


@pytest.mark.parametrize(("name", "choices"), CHOICES.items())
def test_infogan(benchmark, capsys, name, choices):
    """Targets: 1.25 in float32, 1.8 with bf16 and channels last."""
    codes = Codes((10,), 2)
    G, D = infogan.generator(codes, width=32), infogan.discriminator(codes, width=32)
    hand = {"extra": lambda G, D: lambda z: infogan.information_seen(G, D, None, None, z)}
    compare(benchmark, capsys, f"InfoGAN 28 x 28, batch 64, {name}", G, D, 28, 64, 8, hand, latent=G.latent,
            game_terms={infogan.information_seen: 1.0}, **choices)  # fmt: skip


@pytest.mark.parametrize(("side", "steps"), [(4, 40), (8, 20), (16, 8), (32, 4)])
def test_progan(benchmark, capsys, side, steps):
    """Target: at least 1.0 at every stage, in the middle of a fade."""
    G, D = progan.generator(max(4, side // 2), 1, 64, 64), progan.discriminator(max(4, side // 2), 1, 64)
    if side > 4:
        G, D = progan.grow(G), progan.grow(D)
        G.fade.set(0.5), D.fade.set(0.5)
    compare(benchmark, capsys, f"ProGAN {side} x {side}, batch 16", G, D, side, 16, steps, {"penalty": 10.0}, latent=64,
            objective="wasserstein", penalties={"wgan_gp": 10, "drift": 0.001})  # fmt: skip
