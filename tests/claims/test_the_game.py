"""The claims of the page *The game*: what each player climbs, what the theory says of it, and what does not hold.

Oracles: closed forms written out here, SymPy, autograd, finite differences, quadrature, and small seeded experiments.
"""

import hashlib
import importlib.util
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from proofs import claims_of
from scipy import stats
from scipy.integrate import quad

import ganlab as gl
from ganlab.objectives import expressions, is_zero_sum, least_squares, rest_score
from ganlab.primitives import relu, softplus

claim = claims_of("the-game")

torch = pytest.importorskip("torch", reason="the page trains networks")
digits = pytest.importorskip("digits", reason="the study needs scikit-learn")
nn = torch.nn
STUDY = Path(__file__).resolve().parents[2] / "book" / "studies" / "d_steps.py"
SATURATING, NONSATURATING = gl.OBJECTIVES["saturating"], gl.OBJECTIVES["nonsaturating"]


def pair(seed=0, noise=2, data=1):
    """A small generator and a small discriminator in double precision."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    generator = nn.Sequential(nn.Linear(noise, 8), nn.Tanh(), nn.Linear(8, data)).double()
    return generator, nn.Sequential(nn.Linear(data, 8), nn.Tanh(), nn.Linear(8, 1)).double()


def value(f, critic, real, fake):
    """What the discriminator raises, on two batches."""
    return f.f1(critic(real)).mean() + f.f2(critic(fake)).mean()


def ascend(gain, player, rate=0.1):
    """One plain gradient step of one player, upwards."""
    gradients = torch.autograd.grad(gain, list(player.parameters()))
    with torch.no_grad():
        for parameter, gradient in zip(player.parameters(), gradients, strict=True):
            parameter += rate * gradient


def normal(mean, sd=1.0, n=256, seed=0):
    return mean + sd * torch.randn(n, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ---------------------------------------------------------------- the two networks and the push-forward


@claim("F-01")
@claim("J-01")
def test_a_generator_maps_noise_to_data_and_a_discriminator_maps_data_to_beliefs():
    generator, critic = pair(noise=3, data=2)
    noise = torch.randn(100, 3, dtype=torch.float64)
    samples = generator(noise)
    belief = SATURATING.link(critic(samples))
    assert samples.shape == (100, 2)
    assert belief.shape == (100, 1)
    assert ((belief > 0) & (belief < 1)).all()
    assert torch.allclose(belief, 1 / (1 + torch.exp(-critic(samples))))
    extreme = SATURATING.link(torch.tensor([-700.0, 0.0, 700.0], dtype=torch.float64))
    assert ((extreme >= 0) & (extreme <= 1)).all()
    assert extreme[1] == 0.5


@claim("J-03")
@pytest.mark.parametrize(
    ("generate", "density"),
    [
        (lambda z: z**2, lambda x: 1 / (2 * np.sqrt(x))),
        (lambda z: np.exp(z), lambda x: 1 / x),
        (lambda z: -np.log1p(-z), lambda x: np.exp(-x)),
    ],
)
def test_the_samples_follow_the_change_of_variables_density(generate, density):
    z = np.random.default_rng(0).random(20_000)
    x, start = generate(z), generate(np.zeros(1))[0]
    edges = np.quantile(x, np.linspace(0, 0.95, 12))
    edges[0] = start
    expected = [quad(density, a, b)[0] for a, b in pairwise(edges)]
    found = np.histogram(x, edges)[0] / z.size
    assert np.allclose(found, expected, atol=4 * np.sqrt(np.max(expected) / z.size))
    # the slide equates the density with the generator's value
    assert not np.allclose([generate(np.array([0.3]))[0]], [density(generate(np.array([0.3]))[0])], rtol=0.05)


@claim("J-04")
def test_an_average_over_fakes_is_an_average_over_the_noise():
    # G(z) = 1 + 2z, so p_g = N(1, 4), and log(1 - D) for D = sigmoid(0.7 x)
    def gain(x):
        return float(SATURATING.f2(0.7 * x))

    over_samples = quad(lambda x: stats.norm.pdf(x, 1, 2) * gain(x), -30, 30)[0]
    over_noise = quad(lambda z: stats.norm.pdf(z) * gain(1 + 2 * z), -15, 15)[0]
    assert over_samples == pytest.approx(over_noise, abs=1e-9)
    by_hand = quad(lambda z: stats.norm.pdf(z) * np.log(1 - 1 / (1 + np.exp(-0.7 * (1 + 2 * z)))), -15, 15)[0]
    assert over_noise == pytest.approx(by_hand, abs=1e-9)
    draws = SATURATING.f2(0.7 * (1 + 2 * np.random.default_rng(0).standard_normal(200_000)))
    assert over_noise == pytest.approx(draws.mean(), abs=4 * draws.std() / np.sqrt(draws.size))


# ---------------------------------------------------------------- what the discriminator raises


@claim("F-05")
@claim("J-02")
def test_the_discriminators_gain_is_minus_the_summed_cross_entropy_with_unequal_batches():
    _, critic = pair()
    real, fake = normal(1, n=50), normal(-1, n=30, seed=1)
    entropy = nn.functional.binary_cross_entropy_with_logits
    ones, zeros = torch.ones(50, 1, dtype=torch.float64), torch.zeros(30, 1, dtype=torch.float64)
    gain = value(SATURATING, critic, real, fake)
    assert torch.isclose(gain, -(entropy(critic(real), ones) + entropy(critic(fake), zeros)))
    # one average over both batches would weigh the two sides 50 to 30
    pooled = entropy(critic(torch.cat([real, fake])), torch.cat([ones, zeros]))
    assert not torch.isclose(gain, -pooled)
    assert not torch.isclose(gain, -2 * pooled)


@claim("F-05")
def test_the_integral_of_the_discriminators_gain_agrees_with_sampling():
    integral = quad(lambda x: stats.norm.pdf(x, 1) * np.log(1 / (1 + np.exp(-x))), -20, 20)[0]
    integral += quad(lambda x: stats.norm.pdf(x, -1) * np.log(1 - 1 / (1 + np.exp(-x))), -20, 20)[0]
    random = np.random.default_rng(0)
    real, fake = SATURATING.f1(random.normal(1, 1, 100_000)), SATURATING.f2(random.normal(-1, 1, 100_000))
    assert integral == pytest.approx(real.mean() + fake.mean(), abs=4 * np.hypot(real.std(), fake.std()) / np.sqrt(1e5))


@claim("F-06")
def test_the_discriminators_gradient_has_a_minus_before_the_fakes_and_the_printed_plus_fails():
    x = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    p_d, p_g = (torch.exp(torch.distributions.Normal(m, 1.0).log_prob(x)) for m in (1.0, 0.0))
    theta = torch.tensor([0.4, -0.3], dtype=torch.float64, requires_grad=True)
    score = theta[0] * x + theta[1]
    gain = torch.trapezoid(p_d * SATURATING.f1(score) + p_g * SATURATING.f2(score), x)
    (autograd,) = torch.autograd.grad(gain, theta)
    D = 1 / (1 + torch.exp(-score.detach()))
    slope = D * (1 - D) * torch.stack([x, torch.ones_like(x)])  # dD / dtheta
    up, down = torch.trapezoid(p_d / D * slope, x), torch.trapezoid(p_g / (1 - D) * slope, x)
    assert torch.allclose(autograd, up - down, atol=1e-10)
    assert (autograd - (up + down)).abs().max() > 0.1


@claim("J-12")
def test_a_descent_step_on_the_lectures_error_function_makes_the_discriminator_worse():
    for rate, better in ((0.1, True), (-0.1, False)):
        _, critic = pair(1)
        real, fake = normal(1), normal(-1, seed=1)
        before = value(SATURATING, critic, real, fake).item()
        for _ in range(20):
            ascend(value(SATURATING, critic, real, fake), critic, rate)
        assert (value(SATURATING, critic, real, fake).item() > before) is better
        right = ((critic(real) > 0).double().mean() + (critic(fake) < 0).double().mean()) / 2
        assert (right > 0.6).item() is better


# ---------------------------------------------------------------- the four steps


def one_round(real_count, fake_count, player):
    """Let one player move, as the page does; returns which of the two networks changed."""
    generator, critic = pair(2)
    # a stale gradient in either network must not matter
    value(SATURATING, critic, normal(0), generator(torch.randn(9, 2, dtype=torch.float64))).backward()
    mover = {"G": generator, "D": critic}[player]
    optimiser = torch.optim.Adam(mover.parameters(), 0.01)
    optimiser.zero_grad()
    before = [p.clone() for net in (generator, critic) for p in net.parameters()]
    other_gradients = [p.grad.clone() for p in (critic if player == "G" else generator).parameters()]
    fake = generator(torch.randn(fake_count, 2, dtype=torch.float64))
    real = normal(2, n=real_count)
    gain = value(SATURATING, critic, real, fake) if player == "D" else SATURATING.f3(critic(fake)).mean()
    (-gain).backward(inputs=list(mover.parameters()))
    optimiser.step()
    after = [p for net in (generator, critic) for p in net.parameters()]
    kept = [torch.equal(p, q) for p, q in zip(before, after, strict=True)]
    still = (critic if player == "G" else generator).parameters()
    untouched = all(torch.equal(p.grad, g) for p, g in zip(still, other_gradients, strict=True))
    return kept[:4], kept[4:], untouched


@claim("F-02")
@pytest.mark.parametrize(("n", "m"), [(64, 64), (64, 48), (7, 100)])
def test_each_players_step_leaves_every_bit_of_the_other(n, m):
    generator_kept, critic_kept, untouched = one_round(n, m, "D")
    assert all(generator_kept)
    assert not any(critic_kept)
    assert untouched
    generator_kept, critic_kept, untouched = one_round(n, m, "G")
    assert all(critic_kept)
    assert not any(generator_kept)
    assert untouched


@claim("J-23")
def test_training_is_a_map_whose_only_rest_is_its_fixed_point():
    game, rate = gl.dirac_gan("saturating", gl.R1(0.5)), 0.2
    path = gl.simulate(game, (1.0, 0.5), "simultaneous", lr=rate, steps=400)

    def step(state):
        theta, psi = state
        slope = 1 / (1 + np.exp(theta * psi))  # f'(theta psi), f(t) = -log(1 + e^-t)
        return np.array([theta - rate * slope * psi, psi + rate * (slope * theta - 0.5 * psi)])

    for now, after in zip(path.states[:50], path.states[1:51], strict=True):
        assert np.allclose(step(now), after, atol=1e-12)
    assert np.allclose(step(path.last), path.last, atol=1e-8)
    assert np.allclose(step(np.zeros(2)), 0)
    assert np.linalg.norm(step(np.array([0.1, 0.1])) - 0.1) > 1e-3


# ---------------------------------------------------------------- the best discriminator and the value


@claim("J-06")
def test_the_best_belief_is_the_share_of_real_density():
    a, b, y = sp.symbols("a b y", positive=True)
    gain = a * sp.log(y) + b * sp.log(1 - y)
    assert sp.solve(gain.diff(y), y) == [a / (a + b)]
    curvature = sp.simplify(gain.diff(y, 2).subs(y, a / (a + b)))
    assert curvature.is_negative or sp.simplify(curvature + (a + b) ** 3 / (a * b)) == 0
    # the package's own row, in the score
    t, f1, f2, _ = expressions("saturating")
    slope = (a * f1 + b * f2).diff(t).subs(t, sp.log(a / b))
    assert sp.simplify(slope.rewrite(sp.exp)) == 0


@claim("J-06")
def test_a_classifier_trained_on_samples_approaches_the_best_discriminator():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
    optimiser = torch.optim.Adam(critic.parameters(), 0.01)
    x = np.linspace(-5, 7, 601)
    p_d, p_g = stats.norm.pdf(x), stats.norm.pdf(x, 2)

    def distance():
        with torch.no_grad():
            learned = torch.sigmoid(critic(torch.tensor(x[:, None], dtype=torch.float32))).numpy()[:, 0]
        return np.trapezoid(np.abs(learned - p_d / (p_d + p_g)) * (p_d + p_g) / 2, x)

    before = distance()
    for _ in range(600):
        gain = value(SATURATING, critic, torch.randn(512, 1), 2 + torch.randn(512, 1))
        optimiser.zero_grad()
        (-gain).backward()
        optimiser.step()
    assert before > 0.2
    assert distance() < 0.03


@claim("J-07")
def test_the_best_discriminator_is_not_a_density():
    def best(x):
        return stats.norm.pdf(x) / (stats.norm.pdf(x) + stats.norm.pdf(x, 2))

    x = np.linspace(-5, 5, 101)
    assert np.allclose(best(x), 1 / (1 + np.exp(2 * x - 2)))
    assert ((best(x) >= 0) & (best(x) <= 1)).all()
    for reach in (5, 10, 15):
        assert quad(best, -reach, reach, points=[1])[0] == pytest.approx(reach + 1, abs=1e-3)
    assert quad(best, -15, 15)[0] > 10  # the slide's word "distribution" would need 1
    same = stats.norm.pdf(x) / (2 * stats.norm.pdf(x))
    assert np.allclose(same, 0.5)


def value_at_the_best_critic(p_d, p_g):
    """V(D*, G) of two discrete laws, from the package's rows at the score log(p_d / p_g)."""
    score = np.log(p_d / p_g)
    return np.sum(p_d * SATURATING.f1(score) + p_g * SATURATING.f2(score))


