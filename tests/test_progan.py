"""ProGAN: table 2 of the paper, growth that changes nothing at first, fades inside a run, and what is refused."""

import copy
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from ganlab.checks import InputError  # noqa: E402
from ganlab.neural import checkpoints  # noqa: E402
from ganlab.neural.draws import Draws  # noqa: E402
from ganlab.neural.minibatch import MinibatchStdDev  # noqa: E402
from ganlab.neural.models.progan import (  # noqa: E402
    EqualConv,
    Fade,
    PixelNorm,
    discriminator,
    double,
    fade,
    filters,
    generator,
    grow,
    halve,
    resolution_of,
    schedule,
    soften,
    stage_of,
)
from ganlab.neural.penalties import PENALTIES  # noqa: E402
from ganlab.neural.recipes import Recipe  # noqa: E402
from ganlab.neural.runs import Run  # noqa: E402
from ganlab.neural.training import train  # noqa: E402

torch.set_num_threads(1)
K = 1000


def count(net):
    return sum(p.numel() for p in net.parameters())


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# ---- stages


def test_nine_stages_eight_doublings():
    resolutions = [resolution_of(stage) for stage in range(1, 10)]
    assert resolutions == [4 * 2**k for k in range(9)]
    assert [stage_of(r) for r in resolutions] == list(range(1, 10))
    assert [b**2 / a**2 for a, b in pairwise(resolutions)] == [4] * 8  # pixels


@pytest.mark.parametrize(("resolution", "nearest"), [
    (100, "64 or 128"), (3, "4$"), (2048, "1024$"), (4.5, "4 or 8"), ("4", "power of two"), (True, "power of two"),
    (None, "power of two"), (math.nan, "power of two"),
])  # fmt: skip
def test_other_resolutions_are_told_the_nearest(resolution, nearest):
    for call in (stage_of, generator, discriminator, lambda r: schedule(0, r)):
        with pytest.raises(InputError, match=nearest):
            call(resolution)


@pytest.mark.parametrize("stage", [0, 10, 1.5, "1", True])
def test_other_stages_are_refused(stage):
    for call in (resolution_of, filters):
        with pytest.raises(InputError, match="from 1"):
            call(stage)


def test_filters_of_table_2_and_of_narrow_networks():
    assert [filters(s) for s in range(1, 10)] == [min(512, 8192 // 2**s) for s in range(1, 10)]
    assert [filters(s, 64) for s in range(1, 10)] == [64, 64, 64, 64, 32, 16, 8, 4, 2]
    assert filters(9, 3) == 1


def test_the_schedule_of_the_paper():
    stages, alphas = zip(*(schedule(n * K) for n in range(0, 20_000, 100)), strict=True)
    assert sorted(set(stages)) == list(range(1, 10))
    assert all(b - a in (0, 1) for a, b in pairwise(stages))  # none is skipped
    assert min(alphas) == 0
    assert max(alphas) == 1
    assert [stages.count(s) for s in range(1, 9)] == [8, *[16] * 7]  # 800k, then 800k + 800k, by hundreds of thousands
    assert schedule(800 * K - 1) == (1, 1.0)
    assert schedule(800 * K) == (2, 0.0)
    assert schedule(1200 * K) == (2, 0.5)
    assert schedule(1600 * K) == (2, 1.0)
    assert schedule(2400 * K) == (3, 0.0)
    assert schedule(10**9, resolution=4) == (1, 1.0)
    assert schedule(10**9, resolution=16) == (3, 1.0)
    assert schedule(30, 8, stable=10, fade=40) == (2, 0.5)


@given(st.integers(0, 3000), st.integers(1, 200), st.integers(1, 200))
def test_the_schedule_never_goes_back(shown, stable, part):
    (s, a), (t, b) = (schedule(n, 64, stable, part) for n in (shown, shown + 1))
    assert t > s or (t == s and b >= a)
    assert 1 <= s <= 5
    assert 0 <= a <= 1
    if t == s + 1:
        assert (a, b) == (1.0, 0.0)


@pytest.mark.parametrize("keywords", [{"shown": -1}, {"shown": 0.5}, {"stable": 0}, {"fade": 0}, {"resolution": 5}])
def test_bad_schedules_are_refused(keywords):
    with pytest.raises(InputError):
        schedule(**{"shown": 0, **keywords})


# ---- parts


def test_fades_are_exact_at_both_ends():
    low, new = noise(4, 3, 8, 8), 1e3 * noise(4, 3, 8, 8, seed=1)
    assert torch.equal(fade(low, new, 0), low)
    assert torch.equal(fade(low, new, 1), new)
    torch.testing.assert_close(fade(low, new, 0.25), 0.75 * low + 0.25 * new)


@pytest.mark.parametrize("alpha", [-0.01, 1.01, math.nan, "half"])
def test_an_alpha_outside_is_refused(alpha):
    with pytest.raises(InputError, match="alpha"):
        fade(torch.zeros(1), torch.zeros(1), alpha)
    with pytest.raises(InputError, match="alpha"):
        Fade().set(alpha)
    with pytest.raises(InputError, match="alpha"):
        soften(torch.zeros(1, 1, 2, 2), alpha)


def test_halving_undoes_doubling_and_softening_begins_with_half_the_resolution():
    x = noise(2, 3, 4, 4)
    assert torch.equal(double(x), x.repeat_interleave(2, -1).repeat_interleave(2, -2))
    assert torch.equal(halve(double(x)), x)
    torch.testing.assert_close(halve(x), x.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2)))
    assert torch.equal(soften(x, 0), double(halve(x)))
    assert torch.equal(soften(x, 1), x)


