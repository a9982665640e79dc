"""A game's field is the gradient of what its players raise, whatever the coordinate, the rate and the remedy."""

import math
from functools import lru_cache

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy_torch import torch

from ganlab import OBJECTIVES, Game, InputError, NoEquilibrium, Objective, bilinear, pointwise, quadratic, simulate
from ganlab.objectives import identity, rest_score
from ganlab.primitives import sigmoid

quick = settings(max_examples=15, deadline=None, derandomize=True)
every = pytest.mark.parametrize("name", OBJECTIVES)
P_D = 0.3
STATES = [(0.2, 0.15), (0.35, 0.9), (0.6, 0.05), (0.8, 2.0)]


@lru_cache
def tilted(name):
    return pointwise(name, 0.37, tau=2.5, damping=0.1)


def gradient(payoff, variable, *values):
    """The derivative of a payoff by one of its variables, by torch."""
    tensors = [torch.tensor(float(v), dtype=torch.float64, requires_grad=True) for v in values]
    (slope,) = torch.autograd.grad(payoff(*tensors), tensors[variable], allow_unused=True)
    return 0.0 if slope is None else float(slope)


def raised(row, coordinate):
    """What the two players of one point raise: J(x, p_g) and I(x, p_g), with x the probability or the score."""

    def score(x):
        return torch.logit(x) if coordinate == "probability" and row.link is sigmoid else x

    rest = torch.tensor(float(rest_score(row).score), dtype=torch.float64)
    return (
        lambda x, p_g: P_D * row.f1(score(x)) + p_g * row.f2(score(x)),
        lambda x, p_g: p_g * (row.f3(score(x)) - row.f3(rest)),
    )


@every
@pytest.mark.parametrize(
    ("coordinate", "tau", "damping", "repair"),
    [
        ("probability", 1, 0, None),
        ("score", 2.5, 0, "project"),
        ("probability", 0.4, 0.7, "multiply"),
        ("score", 1, 1.5, None),
    ],
)
def test_the_pointwise_field_is_the_gradient_of_the_payoffs(name, coordinate, tau, damping, repair):
    row = OBJECTIVES[name]
    critic, generator = raised(row, coordinate)
    game = pointwise(name, P_D, coordinate, tau, damping, repair)
    rest = float(rest_score(row).D if coordinate == "probability" else rest_score(row).score)
    for x, p_g in STATES:
        v_x = tau * (gradient(critic, 0, x, p_g) - damping * (x - rest))
        v_p = gradient(generator, 1, x, p_g) * (p_g if repair == "multiply" else 1)
        assert [float(v) for v in game.field(x, p_g)] == pytest.approx([v_x, v_p], rel=1e-12, abs=1e-13)
        assert list(game.float_field(x, p_g)) == pytest.approx([v_x, v_p], rel=1e-12, abs=1e-13)


@every
@pytest.mark.parametrize(("coordinate", "repair"), [("probability", None), ("score", "project"), ("score", "multiply")])
def test_the_pointwise_field_vanishes_at_its_rest_point(name, coordinate, repair):
    game = pointwise(name, P_D, coordinate, tau=3, damping=0.5, repair=repair)
    assert game.rest[1] == P_D
    np.testing.assert_allclose(np.array(game.field(*game.rest), dtype=float), 0, atol=1e-14)


@every
def test_the_payoffs_of_a_damped_game_have_its_field_as_gradient(name):
    game = pointwise(name, P_D, tau=2, damping=0.5)
    for k, (payoff, symbol) in enumerate(zip(game.payoffs[::-1], game.symbols, strict=True)):
        values = dict(zip(game.symbols, (0.35, 0.9), strict=True)) | game.parameters
        assert float(payoff.diff(symbol).subs(values)) == pytest.approx(float(game.field(0.35, 0.9)[k]), rel=1e-12)


@every
@quick
@given(x=st.floats(0.01, 0.99), p_g=st.floats(0, 10))
def test_the_float_field_equals_the_array_field(name, x, p_g):
    game = tilted(name)
    np.testing.assert_allclose(
        game.float_field(x, p_g), np.array(game.field(x, p_g), dtype=float), rtol=1e-12, atol=1e-12
    )


