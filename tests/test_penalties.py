"""Penalties against formulas without autograd, against the Dirac game, and against the mistakes of other libraries."""

import copy
import math
import threading
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.func import functional_call  # noqa: E402
from torch.nn.utils import parametrize  # noqa: E402
from torch.nn.utils.parametrizations import spectral_norm  # noqa: E402

from ganlab import OBJECTIVES, R1, R2, GradientPenalty, InputError, dirac_gan  # noqa: E402
from ganlab.neural import penalties  # noqa: E402
from ganlab.neural.draws import Draws  # noqa: E402
from ganlab.neural.minibatch import Dropout, give_rng  # noqa: E402
from ganlab.neural.models.mlp import StackedLinear, mlp, stack, unstack  # noqa: E402
from ganlab.neural.penalties import (  # noqa: E402
    PENALTIES,
    clip_weights,
    consistency,
    dragan,
    drift,
    r1,
    r2,
    spectral_normalise,
    warn_if_batch_norm,
    wgan_gp,
    wgan_gp_one_sided,
)
from ganlab.objectives import rest_score  # noqa: E402

torch.set_num_threads(1)


def dragan_code(D, real, fake=None, rng=None, **options):
    return dragan(D, real, fake, rng, form="code", **options)


def consistency_code(D, real, fake=None, rng=None, **options):
    return consistency(D, real, fake, rng, form="code", **options)


SLOPE_PENALTIES = {"r1": r1, "r2": r2, "wgan_gp": wgan_gp, "wgan_gp_one_sided": wgan_gp_one_sided, "dragan": dragan,
                   "dragan_code": dragan_code}  # fmt: skip
TARGETED = ["wgan_gp", "wgan_gp_one_sided", "dragan", "dragan_code"]
EVERY = {**SLOPE_PENALTIES, "drift": drift, "consistency": consistency, "consistency_code": consistency_code}
every = pytest.mark.parametrize("name", EVERY)
every_slope = pytest.mark.parametrize("name", SLOPE_PENALTIES)


def batch(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)


def pair(*shape, dtype=torch.float64):
    return batch(*shape, seed=1, dtype=dtype), batch(*shape, seed=2, dtype=dtype)


def steep_net(inputs=3, activation=nn.Softplus, seed=0):
    """A small smooth critic in float64, steep enough to pay a one-sided penalty everywhere."""
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Linear(inputs, 3), activation(), nn.Linear(3, 2), activation(), nn.Linear(2, 1)).double()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.rand(p.shape, generator=generator) + 0.5)  # positive weights: no slope can cancel
    return net


class Alternating(nn.Module):
    """A critic whose passes are masked in turn, as dropout would, and then again in the same order."""

    def __init__(self, net, inputs):
        super().__init__()
        self.net, self.passes = net, 0
        self.masks = [torch.arange(inputs) % 2, 2 - torch.arange(inputs) % 2]

    def forward(self, x):
        self.passes += 1
        return self.net(x * self.masks[self.passes % 2])


def critic_for(name, net, inputs):
    return Alternating(net, inputs) if name.startswith("consistency") else net


class Recorder(nn.Module):
    """A critic of slope one that keeps the points it was asked about."""

    def forward(self, x):
        self.points = x.detach().clone()
        return x.flatten(1)[:, 0]


# --- values and gradients against formulas ---------------------------------------------------------------------------


@pytest.mark.parametrize("target", [0.0, 1.0, 7.0])
def test_a_linear_critic_pays_what_the_formula_says(target):
    a = batch(3, seed=5).requires_grad_()
    real, fake = pair(6, 3)
    n = math.sqrt(sum(v**2 for v in a.tolist()))
    excess = n - target
    # name, options, value, and the factor of a in the gradient with respect to a
    table = [("r1", {}, n**2 / 2, 1.0), ("r2", {}, n**2 / 2, 1.0),
             ("wgan_gp", {"target": target}, excess**2, 2 * excess / n),
             ("wgan_gp_one_sided", {"target": target}, max(0, excess) ** 2, 2 * max(0, excess) / n),
             ("dragan", {"target": target}, excess**2, 2 * excess / n),
             ("dragan_code", {"target": target}, excess**2, 2 * excess / n)]  # fmt: skip
    for name, options, value, factor in table:
        p = EVERY[name](lambda x: x @ a + 3, real, fake, Draws(0), **options)
        (g,) = torch.autograd.grad(p, a)
        assert p.item() == pytest.approx(value, rel=1e-13)
        assert g.tolist() == pytest.approx([factor * v for v in a.tolist()], rel=1e-12)