@claim("J-05")
def test_the_value_of_the_game_is_minus_log_four():
    p_d = np.array([0.5, 0.3, 0.2])
    assert value_at_the_best_critic(p_d, p_d) == pytest.approx(-1.3862943611, abs=1e-10)
    random = np.random.default_rng(0)
    for p_g in random.dirichlet(np.ones(3), 200):
        middle = (p_d + p_g) / 2
        js = (stats.entropy(p_d, middle) + stats.entropy(p_g, middle)) / 2
        assert value_at_the_best_critic(p_d, p_g) == pytest.approx(-np.log(4) + 2 * js, abs=1e-12)
        assert js > 0


@claim("J-24")
def test_the_equilibrium_is_unique_as_functions_and_not_as_parameters():
    from scipy.optimize import minimize

    p_d = np.array([0.5, 0.3, 0.2])

    def softmax(w):
        return np.exp(w - w.max()) / np.exp(w - w.max()).sum()

    for start in np.random.default_rng(1).normal(0, 2, (10, 3)):
        found = minimize(lambda w: value_at_the_best_critic(p_d, softmax(w)), start, tol=1e-12)
        assert np.allclose(softmax(found.x), p_d, atol=1e-4)
        assert found.fun == pytest.approx(-np.log(4), abs=1e-8)
    at_rest = rest_score("saturating")
    assert (at_rest.D, at_rest.score) == (sp.Rational(1, 2), 0)
    # two parameter vectors, one function: exchange two hidden units
    _, critic = pair()
    x, first = normal(0), list(critic.parameters())
    before, weights = critic(x).clone(), first[0].clone()
    order = [1, 0, *range(2, 8)]
    with torch.no_grad():
        first[0].copy_(first[0][order])
        first[1].copy_(first[1][order])
        first[2].copy_(first[2][:, order])
    assert not torch.equal(weights, first[0])
    assert torch.allclose(before, critic(x), atol=1e-12)


