"""The modern baseline: blocks that start as the identity, counts, independence of samples, and a run with R1 and R2."""

import math

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from ganlab.checks import InputError  # noqa: E402
from ganlab.neural.draws import Draws  # noqa: E402
from ganlab.neural.models.baseline import Residual, discriminator, filters, generator  # noqa: E402
from ganlab.neural.penalties import PENALTIES  # noqa: E402
from ganlab.neural.recipes import Recipe  # noqa: E402
from ganlab.neural.runs import Run  # noqa: E402
from ganlab.neural.training import train  # noqa: E402

torch.set_num_threads(1)
BOTH = pytest.mark.parametrize("build", [generator, discriminator])


def count(net):
    return sum(p.numel() for p in net.parameters())


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def jiggle(net, size=0.3):
    """Move the weights away from the start, where every block is the identity."""
    for k, p in enumerate(net.parameters()):
        p.data = p.data + size * noise(*p.shape, seed=k + 1, dtype=p.dtype)
    return net


def blocks(net):
    return [m for m in net.modules() if isinstance(m, Residual)]


@BOTH
def test_every_block_starts_as_the_identity_and_can_leave_it(build):
    net = build(16, width=4, blocks=2, groups=2, seed=3)
    assert len(blocks(net)) == 2 * 3
    for block in blocks(net):
        x = noise(2, block.net[0].in_channels, 4, 4)
        assert torch.equal(block(x), x)
        (slope,) = torch.autograd.grad(block(x).square().sum(), block.net[-1].weight)
        assert slope.any()


def test_the_other_layers_start_at_fix_ups_scale():
    layers = {L: Residual(64, blocks=L, generator=torch.Generator().manual_seed(0)).net for L in (1, 16)}
    for L, net in layers.items():
        for k in (0, 2):
            w = net[k].weight
            assert w.std().item() == pytest.approx(math.sqrt(2 / w[0].numel()) * L**-0.25, rel=0.02)
    torch.testing.assert_close(layers[1][0].weight / 2, layers[16][0].weight)  # 16^(-1/4)
    deep = blocks(discriminator(16, width=4, blocks=5))
    w = torch.cat([b.net[0].weight.flatten() * math.sqrt(b.net[0].in_channels / 2) for b in deep])
    assert w.std().item() == pytest.approx(15**-0.25, rel=0.05)  # 5 blocks at 3 resolutions


def test_depth_does_not_change_what_a_network_computes_at_the_start():
    shallow, deep = (discriminator(16, 1, 4, blocks=b) for b in (1, 6))
    for a, b in zip((m for m in shallow if not isinstance(m, Residual)),
                    (m for m in deep if not isinstance(m, Residual)), strict=True):  # fmt: skip
        b.load_state_dict(a.state_dict())
    x = noise(3, 1, 16, 16)
    assert torch.equal(shallow(x), deep(x))


def test_signals_keep_their_size_at_the_start():
    z = noise(64, 64, seed=9)
    assert generator(32, width=16)(z).std().item() == pytest.approx(1, rel=0.35)
    assert discriminator(32, width=16)(noise(64, 3, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3)
                                       ).std().item() == pytest.approx(1, rel=0.5)  # fmt: skip


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("number", [1, 2])
def test_parameter_counts_in_closed_form(groups, number):
    w = [6, 12, 24]  # 16, 8, 4
    assert filters(16, 6) == w
    residual = sum(2 * n * n + 2 * n + 9 * (2 * n) ** 2 // groups + 2 * n + 2 * n * n for n in w)
    mixing = 6 * 12 + 12 * 24
    G = 16 * 7 * 24 + 24 + number * residual + mixing + 6 * 3 + 3
    D = 3 * 6 + 6 + number * residual + mixing + 16 * 24 + 1
    assert count(generator(16, 3, 7, 6, number, groups)) == G
    assert count(discriminator(16, 3, 6, number, groups)) == D


@BOTH
def test_nothing_is_normalised_and_samples_do_not_meet(build):
    net = jiggle(build(16, width=4, seed=3), 0.1)
    kinds = {type(m).__name__ for m in net.modules()}
    assert not any("Norm" in kind or "Std" in kind for kind in kinds)
    x = noise(6, 64) if build is generator else noise(6, 3, 16, 16)
    torch.testing.assert_close(net(x)[:2], net(x[:2]))


@BOTH
def test_weights_come_from_their_seed_alone(build):
    state = torch.random.get_rng_state()
    a, b, c = (build(8, width=4, seed=s) for s in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    first = [next(p for p in net.parameters() if p.ndim == 4) for net in (a, c)]
    assert not torch.equal(*first)


def test_wide_networks_stop_widening():
    assert filters(64, 128) == [128, 256, 256, 256, 256]
    assert filters(4, 8) == [8]
    assert filters(16, 8, most=10) == [8, 10, 10]


@pytest.mark.parametrize("resolution", [4, 32])
def test_pictures_of_every_size(resolution):
    x = generator(resolution, 1, 5, 4)(noise(3, 5))
    assert x.shape == (3, 1, resolution, resolution)
    assert discriminator(resolution, 1, 4)(x).shape == (3,)


@pytest.mark.parametrize("name", ["r1", "r2", "wgan_gp"])
def test_penalties_can_be_differentiated_through_all_of_d(name):
    D = jiggle(discriminator(8, 1, 2, groups=2, seed=5).double())
    names, values = zip(*D.named_parameters(), strict=True)
    x, y = (noise(2, 1, 8, 8, seed=s, dtype=torch.float64) for s in (1, 2))

    def penalty(*values):
        def critic(x):
            return torch.func.functional_call(D, dict(zip(names, values, strict=True)), (x,))

        return PENALTIES[name](critic, x, y, Draws(0))

    assert torch.autograd.gradcheck(penalty, values)
    slopes = torch.autograd.grad(penalty(*values), values, allow_unused=True)
    assert {n for n, g in zip(names, slopes, strict=True) if g is not None and g.any()} >= {
        n for n in names if n.endswith("weight")
    }


@pytest.mark.parametrize(("precision", "channels_last"), [("float32", False), ("bf16", True)])
def test_a_run_with_the_paired_loss_and_both_penalties(precision, channels_last):
    recipe = Recipe(objective="rpgan", penalties={"r1": 1.0, "r2": 1.0}, steps=4, batch=8, latent=6, lr=2e-3,
                    betas=(0.0, 0.99), precision=precision, channels_last=channels_last)  # fmt: skip
    G, D = generator(8, 1, 6, 8), discriminator(8, 1, 8, groups=4, seed=1)
    run = Run(G, D, noise(40, 1, 8, 8), recipe, device="cpu")
    assert all(math.isfinite(value) for record in train(run) for value in record.row().values())
    assert run.sample(3).shape == (3, 1, 8, 8)
    assert all(block.net[-1].weight.any() for block in (*blocks(G), *blocks(D)))  # they have left the identity


@pytest.mark.parametrize(("keywords", "words"), [
    ({"resolution": 48}, "32 or 64"), ({"width": 0}, "width"), ({"blocks": 0}, "blocks"),
    ({"groups": 7}, "nearest is 4 or 8"), ({"groups": 999}, "nearest is"), ({"groups": 0}, "groups"),
    ({"channels": 0}, "channels"), ({"seed": -1}, "seed"),
], ids=str)  # fmt: skip
def test_bad_networks_are_refused(keywords, words):
    for build in (generator, discriminator):
        with pytest.raises(InputError, match=words):
            build(**{"width": 4, "resolution": 4, **keywords})
    assert isinstance(generator(4, width=4), nn.Sequential)