def test_a_quadratic_critic_pays_what_the_formula_says():
    A, b = batch(3, 3, seed=6).requires_grad_(), batch(3, seed=7).requires_grad_()
    real, fake = pair(5, 3)

    def critic(x):
        return (x @ A * x).sum(-1) / 2 + x @ b

    sym = ((A + A.T) / 2).detach().numpy()
    eps = Draws(0).fraction(real).numpy()
    between = eps * real.numpy() + (1 - eps) * fake.numpy()
    near = real.numpy() + 0.3 * Draws(0).normal_like(real).numpy()
    # each: points, and the penalty and its derivative as functions of the slope
    half, square = (lambda n: n**2 / 2, lambda n: n), (lambda n: (n - 2) ** 2, lambda n: 2 * (n - 2))
    excess = (lambda n: np.maximum(n - 2, 0) ** 2, lambda n: 2 * np.maximum(n - 2, 0))
    table = [("r1", {}, real.numpy(), half), ("r2", {}, fake.numpy(), half),
             ("wgan_gp", {"target": 2.0}, between, square),
             ("wgan_gp_one_sided", {"target": 2.0}, between, excess),
             ("dragan", {"target": 2.0, "sd": 0.3}, near, square)]  # fmt: skip
    for name, options, x, (value, derivative) in table:
        slopes = x @ sym + b.detach().numpy()
        n = np.linalg.norm(slopes, axis=1)
        p = EVERY[name](critic, real, fake, Draws(0), **options)
        assert p.item() == pytest.approx(value(n).mean(), rel=1e-13), name
        in_A, in_b = torch.autograd.grad(p, (A, b))
        rows = (derivative(n) / n)[:, None] * slopes / len(x)
        outer = rows.T @ x
        np.testing.assert_allclose(in_b, rows.sum(0), rtol=1e-12, atol=1e-14, err_msg=name)
        np.testing.assert_allclose(in_A, (outer + outer.T) / 2, rtol=1e-12, atol=1e-14, err_msg=name)


@every
def test_first_and_second_derivatives_agree_with_differences(name):
    net, (real, fake) = steep_net(), pair(2, 3)
    names, values = zip(*net.named_parameters(), strict=True)

    def penalty(*parameters):
        weights = dict(zip(names, parameters, strict=True))
        D = critic_for(name, lambda x: functional_call(net, weights, (x,)), 3)
        return EVERY[name](D, real, fake, Draws(0))

    inputs = tuple(p.detach().clone().requires_grad_() for p in values)
    assert penalty(*inputs).item() > 0.01
    assert torch.autograd.gradcheck(penalty, inputs)
    assert torch.autograd.gradgradcheck(penalty, inputs, atol=1e-4)


class Scripted:
    """A critic with fixed scores, one list a pass."""

    def __init__(self, *passes):
        self.passes = [torch.tensor(t, dtype=torch.float64) for t in passes]

    def __call__(self, x):
        return self.passes.pop(0)


def test_consistency_is_the_excess_of_each_disagreement_over_the_margin():
    x, passes = torch.zeros(3, 2), ([1.0, 5.0, 0.0], [1.5, 3.0, 0.0])  # the distances are 0.5, 2, 0
    assert consistency(Scripted(*passes), x).item() == pytest.approx(2.5 / 3)
    assert consistency(Scripted(*passes), x, margin=1.0).item() == pytest.approx(1 / 3)
    assert consistency(Scripted(*passes), x, form="code").item() == pytest.approx(4.25 / 3)
    assert consistency(Scripted(*passes), x, margin=1.0, form="code").item() == pytest.approx(3 / 3)


def test_drift_is_the_mean_square_of_the_real_scores():
    real, fake = pair(4, 3)
    a = batch(3, seed=5)
    assert drift(lambda x: x @ a, real, fake).item() == pytest.approx(((real @ a).numpy() ** 2).mean())


@pytest.mark.parametrize("objective", ["saturating", "nonsaturating", "wasserstein", "least_squares"])
@pytest.mark.parametrize(
    ("remedy", "name", "weight", "options"),
    [(R1(0.7), "r1", 0.7, {}), (R2(0.7), "r2", 0.7, {}), (GradientPenalty(0.7), "wgan_gp", 0.35, {}),
     (GradientPenalty(0.7, target=0.4), "dragan", 0.35, {"target": 0.4})],
)  # fmt: skip
def test_on_the_dirac_gan_the_critic_moves_as_in_the_game(objective, remedy, name, weight, options):
    game, row = dirac_gan(objective, remedy), OBJECTIVES[objective]
    for theta, psi in [(0.7, 0.9), (-0.4, -1.6), (1.1, 0.2)]:
        slope = torch.tensor(psi, dtype=torch.float64, requires_grad=True)
        bias = float(rest_score(row).score)

        def critic(x, slope=slope, bias=bias):  # the paper's critic answers "fake", a score "real"
            return bias - slope * x[:, 0]

        real, fake = torch.zeros(4, 1, dtype=torch.float64), torch.full((4, 1), theta, dtype=torch.float64)
        gain = row.d_gain(critic(real), critic(fake)) - weight * EVERY[name](critic, real, fake, Draws(0), **options)
        (velocity,) = torch.autograd.grad(gain, slope)
        assert velocity.item() == pytest.approx(float(game.field(theta, psi)[1]), rel=1e-12)


# --- mistakes of other libraries -------------------------------------------------------------------------------------

shapes = st.sampled_from([(1,), (2,), (7,), (1, 4, 4), (3, 5, 2), (2, 3)])


@settings(max_examples=25)
@given(n=st.integers(1, 300), shape=shapes, k=st.integers(0, 10**6), sign=st.sampled_from([-1.0, 1.0]))
def test_b1_a_unit_slope_critic_has_no_penalty_at_any_batch_size(n, shape, k, sign):
    # torchgan/torchgan took one norm of the whole batch: 1, 49, 225 instead of 0 at N = 4, 64, 256
    real, fake = pair(n, *shape, dtype=torch.float32)
    k %= math.prod(shape)
    for name in TARGETED:
        assert EVERY[name](lambda x: sign * x.flatten(1)[:, k], real, fake, Draws(0)).item() == 0.0