@pytest.mark.parametrize("first", [False, True])
def test_equalised_layers_keep_the_variance_that_he_promised(first):
    layer = EqualConv(64, 32, 4, first=first, generator=seeded())
    assert layer.weight.std().item() == pytest.approx(1, abs=0.01)
    assert layer.scale == pytest.approx(math.sqrt(2 / (64 * 16)))
    x = noise(64, 64, *((1, 1) if first else (4, 4)), seed=7)
    plain = F.conv_transpose2d if first else F.conv2d
    torch.testing.assert_close(layer(x), plain(x, layer.weight * layer.scale))
    if not first:
        assert layer(x).square().mean().item() == pytest.approx(2, rel=0.1)  # which a ReLU halves


def test_a_first_layer_is_the_padded_convolution_of_the_table():
    layer, x = EqualConv(5, 3, 4, first=True, generator=seeded()), noise(2, 5, 1, 1)
    flipped = layer.weight.flip(2, 3).transpose(0, 1)
    torch.testing.assert_close(layer(x), F.conv2d(x, flipped * layer.scale, padding=3))


def test_equal_steps_of_adam_are_equal_for_all_layers():
    """One step moves every weight by lr: the function of every layer by lr times its scale."""
    layers = [EqualConv(n, 4, 3, generator=seeded()) for n in (2, 50)]
    for layer in layers:
        before = layer.weight.detach().clone()
        optimizer = torch.optim.Adam(layer.parameters(), 0.01)
        layer(noise(3, before.shape[1], 5, 5)).square().sum().backward()
        optimizer.step()
        torch.testing.assert_close((layer.weight - before).abs(), torch.full_like(before, 0.01), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_pixels_have_unit_mean_square(dtype):
    x = (30 * noise(2, 16, 3, 3)).to(dtype)
    y = PixelNorm()(x)
    assert y.dtype == dtype
    torch.testing.assert_close(y.double().square().mean(1), torch.ones(2, 3, 3).double(), rtol=0.02, atol=0)
    z = PixelNorm()(torch.zeros(2, 16, 1, 1, dtype=dtype))
    assert not z.any()


# ---- networks


def test_parameter_counts_of_table_2():
    G, D = generator(1024), discriminator(1024)
    assert round(count(G) / 1e6, 1) == round(count(D) / 1e6, 1) == 23.1
    assert count(G.rgb) == 51
    assert count(D.rgb) == 64
    f = [512, 512, 512, 512, 256, 128, 64, 32, 16]
    inside = sum(9 * a * b + b + 9 * b * b + b for a, b in pairwise(f))
    assert count(G) == 16 * 512 * 512 + 512 + 9 * 512 * 512 + 512 + inside + 51
    mirrored = sum(9 * b * b + b + 9 * a * b + a for a, b in pairwise(f))
    assert count(D) == 64 + mirrored + 9 * 513 * 512 + 512 + 16 * 512 * 512 + 512 + 513


def test_the_discriminator_mirrors_the_generator():
    G, D = generator(64, width=16, latent=4), discriminator(64, width=16)

    def ends(block):
        """(inputs, outputs) of each convolution of a block."""
        return [tuple(m.weight.shape[1::-1]) for m in block if isinstance(m, EqualConv)]

    for up, down in zip(G.blocks[1:], D.blocks[1:], strict=True):
        assert ends(up) == [pair[::-1] for pair in ends(down)][::-1]
    assert sum(isinstance(m, PixelNorm) for m in D.modules()) == 0
    assert sum(isinstance(m, MinibatchStdDev) for m in D.modules()) == 1
    assert isinstance(D.blocks[0][0], MinibatchStdDev)  # at 4 x 4, towards the end
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in (*G.modules(), *D.modules()))


