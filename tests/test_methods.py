"""Each training method against five lines written out from its paper, and against its closed form."""

import math

import numpy as np
import pytest
from lazy_torch import torch
from scipy.special import expit

from ganlab import (
    METHODS,
    R1,
    Clip,
    Consensus,
    InputError,
    InstanceNoise,
    bilinear,
    dirac_gan,
    multipliers,
    pointwise,
    quadratic,
    simulate,
)

GAMMA, H, START, STEPS = 0.3, 0.15, np.array([1.1, -0.6]), 25
GAME = dirac_gan("saturating", R1(GAMMA))


def v(z):
    """The Dirac-GAN with R1, by hand: z = (theta, psi)."""
    push = expit(-z[0] * z[1])
    return np.array([-z[1] * push, z[0] * push - GAMMA * z[1]])


def run(step, steps=STEPS):
    """Iterate ``step(z, previous z) -> z`` from the start."""
    path = [START, START]
    for _ in range(steps):
        path.append(step(path[-1], path[-2]))
    return np.array(path[1:])


def turns(order):
    """Players that move one after the other: 0 is the generator, 1 the discriminator."""

    def step(z, _):
        z = z.copy()
        for i in order:
            z[i] += H * v(z)[i]
        return z

    return step


def in_turn_with_memory(beta):
    def step(z, old):
        theta = z[0] + H * v(z)[0] + beta * (z[0] - old[0])
        psi = z[1] + H * v(np.array([theta, z[1]]))[1] + beta * (z[1] - old[1])
        return np.array([theta, psi])

    return step


def rk4_step(z, _):
    a = v(z)
    b = v(z + H / 2 * a)
    c = v(z + H / 2 * b)
    d = v(z + H * c)
    return z + H * (a + 2 * b + 2 * c + d) / 6


BY_HAND = [
    ("simultaneous", {}, lambda z, _: z + H * v(z)),
    ("euler", {}, lambda z, _: z + H * v(z)),
    ("alternating", {}, turns([0, 1])),
    ("alternating", {"first": "discriminator"}, turns([1, 0])),
    ("alternating", {"n_g": 2, "n_d": 3}, turns([0, 0, 1, 1, 1])),
    ("alternating", {"n_g": 1, "n_d": 5, "first": "discriminator"}, turns([1, 1, 1, 1, 1, 0])),
    ("extragradient", {}, lambda z, _: z + H * v(z + H * v(z))),
    ("optimistic", {}, lambda z, old: z + 2 * H * v(z) - H * v(old)),
    ("momentum", {}, lambda z, old: z + H * v(z) + 0.9 * (z - old)),
    ("momentum", {"beta": -0.2}, lambda z, old: z + H * v(z) - 0.2 * (z - old)),
    ("negative_momentum", {}, in_turn_with_memory(-0.5)),
    ("negative_momentum", {"beta": -0.1}, in_turn_with_memory(-0.1)),
    ("rk4", {}, rk4_step),
    ("unrolled", {"K": 0}, lambda z, _: z + H * v(z)),
]