@settings(max_examples=25)
@given(n=st.integers(1, 64), shape=shapes, seed=st.integers(0, 1000))
def test_b4_b5_an_oblique_unit_slope_has_no_penalty_on_images_either(n, shape, seed):
    # eriklindernoren/PyTorch-GAN dragan.py and caogang/wgan-gp took a norm a pixel: 0.944 instead of 0
    direction = batch(math.prod(shape), seed=seed)
    direction /= direction.norm()
    real, fake = pair(n, *shape)
    for name in TARGETED:
        assert EVERY[name](lambda x: x.flatten(1) @ direction, real, fake, Draws(0)).item() < 1e-28


def test_b3_every_sample_has_its_own_uniform_point_on_its_own_segment():
    # torchgan/torchgan drew one number for the whole batch
    real, fake = pair(2000, 2, 3)
    D = Recorder()
    for penalty in (wgan_gp, wgan_gp_one_sided):
        penalty(D, real, fake, Draws(0))
        share = ((D.points - fake) / (real - fake)).flatten(1)
        np.testing.assert_allclose(share, share[:, :1].expand_as(share), atol=1e-9)
        assert len(share[:, 0].unique()) == 2000
        assert kstest(share[:, 0], "uniform").pvalue > 0.01


@every_slope
def test_b3_the_generator_gets_no_gradient(name):
    # torchgan/torchgan left the fakes attached
    G, D = nn.Linear(2, 3).double(), steep_net()
    real, fake = batch(4, 3), G(batch(4, 2))
    SLOPE_PENALTIES[name](D, real, fake, Draws(0)).backward()
    assert all(p.grad is None for p in G.parameters())


@pytest.mark.parametrize("target", [0.0, 1.0])
@pytest.mark.parametrize(
    "make", [lambda: nn.Linear(3, 1), lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_b10_derivatives_at_a_zero_gradient_are_finite(make, target, dtype):
    # LMescheder/GAN_stability, facebookresearch/pytorch_GAN_zoo and keras-team/keras-io took sqrt(sum g^2): NaN
    D = make().to(dtype)
    for p in D.parameters():
        nn.init.zeros_(p)
    parameters = list(D.parameters())
    real, fake = pair(4, 3, dtype=dtype)
    for name in SLOPE_PENALTIES:
        options = {"target": target} if name in TARGETED else {}
        value = SLOPE_PENALTIES[name](D, real, fake, Draws(0), **options)
        expected = target**2 if name in ("wgan_gp", "dragan", "dragan_code") else 0.0
        assert value.item() == expected
        first = torch.autograd.grad(value, parameters, create_graph=True, allow_unused=True)
        first = [g for g in first if g is not None]
        assert first
        assert all((g == 0).all() for g in first)
        second = torch.autograd.grad(sum(g.sum() for g in first), parameters, allow_unused=True)
        assert all(g.isfinite().all() for g in second if g is not None)


def test_b10_the_formula_of_the_others_is_nan_there():
    a = torch.zeros(3, requires_grad=True)
    (g,) = torch.autograd.grad((a.square().sum().sqrt() - 1) ** 2, a)
    assert g.isnan().all()
    n = a.norm()
    (g,) = torch.autograd.grad((n - 1) ** 2, a, create_graph=True)  # torch's norm is well at first order only
    assert (g == 0).all()
    (h,) = torch.autograd.grad(g.sum(), a)
    assert h.isnan().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1e-45, 1e-38, 1e-25, 1e-21, 1e-19, 1e-12])
def test_b10_a_nearly_zero_gradient_is_as_harmless(size, dtype):
    a = torch.full((3,), size, dtype=dtype, requires_grad=True)
    p = wgan_gp(lambda x: x @ a, *pair(4, 3, dtype=dtype), Draws(0))
    (g,) = torch.autograd.grad(p, a, create_graph=True)
    assert p.item() == pytest.approx((math.sqrt(3) * size - 1) ** 2, abs=1e-6)
    assert g.isfinite().all()
    if size**2 > torch.finfo(dtype).tiny:  # then it has a direction, as any other has
        np.testing.assert_allclose(g.detach(), -2 / math.sqrt(3), rtol=1e-5)
    else:
        assert g.norm() < 2.001
    if g.requires_grad:
        assert torch.autograd.grad(g[0], a)[0].isfinite().all()


def test_b10_a_flat_sample_leaves_the_others_their_gradient():
    a = torch.tensor([0.6, 1.3], dtype=torch.float64, requires_grad=True)
    flat, steep = torch.tensor([[-1.0, -1.0]]).double(), torch.tensor([[1.0, 1.0]]).double()
    both = torch.cat([flat, steep])
    (alone,) = torch.autograd.grad(wgan_gp(lambda x: x.relu() @ a, steep, steep, Draws(0)), a)
    (mixed,) = torch.autograd.grad(wgan_gp(lambda x: x.relu() @ a, both, both, Draws(0)), a)
    np.testing.assert_allclose(mixed, alone / 2, rtol=1e-14)