# ---------------------------------------------------------------- the generator's slope


@claim("F-07")
def test_raising_the_generators_gain_is_lowering_the_saturating_loss():
    generator, critic = pair(3)
    fake = generator(torch.randn(100, 2, dtype=torch.float64))
    gain = SATURATING.f3(critic(fake)).mean()
    loss = torch.log(1 - torch.sigmoid(critic(fake))).mean()
    up = torch.autograd.grad(gain, list(generator.parameters()), retain_graph=True)
    down = torch.autograd.grad(loss, list(generator.parameters()))
    assert torch.isclose(gain, -loss)
    assert all(torch.allclose(u, -d) for u, d in zip(up, down, strict=True))
    assert max(u.abs().max() for u in up) > 1e-3


@claim("F-08")
def test_three_roads_lead_to_the_generators_gradient():
    phi = 0.5

    def gain_at(mean):  # I = -int p_g log(1 - D) for D = sigmoid(1 - x), by quadrature
        return quad(lambda x: stats.norm.pdf(x, mean) * float(SATURATING.f3(1 - x)), -15, 15, epsabs=1e-12)[0]

    exact = (gain_at(phi + 1e-4) - gain_at(phi - 1e-4)) / 2e-4
    by_density = quad(lambda x: (x - phi) * stats.norm.pdf(x, phi) * np.log1p(np.exp(1 - x)), -15, 15)[0]
    assert by_density == pytest.approx(exact, abs=1e-6)
    z = np.random.default_rng(0).standard_normal(400_000)
    score_function = z * SATURATING.f3(1 - (phi + z))
    assert score_function.mean() == pytest.approx(exact, abs=4 * score_function.std() / np.sqrt(z.size))
    mean = torch.tensor(phi, dtype=torch.float64, requires_grad=True)
    (pathwise,) = torch.autograd.grad(SATURATING.f3(1 - (mean + torch.tensor(z))).mean(), mean)
    assert pathwise.item() == pytest.approx(exact, abs=4 * 0.25 / np.sqrt(z.size))
    assert abs(exact) > 0.5


