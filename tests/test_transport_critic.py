"""The critic of WGAN-QC against finite differences, closed forms of the Dirac-GAN, and the cost that it must lower."""

import math

import numpy as np
import ot
import pytest
from scipy.spatial.distance import cdist

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from ganlab import data  # noqa: E402
from ganlab._quadratic import quadratic_potentials  # noqa: E402
from ganlab.checks import InputError  # noqa: E402
from ganlab.neural.models.mlp import mlp  # noqa: E402
from ganlab.neural.recipes import Recipe  # noqa: E402
from ganlab.neural.runs import DivergedError, Run  # noqa: E402
from ganlab.neural.training import train  # noqa: E402
from ganlab.neural.transport_critic import (  # noqa: E402
    TRANSPORT,
    QuadraticCritic,
    regression_loss,
    transport_gap,
    transport_targets,
)

torch.set_num_threads(1)
FORMS = ["vector", "norm"]


def batches(*shape, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(2, *shape, generator=g, dtype=dtype)
    return real, fake + 0.5


def smooth(inputs, seed=0, **options):
    return mlp(inputs, 1, (8, 8), activation="tanh", seed=seed, **options).double()


# ---------------------------------------------------------------- what the program says


@pytest.mark.parametrize("shape", [(6, 2), (5, 1, 4, 4), (1, 3)])
def test_the_targets_are_those_of_the_program_whatever_the_shape_of_a_sample(shape):
    real, fake = batches(*shape)
    found = transport_targets(real, fake)
    x, y = fake.flatten(1).numpy(), real.flatten(1).numpy()
    scale = 1 / x.shape[1]  # the authors' K
    h = quadratic_potentials(x, y, scale)
    assert found.cost.item() == pytest.approx(scale / 2 * ot.emd2([], [], cdist(x, y, "sqeuclidean")))
    assert found.real.item() == pytest.approx(h.real.mean())
    np.testing.assert_allclose(found.fake, h.fake)
    np.testing.assert_allclose(found.arrow.flatten(1), scale * (y[h.partner] - x))
    assert found.arrow.shape == fake.shape


def test_more_data_than_fakes_and_fewer():
    real, fake = batches(6, 2)
    assert transport_targets(real, fake[:4]).fake.shape == (4,)
    assert transport_targets(real[:4], fake).arrow.shape == (6, 2)


def test_a_stack_is_solved_seed_by_seed():
    real, fake = batches(3, 5, 2)
    together = transport_targets(real, fake, 1.0, stacked=True)
    for s in range(3):
        alone = transport_targets(real[s], fake[s], 1.0)
        for name, value in vars(alone).items():
            torch.testing.assert_close(getattr(together, name)[s], value)


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_the_critic_of_the_potentials_has_no_loss_at_all(scale):
    """``D(x) = max_j (H_j - K/2 |x - y_j|^2)`` has gradient ``K (y_sigma - x)``, by autograd (W-30)."""
    real, fake = batches(12, 3)
    h = quadratic_potentials(fake.numpy(), real.numpy(), scale)
    H = torch.as_tensor(h.real)

    def D(x):
        return (H - scale / 2 * (x[:, None] - real).square().sum(-1)).amax(-1)

    x = fake.clone().requires_grad_()
    (slope,) = torch.autograd.grad(D(x).sum(), x)
    torch.testing.assert_close(slope, transport_targets(real, fake, scale).arrow)
    # the scores of the data are at least their potentials: a datum is its own nearest one, but not the dearest
    for form in FORMS:
        t, targets = D(fake), transport_targets(real, fake, scale)
        assert regression_loss(H, t, targets).item() < 1e-20
        assert transport_gap(slope, targets.arrow, form).item() < 1e-20


# ---------------------------------------------------------------- the losses


def written_out(D, real, fake, form, weight, scale):
    """The loss as in claim W-30, with loops over samples, numpy, and the potentials of the program."""
    x, y = fake.flatten(1).numpy(), real.flatten(1).numpy()
    h = quadratic_potentials(x, y, scale)
    loss = (D(real).mean().item() - h.real.mean()) ** 2 / 2
    for i in range(len(x)):
        loss += (D(fake[i : i + 1]).item() - h.fake[i]) ** 2 / 2 / len(x)
        slope = np.zeros(x.shape[1])
        for k in range(x.shape[1]):
            e = torch.zeros(x.shape[1], dtype=fake.dtype)
            e[k] = 1e-5
            e = e.reshape(fake[i : i + 1].shape)
            slope[k] = (D(fake[i : i + 1] + e).item() - D(fake[i : i + 1] - e).item()) / 2e-5
        arrow = scale * (y[h.partner[i]] - x[i])
        gap = {"vector": ((slope - arrow) ** 2).sum(), "norm": (math.hypot(*slope) - math.hypot(*arrow)) ** 2, None: 0}
        loss += weight / 2 * gap[form] / len(x)
    return loss


@pytest.mark.parametrize("form", [*FORMS, None])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_the_loss_is_the_one_of_the_paper(form, scale):
    real, fake = batches(5, 3)
    D = smooth(3)
    with torch.no_grad():
        expected = written_out(D, real, fake, form, 2.5, scale)
    assert QuadraticCritic(form, 2.5, scale)(D, real, fake).item() == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("form", FORMS)
def test_its_gradient_by_the_critics_weights_is_right(form):
    real, fake = batches(4, 2)
    D = smooth(2)
    names, weights = zip(*D.named_parameters(), strict=True)

    def loss(*weights):
        call = torch.func.functional_call
        return QuadraticCritic(form, 2.0)(lambda x: call(D, dict(zip(names, weights, strict=True)), (x,)), real, fake)

    assert torch.autograd.gradcheck(loss, weights)


@pytest.mark.parametrize("form", FORMS)
def test_who_gets_a_gradient_and_who_must_not(form):
    D, G = smooth(2), nn.Linear(2, 2).double()
    real, z = batches(4, 2)
    real.requires_grad_()
    QuadraticCritic(form)(D, real, G(z)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in D.parameters())
    assert all(p.grad is None for p in G.parameters())
    assert real.grad is None


@pytest.mark.parametrize("form", FORMS)
def test_a_flat_critic_gives_finite_gradients(form):
    """At a zero slope, and where a fake is a datum, the plain norm's derivative is NaN."""
    D = nn.Linear(2, 1).double()
    nn.init.zeros_(D.weight)
    real, fake = batches(4, 2)
    QuadraticCritic(form)(D, real, torch.cat([real[:1], fake[1:]])).backward()
    assert all(torch.isfinite(p.grad).all() for p in D.parameters())
    QuadraticCritic(form)(D, real, real).backward()
    assert all(torch.isfinite(p.grad).all() for p in D.parameters())


def test_the_printed_norm_does_not_see_the_direction():
    right = torch.tensor([[3.0, 4.0]])
    assert transport_gap(right, -right, "norm").item() == 0
    assert transport_gap(right, -right, "vector").item() == 50  # |2 (3, 4)|^2 / 2


@pytest.mark.parametrize("form", FORMS)
def test_the_batch_said_twice_is_the_same_batch(form):
    real, fake = batches(5, 2)
    D, loss = smooth(2), QuadraticCritic(form, 2.0)
    assert loss(D, real.repeat(2, 1), fake.repeat(2, 1)).item() == pytest.approx(loss(D, real, fake).item(), rel=1e-9)


@pytest.mark.parametrize("form", [*FORMS, None])
def test_a_stack_pays_what_its_members_pay(form):
    real, fake = batches(3, 5, 2)
    D, loss = smooth(2, seed=range(3)), QuadraticCritic(form)
    together = loss(D, real, fake)
    assert together.shape == (3,)
    for s in range(3):
        assert together[s].item() == pytest.approx(loss(smooth(2, seed=s), real[s], fake[s]).item(), rel=1e-6)


def test_half_precision_networks_pay_in_single_precision():
    real, fake = batches(6, 2, dtype=torch.float32)
    D = smooth(2)
    single = QuadraticCritic()(D.float(), real, fake)
    half = QuadraticCritic()(D.bfloat16(), real.bfloat16(), fake.bfloat16())
    assert half.dtype == single.dtype == torch.float32
    assert half.item() == pytest.approx(single.item(), rel=0.05)
    assert transport_targets(real.bfloat16(), fake.bfloat16()).fake.dtype == torch.float32
    assert transport_targets(real.double(), fake.double()).arrow.dtype == torch.float64


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_program_is_still_solved_on_the_cpu():
    real, fake = batches(6, 2)
    D = smooth(2)
    here = QuadraticCritic()(D, real, fake).item()
    there = QuadraticCritic()(D.cuda(), real.cuda(), fake.cuda())
    assert there.is_cuda
    assert there.item() == pytest.approx(here)


# ---------------------------------------------------------------- the Dirac-GAN (W-34, W-35)


class Point(nn.Module):
    """A stack of critics ``psi x`` or of generators ``theta``: one number a seed."""

    def __init__(self, values):
        super().__init__()
        self.value = nn.Parameter(torch.as_tensor(values, dtype=torch.float64).reshape(-1, 1, 1))

    def forward(self, x):
        return self.value * x


def velocity(form, weight, theta, psi):
    """``(theta', psi')`` of both players descending their losses at once, from the code that trains networks."""
    D, G = Point(psi), Point(theta)
    z = torch.ones(len(G.value), 1, 1, dtype=torch.float64)
    fake = G(z)
    QuadraticCritic(form, weight)(D, 0 * z, fake).sum().backward(inputs=[D.value])
    TRANSPORT.g_gain(None, D(fake)[..., 0]).sum().backward(inputs=[G.value])
    return G.value.grad.ravel().numpy(), -D.value.grad.ravel().numpy()


def walk(form, weight, theta, psi, h, steps):
    for _ in range(steps):
        a, b = velocity(form, weight, theta, psi)
        theta, psi = theta + h * a, psi + h * b
    return theta, psi


def jacobian(form, weight, at):
    """Of the game near its equilibrium, by central differences within a cone in which it is smooth."""
    theta, psi = (np.full(4, v) for v in at)
    e = 1e-3 * abs(at[0])
    moved = velocity(form, weight, theta + e * np.array([1, -1, 0, 0]), psi + e * np.array([0, 0, 1, -1]))
    return np.array([[(v[0] - v[1]) / (2 * e), (v[2] - v[3]) / (2 * e)] for v in moved])


@pytest.mark.parametrize("weight", [0.5, 1.0, 4.0, 8.0])
@pytest.mark.parametrize(("form", "at", "sign"), [
    ("vector", (1e-4, -1e-4), -1), ("vector", (1e-4, 1e-4), -1),
    ("norm", (1e-4, -1e-4), -1), ("norm", (1e-4, 1e-4), 1)])  # fmt: skip
def test_the_eigenvalues_at_the_equilibrium(form, at, sign, weight):
    """``(-lambda +- sqrt(lambda^2 -+ 4 lambda)) / 2``: a saddle for the norm where psi theta > 0, else attracting."""
    J = jacobian(form, weight, at)
    # by trace and determinant: at lambda = 4 the two are equal, and rounding splits equal ones by its square root
    assert np.trace(J) == pytest.approx(-weight, rel=1e-5)
    assert np.linalg.det(J) == pytest.approx(-sign * weight, rel=1e-5)
    if weight != 4:
        root = np.emath.sqrt(weight**2 + sign * 4 * weight)
        expected = np.sort_complex(np.array([(-weight - root) / 2, (-weight + root) / 2], dtype=complex))
        np.testing.assert_allclose(np.sort_complex(np.linalg.eigvals(J).astype(complex)), expected, rtol=1e-4)


STARTS = np.array([1.0, 1.0, -1.0, 2.0]), np.array([1.0, -1.0, 0.5, 2.0])


def test_the_vector_form_converges_from_every_start():
    theta, psi = walk("vector", 1.0, *STARTS, h=0.1, steps=300)
    assert np.hypot(theta, psi).max() < 1e-3


def test_the_norm_form_rests_where_nothing_is_solved():
    """At ``psi = 0, |theta| = 2 sqrt(lambda)`` the critic is flat and the generator has no slope to follow."""
    theta, psi = walk("norm", 1.0, *STARTS, h=0.02, steps=1000)
    np.testing.assert_allclose(np.abs(theta), 2, atol=0.05)
    assert np.abs(psi).max() < 0.05


def test_with_a_heavy_norm_only_the_right_direction_converges():
    theta, psi = walk("norm", 8.0, np.array([1.0, 1.0]), np.array([-1.0, 1.0]), h=0.05, steps=400)
    assert np.hypot(theta[0], psi[0]) < 1e-3
    assert abs(theta[1]) > 1


# ---------------------------------------------------------------- training


def transport(fake, real):
    return ot.emd2([], [], cdist(fake, real, "sqeuclidean")) / 2


def small_run(loss, law, seeds=range(5), steps=300, **options):
    G, D = (mlp(2, k, (32, 32), seed=list(seeds)) for k in (2, 1))
    recipe = Recipe(TRANSPORT, {loss: 1.0}, steps=steps, batch=32, lr=2e-3, lr_g=5e-4, ema=0.95, **options)
    return Run(G, D, law, recipe, seed=list(seeds), device="cpu", points=5000)


def test_a_shifted_gaussian_is_reached_by_five_seeds_out_of_five():
    law = data.gaussian(2, mean=2.0)
    run = small_run(QuadraticCritic(scale=1.0), law)
    real, noise = law.sample(500, np.random.default_rng(0)), law.sample(500, np.random.default_rng(1))
    before = [transport(x, real) for x in run.sample(500).astype(float)]
    records = list(train(run))
    after = [transport(x, real) for x in run.sample(500).astype(float)]
    assert max(after) < 0.37 < min(before) / 8
    assert transport(noise, real) < 0.06  # the floor
    last = records[-1]
    assert last.d_gain.abs().max() == 0
    assert last.penalty.shape == (5,)


def test_a_run_in_bf16_and_one_without_a_stack_train_as_well():
    law = data.gaussian(2, mean=2.0)
    real = law.sample(500, np.random.default_rng(0))
    run = Run(mlp(2, 2, (32, 32)), mlp(2, 1, (32, 32)), law,
              Recipe(TRANSPORT, {QuadraticCritic(scale=1.0): 1.0}, steps=150, batch=32, lr=2e-3, lr_g=5e-4, ema=0.95,
                     precision="bf16"), device="cpu", points=2000)  # fmt: skip
    before = transport(run.sample(500).astype(float), real)
    for _ in train(run):
        pass
    assert transport(run.sample(500).astype(float), real) < before / 3


def test_the_cost_to_held_out_digits_falls():
    digits = pytest.importorskip("sklearn.datasets").load_digits().data / 8 - 1
    learn, held_out = digits[::2], digits[1::2][:400]
    seeds = list(range(3))
    G, D = (mlp(k, o, (64, 64), seed=seeds) for k, o in ((16, 64), (64, 1)))
    recipe = Recipe(TRANSPORT, {QuadraticCritic(): 1.0}, steps=250, batch=32, latent=16, lr=2e-3, lr_g=1e-3, ema=0.95)
    run = Run(G, D, torch.as_tensor(learn, dtype=torch.float32), recipe, seed=seeds, device="cpu")

    def costs():
        return np.array([transport(x, held_out) / 64 for x in run.sample(400).astype(float)])

    before = costs()
    for _ in train(run):
        pass
    assert (costs() < 0.7 * before).all()


def test_a_seed_that_is_not_finite_does_not_stop_the_others_and_alone_it_stops():
    run = small_run(QuadraticCritic(), data.gaussian(2), seeds=range(2), steps=3)
    with torch.no_grad():
        run.G[0].weight[0] = torch.nan
    records = list(train(run))
    assert len(records) == 3
    assert math.isfinite(records[-1].d_norm[1])
    assert all(torch.isfinite(p[1]).all() for p in run.D.parameters())
    with torch.no_grad():
        run.G[0].weight[1] = torch.nan
    run.step = 0
    with pytest.raises(DivergedError, match="discriminator's gradient is not finite"):
        next(train(run))


def test_the_objective_gives_the_critic_nothing_and_the_generator_its_mean_score():
    t = torch.tensor([1.0, 3.0])
    assert TRANSPORT.d_gain(t, 2 * t).item() == 0
    assert TRANSPORT.g_gain(None, t).item() == 2


def test_a_stack_of_two_draws_what_two_runs_draw():
    """A run is a function of its seeds: the program takes no random number of its own."""
    both = small_run(QuadraticCritic(scale=1.0), data.ring(), seeds=(3, 4), steps=5)
    one = Run(mlp(2, 2, (32, 32), seed=[4]), mlp(2, 1, (32, 32), seed=[4]), data.ring(), both.recipe, seed=[4],
              device="cpu", points=5000)  # fmt: skip
    last = [list(train(run))[-1] for run in (both, one)]
    assert last[0].penalty[1].item() == pytest.approx(last[1].penalty[0].item(), rel=1e-4)


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, "weight must lie in"),
        ({"weight": float("nan")}, "weight must be a finite number"),
        ({"scale": 0.0}, "scale must lie in"),
        ({"regulariser": "otr"}, "unknown regulariser 'otr'"),
        ({"choice": "best"}, "unknown choice 'best'"),
    ],
)
def test_bad_options(options, message):
    """Fault 12."""
    with pytest.raises(InputError, match=message):
        QuadraticCritic(**options)


def test_batches_that_do_not_fit():
    real, fake = batches(4, 2)
    with pytest.raises(InputError, match="cannot be carried to data"):
        transport_targets(real, fake[:, :1])
    with pytest.raises(InputError, match="cannot be carried to data"):
        transport_targets(real[None].repeat(3, 1, 1), fake[None].repeat(2, 1, 1), stacked=True)
    with pytest.raises(InputError, match="unknown form"):
        transport_gap(real, fake, "cosine")


def test_the_recipe_says_in_words_what_it_is():
    recipe = Recipe(TRANSPORT, {QuadraticCritic("norm", 2.0): 1.0})
    assert "QuadraticCritic(regulariser='norm', weight=2.0, scale=None, choice='centre')" in repr(recipe)