@settings(max_examples=25)
@given(n=st.integers(1, 100), seed=st.integers(0, 1000))
def test_b13_a_batch_of_copies_pays_as_one_sample(n, seed):
    # facebookresearch/pytorch_GAN_zoo summed over the batch: a weight that grows with N
    D, one = steep_net(), batch(1, 3, seed=seed)
    for name in ("r1", "r2", "wgan_gp", "wgan_gp_one_sided", "drift"):  # without noise: real and fake are one point
        copies = one.expand(n, 3)
        assert EVERY[name](D, copies, copies, Draws(0)).item() == pytest.approx(
            EVERY[name](D, one, one, Draws(0)).item()
        )


@every
def test_b13_the_penalty_of_a_batch_is_the_mean_of_the_penalties_of_its_samples(name):
    real, fake = pair(6, 3)
    if name in ("wgan_gp", "wgan_gp_one_sided"):
        fake = real  # the random number does not matter
    options = {"sd": 1e-12} if name.startswith("dragan") else {}
    whole = EVERY[name](critic_for(name, steep_net(), 3), real, fake, Draws(0), **options).item()
    rows = [EVERY[name](critic_for(name, steep_net(), 3), real[i : i + 1], fake[i : i + 1], Draws(0), **options).item()
            for i in range(6)]  # fmt: skip
    assert whole == pytest.approx(np.mean(rows), rel=1e-9)


# --- points, shapes, stacks, processes -------------------------------------------------------------------------------


def test_the_published_dragan_looks_at_a_gaussian_cloud_around_each_sample():
    real, D = batch(3000, 2), Recorder()
    dragan(D, real, rng=Draws(0), sd=0.3)
    noise = ((D.points - real) / 0.3).numpy()
    for column in noise.T:
        assert kstest(column, "norm").pvalue > 0.01
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.06
    assert abs(np.corrcoef(noise[:, 0], real[:, 0])[0, 1]) < 0.06


def test_the_released_dragan_looks_at_points_on_one_side_of_the_data():
    real, D = 5 + 3 * batch(1500, 400), Recorder()
    dragan(D, real, rng=Draws(0), sd=0.4, form="code")
    noise = ((D.points - real) / (0.4 * real.numpy().std())).numpy()
    assert noise.min() >= 0
    assert noise.max() < 1
    # one entry is a product of two uniform numbers; the largest of a sample shows the number its entries share
    assert kstest(noise[:, 0], lambda t: t - t * np.log(t)).pvalue > 0.01
    assert kstest(noise.max(1), "uniform").pvalue > 0.01


def test_the_released_dragan_takes_the_deviation_of_the_whole_batch_as_numpy_does():
    real, D = batch(3, 2), Recorder()
    dragan(D, real, rng=Draws(4), sd=0.7, form="code")
    rng = Draws(4)
    u, alpha = rng.uniform_like(real).numpy(), rng.fraction(real).numpy()
    x = real.numpy()
    np.testing.assert_allclose(D.points, x + alpha * 0.7 * x.std() * u, rtol=1e-13)


@every
def test_an_image_pays_as_its_pixels_in_a_row(name):
    net, (real, fake) = steep_net(24), pair(5, 2, 3, 4)
    as_image = EVERY[name](nn.Sequential(nn.Flatten(), critic_for(name, net, 24)), real, fake, Draws(0))
    as_row = EVERY[name](critic_for(name, net, 24), real.flatten(1), fake.flatten(1), Draws(0))
    assert as_image.item() == pytest.approx(as_row.item(), rel=1e-12)


def test_samples_may_be_bare_numbers():
    real, fake = pair(5)
    for name in SLOPE_PENALTIES:
        value = 4.5 if name in ("r1", "r2") else 4.0
        assert EVERY[name](lambda x: 3 * x, real, fake, Draws(0)).item() == pytest.approx(value)


@every
def test_a_stack_pays_network_by_network(name):
    dropout = 0.5 if name.startswith("consistency") else 0.0
    nets = [mlp(2, 1, (6, 6), "softplus", dropout=dropout, gain=3.0, seed=s).double() for s in (3, 4, 5)]
    many, seeds = stack(nets), [7, 8, 9]
    real, fake = pair(3, 5, 2)
    rng = Draws(seeds)
    give_rng(many, rng)
    together = EVERY[name](many, real, fake, rng)
    assert together.shape == (3,)
    together.sum().backward()
    for s, net in enumerate(nets):
        rng = Draws(seeds[s])
        give_rng(net, rng)
        alone = EVERY[name](net, real[s], fake[s], rng)
        assert together[s].item() == pytest.approx(alone.item(), rel=1e-12)
        alone.backward()
        assert alone > 0
        layers = zip(
            [m for m in many if isinstance(m, StackedLinear)], [m for m in net if isinstance(m, nn.Linear)], strict=True
        )
        for stacked, single in layers:
            np.testing.assert_allclose(stacked.weight.grad[s].T, single.weight.grad, rtol=1e-10, atol=1e-14)


class Ensemble:
    """Two threads that play two processes: `average` waits for both."""

    def __init__(self):
        self.barrier, self.seen = threading.Barrier(2, timeout=60), {}

    def average(self, x):
        rank = int(threading.current_thread().name)
        self.seen[rank] = x
        self.barrier.wait()
        mean = (self.seen[0] + self.seen[1]) / 2
        self.barrier.wait()
        return mean