def test_an_array_of_densities_is_one_field_for_each_start():
    densities, start = np.array([0.05, 0.2, 0.6]), (0.75, 0.9)
    together = simulate(pointwise("saturating", densities), start, lr=1e-2, steps=300)
    assert together.states.shape == (301, 3, 2)
    for k, p_d in enumerate(densities):
        alone = simulate(pointwise("saturating", p_d), [start], lr=1e-2, steps=300)
        np.testing.assert_array_equal(together.states[:, k], alone.states[:, 0])
        np.testing.assert_array_equal(together.radius[:, k], alone.radius[:, 0])
    one = simulate(pointwise("saturating", [0.05]), start, lr=1e-2, steps=300)
    assert one.states.shape == (301, 1, 2), "one density in a list is still a batch"
    np.testing.assert_array_equal(one.states[:, 0], together.states[:, 0])


def test_the_classical_field_by_hand():
    D, p_g = 0.75, 0.9
    by_hand = [0.2 / D - p_g / (1 - D), -math.log(1 - D) + math.log(0.5)]
    assert [float(v) for v in pointwise("saturating", 0.2).field(D, p_g)] == pytest.approx(by_hand, rel=1e-15)
    by_hand[1] = math.log(D) - math.log(0.5)
    assert [float(v) for v in pointwise("nonsaturating", 0.2).field(D, p_g)] == pytest.approx(by_hand, rel=1e-15)


def test_conventions_of_the_pointwise_game():
    game = pointwise("saturating", 0.2, tau=2)
    assert [s.name for s in game.symbols] == ["D", "p_g"]
    assert (game.generator, game.discriminator) == ((1,), (0,)), "the generator owns the density"
    assert game.domain == ((0.0, 1.0), (-np.inf, np.inf))
    assert game.admissible[1] == (0.0, np.inf)
    assert repr(game) == "Game 'pointwise saturating' in (D, p_g) with p_d=0.2, tau=2"
    assert pointwise("wasserstein").domain[0] == (-np.inf, np.inf), "a critic's score has no bounds"
    assert pointwise("saturating", coordinate="score").domain[0] == (-np.inf, np.inf)
    assert pointwise("saturating", coordinate="score").symbols[0].name == "t"
    assert pointwise("saturating", repair="project").walls[1] == (0.0, np.inf)
    assert pointwise("saturating", repair="multiply").payoffs is None


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 1), (2, 3)])
def test_the_quadratic_field_is_the_gradient_of_its_loss(n, m):
    rng = np.random.default_rng(7)
    P, A, Q = rng.normal(size=(n, n)), rng.normal(size=(n, m)), rng.normal(size=(m, m))
    z = rng.normal(size=n + m)

    def loss(z):
        x, y, p, a, q = z[:n], z[n:], *map(torch.from_numpy, (P, A, Q))
        return x @ p @ x / 2 + x @ a @ y - y @ q @ y / 2

    tensor = torch.from_numpy(z).requires_grad_()
    (slope,) = torch.autograd.grad(loss(tensor), tensor)
    game = quadratic(P, A, Q)
    np.testing.assert_allclose(
        np.array(game.field(*z), dtype=float), np.concatenate([-slope[:n], slope[n:]]), rtol=1e-12
    )
    assert game.generator == tuple(range(n))
    assert game.rest == (0,) * (n + m)


def test_the_bilinear_game_turns():
    game = bilinear(3)
    assert [float(v) for v in game.field(2.0, 5.0)] == [-15.0, 6.0]
    assert game.name == "bilinear"


def test_payoff_derivatives_are_those_of_torch():
    game = pointwise("nonsaturating", P_D)
    row = OBJECTIVES["nonsaturating"]
    critic, _ = raised(row, "probability")
    push, mixed, own = game.derivatives(1, (0,), (0, 1), (0, 0))(0.35, 0.9)
    assert float(push) == pytest.approx(gradient(critic, 0, 0.35, 0.9), rel=1e-12)
    D, p_g = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.35, 0.9))
    (slope,) = torch.autograd.grad(critic(D, p_g), D, create_graph=True)
    second = [float(s) for s in torch.autograd.grad(slope, (D, p_g))]
    assert [float(own), float(mixed)] == pytest.approx(second, rel=1e-12)