@claim("F-10")
@claim("L-01")
@claim("L-03")
def test_the_saturating_slope_dies_where_the_nonsaturating_one_lives():
    score = torch.tensor(-10.0, dtype=torch.float64, requires_grad=True)
    (saturating,) = torch.autograd.grad(SATURATING.f3(score), score)
    (nonsaturating,) = torch.autograd.grad(NONSATURATING.f3(score), score)
    assert saturating.item() == pytest.approx(4.54e-5, rel=1e-3)
    assert nonsaturating.item() == pytest.approx(0.99995, abs=5e-6)
    t = sp.Symbol("t", real=True)
    sigma = 1 / (1 + sp.exp(-t))
    assert sp.simplify(sp.log(1 - sigma).diff(t) + sigma) == 0
    assert sp.simplify((-sp.log(sigma)).diff(t) + 1 - sigma) == 0
    assert sp.limit(-sigma, t, -sp.oo) == 0
    assert sp.limit(-(1 - sigma), t, -sp.oo) == -1
    symbol, f1, f2, f3 = expressions("nonsaturating")
    assert f1 == f3
    assert (f1, f2) == expressions("saturating")[1:3]
    for name, slope in (("saturating", sigma), ("nonsaturating", 1 - sigma)):
        gain = expressions(name)[3]
        assert sp.simplify((gain.diff(symbol).subs(symbol, t) - slope).rewrite(sp.exp)) == 0