@pytest.mark.parametrize("name", [name for name in EVERY if not name.startswith("consistency")])
def test_two_processes_with_half_the_batch_pay_as_one_with_the_whole(name, monkeypatch):
    net, (real, fake) = steep_net(), pair(6, 3)
    real[3:] += 4  # the halves differ in mean and deviation
    whole = EVERY[name](net, real, fake, Draws(0)).item()
    ensemble, paid = Ensemble(), {}
    monkeypatch.setattr(penalties, "average", ensemble.average)

    def process(rank):
        mine = slice(3 * rank, 3 * rank + 3)
        paid[rank] = EVERY[name](net, real[mine], fake[mine], Draws(0, rank=rank, world=2)).item()

    threads = [threading.Thread(target=process, args=(rank,), name=str(rank)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (paid[0] + paid[1]) / 2 == pytest.approx(whole, rel=1e-12)


# --- who gets a gradient ---------------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("flag", [False, True])
def test_only_the_critic_gets_a_gradient_and_the_samples_keep_their_flag(name, flag):
    D = critic_for(name, steep_net(), 3)
    real, fake = (x.requires_grad_(flag) for x in pair(4, 3))
    before = real.clone(), fake.clone()
    EVERY[name](D, real, fake, Draws(0)).backward()
    assert real.requires_grad is flag
    assert fake.requires_grad is flag
    assert real.grad is None
    assert fake.grad is None
    assert torch.equal(real, before[0])
    assert torch.equal(fake, before[1])
    weights = [p for p in D.parameters() if p.ndim == 2]
    assert all(p.grad is not None and p.grad.abs().min() > 0 for p in weights)
    last_bias = list(D.parameters())[-1]  # a slope does not see it, nor does a difference of scores
    assert name == "drift" or last_bias.grad is None or last_bias.grad.abs().max() < 1e-12


@pytest.mark.parametrize("name", ["r1", "dragan", "dragan_code", "drift"])
def test_a_penalty_at_the_data_needs_no_fakes(name):
    assert EVERY[name](steep_net(), batch(4, 3), None, Draws(0)).isfinite()


@pytest.mark.parametrize("name", [name for name in EVERY if not name.startswith("consistency")])
def test_a_penalty_asks_the_critic_once(name):
    net, calls = steep_net(), []
    EVERY[name](lambda x: calls.append(len(x)) or net(x), *pair(4, 3), Draws(0))
    assert calls == [4]


def test_the_same_draws_give_the_same_penalty_and_no_global_number_is_used():
    net, (real, fake) = steep_net(), pair(4, 3)
    for name in SLOPE_PENALTIES:
        state = torch.get_rng_state()
        first = EVERY[name](net, real, fake, Draws(0))
        assert torch.equal(torch.get_rng_state(), state)
        assert EVERY[name](net, real, fake, Draws(0)).item() == first.item()
        if name in TARGETED:
            assert EVERY[name](net, real, fake, Draws(1)).item() != first.item()


LAYERS = {
    "relu": lambda: [nn.Conv2d(2, 4, 3, padding=1), nn.ReLU()],
    "leaky_relu": lambda: [nn.Conv2d(2, 4, 3, 2, 1), nn.LeakyReLU(0.2)],
    "tanh": lambda: [nn.Conv2d(2, 4, 3), nn.Tanh()],
    "softplus": lambda: [nn.Conv2d(2, 4, 3), nn.Softplus()],
    "silu": lambda: [nn.Conv2d(2, 4, 3), nn.SiLU()],
    "elu": lambda: [nn.Conv2d(2, 4, 3), nn.ELU()],
    "transposed": lambda: [nn.ConvTranspose2d(2, 4, 4, 2, 1), nn.LeakyReLU(0.2)],
    "batch_norm": lambda: [nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.LeakyReLU(0.2)],
    "layer_norm": lambda: [nn.Conv2d(2, 4, 3), nn.GroupNorm(1, 4), nn.LeakyReLU(0.2)],
    "pooling": lambda: [nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(2)],
    "spectral": lambda: [spectral_normalise(nn.Conv2d(2, 4, 3)), nn.LeakyReLU(0.2)],
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_double_backward_passes_through_every_layer_in_use(layer, dtype):
    torch.manual_seed(0)  # layers of torch are born from its global numbers
    layers = LAYERS[layer]()
    width = nn.Sequential(*layers)(torch.zeros(2, 2, 6, 6)).flatten(1).shape[1]
    D = nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, 1)).to(dtype)
    if layer == "spectral":
        D.eval()  # or the singular vectors would move from call to call
    parameters, real_and_fake = list(D.parameters()), pair(4, 2, 6, 6, dtype=dtype)
    for name, penalty in SLOPE_PENALTIES.items():
        options = {"target": 0.05} if name in TARGETED else {}
        value = penalty(D, *real_and_fake, Draws(0), **options)
        gradient = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
        assert value.dtype == dtype
        assert value.shape == ()
        assert value > 0
        assert all(g.isfinite().all() for g in gradient)
        if dtype == torch.float64:
            way = [batch(*p.shape, seed=3) for p in parameters]
            ends = []
            for h in (1e-8, -1e-8):  # small, for a kink in between would be a jump
                with torch.no_grad():
                    [p.add_(w, alpha=h) for p, w in zip(parameters, way, strict=True)]
                ends.append(penalty(D, *real_and_fake, Draws(0), **options).item())
                with torch.no_grad():
                    [p.sub_(w, alpha=h) for p, w in zip(parameters, way, strict=True)]
            slope = sum((g * w).sum().item() for g, w in zip(gradient, way, strict=True))
            assert slope == pytest.approx((ends[0] - ends[1]) / 2e-8, rel=1e-4, abs=1e-6)


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf, "1", True])
def test_options_out_of_range_are_refused(bad):
    args = steep_net(), *pair(4, 3), Draws(0)
    for call in (lambda: wgan_gp(*args, target=bad), lambda: wgan_gp_one_sided(*args, target=bad),
                 lambda: dragan(*args, target=bad), lambda: consistency(*args, margin=bad)):  # fmt: skip
        with pytest.raises(InputError, match=r"target|margin"):
            call()
    for sd in (bad, 0.0):
        with pytest.raises(InputError, match="sd"):
            dragan(*args, sd=sd)
    for bound in (bad, 0.0):
        with pytest.raises(InputError, match="bound"):
            clip_weights(args[0], bound)