def test_a_game_without_an_equilibrium_says_so():
    x = sp.Symbol("x", real=True)
    game = Game("drift", (x,), (sp.Integer(1),), equilibrium=None)
    with pytest.raises(InputError, match="drift has no equilibrium"):
        game.rest  # noqa: B018
    path = simulate(game, (0.0,), lr=0.5, steps=4)
    assert path.last.tolist() == [2.0]


def test_a_symbol_without_a_value_is_named():
    from ganlab import least_squares

    game = pointwise(least_squares(*sp.symbols("a b c")))
    with pytest.raises(InputError, match="cannot be computed before a, b, c is given a number"):
        game.field  # noqa: B018
    with pytest.raises(InputError, match="a, b, c"):
        game.float_field  # noqa: B018


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: pointwise("saturating", 0), ("p_d", "(0, inf)", "0")),
        (lambda: pointwise("saturating", -0.2), ("p_d", "(0, inf)", "-0.2")),
        (lambda: pointwise("saturating", float("nan")), ("p_d", "nan")),
        (lambda: pointwise("saturating", "0.2"), ("p_d", "'0.2'")),
        (lambda: pointwise("saturating", True), ("p_d", "True")),
        (lambda: pointwise("saturating", []), ("p_d", "[]")),
        (lambda: pointwise("saturating", [0.1, 0]), ("p_d", "(0, inf)")),
        (lambda: pointwise("saturating", [[0.1, 0.2]]), ("p_d", "one for each start", "(1, 2)")),
        (lambda: pointwise("saturating", sp.Rational(-1, 5)), ("p_d", "-1/5")),
        (lambda: pointwise("saturating", sp.Symbol("p")), ("p_d must be a number", "p")),
        (lambda: pointwise("saturating", tau=0), ("tau", "(0, inf)")),
        (lambda: pointwise("saturating", tau=[1, 2]), ("tau must be one number", "(2,)")),
        (lambda: pointwise("saturating", damping=-1), ("damping", "[0, inf)", "-1")),
        (lambda: pointwise("minimax"), ("objective", "'minimax'", "saturating")),
        (lambda: pointwise("hinge", coordinate="logit"), ("coordinate", "probability, score")),
        (lambda: pointwise("hinge", repair="clip"), ("repair", "'clip'", "None, multiply, project")),
        (lambda: pointwise("hinge", repair=["project"]), ("repair", "None, multiply, project")),
        (lambda: bilinear(float("inf")), ("strength", "inf")),
        (lambda: bilinear([1, 2]), ("strength must be one number",)),
        (lambda: quadratic([[1, 2]], [[1]], [[1]]), ("(n, n)", "(1, 2)")),
        (lambda: quadratic([[1]], [[1, 2]], [[1]]), ("(m, m)", "(1, 1)")),
        (lambda: quadratic(np.zeros((1, 1, 1)), np.zeros((1, 1, 1)), [[1]]), ("(n, m)", "(1, 1, 1)")),
        (lambda: quadratic([[np.nan]], [[1]], [[1]]), ("P must be a finite number", "nan")),
        (lambda: quadratic("P", [[1]], [[1]]), ("P must be a", "'P'")),
        (lambda: quadratic([], [[1]], [[1]]), ("P must be a", "[]")),
        (lambda: pointwise("saturating", repair="multiply").derivatives(0, (0,)), ("no payoffs",)),
    ],
)
def test_bad_input_is_named(make, parts):
    with pytest.raises(InputError) as error:
        make()
    for part in parts:
        assert part in str(error.value)


def test_an_objective_without_a_rest_score_makes_no_game():
    with pytest.raises(NoEquilibrium, match="no real root"):
        pointwise(Objective(identity, identity, identity))


def test_exact_numbers_become_plain_floats():
    game = pointwise("saturating", sp.Rational(1, 5))
    assert repr(game).endswith("p_d=0.2")
    assert type(game.float_field(0.75, 0.9)[0]) is float