@pytest.mark.parametrize(("method", "options", "step"), BY_HAND)
def test_a_method_is_its_definition(method, options, step):
    path = simulate(GAME, START, method, lr=H, steps=STEPS, **options)
    np.testing.assert_allclose(path.states, run(step), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("options", [{}, {"beta1": 0.9, "beta2": 0.99, "eps": 1e-3}])
def test_adam_is_torchs_adam(options):
    settings = {"beta1": 0.5, "beta2": 0.999, "eps": 1e-8} | options
    z = torch.tensor(START, requires_grad=True)
    optimiser = torch.optim.Adam(
        [z], lr=H, betas=(settings["beta1"], settings["beta2"]), eps=settings["eps"], maximize=True
    )
    truth = [START]
    for _ in range(STEPS):
        z.grad = torch.from_numpy(v(z.detach().numpy()))
        optimiser.step()
        truth.append(z.detach().numpy().copy())
    np.testing.assert_allclose(simulate(GAME, START, "adam", lr=H, steps=STEPS, **options).states, truth, rtol=1e-11)


def test_two_step_sizes_go_to_their_players():
    path = simulate(GAME, START, lr=(0.05, 0.2), steps=1)
    np.testing.assert_allclose(path.last, START + np.array([0.05, 0.2]) * v(START), rtol=1e-14)
    game = pointwise("saturating", 0.2)  # here the generator owns the second coordinate
    slow, fast = (simulate(game, (0.6, 0.5), lr=lr, steps=1).last for lr in ((1e-9, 0.1), (0.1, 1e-9)))
    np.testing.assert_allclose([slow[1], fast[0]], [0.5, 0.6], atol=1e-8)


def unrolled_by_hand(theta, psi, K, eta, through, h=1e-5):
    """The generator's slope against the looked-ahead critic, by finite differences of -f(theta psi_K) - log 2."""

    def ahead(moved, shown):
        q = psi
        for _ in range(K):
            q = q + eta * (moved * expit(-moved * q) - GAMMA * q)
        return np.logaddexp(0, -shown * q)  # the generator's gain: softplus of the score -theta psi

    def gain(t):
        return ahead(t, t) if through else ahead(theta, t)

    return (gain(theta + h) - gain(theta - h)) / (2 * h)


@pytest.mark.parametrize("K", [1, 2, 7])
@pytest.mark.parametrize(("eta", "through"), [(None, True), (0.4, True), (0.4, False)])
def test_unrolling_differentiates_the_generators_gain_through_the_critics_steps(K, eta, through):
    path = simulate(GAME, START, "unrolled", lr=(0.1, H), steps=1, K=K, eta=eta, through=through)
    slope = unrolled_by_hand(*START, K, H if eta is None else eta, through)
    assert path.last[0] == pytest.approx(START[0] + 0.1 * slope, abs=1e-10)
    assert path.last[1] == pytest.approx(START[1] + H * v(START)[1], rel=1e-14), "the critic takes its plain step"


@pytest.mark.parametrize("K", [1, 5, 12])
@pytest.mark.parametrize("eta", [0.1, 0.5])
def test_unrolling_damps_the_rotation_and_the_stopped_gradient_damps_half_as_much(K, eta):
    slope = 0.5  # f'(0)
    for through, damping in ((True, K * eta * slope**2), (False, K * eta * slope**2 / 2)):
        root = np.sqrt(complex(damping**2 - slope**2))
        truth = sorted([1 + 0.2 * (-damping + root), 1 + 0.2 * (-damping - root)], key=lambda m: (m.real, m.imag))
        found = sorted(
            multipliers(dirac_gan(), "unrolled", lr=0.2, K=K, eta=eta, through=through),
            key=lambda m: (round(m.real, 9), m.imag),
        )
        np.testing.assert_allclose(found, truth, atol=1e-9)


def test_unrolling_works_with_noise_and_keeps_the_consensus_term():
    noisy = simulate(dirac_gan("saturating", InstanceNoise(0.7)), (1, 1), "unrolled", lr=0.2, steps=400)
    assert noisy.radius[-1] < 1e-3
    plain = simulate(dirac_gan("saturating"), (1, 1), "unrolled", lr=0.1, steps=1).last
    euler, both = (simulate(dirac_gan("saturating", *r), (1, 1), lr=0.1, steps=1).last for r in ((), (Consensus(0.8),)))
    together = simulate(dirac_gan("saturating", Consensus(0.8)), (1, 1), "unrolled", lr=0.1, steps=1).last
    np.testing.assert_allclose(together, plain + both - euler, rtol=1e-13)


@pytest.mark.parametrize(("method", "area"), [("alternating", 1.0), ("simultaneous", 1 + 0.3**2 * 4), ("rk4", None)])
def test_alternating_keeps_area_in_a_bilinear_game_and_simultaneous_steps_blow_it_up(method, area):
    corners = simulate(bilinear(2.0), [(0.8, -1.3), (0.9, -1.3), (0.8, -1.2)], method, lr=0.3, steps=5).last
    found = np.linalg.det(corners[1:] - corners[0]) / 0.01
    if area is None:  # RK4 is neither: its multipliers at ih have modulus below one
        assert 0.9 < found < 1
    else:
        assert found == pytest.approx(area**5, rel=1e-11)


def test_alternating_wasserstein_keeps_its_quadratic_form_and_simultaneous_steps_grow_exactly():
    h = 0.2
    theta, psi = simulate(dirac_gan("wasserstein"), (1, 1), "alternating", lr=h, steps=2000).states.T
    form = theta**2 + psi**2 - h * theta * psi
    np.testing.assert_allclose(form, form[0], rtol=1e-11)
    path = simulate(bilinear(), (1, 1), lr=h, steps=100)
    np.testing.assert_allclose(path.radius, math.sqrt(2) * (1 + h**2) ** (np.arange(101) / 2), rtol=1e-12)


def decay(t):
    """The solution of x' = -x/2 - y, y' = x - y/2 from (1, 0): a damped rotation."""
    return math.exp(-t / 2) * np.array([math.cos(t), math.sin(t)])


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("rk4", 4), ("extragradient", 1), ("alternating", 1)])
def test_the_order_of_convergence_is_measured(method, order):
    game, errors = quadratic([[0.5]], [[1.0]], [[0.5]]), []
    steps = np.array([20, 40, 80, 160])
    for n in steps:
        errors.append(np.abs(simulate(game, (1.0, 0.0), method, lr=2.0 / n, steps=int(n)).last - decay(2.0)).max())
    measured = np.polyfit(np.log(1 / steps), np.log(errors), 1)[0]
    assert measured == pytest.approx(order, abs=0.12)