@pytest.mark.parametrize("penalty", [dragan, consistency])
def test_an_unknown_form_lists_the_known_ones(penalty):
    with pytest.raises(InputError, match="code, paper"):
        penalty(steep_net(), *pair(4, 3), Draws(0), form="notebook")


@pytest.mark.parametrize("penalty", [wgan_gp, wgan_gp_one_sided])
@pytest.mark.parametrize("shape", [(3, 3), (4, 1), (1, 3), (4, 3, 1)])
def test_segments_need_two_batches_of_one_shape(penalty, shape):
    with pytest.raises(InputError, match=r"one shape.*\(4, 3\)"):
        penalty(steep_net(), batch(4, 3), batch(*shape), Draws(0))


def test_consistency_refuses_a_critic_that_answers_the_same_twice():
    real = batch(4, 3)
    dropped = nn.Sequential(nn.Dropout(0.5), steep_net())
    own = nn.Sequential(Dropout(0.5), steep_net())
    idle = nn.Sequential(nn.Dropout(0.0), steep_net())
    give_rng(own, Draws(0))
    for D in (dropped, own):
        torch.manual_seed(0)
        assert consistency(D, real) > 0
    for D in (steep_net(), idle, dropped.eval(), own.eval(), lambda x: x.sum(-1)):
        with pytest.raises(InputError, match="put Dropout"):
            consistency(D, real)


def test_consistency_lets_a_critic_with_dropout_agree_by_chance():
    D = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 1))
    nn.init.zeros_(D[1].weight)
    assert consistency(D, batch(4, 3, dtype=torch.float32)).item() == 0


# --- clipping and batch normalisation --------------------------------------------------------------------------------


def test_clipping_moves_every_parameter_to_the_nearest_point_of_the_box():
    D = steep_net()
    with torch.no_grad():
        D[0].weight.mul_(-1)
        D[2].bias.fill_(0.01)
    before = [p.detach().clone() for p in D.parameters()]
    same = list(D.parameters())
    clip_weights(D, 0.7)
    for p, q, old in zip(D.parameters(), same, before, strict=True):
        assert p is q
        assert p.requires_grad
        assert p.is_leaf
        np.testing.assert_array_equal(p.detach(), np.clip(old.numpy(), -0.7, 0.7))
    assert D[0].weight.min() == -0.7
    assert (D[2].bias == 0.01).all()


def test_batch_normalisation_is_warned_of_once():
    for layer in (nn.BatchNorm1d(3), nn.BatchNorm2d(3), nn.SyncBatchNorm(3), mlp(2, 1, (4, 4), norm="batch")):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn_if_batch_norm(nn.Sequential(nn.Linear(3, 3), nn.Sequential(layer, copy.deepcopy(layer))))
        assert [w.category for w in caught] == [UserWarning]
        assert "batch normalisation" in str(caught[0].message)
        assert caught[0].filename == __file__
    for D in (
        steep_net(),
        nn.Sequential(nn.InstanceNorm2d(3), nn.LayerNorm(3)),
        mlp(2, 1, (4, 4), norm="virtual"),
        abs,
    ):
        warn_if_batch_norm(D)  # warnings are errors here


# --- spectral normalisation ------------------------------------------------------------------------------------------


def matrix(m):
    """The matrix that Miyato et al. normalise, outputs by the rest."""
    transposed = isinstance(m, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d))
    return (m.weight.transpose(0, 1) if transposed else m.weight).flatten(1).detach()


MATRIX_LAYERS = [lambda: nn.Linear(7, 5), lambda: nn.Conv1d(3, 5, 3), lambda: nn.Conv2d(3, 5, 3),
                 lambda: nn.Conv3d(2, 3, 2), lambda: nn.ConvTranspose1d(3, 5, 3), lambda: nn.ConvTranspose2d(3, 5, 4),
                 lambda: nn.ConvTranspose3d(2, 3, 2), lambda: nn.Conv2d(4, 6, 3, groups=2)]  # fmt: skip


@pytest.mark.parametrize("make", MATRIX_LAYERS)
def test_the_largest_singular_value_becomes_one_at_once(make):
    m = make().double()
    before, bias = matrix(m), m.bias.detach().clone()
    largest = np.linalg.svd(before.numpy(), compute_uv=False)[0]
    spectral_normalise(m)
    np.testing.assert_allclose(matrix(m), before / largest, rtol=1e-12)
    assert torch.equal(m.bias, bias)