@pytest.mark.parametrize("resolution", [4, 8, 32])
def test_pictures_of_every_stage(resolution):
    G, D = generator(resolution, 1, 5, 8), discriminator(resolution, 1, 8)
    x = G(noise(3, 5))
    assert x.shape == (3, 1, resolution, resolution)
    assert D(x).shape == (3,)
    assert x.std().item() == pytest.approx(1, abs=0.9)  # equalised layers start at scale 1


def test_a_latent_is_a_direction():
    G, z = generator(8, latent=16, width=8), noise(4, 16)
    torch.testing.assert_close(G(z), G(7 * z), rtol=1e-3, atol=1e-4)


# ---- growth


@pytest.mark.parametrize("resolution", [4, 16])
def test_growth_changes_nothing_at_first(resolution):
    G, D = generator(resolution, 2, 5, 8, seed=1), discriminator(resolution, 2, 8, seed=2)
    large_G, large_D = grow(G, seed=3), grow(D, seed=4)
    z, x = noise(4, 5), noise(4, 2, 2 * resolution, 2 * resolution)
    assert torch.equal(large_G(z), double(G(z)))
    assert torch.equal(large_D(x), D(halve(x)))
    for old, new in ((G, large_G), (D, large_D)):
        assert new.stage == old.stage + 1
        kept = dict(new.named_parameters())
        for name, p in old.named_parameters():
            mine = kept[name.replace("rgb.", "low.")]
            assert torch.equal(p, mine)
            assert p.data_ptr() != mine.data_ptr()  # a copy: the old network is left alone


def test_grown_networks_end_as_networks_of_the_next_stage():
    G, D = grow(generator(8, 1, 5, 8), seed=3), grow(discriminator(8, 1, 8), seed=4)
    whole_G, whole_D = generator(16, 1, 5, 8), discriminator(16, 1, 8)
    for grown, whole in ((G, whole_G), (D, whole_D)):
        state = {name: t for name, t in grown.state_dict().items() if not name.startswith(("low", "fade"))}
        whole.load_state_dict(state)  # strict: the same parts
        grown.fade.set(1)
    z, x = noise(4, 5), noise(4, 1, 16, 16)
    assert torch.equal(G(z), whole_G(z))
    assert torch.equal(D(x), whole_D(x))
    G.fade.set(0.3), D.fade.set(0.3)
    low = double(G.low(G.blocks[1](double(G.blocks[0](z)))))
    torch.testing.assert_close(G(z), 0.7 * low + 0.3 * whole_G(z))
    old = F.leaky_relu(D.low(halve(x)), 0.2)
    new = halve(D.blocks[2](F.leaky_relu(D.rgb(x), 0.2)))
    torch.testing.assert_close(D(x), D.blocks[0](halve(D.blocks[1](0.7 * old + 0.3 * new))))


def test_alpha_is_continuous_at_zero():
    G, z = grow(generator(4, 1, 5, 8), seed=3), noise(4, 5)
    at_zero, gaps = G(z), []
    for alpha in (1e-1, 1e-2, 1e-3):
        G.fade.set(alpha)
        gaps.append((G(z) - at_zero).abs().max().item())
    assert gaps == pytest.approx([gaps[0], gaps[0] / 10, gaps[0] / 100], rel=0.01)


def test_what_cannot_grow_is_told_why():
    G = generator(4, 1, 5, 8)
    with pytest.raises(InputError, match="grows to 8 x 8, the nearest stage, got 16"):
        grow(G, 16)
    with pytest.raises(InputError, match="cannot be skipped"):
        grow(G, 4)
    with pytest.raises(InputError, match="8 or 16"):
        grow(G, 12)
    with pytest.raises(InputError, match="Linear"):
        grow(nn.Linear(1, 1))
    with pytest.raises(InputError, match="steps"):
        grow(G, steps=0)
    large = grow(G, 8)
    large.fade.set(0.5)
    with pytest.raises(InputError, match=r"alpha = 0\.5"):
        grow(large)
    large.fade.set(1)
    assert grow(large, 16).stage == 3
    with pytest.raises(InputError, match="last stage"):
        grow(generator(1024, 1, 2, 2))


def test_new_weights_come_from_their_seed_alone():
    state = torch.random.get_rng_state()
    for build in (generator, discriminator):
        nets = [build(8, width=8, seed=s) for s in (1, 1, 2)]
        grown = [grow(nets[0], seed=s) for s in (1, 1, 2)]
        for a, b, c in (nets, grown):
            assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
            assert not torch.equal(a.rgb.weight, c.rgb.weight)
    assert torch.equal(state, torch.random.get_rng_state())
    assert grow(generator(4, width=4).double()).rgb.weight.dtype == torch.float64


# ---- batches and penalties