@claim("L-02")
def test_cross_entropy_is_loud_on_wrong_answers_and_silent_on_right_ones():
    for label, wrong, right in ((1.0, -9.0, 9.0), (0.0, 9.0, -9.0)):
        for score, size in ((wrong, 1.0), (right, 0.0)):
            t = torch.tensor(score, dtype=torch.float64, requires_grad=True)
            loss = nn.functional.binary_cross_entropy_with_logits(t, torch.tensor(label, dtype=torch.float64))
            (slope,) = torch.autograd.grad(loss, t)
            assert slope.abs().item() == pytest.approx(size, abs=2e-4)
            gain = SATURATING.f1(t) if label else SATURATING.f2(t)
            (ours,) = torch.autograd.grad(gain, t)
            assert ours.item() == pytest.approx(-slope.item(), abs=1e-12)
            assert slope.item() == pytest.approx(1 / (1 + np.exp(-score)) - label, abs=1e-12)
    # the saturating generator: silent on its own failure (a fake that is rejected)
    t = torch.tensor(-9.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.grad(SATURATING.f3(t), t)[0].item() < 2e-4


@claim("L-04")
def test_both_losses_rank_single_fakes_alike_but_not_populations():
    t = np.linspace(-8, 8, 401)
    assert (np.diff(SATURATING.f3(t)) > 0).all()
    assert (np.diff(NONSATURATING.f3(t)) > 0).all()
    assert not np.allclose(np.gradient(SATURATING.f3(t)), np.gradient(NONSATURATING.f3(t)))
    steady, gambler = np.array([0.5, 0.5]), np.array([0.9, 0.01])
    assert np.log(1 - steady).mean() > np.log(1 - gambler).mean()  # saturating prefers the gambler
    assert -np.log(steady).mean() < -np.log(gambler).mean()  # non-saturating the steady one
    scores = [np.log(D / (1 - D)) for D in (steady, gambler)]
    assert SATURATING.f3(scores[0]).mean() < SATURATING.f3(scores[1]).mean()
    assert NONSATURATING.f3(scores[0]).mean() > NONSATURATING.f3(scores[1]).mean()


@claim("J-13")
def test_the_lectures_generator_loss_does_not_reach_the_generator():
    generator, critic = pair(4)
    real, noise = normal(2), torch.randn(64, 2, dtype=torch.float64)
    parameters = list(generator.parameters())
    printed = -NONSATURATING.f3(critic(real)).mean()
    assert torch.isclose(printed, -torch.log(torch.sigmoid(critic(real))).mean())
    assert torch.autograd.grad(printed, parameters, allow_unused=True) == (None,) * 4
    meant = -torch.log(torch.sigmoid(critic(generator(noise)))).mean()
    expected = torch.autograd.grad(meant, parameters)
    ours = torch.autograd.grad(-NONSATURATING.f3(critic(generator(noise))).mean(), parameters)
    assert all(torch.allclose(a, b) for a, b in zip(expected, ours, strict=True))
    assert max(g.abs().max() for g in expected) > 1e-3


# ---------------------------------------------------------------- the family, zero-sum or not, conventions

D, a, b, c = sp.Symbol("D", real=True), *sp.symbols("a b c", real=True)
NAMED = {
    "saturating": (sp.log(D), sp.log(1 - D), -sp.log(1 - D), True),
    "nonsaturating": (sp.log(D), sp.log(1 - D), sp.log(D), False),
    "wasserstein": (D, -D, D, True),
    "quadratic": (-(D**2) / 2, D, -D, True),
    "least_squares": (-((D - 1) ** 2) / 2, -(D**2) / 2, -((D - 1) ** 2) / 2, False),
    "maximum_likelihood": (sp.log(D), sp.log(1 - D), D / (1 - D), False),
}


@claim("F-09")
@pytest.mark.parametrize("name", NAMED)
def test_a_named_gan_is_a_row_of_three_functions(name):
    symbol, *functions = expressions(name, "probability")
    for found, expected in zip(functions, NAMED[name][:3], strict=True):
        assert sp.simplify(found.subs(symbol, D) - expected) == 0
    general = expressions(least_squares(a, b, c), "probability")
    for found, label in zip(general[1:], (b, a, c), strict=True):
        assert sp.simplify(found.subs(general[0], D) + (D - label) ** 2 / 2) == 0


@claim("F-09")
@pytest.mark.parametrize("name", NAMED)
def test_both_functionals_of_a_named_gan_are_integrals_of_its_row(name):
    # the pointwise field is the variational derivative of J in D, and of I in p_g up to the rest value
    game = gl.pointwise(name, p_d=0.3)
    f1, f2, f3, _ = NAMED[name]
    at, density = 0.4, 0.7
    rest = rest_score(name).D
    expected = [0.3 * f1.diff(D).subs(D, at) + density * f2.diff(D).subs(D, at), f3.subs(D, at) - f3.subs(D, rest)]
    assert np.allclose([float(v) for v in game.field(at, density)], [float(v) for v in expected], atol=1e-12)


@claim("F-04")
@claim("J-21")
@pytest.mark.parametrize("name", NAMED)
def test_zero_sum_means_opposite_functions_up_to_a_constant(name):
    _, f2, f3, zero_sum = NAMED[name]
    assert (sp.simplify((f2 + f3).diff(D)) == 0) is zero_sum
    assert is_zero_sum(name) is zero_sum


@claim("F-04")
def test_a_constant_does_not_change_who_wins():
    shifted = gl.Objective(f1=lambda t: t, f2=lambda t: -t, f3=lambda t: t + 5, name="shifted")
    scaled = gl.Objective(f1=lambda t: t, f2=lambda t: -t, f3=lambda t: 2 * t, name="scaled")
    assert is_zero_sum(shifted)
    assert not is_zero_sum(scaled)


def one_parameter_each(theta, psi):
    """V for data N(0, 1), fakes N(theta, 1) and the score psi x, by Gauss-Hermite quadrature."""
    z, weight = np.polynomial.hermite_e.hermegauss(60)
    weight = weight / weight.sum()
    return weight @ SATURATING.f1(psi * z) + weight @ SATURATING.f2(psi * (theta + z))


@claim("F-04")
def test_the_loss_surface_of_a_zero_sum_game_has_a_saddle():
    best = one_parameter_each(0.0, 0.0)
    steps = np.array([-2.0, -0.5, -0.1, 0.1, 0.5, 2.0])
    assert all(one_parameter_each(0, psi) < best for psi in steps)
    assert one_parameter_each(1, -0.3) > best > one_parameter_each(1, 0.3)
    h = 1e-3
    across = (one_parameter_each(h, h) - one_parameter_each(h, -h)) / (2 * h * h)
    assert across == pytest.approx(-0.5, abs=1e-3)  # d2V/dtheta dpsi = -sigmoid(0)


@claim("J-21")
@claim("J-22")
def test_at_the_equilibrium_of_the_dirac_gan_no_player_gains_alone():
    def L(theta, psi):  # f(theta psi) + f(0), f(t) = -log(1 + e^-t)
        return -np.log1p(np.exp(-theta * psi)) - np.log(2)

    game = gl.dirac_gan("saturating")
    theta, psi = game.symbols
    gain_g, gain_d = game.payoffs
    for value in (-2.0, -0.3, 0.7, 3.0):
        for state in ((value, 0.0), (0.0, value)):
            here = {theta: state[0], psi: state[1]}
            assert float(gain_d.subs(here).evalf()) == pytest.approx(L(*state), abs=1e-12)
            assert float(gain_d.subs(here).evalf()) == pytest.approx(2 * -np.log(2), abs=1e-12)
    state = {theta: 0.8, psi: -0.6}
    assert float(gain_d.subs(state).evalf()) == pytest.approx(L(0.8, -0.6), abs=1e-12)
    # zero-sum: the two slopes in theta are opposite, at a place that is not special
    slopes = [float(gain.diff(theta).subs(state).evalf()) for gain in (gain_g, gain_d)]
    assert slopes[0] == pytest.approx(-slopes[1], abs=1e-12)
    assert abs(slopes[0]) > 0.1
    # elsewhere somebody gains: from (1, 1) the discriminator by a larger psi
    assert L(1, 1.5) > L(1, 1)


@claim("J-19")
def test_the_reports_objective_is_the_value_for_the_opposite_sign_of_the_critic():
    _, critic = pair(5)
    data, fakes = normal(1), normal(-1, seed=3)

    def f(t):
        return -torch.log1p(torch.exp(-t))

    report = f(critic(fakes)).mean() + f(-critic(data)).mean()
    means_fake, means_real = torch.sigmoid(-critic(data)), torch.sigmoid(-critic(fakes))
    assert torch.isclose(report, torch.log(means_fake).mean() + torch.log(1 - means_real).mean())
    assert torch.isclose(report, value(SATURATING, lambda x: -critic(x), data, fakes))
    assert not torch.isclose(report, value(SATURATING, critic, data, fakes))


@claim("J-20")
def test_a_function_without_slope_at_zero_takes_the_driving_force_away():
    def dirac(f):
        return gl.dirac_gan(gl.Objective(f1=f, f2=lambda t: f(-t), f3=lambda t: -f(-t), name="report"))

    fine = {1.0: lambda t: t, 0.5: lambda t: -softplus(-t), 1.000001: lambda t: -relu(1 - t)}
    for slope, f in fine.items():
        # the Jacobian of (-f'(theta psi) psi, f'(theta psi) theta) at 0 is f'(0) times a quarter turn
        assert np.allclose(sorted(gl.eigenvalues(dirac(f)).imag), [-slope, slope], atol=1e-5)
        assert gl.verdict(dirac(f)).kind == "centre"
        steps = np.array([f(-0.2), f(0.0), f(0.2)], dtype=float)
        assert steps[0] + steps[2] <= 2 * steps[1] + 1e-12  # concave
    assert np.allclose(gl.eigenvalues(dirac(lambda t: t**2)), 0)
    assert gl.verdict(dirac(lambda t: t**2)).kind == "degenerate"
    assert (-0.2) ** 2 + 0.2**2 > 0  # and t^2 is not concave: no inner maximum
    # instance noise damps by sigma^2 f''(0): the log-sigmoid feels it, the straight line does not
    for f, damped in ((fine[0.5], True), (fine[1.0], False)):
        game = gl.Objective(f1=f, f2=lambda t, f=f: f(-t), f3=lambda t, f=f: -f(-t), name="noisy")
        real = gl.eigenvalues(gl.dirac_gan(game, gl.InstanceNoise(0.7))).real
        assert np.allclose(real, -0.25 * 0.49 if damped else 0.0, atol=1e-6)


# ---------------------------------------------------------------- EM, the ideal story, how far to train D


@claim("J-11")
def test_em_never_goes_down_and_the_gans_value_does_both():
    for seed in range(10):
        random = np.random.default_rng(seed)
        x = np.concatenate([random.normal(-2, 1, 100), random.normal(1, 1, 200)])
        share, mean = np.array([0.5, 0.5]), random.normal(0, 1, 2)
        height = []
        for _ in range(60):
            joint = share * stats.norm.pdf(x[:, None], mean)
            height.append(np.log(joint.sum(axis=1)).sum())
            guess = joint / joint.sum(axis=1, keepdims=True)
            share, mean = guess.mean(axis=0), guess.T @ x / guess.sum(axis=0)
        assert np.diff(height).min() > -1e-9
        assert height[-1] > height[0] + 1
        angle = random.uniform(0, 2 * np.pi)
        start = np.array([np.cos(angle), np.sin(angle)])
        theta, psi = gl.simulate(gl.dirac_gan(), start, "alternating", lr=0.2, steps=300).states.T
        change = np.diff(-np.log1p(np.exp(-theta * psi)))
        assert (change > 1e-9).sum() > 20
        assert (change < -1e-9).sum() > 20
    # what is shared: each half step of the GAN improves its own player
    game = gl.dirac_gan()
    for method, player in ((0, "generator"), (1, "discriminator")):
        gain = game.payoffs[method]
        here = dict(zip(game.symbols, (0.9, 0.4), strict=True))
        coordinate = game.symbols[method]
        moved = here | {coordinate: here[coordinate] + 0.1 * float(gain.diff(coordinate).subs(here).evalf())}
        assert float((gain.subs(moved) - gain.subs(here)).evalf()) > 0, player


@claim("F-03")
def test_the_generators_gradient_at_the_best_discriminator_is_the_ledgers():
    for theta, saturating, nonsaturating in ((1, 0.398, 0.602), (3, 0.2959, 2.704), (8, 3.93e-4, 7.9996)):
        found = []
        for name in ("saturating", "nonsaturating"):
            z = torch.linspace(-12, 12, 24001, dtype=torch.float64)
            weight = torch.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
            mean = torch.tensor(float(theta), dtype=torch.float64, requires_grad=True)
            x = mean + z
            score = theta**2 / 2 - theta * x  # log p_d / p_g, held fixed
            (slope,) = torch.autograd.grad((weight * gl.OBJECTIVES[name].f3(score)).sum(), mean)
            found.append(-slope.item())
        assert found[0] == pytest.approx(saturating, rel=2e-3)
        assert found[1] == pytest.approx(nonsaturating, rel=1e-3)
        # both together: theta E[sigma + (1 - sigma)] = theta
        assert sum(found) == pytest.approx(theta, rel=1e-6)


@pytest.fixture(scope="module")
def study():
    """The stored sweep over discriminator steps, and the script that made it."""
    spec = importlib.util.spec_from_file_location("d_steps", STUDY)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script, json.loads(STUDY.with_suffix(".json").read_text(encoding="utf-8"))


def stored(record, optimiser, loss, d_steps, step, what):
    (row,) = [r for r in record["rows"] if (r["optimiser"], r["loss"], r["d_steps"]) == (optimiser, loss, d_steps)]
    return np.array(row["at"][str(step)][what])


@claim("F-03")
def test_the_stored_sweep_belongs_to_the_script_as_it_is(study):
    script, record = study
    text = STUDY.read_bytes().replace(b"\r\n", b"\n")
    assert record["script"] == hashlib.sha256(text).hexdigest(), "run `python book/studies/d_steps.py` again"
    assert record["settings"] == json.loads(json.dumps(script.SETTINGS))
    assert record["settings"]["runs"] >= 10
    assert len(record["rows"]) == 2 * 5 * 4


@claim("F-03")
@pytest.mark.parametrize(
    ("loss", "d_steps"),
    [
        ("saturating", 1),
        ("saturating", 20),
        ("least_squares", 20),
        ("nonsaturating", 20),
        ("wgan_gp", 5),
        ("wgan_gp_one_sided", 5),
    ],
)
def test_a_part_of_the_sweep_run_again_falls_into_the_stored_spread(study, loss, d_steps):
    script, record = study
    torch.set_num_threads(1)
    again = script.train(loss, d_steps, "sgd", [1, 20, 50])
    for step in (20, 50):
        before = stored(record, "sgd", loss, d_steps, step, "w1")
        assert before.min() - 0.2 <= np.median(again[step]["w1"]) <= before.max() + 0.2
        assert np.median(again[step]["w1"]) == pytest.approx(np.median(before), abs=0.3)
        lengths = stored(record, "sgd", loss, d_steps, step, "gradient")
        assert lengths.min() <= np.median(again[step]["gradient"]) <= lengths.max()


@claim("F-03")
def test_whether_a_better_trained_discriminator_helps_depends_on_the_loss(study):
    _, record = study

    def median(loss, d_steps, step, what, optimiser="sgd"):
        return np.median(stored(record, optimiser, loss, d_steps, step, what))

    for loss in ("saturating", "least_squares"):  # starved: less gradient, a longer way to go
        assert median(loss, 100, 20, "gradient") < 0.5 * median(loss, 1, 20, "gradient")
        assert median(loss, 100, 200, "w1") > median(loss, 1, 200, "w1") + 0.3
        assert median(loss, 100, 400, "w1", "adam") < 0.5 * median(loss, 1, 400, "w1", "adam")  # Adam mends it
    for loss in ("nonsaturating", "wgan_gp_one_sided"):
        assert median(loss, 100, 200, "w1") < 0.6 * median(loss, 1, 200, "w1")
    assert stored(record, "adam", "saturating", 100, 400, "w1").max() > 1  # but not in every run
    # the two-sided penalty: plenty of gradient, in the wrong direction, until the overshoot is 2 lambda
    assert median("wgan_gp", 100, 400, "w1") > 5 > median("wgan_gp_one_sided", 100, 400, "w1")
    assert median("wgan_gp", 100, 20, "gradient") > 1
    s, delta, weight = sp.symbols("s delta lambda", positive=True)
    gain = -s * delta - weight * (s - 1) ** 2  # the fakes have overshot by delta, the slope is still positive
    (rest,) = sp.solve(gain.diff(s), s)
    assert sp.simplify(rest - (1 - delta / (2 * weight))) == 0
    assert gain.diff(s, 2) == -2 * weight
    widest = max(max(row["at"]["400"]["w1"]) for row in record["rows"])
    assert 18 < widest <= 2 * record["settings"]["penalty"]


@claim("J-14")
def test_some_runs_follow_the_ideal_story_and_others_starve_or_run_away(study):
    script, _ = study
    torch.set_num_threads(1)
    ideal = script.train("nonsaturating", 5, "adam", [20, 300])
    assert np.median(ideal[20]["accuracy"]) > 0.9
    assert np.abs(np.array(ideal[300]["accuracy"]) - 0.5).max() < 0.1
    assert np.sum(np.array(ideal[300]["w1"]) < 0.5) >= 10  # of 12
    starved = script.train("saturating", 20, "sgd", [20, 50])
    assert np.median(starved[20]["gradient"]) < 0.3 < 1 < np.median(ideal[20]["gradient"])
    assert np.sum((np.array(starved[50]["w1"]) > 2) & (np.array(starved[50]["accuracy"]) > 0.85)) >= 6
    runaway = script.train("wgan_gp", 5, "adam", [270])
    assert np.sum(np.array(runaway[270]["w1"]) > 4) >= 4
    assert np.median(script.floor()) < 0.05


@claim("J-15")
def test_the_digits_of_a_small_gan_are_no_copies_and_no_gaussian():
    """Over ten stored seeds, and one of them trained again here."""
    record = json.loads(Path(digits.__file__).with_suffix(".json").read_text(encoding="utf-8"))
    text = Path(digits.__file__).read_bytes().replace(b"\r\n", b"\n")
    assert record["script"] == hashlib.sha256(text).hexdigest(), "run `python book/studies/digits.py` again"
    rows = record["rows"]
    assert len(rows) == record["settings"]["seeds"] == 10
    assert sum(row["copies"] for row in rows) <= 5  # of 20,000
    assert all(row["distance"] > 1 for row in rows)
    assert all(record["gaussian"] + 0.1 < row["sure"] < record["real"] - 0.1 for row in rows)
    torch.set_num_threads(1)
    data, labels = digits.load()
    judge, seed = digits.judge_of(data, labels), 3
    assert judge.score(data[1::2].numpy(), labels[1::2]) > 0.9
    again = digits.measure(digits.train(data, seed), data, judge)
    assert again["copies"] <= 5
    assert again["rarest"] >= 50  # all ten digits are drawn
    for what, margin in (("distance", 0.05), ("sure", 0.05)):
        stored = [row[what] for row in rows]
        assert min(stored) - margin < again[what] < max(stored) + margin


def test_the_measure_of_copies_catches_a_memory():
    data, labels = digits.load()
    noise = 0.05 * torch.randn(200, 64, generator=torch.Generator().manual_seed(0))
    memory = digits.measure(data[:200] + noise, data, digits.judge_of(data, labels))
    assert memory["copies"] == 200
    assert memory["distance"] < 0.5
