"""The Dirac-GAN with any objective and any remedies, against definitions written out with torch and quadrature."""

import math

import numpy as np
import pytest
import sympy as sp
from lazy_torch import torch
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from ganlab import (
    OBJECTIVES,
    R1,
    R2,
    Clip,
    Consensus,
    GradientPenalty,
    InputError,
    InstanceNoise,
    dirac_gan,
    numeric_jacobian,
    simulate,
    symbolic_jacobian,
)
from ganlab.objectives import rest_score

every = pytest.mark.parametrize("name", OBJECTIVES)
STATES = [(1.0, 0.9), (0.5, -1.5), (-0.7, 0.2), (-1.1, -0.4)]


def penalties(remedies, slope_at, theta):
    """The published penalties, from the critic's slope as a function of the sample."""
    total = torch.zeros((), dtype=torch.float64)
    for remedy in remedies:
        if isinstance(remedy, R1):
            total = total + remedy.weight / 2 * slope_at(torch.zeros_like(theta)) ** 2
        if isinstance(remedy, R2):
            total = total + remedy.weight / 2 * slope_at(theta) ** 2
        if isinstance(remedy, GradientPenalty):
            total = total + remedy.weight / 2 * (slope_at(0.37 * theta).abs() - remedy.target) ** 2
    return total


def by_torch(name, remedies, theta, psi, tau=1.0, epsilon=0.0):
    """The two velocities, by differentiating the players' gains and, for the penalties, the critic itself."""
    row = OBJECTIVES[name]
    bias = float(rest_score(row).score)
    theta, psi = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (theta, psi))

    def score(x):
        return bias - psi * x - epsilon * x**2 / 2

    def slope_at(x):
        x = x.detach().requires_grad_()
        return torch.autograd.grad(-score(x), x, create_graph=True)[0]

    gain_d = row.f1(score(torch.zeros_like(theta))) + row.f2(score(theta)) - penalties(remedies, slope_at, theta)
    (v_psi,) = torch.autograd.grad(gain_d, psi, allow_unused=True)
    (v_theta,) = torch.autograd.grad(row.f3(score(theta)), theta)
    return [float(v_theta), tau * float(v_psi)]