def test_kernels_with_a_zero_slice_can_be_normalised():
    m = nn.Conv2d(2, 2, 3).double()
    with torch.no_grad():
        m.weight[0, 1] = 0
    assert np.linalg.norm(matrix(spectral_normalise(m)), 2) == pytest.approx(1)


def test_every_slice_of_a_stack_gets_norm_one():
    D = spectral_normalise(stack([mlp(3, 1, (6, 5), seed=s).double() for s in range(4)]))
    for layer in D:
        if isinstance(layer, StackedLinear):
            np.testing.assert_allclose(torch.linalg.matrix_norm(layer.weight.detach(), 2), 1, rtol=1e-12)


def descend(D, x, optimiser, steps):
    for _ in range(steps):
        optimiser.zero_grad()
        (D(x).square().mean((-1, -2)) + r1(D, x)).sum().backward()
        optimiser.step()


def test_the_norm_follows_the_weights_while_they_are_trained():
    D = spectral_normalise(mlp(3, 1, (8, 8), "leaky_relu", seed=1).double())
    descend(D, batch(16, 3), torch.optim.SGD(D.parameters(), 0.02), 200)
    for m in D:
        if isinstance(m, nn.Linear):
            own = m.parametrizations.weight.original.detach()
            assert np.linalg.norm(matrix(m), 2) == pytest.approx(1, abs=0.01)
            np.testing.assert_allclose(matrix(m) * np.linalg.norm(own, 2), own, rtol=0.02, atol=1e-6)


@pytest.mark.parametrize("iterations", [1, 3])
def test_a_stack_is_normalised_as_torch_normalises_one_by_one(iterations):
    nets = [mlp(3, 1, (6, 5), "tanh", seed=s).double() for s in range(3)]
    x = batch(3, 8, 3)
    many = spectral_normalise(stack(nets), iterations)
    descend(many, x, torch.optim.SGD(many.parameters(), 0.5), 5)
    many.eval()
    for s, net in enumerate(nets):
        start = [np.linalg.svd(matrix(m).numpy()) for m in net if isinstance(m, nn.Linear)]
        for m, (u, _, vh) in zip([m for m in net if isinstance(m, nn.Linear)], start, strict=True):
            spectral_norm(m, n_power_iterations=iterations)
            m.parametrizations.weight[0]._u.copy_(torch.from_numpy(u[:, 0].copy()))
            m.parametrizations.weight[0]._v.copy_(torch.from_numpy(vh[0].copy()))
        descend(net, x[s], torch.optim.SGD(net.parameters(), 0.5), 5)
        net.eval()
        np.testing.assert_allclose(many(x)[s].detach(), net(x[s]).detach(), rtol=1e-10)
        np.testing.assert_allclose(unstack(many, s)(x[s]).detach(), net(x[s]).detach(), rtol=1e-10)
    largest = torch.linalg.matrix_norm(many[0].parametrizations.weight.original.detach(), 2)
    exact = many[0].parametrizations.weight.original.detach() / largest[:, None, None]
    assert not torch.allclose(many[0].weight, exact, rtol=1e-12)  # five steps moved faster than power iteration


@pytest.mark.parametrize("stacked", [False, True])
def test_more_iterations_follow_more_closely(stacked):
    errors = []
    for iterations in (1, 20):
        nets = [mlp(6, 1, (12,), seed=s).double() for s in range(2)]
        D = spectral_normalise(stack(nets) if stacked else nets[0], iterations)
        with torch.no_grad():
            D[0].parametrizations.weight.original.add_(batch(12, 6)[None].mT if stacked else batch(12, 6))
        errors.append(abs(torch.linalg.matrix_norm(D[0].weight.detach(), 2).max().item() - 1))
    assert errors[1] < 1e-3 < errors[0]


@pytest.mark.parametrize("stacked", [False, True])
def test_evaluation_leaves_the_singular_vectors_alone(stacked):
    nets = [mlp(3, 1, (6,), seed=s) for s in range(2)]
    D, x = (
        (stack(nets), batch(2, 4, 3, dtype=torch.float32)) if stacked else (nets[0], batch(4, 3, dtype=torch.float32))
    )
    spectral_normalise(D)
    with torch.no_grad():
        D[0].parametrizations.weight.original.add_(0.3)
    state = copy.deepcopy(D.state_dict())
    assert sum(k.endswith(("_u", "_v")) for k in state) == 4  # a checkpoint keeps them
    D.eval()(x)
    assert all(torch.equal(v, D.state_dict()[k]) for k, v in state.items())
    D.train()(x)
    assert not all(torch.equal(v, D.state_dict()[k]) for k, v in state.items())


def test_two_passes_before_one_backward_are_allowed():
    for D, x in ((mlp(3, 1, (6,)), batch(4, 3, dtype=torch.float32)),
                 (mlp(3, 1, (6,), seed=[0, 1]), batch(2, 4, 3, dtype=torch.float32))):  # fmt: skip
        spectral_normalise(D)
        (D(x).mean() - D(x + 1).mean() + r1(D, x).sum()).backward()
        assert all(p.grad.isfinite().all() for p in D.parameters())