@pytest.mark.parametrize("method", METHODS)
def test_no_method_crosses_a_wall(method):
    if method == "unrolled":
        clipped = simulate(dirac_gan("wasserstein", Clip(0.3)), [(1, 0.1), (-2, 0.3)], method, lr=0.2, steps=200)
        assert np.abs(clipped.states[..., 1]).max() <= 0.3
        return
    clipped = simulate(dirac_gan("wasserstein", Clip(0.3)), [(1, 0.1), (-2, 0.3)], method, lr=0.2, steps=200)
    assert np.abs(clipped.states[..., 1]).max() == 0.3, "the wall is reached and kept"
    game = pointwise("saturating", p_d=0.05, repair="project")
    kept = simulate(game, [(0.25, 0.9), (0.3, 0.5)], method, lr=0.01, steps=600)
    assert kept.states[..., 1].min() >= 0
    alone = simulate(game, (0.25, 0.9), method, lr=0.01, steps=600)
    assert alone.states[..., 1].min() >= 0


def test_a_wall_is_met_by_every_turn_of_the_players():
    """The discriminator that moves second sees a density that is not negative."""
    game = pointwise("saturating", p_d=0.05, repair="project")
    for method in ("alternating", "negative_momentum"):
        D, p_g = simulate(game, (0.2, 0.01), method, lr=0.1, steps=1).last
        assert p_g == 0
        assert pytest.approx(0.2 + 0.1 * (0.05 / 0.2), rel=1e-13) == D


def test_the_table_lists_every_method_once():
    assert METHODS["euler"] is METHODS["simultaneous"]
    assert {name for name, method in METHODS.items() if not method.linear} == {"adam"}
    for method in METHODS.values():
        assert method.step.__doc__


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"method": "sgd"}, ("unknown method 'sgd'", ", ".join(sorted(METHODS)))),
        ({"method": None}, ("unknown method None", "euler")),
        ({"method": ["euler"]}, ("unknown method ['euler']",)),
        ({"beta": 0.5}, ("simultaneous has no option 'beta'", "none")),
        ({"method": "adam", "beta": 0.5}, ("adam has no option 'beta'", "beta1, beta2, eps")),
        *[
            ({"lr": bad}, ("lr", "(0, inf)", repr(bad)))
            for bad in (0, -0.1, float("nan"), float("inf"), True, "0.1", None, [], (0.1, 0))
        ],
        ({"lr": (0.1, 0.2, 0.3)}, ("lr must be one number or a pair", "(0.1, 0.2, 0.3)")),
        *[({"method": "alternating", "n_d": bad}, ("n_d", "at least 1", repr(bad))) for bad in (0, -1, 1.5, True, "2")],
        ({"method": "alternating", "n_g": 0}, ("n_g",)),
        ({"method": "alternating", "first": "both"}, ("unknown first 'both'", "discriminator, generator")),
        *[
            ({"method": "unrolled", "K": bad}, ("K must be a whole number of at least 0", repr(bad)))
            for bad in (-1, True, 2.0)
        ],
        ({"method": "unrolled", "eta": -1}, ("eta", "(0, inf)")),
        ({"method": "unrolled", "through": "no"}, ("unknown through 'no'", "False, True")),
        *[({"method": "momentum", "beta": bad}, ("beta", "(-1, 1)")) for bad in (1, -1, float("nan"), "x")],
        ({"method": "adam", "beta1": 1}, ("beta1", "[0, 1)")),
        ({"method": "adam", "beta2": -0.1}, ("beta2", "[0, 1)")),
        ({"method": "adam", "eps": 0}, ("eps", "(0, inf)")),
    ],
)
def test_bad_input_is_named(options, parts):
    with pytest.raises(InputError) as error:
        simulate(GAME, START, **({"steps": 3} | options))
    for part in parts:
        assert part in str(error.value)


def test_unrolling_needs_payoffs_and_two_coordinates():
    with pytest.raises(InputError, match="no payoffs"):
        simulate(pointwise("saturating", repair="multiply"), (0.5, 0.5), "unrolled")
    with pytest.raises(InputError, match="one coordinate a player"):
        simulate(quadratic(np.eye(2), np.eye(2), np.eye(2)), np.ones(4), "unrolled")