@every
@pytest.mark.parametrize(
    "remedies", [(), (R1(0.3), R2(0.7)), (GradientPenalty(0.7), R1(0.2)), (GradientPenalty(1.3, target=0),)]
)
def test_the_field_is_the_gradient_of_gains_less_penalties(name, remedies):
    game = dirac_gan(name, *remedies, tau=2.5)
    for state in STATES:
        truth = by_torch(name, remedies, *state, tau=2.5)
        assert [float(v) for v in game.field(*state)] == pytest.approx(truth, rel=1e-12, abs=1e-14)
        assert list(game.float_field(*state)) == pytest.approx(truth, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", ["saturating", "nonsaturating", "wasserstein"])
def test_a_bent_critic_has_the_field_of_its_gains(name):
    remedies = (R1(0.3), R2(0.7))
    for state in STATES:
        truth = by_torch(name, remedies, *state, epsilon=0.6)
        assert [float(v) for v in dirac_gan(name, *remedies, curvature=0.6).field(*state)] == pytest.approx(
            truth, rel=1e-12
        )


def test_a_positive_answer_means_fake_as_in_the_paper():
    """Mescheder et al. 2018, section 2: v = (-psi f'(theta psi), theta f'(theta psi)), f(t) = -log(1 + exp(-t))."""
    for theta, psi in STATES:
        slope = 1 - expit(theta * psi)
        assert [float(v) for v in dirac_gan().field(theta, psi)] == pytest.approx(
            [-psi * slope, theta * slope], rel=1e-14
        )


@every
def test_the_rest_point_is_the_origin(name):
    for remedies in ((), (R1(0.3), Consensus(0.5)), (InstanceNoise(0.8),)):
        game = dirac_gan(name, *remedies)
        assert game.rest == (0, 0)
        np.testing.assert_allclose(np.array(game.field(0.0, 0.0), dtype=float), 0, atol=1e-15)


@pytest.mark.parametrize("name", ["saturating", "nonsaturating", "least_squares"])
def test_instance_noise_is_the_mean_over_noisy_data_and_noisy_fakes(name):
    sigma, row = 0.7, OBJECTIVES[name]
    bias = float(rest_score(row).score)

    def slope(f, t, h=1e-5):
        return (float(f(t + h)) - float(f(t - h))) / (2 * h)

    def mean(g):
        return quad(lambda n: g(n) * norm.pdf(n, scale=sigma), -8 * sigma, 8 * sigma, epsabs=1e-12)[0]

    game = dirac_gan(name, InstanceNoise(sigma))
    for theta, psi in STATES[:2]:
        v_theta = mean(lambda n, theta=theta, psi=psi: -psi * slope(row.f3, bias - psi * (theta + n)))
        v_psi = mean(
            lambda n, theta=theta, psi=psi: (
                -n * slope(row.f1, bias - psi * n) - (theta + n) * slope(row.f2, bias - psi * (theta + n))
            )
        )
        assert [float(v) for v in game.field(theta, psi)] == pytest.approx([v_theta, v_psi], rel=1e-7, abs=1e-9)


def test_instance_noise_agrees_with_brute_force_sampling():
    n = 0.7 * np.random.default_rng(0).standard_normal((2, 400_000))
    theta, psi = 1.0, 1.0
    real, fake = n[0], theta + n[1]
    samples = -psi * expit(-psi * fake), real * -expit(psi * real) + fake * expit(-psi * fake)
    for value, sample in zip(dirac_gan("saturating", InstanceNoise(0.7)).field(theta, psi), samples, strict=True):
        assert abs(value - sample.mean()) < 5 * sample.std() / math.sqrt(sample.size)


def test_noisy_fields_work_on_arrays_of_any_shape():
    game = dirac_gan("saturating", InstanceNoise(0.7))
    theta, psi = np.linspace(-1, 1, 6).reshape(2, 3), np.full((2, 3), 0.4)
    together = np.array(game.field(theta, psi))
    assert together.shape == (2, 2, 3)
    np.testing.assert_allclose(together[:, 1, 2], game.field(theta[1, 2], psi[1, 2]), rtol=1e-13)


def half_squared_speed(game, theta, psi):
    return sum(float(v) ** 2 for v in game.field(theta, psi)) / 2


@pytest.mark.parametrize("name", ["saturating", "nonsaturating", "wasserstein", "least_squares"])
@pytest.mark.parametrize("others", [(), (R1(0.3),), (InstanceNoise(0.7),)])
def test_consensus_descends_half_the_squared_speed(name, others):
    plain, weight, h = dirac_gan(name, *others), 0.8, 1e-5
    game = dirac_gan(name, *others, Consensus(weight))
    for theta, psi in STATES:
        slope = [
            (half_squared_speed(plain, theta + h, psi) - half_squared_speed(plain, theta - h, psi)) / (2 * h),
            (half_squared_speed(plain, theta, psi + h) - half_squared_speed(plain, theta, psi - h)) / (2 * h),
        ]
        truth = [float(v) - weight * s for v, s in zip(plain.field(theta, psi), slope, strict=True)]
        assert [float(v) for v in game.field(theta, psi)] == pytest.approx(truth, abs=1e-8)
        assert [float(v) for v in game.float_field(theta, psi)] == pytest.approx(truth, abs=1e-8)


@pytest.mark.parametrize(
    ("state", "published_code", "exact"), [((1.0, 1.0), 0.0195, -0.0334), ((0.5, -1.5), 0.508, 0.786)]
)
def test_the_consensus_term_is_exact_where_a_well_known_code_halves_one_part(state, published_code, exact):
    """GAN_stability writes the regulariser's slope by theta with 0.5 psi (theta^2 + psi^2) f' f''; the factor is 1."""
    theta, psi = state
    weight = 1.0
    term = (
        float(dirac_gan().field(*state)[0]) - float(dirac_gan("saturating", Consensus(weight)).field(*state)[0])
    ) / weight
    first, second = expit(-theta * psi), -expit(theta * psi) * expit(-theta * psi)
    by_hand = theta * first**2 + psi * (theta**2 + psi**2) * first * second
    halved = theta * first**2 + 0.5 * psi * (theta**2 + psi**2) * first * second
    assert term == pytest.approx(by_hand, rel=1e-12)
    assert abs(halved - term) > 0.05
    # the two numbers that were measured on the published code and on finite differences of half the squared speed
    assert halved == pytest.approx(published_code, abs=6e-4)
    assert by_hand == pytest.approx(exact, abs=6e-4)


@pytest.mark.parametrize("name", ["hinge", "wasserstein"])
def test_kinked_objectives_take_consensus_too(name):
    path = simulate(dirac_gan(name, Consensus(1.0)), [(0.5, 0.5), (3.0, 2.0)], lr=0.1, steps=200)
    assert (path.status == "finished").all()
    assert path.radius[-1, 0] < 1e-3


def test_clipping_is_a_wall():
    game = dirac_gan("wasserstein", Clip(0.5))
    assert game.walls == ((-np.inf, np.inf), (-0.5, 0.5))
    assert dirac_gan().walls[1] == (-np.inf, np.inf)


def test_a_gradient_penalty_with_a_target_has_no_jacobian_and_one_without_has():
    assert not dirac_gan("saturating", GradientPenalty(0.7)).smooth
    assert dirac_gan("saturating", GradientPenalty(0.7, target=0)).smooth
    np.testing.assert_allclose(
        numeric_jacobian(dirac_gan("saturating", GradientPenalty(0.6, target=0))), [[0, -0.5], [0.5, -0.6]], atol=1e-8
    )


def test_conventions():
    game = dirac_gan("saturating", R1(0.3), InstanceNoise(0.7), tau=2)
    assert [s.name for s in game.symbols] == ["theta", "psi"]
    assert (game.generator, game.discriminator) == ((0,), (1,))
    assert game.name == "Dirac-GAN saturating + R1(0.3) + InstanceNoise(0.7)"
    assert repr(game).endswith("with gamma_1=0.3, tau=2")
    assert dirac_gan("saturating", GradientPenalty(2)).name.endswith("GradientPenalty(2, 1)")
    assert R1(0.3) == R1(0.3) != R2(0.3)


def test_the_curvature_may_be_a_symbol():
    epsilon = sp.Symbol("epsilon", real=True)
    matrix = symbolic_jacobian(dirac_gan("saturating", curvature=epsilon))
    assert matrix == sp.Matrix([[-epsilon / 2, -sp.Rational(1, 2)], [sp.Rational(1, 2), 0]])
    with pytest.raises(InputError, match="epsilon"):
        dirac_gan("saturating", curvature=epsilon).field  # noqa: B018


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        *[(lambda k=k, v=v: k(v), (k.__name__, "(0, inf)", repr(v)))
          for k in (R1, R2, Clip, Consensus, InstanceNoise, GradientPenalty)
          for v in (0, -1, float("nan"), float("inf"), True, "1", None)],
        (lambda: R1([0.1, 0.2]), ("R1's gamma must be one number",)),
        (lambda: InstanceNoise(-1), ("InstanceNoise's sigma",)),
        (lambda: Clip(-1), ("Clip's c",)),
        (lambda: GradientPenalty(1, -1), ("target", "[0, inf)", "-1")),
        (lambda: dirac_gan("gan"), ("objective", "'gan'", "wasserstein")),
        (lambda: dirac_gan("saturating", 0.3), ("a remedy must be one of", "R1", "InstanceNoise", "0.3")),
        (lambda: dirac_gan("saturating", R1), ("a remedy must be one of",)),
        (lambda: dirac_gan("saturating", Clip(1), Clip(2)), ("Clip was given twice",)),
        (lambda: dirac_gan("saturating", InstanceNoise(1), InstanceNoise(2)), ("InstanceNoise was given twice",)),
        (lambda: dirac_gan("saturating", Consensus(1), Consensus(2)), ("Consensus was given twice",)),
        (lambda: dirac_gan(tau=0), ("tau", "(0, inf)")),
        (lambda: dirac_gan(tau=float("nan")), ("tau", "nan")),
        (lambda: dirac_gan(curvature="bent"), ("curvature", "'bent'")),
        (lambda: dirac_gan("saturating", GradientPenalty(1), curvature=0.5), ("GradientPenalty", "flat critic")),
        (lambda: symbolic_jacobian(dirac_gan("saturating", InstanceNoise(1), curvature=0.5)),
         ("no closed mean", "numeric_jacobian")),
    ],
)  # fmt: skip
def test_bad_input_is_named(make, parts):
    with pytest.raises(InputError) as error:
        make()
    for part in parts:
        assert part in str(error.value)