def test_a_normalised_network_of_dense_layers_is_1_lipschitz():
    D = mlp(4, 1, (32, 32, 32), "leaky_relu", gain=5.0, seed=2).double()
    x, y = pair(4000, 4)
    steepness = lambda: ((D(x) - D(y)).flatten().abs() / (x - y).norm(dim=-1)).max().item()  # noqa: E731
    assert steepness() > 2
    spectral_normalise(D)
    assert steepness() <= 1 + 1e-12
    assert wgan_gp_one_sided(D, x, y, Draws(0)).item() < 1e-20
    many = spectral_normalise(stack([mlp(4, 1, (32, 32), gain=5.0, seed=s).double() for s in range(3)]))
    assert wgan_gp_one_sided(many, *pair(3, 500, 4), Draws([0, 1, 2])).max() < 1e-20


def operator_norm(op, shape, steps=150):
    """Largest amplification of a linear operator, by power iteration on the operator and its transpose."""
    x = batch(1, *shape).requires_grad_()
    for _ in range(steps):
        y = op(x)
        (back,) = torch.autograd.grad(y, x, y.detach())
        x = (back / back.norm()).detach().requires_grad_()
    return op(x).norm().item() / x.norm().item()


@pytest.mark.parametrize(
    ("k", "stride", "padding"), [(3, 1, 1), (3, 1, 0), (4, 2, 1), (3, 2, 1), (2, 2, 0), (5, 3, 2), (1, 1, 0)]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_operator_of_a_normalised_convolution_is_bounded_by_the_stated_factor(k, stride, padding, seed):
    torch.manual_seed(seed)
    down = spectral_normalise(nn.Conv2d(3, 4, k, stride, padding, bias=False).double()).eval()
    norm = operator_norm(down, (3, 13, 13))
    assert 1 - 1e-9 <= norm <= math.ceil(k / stride) + 1e-9  # from below: a patch may be the singular vector
    up = spectral_normalise(nn.ConvTranspose2d(3, 4, k, stride, padding, bias=False).double()).eval()
    assert operator_norm(up, (3, 7, 7)) <= k + 1e-9


def test_the_stated_factors_are_attained():
    box = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", bias=False).double()
    nn.init.ones_(box.weight)
    assert operator_norm(spectral_normalise(box), (1, 8, 8)) == pytest.approx(3)
    strided = nn.Conv2d(1, 1, 4, 2, padding=1, padding_mode="circular", bias=False).double()
    nn.init.ones_(strided.weight)
    assert operator_norm(spectral_normalise(strided), (1, 8, 8)) == pytest.approx(2)
    spread = nn.ConvTranspose2d(1, 4, 2, 2, bias=False).double()  # each tap has an output channel of its own
    with torch.no_grad():
        spread.weight.copy_(torch.eye(4).reshape(1, 4, 2, 2))
    assert operator_norm(spectral_normalise(spread), (1, 5, 5)) == pytest.approx(2)


def test_normalising_draws_nothing_and_keeps_the_parameters():
    D = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    twin = copy.deepcopy(D)
    parameters = set(map(id, D.parameters()))
    state = torch.get_rng_state()
    assert spectral_normalise(D) is D
    assert torch.equal(torch.get_rng_state(), state)
    assert set(map(id, D.parameters())) == parameters  # an optimiser made before still holds them
    torch.rand(5)  # whatever the global numbers are, the result is the same
    spectral_normalise(twin)
    assert all(torch.equal(v, twin.state_dict()[k]) for k, v in D.state_dict().items())


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
@pytest.mark.parametrize("make", [lambda: mlp(3, 1, (4,)), lambda: mlp(3, 1, (4,), seed=[0, 1])])
def test_a_weight_without_a_direction_is_refused_and_nothing_is_changed(make, value):
    D = make()
    last = list(D)[-1]
    with torch.no_grad():
        (last.weight[-1] if value == 0 else last.weight[-1, -1]).fill_(value)
    with pytest.raises(InputError, match="layer '2' has a weight that is zero or not finite"):
        spectral_normalise(D)
    assert not any(parametrize.is_parametrized(m) for m in D.modules())


def test_a_network_is_normalised_once_and_must_have_weights():
    D = spectral_normalise(mlp(3, 1, (4,)))
    with pytest.raises(InputError, match="parametrised already"):
        spectral_normalise(D)
    with pytest.raises(InputError, match="no linear layer"):
        spectral_normalise(nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3)))
    for bad in (0, -1, 1.5, True):
        with pytest.raises(InputError, match="iterations"):
            spectral_normalise(nn.Linear(2, 1), bad)


def test_layers_without_a_matrix_are_left_alone():
    D = spectral_normalise(mlp(3, 1, (4, 4), norm="batch", seed=[0, 1]))
    assert {type(m).__name__ for m in D.modules() if parametrize.is_parametrized(m)} == {"ParametrizedStackedLinear"}


def test_the_table_names_every_penalty():
    assert set(PENALTIES) == set(EVERY) - {"dragan_code", "consistency_code"}
    assert all(function is getattr(penalties, name) for name, function in PENALTIES.items())


def test_drift_takes_the_scores_that_a_loop_has():
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    D = nn.Linear(2, 1)
    torch.testing.assert_close(penalties.drift(D, x), penalties.drift(None, x, t_real=D(x).squeeze(1)))