def test_only_the_deviation_sees_the_batch():
    G, D = generator(8, 1, 5, 8), discriminator(8, 1, 8, group=2)
    z, x = noise(6, 5), noise(6, 1, 8, 8)
    torch.testing.assert_close(G(z)[:2], G(z[:2]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(D(x)[:2], D(x[:2]), rtol=1e-4, atol=1e-5)  # groups of two
    whole = discriminator(8, 1, 8)
    assert not torch.allclose(whole(x)[:2], whole(x[:2]), rtol=1e-4)


@pytest.mark.parametrize("name", ["r1", "wgan_gp", "drift"])
def test_penalties_can_be_differentiated_through_all_of_d(name):
    D = grow(discriminator(4, 1, 2), seed=5).double()
    D.fade.set(0.4)
    names, values = zip(*D.named_parameters(), strict=True)
    x, y = (noise(3, 1, 8, 8, seed=s, dtype=torch.float64) for s in (1, 2))

    def penalty(*values):
        def critic(x):
            return torch.func.functional_call(D, dict(zip(names, values, strict=True)), (x,))

        return PENALTIES[name](critic, x, y, Draws(0))

    assert torch.autograd.gradcheck(penalty, values)
    slopes = torch.autograd.grad(penalty(*values), values, allow_unused=True)
    felt = {n for n, g in zip(names, slopes, strict=True) if g is not None and g.any()}
    assert {n for n in names if n.endswith("weight")} <= felt  # every layer, and both ends of the fade


# ---- inside a run


def fading_run(**changes):
    G, D = grow(generator(4, 1, 6, 8), steps=4, seed=1), grow(discriminator(4, 1, 8, seed=2), steps=4, seed=3)
    recipe = Recipe(**{"steps": 6, "batch": 8, "latent": 6, "objective": "wasserstein", "betas": (0.0, 0.99),
                       "penalties": {"wgan_gp": 10, "drift": 0.001}, "n_critic": 2, **changes})  # fmt: skip
    return Run(G, D, noise(40, 1, 8, 8), recipe, device="cpu")


def test_alpha_follows_the_steps_of_the_run():
    run, seen = fading_run(), []
    for record in train(run):
        assert all(math.isfinite(value) for value in record.row().values())
        seen.append((run.G.fade.alpha.item(), run.D.fade.alpha.item(), run.ema.fade.alpha.item()))
    assert seen == [(a, a, a) for a in (0, 0.25, 0.5, 0.75, 1, 1)]
    # what the pure schedule says after as many images: a fade of 32 in batches of 8, after a stage of 16
    assert [schedule(16 + 8 * k, 8, stable=16, fade=32)[1] for k in range(6)] == [a for a, _, _ in seen]
    assert run.sample(3).shape == (3, 1, 8, 8)
    assert grow(run.G, 16).stage == 3  # also a network that has a run's random numbers
    assert grow(run.ema, 16).fade.rng is None  # the next run gives its own


def test_a_run_resumed_in_the_middle_of_a_fade_is_the_unbroken_one(tmp_path):
    unbroken = fading_run()
    list(train(unbroken))
    first = fading_run()
    for _, _ in zip(range(2), train(first), strict=False):
        pass
    checkpoints.save(first, tmp_path)
    second = fading_run()
    checkpoints.load(second, tmp_path)
    assert second.step == 2
    assert second.ema.fade.alpha.item() == 0.25
    list(train(second))
    for player in ("G", "D", "ema"):
        mine, theirs = getattr(unbroken, player).state_dict(), getattr(second, player).state_dict()
        assert all(torch.equal(t, theirs[name]) for name, t in mine.items())


def test_a_checkpoint_of_another_stage_is_refused(tmp_path):
    checkpoints.save(fading_run(), tmp_path)
    G, D = generator(4, 1, 6, 8), discriminator(4, 1, 8, seed=2)
    other = Run(G, D, noise(40, 1, 4, 4), fading_run().recipe, device="cpu")
    with pytest.raises(checkpoints.CheckpointError):
        checkpoints.load(other, tmp_path)


@pytest.mark.parametrize("objective", ["wasserstein", "least_squares"])
def test_bf16_and_channels_last(objective):
    run = fading_run(precision="bf16", channels_last=True, objective=objective, n_critic=1)
    before = copy.deepcopy([*run.G.parameters(), *run.D.parameters()])
    assert all(math.isfinite(value) for record in train(run) for value in record.row().values())
    named = [*run.G.named_parameters(), *run.D.named_parameters()]
    still = {name for (name, p), q in zip(named, before, strict=True) if torch.equal(p, q)}
    assert still <= {"blocks.0.5.bias"}  # the score's constant, of which a Wasserstein loss knows nothing
