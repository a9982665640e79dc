"""The claims of the page `vector-field`: one planar field at every point of a GAN over free functions."""

from pathlib import Path

import nbformat
import numpy as np
import pytest
import sympy as sp
from lazy_torch import torch
from proofs import claims_of
from scipy.integrate import solve_ivp
from scipy.optimize import fsolve, linprog

import ganlab as gl
from ganlab.primitives import exp
from ganlab.theory import constants, curl

claim = claims_of("vector-field")

PAGE = Path(__file__).resolve().parents[2] / "book" / "vector-field.ipynb"
NAMED = ("saturating", "nonsaturating", "maximum_likelihood", "quadratic", "least_squares", "wasserstein")
STARTS = ((0.75, 0.9), (0.25, 0.9))
# The sources' fields, typed by hand: the oracle for what the package derives from f1, f2 and f3.
BY_HAND = {
    "saturating": lambda D, q, p: (p / D - q / (1 - D), -np.log(1 - D) + np.log(0.5)),
    "nonsaturating": lambda D, q, p: (p / D - q / (1 - D), np.log(D) - np.log(0.5)),
    "maximum_likelihood": lambda D, q, p: (p / D - q / (1 - D), D / (1 - D) - 1),
    "quadratic": lambda D, q, p: (-p * D + q, 1 - D),
    "least_squares": lambda D, q, p: (p * (1 - D) - q * D, -((D - 1) ** 2) / 2 + 1 / 8),
    "wasserstein": lambda D, q, p: (p - q, D),
}
REST = dict.fromkeys(NAMED, 0.5) | {"quadratic": 1.0, "wasserstein": 0.0}
# f1, f2, f3 in torch, for autograd.
TORCH = {
    "saturating": (lambda D: torch.log(D), lambda D: torch.log(1 - D), lambda D: -torch.log(1 - D)),
    "nonsaturating": (lambda D: torch.log(D), lambda D: torch.log(1 - D), lambda D: torch.log(D)),
    "maximum_likelihood": (lambda D: torch.log(D), lambda D: torch.log(1 - D), lambda D: D / (1 - D)),
    "quadratic": (lambda D: -D * D / 2, lambda D: D, lambda D: -D),
    "least_squares": (lambda D: -((D - 1) ** 2) / 2, lambda D: -D * D / 2, lambda D: -((D - 1) ** 2) / 2),
    "wasserstein": (lambda D: D, lambda D: -D, lambda D: D),
}


def hand_flow(name, p_d, start, T, **options):
    """The flow of a hand-written field, by SciPy."""
    return solve_ivp(lambda t, z: BY_HAND[name](*z, p_d), (0, T), start, rtol=1e-10, atol=1e-12, **options)


def lattice(D, p_g):
    """All pairs of the two arrays, as starts."""
    return np.array(np.meshgrid(D, p_g, indexing="ij")).reshape(2, -1).T


def grid(m=81, reach=4.0):
    """A grid, its spacing, and two Gaussian densities on it."""
    x, dx = np.linspace(-reach, reach, m, retstep=True)
    densities = (np.exp(-((x - c) ** 2) / 2) / np.sqrt(2 * np.pi) for c in (0.7, -0.5))
    return x, dx, *densities


def page_cell(start_of_source):
    """Names defined by the cell of the page that holds `start_of_source`, run as the page runs it."""
    cells = [c for c in nbformat.read(PAGE, as_version=4).cells if start_of_source in c.source]
    assert len(cells) == 1, f"{len(cells)} cells hold {start_of_source!r}"
    names = {"np": np, "gl": gl}
    exec(cells[0].source, names)
    return names


# ------------------------------------------------------------------ potential fields and curl


@claim("F-11")
def test_the_potential_strictly_grows_along_a_gradient_flow_which_therefore_never_returns():
    rng = np.random.default_rng(1)
    c = rng.normal(size=6)

    def phi(z):  # a bounded-below-and-above random potential
        x, y = z
        return (
            c[0] * np.sin(x) + c[1] * np.cos(2 * y) + c[2] * np.sin(x + y) + c[3] * np.cos(x - 2 * y) + c[4] * np.sin(y)
        )

    def gradient(t, z):
        return [(phi(z + e) - phi(z - e)) / 2e-6 for e in 1e-6 * np.eye(2)]

    for start in rng.uniform(-3, 3, (5, 2)):
        run = solve_ivp(gradient, (0, 6), start, rtol=1e-9, atol=1e-11, t_eval=np.linspace(0, 6, 200))
        moved = np.linalg.norm(np.diff(run.y, axis=1), axis=0) > 1e-6
        assert np.all(np.diff([phi(z) for z in run.y.T])[moved] > 0)
    # a rotation is no gradient field, and it does return
    turn = solve_ivp(lambda t, z: [-z[1], z[0]], (0, 2 * np.pi), [1, 0], rtol=1e-10, atol=1e-12)
    assert np.allclose(turn.y[:, -1], [1, 0], atol=1e-8)


@claim("F-12")
def test_a_classifiers_field_has_a_symmetric_jacobian_and_a_gans_has_not():
    torch.manual_seed(0)
    x, y = torch.randn(40, 3, dtype=torch.float64), (torch.rand(40) < 0.5).double()

    def objective(w):  # a network with one hidden layer: 4 * 3 + 4 weights
        hidden = torch.tanh(x @ w[:12].reshape(3, 4))
        return -torch.nn.functional.binary_cross_entropy_with_logits(hidden @ w[12:], y)

    w = torch.randn(16, dtype=torch.float64)
    A = torch.autograd.functional.jacobian(
        lambda v: torch.autograd.functional.jacobian(objective, v, create_graph=True), w
    )
    assert torch.allclose(A, A.T, atol=1e-12)
    A = gl.numeric_jacobian(gl.pointwise("saturating", 0.2), at=(0.75, 0.9))
    assert abs(A[0, 1] - A[1, 0]) > 1


@claim("F-13")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("saturating", lambda D: 2 / (1 - D)),
        ("nonsaturating", lambda D: 1 / (D * (1 - D))),
        ("wasserstein", lambda D: 2),
        ("quadratic", lambda D: -2),
        ("least_squares", lambda D: 1),  # c - a for (0, 1, 1)
        ("maximum_likelihood", lambda D: 1 / (1 - D) ** 2 + 1 / (1 - D)),
    ],
)
def test_the_curl_of_every_named_gan_is_the_printed_one_and_not_zero(name, expected):
    D = sp.Symbol("D", real=True)
    assert sp.simplify(curl(name) - expected(D)) == 0
    for d in (0.2, 0.6, 0.9):
        A = gl.numeric_jacobian(gl.pointwise(name, 0.3), at=(d, 0.4))
        assert A[1, 0] - A[0, 1] == pytest.approx(float(expected(d)), abs=1e-4)
        assert abs(expected(d)) > 0.5


@claim("F-13")
def test_the_field_is_a_gradient_when_the_players_cooperate():
    friends = gl.Objective(f1=lambda t: -(t**2), f2=lambda t: -(t**2) / 2, f3=lambda t: -(t**2) / 2, name="friends")
    assert curl(friends) == 0


# ------------------------------------------------------------------ variational derivatives


@claim("F-15")
@pytest.mark.parametrize("name", NAMED)
def test_a_finite_perturbation_of_one_cell_gives_the_variational_derivative(name):
    x, dx, p_d, p_g = grid()
    f1, f2, f3 = ((lambda D, f=f: f(torch.as_tensor(D)).numpy()) for f in TORCH[name])
    D = 0.5 + 0.3 * np.tanh(x)

    def J(D, p_g):
        return np.sum(p_d * f1(D) + p_g * f2(D)) * dx

    def I(D, p_g):  # noqa: E743
        return np.sum(p_g * f3(D)) * dx

    for k in (20, 40, 55):
        bump = 1e-5 * (np.arange(len(x)) == k)
        rows = gl.pointwise(name, p_d=p_d[k]).field(D[k], p_g[k])
        shift = f3(np.array(REST[name]))
        assert (J(D + bump, p_g) - J(D - bump, p_g)) / 2e-5 / dx == pytest.approx(float(rows[0]), abs=1e-6)
        assert (I(D, p_g + bump) - I(D, p_g - bump)) / 2e-5 / dx == pytest.approx(float(rows[1] + shift), abs=1e-6)
        # neighbours do not matter
        other = D.copy()
        other[k - 1 : k + 2 : 2] = 0.9
        assert (J(other + bump, p_g) - J(other - bump, p_g)) / 2e-5 / dx == pytest.approx(float(rows[0]), abs=1e-6)


@claim("F-16")
def test_a_step_along_the_variational_derivative_gains_its_squared_norm_to_first_order_and_nothing_gains_more():
    x, dx, p_d, p_g = grid()
    D = 0.5 + 0.2 * np.tanh(x)
    slope = gl.pointwise("saturating", p_d=p_d).field(D, p_g)[0]

    def J(D):
        return np.sum(p_d * np.log(D) + p_g * np.log(1 - D)) * dx

    squared = np.sum(slope**2) * dx
    error = [J(D + eps * slope) - J(D) - eps * squared for eps in (1e-2, 5e-3, 2.5e-3)]
    assert np.allclose([error[0] / error[1], error[1] / error[2]], 4, atol=0.3)  # the remainder is of second order
    rng = np.random.default_rng(0)
    for _ in range(20):
        other = rng.normal(size=len(x))
        other *= np.sqrt(squared / (np.sum(other**2) * dx))
        assert J(D + 1e-4 * other) < J(D + 1e-4 * slope)


@claim("F-27")
@pytest.mark.parametrize("name", NAMED)
def test_a_whole_grid_at_once_equals_independent_points(name):
    p_d, starts = np.array([0.15, 0.3, 0.6]), np.array([[0.6, 0.2], [0.4, 0.5], [0.55, 0.4]])
    together = gl.flow(gl.pointwise(name, p_d=p_d), starts, T=5, points=11)
    for k in range(3):
        alone = hand_flow(name, p_d[k], starts[k], 5, t_eval=np.linspace(0, 5, 11))
        assert np.allclose(together.states[:, k], alone.y.T, atol=1e-7)


# ------------------------------------------------------------------ the rest point


@claim("F-28")
def test_the_rest_value_of_every_named_gan_solves_its_equation():
    a, b, c = sp.symbols("a b c", real=True)
    for name in NAMED:
        D = torch.tensor(float(constants(name)[0]), dtype=torch.float64, requires_grad=True)
        slope = torch.autograd.grad(TORCH[name][0](D) + TORCH[name][1](D), D)[0]
        assert abs(float(slope)) < 1e-12
        assert float(D.detach()) == REST[name]
    assert sp.simplify(constants(gl.least_squares(a, b, c))[0] - (a + b) / 2) == 0
    D = torch.linspace(-2, 2, 9, dtype=torch.float64)
    assert torch.equal(TORCH["wasserstein"][0](D) + TORCH["wasserstein"][1](D), 0 * D)  # so any D0 will do


@claim("F-29")
def test_a_constant_in_f3_changes_the_generators_functional_by_a_constant_on_normalised_densities():
    x, dx, p_d, p_g = grid(161, 8.0)
    f3 = -np.log(1 - (0.5 + 0.2 * np.tanh(x)))
    gain = [np.sum(p * (f3 + 3.7)) * dx - np.sum(p * f3) * dx for p in (p_d, p_g)]
    assert np.allclose(gain, 3.7, atol=1e-9)


@claim("F-29")
def test_the_free_field_lets_the_mass_drift_and_the_mean_keeps_it():
    x, dx, p_d, p_g = grid(41, 2.0)
    D = 0.5 + 0.2 * np.tanh(x)
    dt = 1e-4
    path = gl.flow(gl.pointwise("saturating", p_d=p_d), np.column_stack([D, p_g]), T=2 * dt, points=3)
    mass = path.states[..., 1].sum(axis=1) * dx
    middle = path.states[1, :, 0]
    predicted = np.sum(-np.log(1 - middle) + np.log(0.5)) * dx
    assert (mass[2] - mass[0]) / (2 * dt) == pytest.approx(predicted, rel=1e-6)
    assert abs(predicted) > 0.01  # the source's shift is not harmless here
    at_rest = gl.pointwise("saturating", p_d=p_d).field(np.full(41, 0.5), p_d)[1]
    assert np.allclose(at_rest, 0, atol=1e-14)
    f3 = -np.log(1 - D)
    assert abs(np.sum(f3 - f3.mean()) * dx) < 1e-12
    # and the mean is the nearest point: the orthogonal projection onto velocities of total zero
    projector = np.eye(41) - np.ones((41, 41)) / 41
    assert np.allclose(f3 - f3.mean(), projector @ f3)


@claim("F-30")
@pytest.mark.parametrize("name", NAMED)
def test_only_the_shift_by_f3_makes_the_field_vanish_at_the_rest_point(name):
    game = gl.pointwise(name, p_d=0.3)
    assert np.allclose(game.field(REST[name], 0.3), 0, atol=1e-12)
    f1, f2, f3 = (float(f(torch.tensor(REST[name], dtype=torch.float64))) for f in TORCH[name])
    if name == "saturating":  # the printed f(D0), read as either of the other two, does not rest
        assert abs(f3 - f1) > 1
        assert abs(f3 - f2) > 1


@claim("F-37", "F-53")
@pytest.mark.parametrize("name", [n for n in NAMED if n != "wasserstein"])
def test_the_only_admissible_rest_point_is_the_right_one(name):
    rng = np.random.default_rng(3)
    found = set()
    low, high = (0.02, 0.98) if name in ("saturating", "nonsaturating", "maximum_likelihood") else (-4, 4)
    for start in zip(rng.uniform(low, high, 60), rng.uniform(-2, 3, 60), strict=True):
        with np.errstate(all="ignore"):
            root, _, ok, _ = fsolve(lambda z: BY_HAND[name](*z, 0.3), start, full_output=True)
            speed = np.max(np.abs(gl.pointwise(name, 0.3).field(*root)))
        if ok == 1 and speed < 1e-8:
            found.add((round(root[0], 6) + 0.0, round(root[1], 6) + 0.0))
    assert {z for z in found if z[1] >= 0} == {(REST[name], 0.3)}
    assert found - {(REST[name], 0.3)} == ({(1.5, -0.1)} if name == "least_squares" else set())


@claim("F-53")
def test_lsgan_has_a_second_rest_point_which_other_labels_make_admissible():
    field = gl.pointwise("least_squares", p_d=0.3).field
    assert np.allclose(field(1.5, -0.1), 0, atol=1e-12)
    values = np.linalg.eigvals(gl.numeric_jacobian(gl.pointwise("least_squares", p_d=0.3), at=(1.5, -0.1)))
    assert values.real.min() < 0 < values.real.max()  # a saddle
    for a, b, c, admissible in (
        (0, 1, 0.6, True),
        (0, 1, 0.74, True),
        (0, 1, 0.76, False),
        (-1, 2, 1.2, True),
        (-1, 2, 1.3, False),
    ):
        game = gl.pointwise(gl.least_squares(a, b, c), p_d=0.3)
        D = 2 * c - (a + b) / 2
        density = 0.3 * (b - D) / (D - a)
        assert np.allclose(game.field(D, density), 0, atol=1e-12)
        assert (density >= 0) == admissible == (c <= (a + 3 * b) / 4)
    assert constants(gl.least_squares(-1, 1, 0))[2] == 0  # the degenerate coding


@claim("F-37")
def test_off_the_data_the_saturating_rest_point_is_a_centre():
    assert np.allclose(sorted(np.linalg.eigvals([[0.0, -2], [2, 0]]).imag), [-2, 2])
    A = gl.symbolic_jacobian(gl.pointwise("saturating")).subs(sp.Symbol("p_d", positive=True), 0)
    assert sp.Matrix([[0, -2], [2, 0]]) == A


@claim("F-63")
def test_the_game_over_functions_has_an_equilibrium():
    _x, dx, p_d, _ = grid(161, 8.0)
    half = np.full(161, 0.5)

    def J(D, p_g):
        return np.sum(p_d * np.log(D) + p_g * np.log(1 - D)) * dx

    rng = np.random.default_rng(0)
    for _ in range(20):  # no player gains by moving alone
        other = np.clip(half + 0.3 * rng.uniform(-1, 1, 161), 0.01, 0.99)
        assert J(other, p_d) < J(half, p_d)
        density = p_d * rng.uniform(0.2, 2, 161)
        density /= density.sum() * dx
        assert J(half, density) == pytest.approx(J(half, p_d), abs=1e-9)


@claim("F-63")
def test_a_toy_with_few_parameters_has_no_equilibrium():
    psi1, psi2, theta, x = sp.symbols("psi_1 psi_2 theta x", real=True)
    critic = psi1 * x + psi2 * x**2
    J = (critic.subs(x, 1) + critic.subs(x, -1)) / 2 - critic.subs(x, theta)
    slope = [J.diff(psi1), J.diff(psi2)]
    assert sp.solve(slope, theta, dict=True) == []
    length = sum(g**2 for g in slope)  # for every theta the critic can gain
    assert min(float(length.subs(theta, t)) for t in np.linspace(-3, 3, 601)) > 0.7


# ------------------------------------------------------------------ local stability


@claim("F-31")
def test_negative_real_parts_are_the_rate_of_decay_and_bound_eulers_step():
    game = gl.pointwise("saturating", p_d=0.8)  # a node
    slow = max(np.linalg.eigvals(np.array([[-6.4, -2], [2, 0]])).real)
    path = gl.flow(game, (0.55, 0.75), T=20, points=201, atol=1e-14)
    rate = np.polyfit(path.times[60:], np.log(path.radius[60:]), 1)[0]
    assert rate == pytest.approx(slow, rel=1e-3)
    game = gl.pointwise("saturating", p_d=0.2)  # a spiral: lambda = -0.8 +- 1.833 i
    largest = 2 * 0.8 / 4
    assert gl.largest_stable_step(game) == pytest.approx(largest, rel=1e-9)
    for factor, stable in ((0.95, True), (1.05, False)):
        run = gl.simulate(game, (0.5001, 0.2), lr=factor * largest, steps=100)
        assert (run.radius[-1] < run.radius[0]) == stable


@claim("F-31")
def test_zero_real_parts_decide_nothing():
    for sign in (-1, 1):  # one linearisation, two fates
        run = solve_ivp(
            lambda t, z, s=sign: [-z[1] + s * z[0] ** 3, z[0] + s * z[1] ** 3], (0, 5), [0.3, 0], rtol=1e-9, atol=1e-12
        )
        assert sign * (np.hypot(*run.y[:, -1]) - 0.3) > 0.02
    verdict = gl.verdict(gl.pointwise("wasserstein"))
    assert verdict.kind == "centre"
    assert not verdict.stable


@claim("F-32")
def test_the_conditions_follow_from_the_quadratic_for_unknown_functions():
    D, q, lam, p, s, delta = sp.symbols("D q lambda p_d s Delta")
    f1, f2, f3 = (sp.Function(n)(D) for n in ("f1", "f2", "f3"))
    A = sp.Matrix([p * f1.diff(D) + q * f2.diff(D), f3]).jacobian([D, q]).subs(q, p)
    derived = (lam * sp.eye(2) - A).det()
    derived = derived.subs(f1.diff(D, 2), s - f2.diff(D, 2)).subs(f2.diff(D) * f3.diff(D), -delta)
    assert sp.expand(derived - (lam**2 - p * s * lam + delta)) == 0
    mine = gl.conditions().polynomial
    mine = mine.subs({x: sp.Symbol(x.name) for x in mine.free_symbols}).subs(sp.Symbol("tau"), 1)
    assert sp.expand(mine - derived) == 0


@claim("F-32")
def test_the_verdicts_of_the_two_numbers_are_those_of_numeric_eigenvalues():
    rng = np.random.default_rng(5)
    for _ in range(300):
        p, s, slope, delta = rng.uniform(0.01, 2), rng.normal(), rng.choice([-1, 1]) * rng.uniform(0.2, 2), rng.normal()
        values = np.linalg.eigvals(np.array([[p * s, slope], [-delta / slope, 0]]))
        assert (values.real.max() < 0) == (s < 0 and delta > 0)
        if s < 0 < delta:
            assert (np.abs(values.imag).max() < 1e-12) == (p >= 2 * np.sqrt(delta) / abs(s))
        if delta < 0:
            assert values.real.min() < 0 < values.real.max()
    kinds = {}
    for s, push in ((-1, 1), (0, 1), (1, 1), (-1, 0), (-1, -1)):  # through the package, as a student would
        objective = gl.Objective(
            f1=lambda t, s=s: t + s * t**2 / 2, f2=lambda t: -t, f3=lambda t, k=push: k * t, name="test"
        )
        kinds[s, push] = gl.verdict(gl.pointwise(objective, p_d=0.5)).kind
    assert kinds == {
        (-1, 1): "stable spiral",
        (0, 1): "centre",
        (1, 1): "unstable spiral",
        (-1, 0): "degenerate",
        (-1, -1): "saddle",
    }
    # f1' = -f2' at D0, so Delta > 0 is f1' f3' > 0
    for name in NAMED:
        D = torch.tensor(REST[name], dtype=torch.float64, requires_grad=True)
        d1, _, d3 = (float(torch.autograd.grad(f(D), D)[0]) for f in TORCH[name])
        assert d1 * d3 > 0


@claim("F-32")
def test_off_the_data_every_objective_with_a_push_is_a_centre():
    p = sp.Symbol("p_d", positive=True)
    for name in NAMED:
        delta = float(constants(name)[2])
        values = np.linalg.eigvals(np.array(gl.symbolic_jacobian(gl.pointwise(name)).subs(p, 0), dtype=float))
        assert delta > 0
        assert np.allclose(sorted(values.imag), [-np.sqrt(delta), np.sqrt(delta)])
        assert np.allclose(values.real, 0)


@claim("F-33")
@pytest.mark.parametrize(
    ("name", "s", "delta", "node"),
    [
        ("saturating", -8, 4, 0.5),
        ("nonsaturating", -8, 4, 0.5),
        ("maximum_likelihood", -8, 8, 1 / np.sqrt(2)),
        ("quadratic", -1, 1, 2),
        ("least_squares", -2, 0.25, 0.5),
        ("wasserstein", 0, 1, None),
    ],
)
def test_the_named_gans_have_the_printed_constants_and_turn_into_nodes_at_the_printed_density(name, s, delta, node):
    D = torch.tensor(REST[name], dtype=torch.float64, requires_grad=True)
    slopes = [torch.autograd.grad(f(D), D, create_graph=True)[0] for f in TORCH[name]]
    second = [
        torch.autograd.grad(g, D, retain_graph=True)[0] if g.requires_grad else torch.tensor(0.0) for g in slopes[:2]
    ]
    assert (second[0] + second[1]).item() == pytest.approx(s)
    assert (-slopes[1] * slopes[2]).item() == pytest.approx(delta)
    assert [float(c) for c in constants(name)[1:]] == pytest.approx([s, delta])
    if node is None:
        assert not any(gl.verdict(gl.pointwise(name, p_d=p)).stable for p in (0.1, 1, 10))
    else:
        assert gl.verdict(gl.pointwise(name, p_d=0.99 * node)).kind == "stable spiral"
        assert gl.verdict(gl.pointwise(name, p_d=1.01 * node)).kind == "stable node"


@claim("F-33")
def test_the_constants_with_labels_are_the_printed_formulas():
    a, b, c = sp.symbols("a b c", real=True)
    _, s, delta = constants(gl.least_squares(a, b, c))
    assert s == -2
    assert sp.expand(delta - (b - a) * (2 * c - a - b) / 4) == 0
    for alpha in (0.6, 0.9, 1.0):
        D0, s, delta = (float(v) for v in constants(gl.label_smoothing(alpha)))
        assert [D0, s, delta] == pytest.approx([alpha / 2, -8 / (alpha * (2 - alpha)), 4 / (alpha * (2 - alpha))])
    assert gl.verdict(gl.pointwise(gl.least_squares(-1, 1, 0))).kind == "degenerate"


@claim("F-34", "F-40", "F-45", "F-50")
@pytest.mark.parametrize("name", NAMED)
def test_the_derived_field_is_the_printed_one_and_the_one_of_autograd(name):
    rng = np.random.default_rng(0)
    for d, q, p in zip(rng.uniform(0.05, 0.95, 20), rng.uniform(0, 3, 20), rng.uniform(0.05, 2, 20), strict=True):
        mine = [float(v) for v in gl.pointwise(name, p_d=p).field(d, q)]
        assert mine == pytest.approx(BY_HAND[name](d, q, p), abs=1e-10)
        f1, f2, f3 = TORCH[name]
        D, density = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (d, q))
        J = p * f1(D) + density * f2(D)
        I = density * (f3(D.detach()) - f3(torch.tensor(REST[name], dtype=torch.float64)))  # noqa: E741
        assert mine == pytest.approx(
            [float(torch.autograd.grad(J, D)[0]), float(torch.autograd.grad(I, density)[0])], abs=1e-10
        )


@claim("F-38")
def test_saturating_eigenvalues_are_the_roots_of_the_quadratic():
    p = sp.Symbol("p_d", positive=True)
    game = gl.pointwise("saturating")
    for sign, value in zip((-1, 1), gl.symbolic_eigenvalues(game), strict=True):
        assert sp.simplify(value - (-4 * p + sign * 2 * sp.sqrt(4 * p**2 - 1))) == 0
    assert np.allclose(
        sorted(gl.eigenvalues(gl.pointwise("saturating", 0.2)).imag), [-1.8330302780, 1.8330302780], atol=1e-10
    )
    for p_d in (1e-3, 0.2, 0.5, 3):
        numeric = np.linalg.eigvals(gl.numeric_jacobian(gl.pointwise("saturating", p_d)))
        assert numeric.real.max() < 0
        # at p_d = 1/2 the eigenvalue is double: an error of e in the matrix moves it by sqrt(e)
        closed = -4 * p_d + 2 * np.sqrt(complex(4 * p_d**2 - 1))
        assert np.min(np.abs(numeric - closed)) < 1e-3
    A = gl.jacobian(gl.pointwise("saturating", 0.5))
    assert np.linalg.matrix_rank(A + 2 * np.eye(2)) == 1  # one eigenvector only


@claim("F-42")
def test_the_two_log_losses_share_their_jacobian():
    p = sp.Symbol("p_d", positive=True)
    for name in ("saturating", "nonsaturating"):
        assert gl.symbolic_jacobian(gl.pointwise(name)) == sp.Matrix([[-8 * p, -2], [2, 0]])
        assert np.allclose(gl.numeric_jacobian(gl.pointwise(name, 0.2)), [[-1.6, -2], [2, 0]], atol=1e-6)
        assert gl.verdict(gl.pointwise(name, 0.01)).stable


# ------------------------------------------------------------------ the sources' trajectories


def script(name, D, q, p_d=0.2, lr=1e-3, steps=100_000):
    """The sources' script, typed again in plain Python: last state and extremes of both coordinates."""
    from math import log

    push = {"saturating": lambda D: -log(1 - D) + log(0.5), "nonsaturating": lambda D: log(D) - log(0.5)}[name]
    low, high = [D, q], [D, q]
    for _ in range(steps):
        D, q = D + lr * (p_d / D - q / (1 - D)), q + lr * push(D)
        low, high = [min(low[0], D), min(low[1], q)], [max(high[0], D), max(high[1], q)]
    return (D, q), low, high


@claim("F-35", "F-36", "F-41")
@pytest.mark.parametrize("name", ["saturating", "nonsaturating"])
def test_the_script_ends_at_the_rest_point_from_both_starts_and_stays_admissible(name):
    smallest = {"saturating": (0.14120, 0.14116), "nonsaturating": (0.11255, 0.11098)}[name]  # published
    ends = []
    for start, least in zip(STARTS, smallest, strict=True):
        end, low, high = script(name, *start)
        run = gl.simulate(gl.pointwise(name, p_d=0.2), start, lr=1e-3, steps=100_000)
        assert np.allclose(end, (0.5, 0.2), atol=1e-12)
        assert np.allclose(run.last, (0.5, 0.2), atol=1e-12)
        assert low[1] == pytest.approx(least, abs=1e-5)
        assert np.allclose([run.states.min(0), run.states.max(0)], [low, high], atol=1e-10)
        assert low[0] > 0
        assert high[0] < 1
        ends.append(low)
        if name == "saturating" and start == (0.75, 0.9):
            assert np.allclose([low[0], high[0]], [0.2145, 0.75], atol=1e-4)
    assert abs(ends[0][1] - ends[1][1]) > 3e-5  # text and listing do not describe one picture


@claim("FIG-02", "FIG-03")
@pytest.mark.parametrize("name", ["saturating", "nonsaturating"])
def test_the_pictures_of_both_starts_are_spirals_into_the_rest_point(name):
    for start in STARTS:
        oracle = hand_flow(name, 0.2, start, 30, t_eval=np.linspace(0, 30, 601))
        path = gl.flow(gl.pointwise(name, p_d=0.2), start, T=30, points=601)
        assert np.allclose(path.states, oracle.y.T, atol=1e-7)
        angle = np.unwrap(np.arctan2(path.states[:400, 1] - 0.2, path.states[:400, 0] - 0.5))
        assert abs(angle[-1] - angle[0]) > 4 * np.pi  # more than two turns on the way in
        assert path.radius[-1] < 1e-8
        assert path.states[:, 1].min() > 0


@claim("F-44")
def test_the_wasserstein_row_follows_from_the_functional():
    x, dx, p_d, p_g = grid()
    D = np.tanh(x)

    def J(p_g):
        return np.sum(p_d * D - p_g * D) * dx

    bump = 1e-3 * (np.arange(81) == 30)
    descent = -(J(p_g + bump) - J(p_g - bump)) / 2e-3 / dx  # the generator lowers J
    assert descent == pytest.approx(D[30], abs=1e-10)
    assert float(gl.OBJECTIVES["wasserstein"].f3(D[30])) == pytest.approx(descent)
    # D0 is free: another choice only shifts the centre of the circles
    D, q, p, d0 = sp.symbols("D p_g p_d D_0", real=True)
    assert sp.solve([p - q, D - d0], [D, q]) == {D: d0, q: p}
    assert gl.objectives.rest_score("wasserstein").free


@claim("F-45")
def test_with_the_other_sign_the_wasserstein_rest_point_is_a_saddle():
    assert np.allclose(gl.eigenvalues(gl.pointwise("wasserstein")).real, 0)
    other = gl.Objective(f1=lambda t: t, f2=lambda t: -t, f3=lambda t: -t, name="other sign")
    assert np.allclose(sorted(gl.eigenvalues(gl.pointwise(other)).real), [-1, 1])


@claim("F-46", "FIG-04")
def test_the_wasserstein_flow_is_a_circle_and_eulers_path_opens():
    game = gl.pointwise("wasserstein", p_d=0.2)
    for D0, q0 in STARTS:
        path = gl.flow(game, (D0, q0), T=2 * np.pi, points=101)
        t, w0 = path.times, q0 - 0.2
        exact = np.column_stack([D0 * np.cos(t) - w0 * np.sin(t), 0.2 + w0 * np.cos(t) + D0 * np.sin(t)])
        assert np.allclose(path.states, exact, atol=1e-8)  # closed, period 2 pi, counter-clockwise
        assert path.states[:, 1].min() < 0  # the radius exceeds p_d
        run = gl.simulate(game, (D0, q0), lr=1e-3, steps=100_000, save_every=10)
        steps = run.steps
        assert np.allclose(run.radius, run.radius[0] * (1 + 1e-6) ** (steps / 2), rtol=1e-10)
        assert run.radius[-1] / run.radius[0] - 1 == pytest.approx(0.05127, abs=5e-6)
        assert np.all(np.diff(run.radius) > 0)
        if D0 == 0.25:
            assert run.states[:, 1].min() == pytest.approx(-0.5805, abs=1e-4)
            assert path.states[:, 1].min() == pytest.approx(0.2 - np.hypot(0.25, 0.7), abs=1e-3)  # the flow: -0.5433
    rk4 = gl.flow(game, (0.25, 0.9), T=2 * np.pi, dt=2 * np.pi / 500, method="rk4")
    assert np.allclose(rk4.last, (0.25, 0.9), atol=1e-6)


@claim("F-48")
@pytest.mark.parametrize("n_d", [1, 3, 10, 50])
def test_more_critic_steps_do_not_stop_the_circling(n_d):
    h = 0.1
    generator, critic = np.array([[1, 0], [h, 1]]), np.array([[1, -h], [0, 1]])
    matrix = np.linalg.matrix_power(critic, n_d) @ generator
    alpha = np.sqrt(n_d) * h
    assert np.linalg.det(matrix) == pytest.approx(1)
    assert np.trace(matrix) == pytest.approx(2 - alpha**2)
    values = gl.multipliers(gl.pointwise("wasserstein"), "alternating", lr=h, n_d=n_d)
    assert np.allclose(np.sort_complex(values), np.sort_complex(np.linalg.eigvals(matrix)), atol=1e-9)
    assert np.allclose(np.abs(values), 1)
    run = gl.simulate(gl.pointwise("wasserstein"), (0.3, 0.5), "alternating", lr=h, steps=4000, n_d=n_d)
    # the swing does not shrink: read as a way out of the circles, the advice fails
    assert run.radius[2000:].max() > 0.9 * run.radius[:2000].max()
    big = gl.multipliers(gl.pointwise("wasserstein"), "alternating", lr=2.1 / np.sqrt(n_d), n_d=n_d)
    assert np.abs(big).max() > 1.1


def lipschitz_critic(x, difference):
    """The best 1-Lipschitz critic on a grid, by linear programming over its slopes."""
    ramp = np.tril(np.ones((len(x), len(x) - 1)), -1) * (x[1] - x[0])
    return ramp @ linprog(-difference @ ramp, bounds=(-1, 1)).x


def two_bumps_and_one(m=41):
    x = np.linspace(-2, 2, m)

    def bump(c, s):
        return np.exp(-((x - c) ** 2) / (2 * s * s)) / np.exp(-((x - c) ** 2) / (2 * s * s)).sum()

    return x, (bump(-1, 0.3) + bump(1, 0.3)) / 2, bump(0, 0.5)


@claim("F-48")
def test_an_optimal_lipschitz_critic_gives_the_gradient_of_the_wasserstein_distance():
    x, data, p = two_bumps_and_one()
    dx = x[1] - x[0]

    def w1(p):
        return np.abs(np.cumsum(data - p)).sum() * dx

    D = lipschitz_critic(x, data - p)
    assert D @ (data - p) == pytest.approx(w1(p), abs=1e-6)
    rng = np.random.default_rng(0)
    for _ in range(10):
        move = rng.normal(size=41) * p
        move -= p * move.sum()
        slope = (w1(p + 1e-5 * move) - w1(p - 1e-5 * move)) / 2e-5
        assert slope == pytest.approx(-D @ move, abs=1e-5)


@claim("F-47")
def test_a_lipschitz_critic_decreases_the_distance_where_the_free_critic_cycles():
    x, data, start = two_bumps_and_one()
    dx = x[1] - x[0]

    def w1(p):
        return np.abs(np.cumsum(data - p)).sum() * dx

    p, path = start, []
    for _ in range(120):
        path.append(w1(p))
        D = lipschitz_critic(x, data - p)
        p = p * np.exp(0.1 * D) / np.sum(p * np.exp(0.1 * D))
    assert np.all(np.diff(path[:40]) < 0)
    assert path[-1] < path[0] / 20
    # the free field returns: p_g(t) = data + (start - data) cos t at every point
    times = np.linspace(0, 2 * np.pi, 9)
    game = gl.pointwise("wasserstein", p_d=data)
    free = gl.flow(game, np.column_stack([np.zeros(41), start]), T=2 * np.pi, points=9)
    assert np.allclose(free.states[..., 1], data + (start - data) * np.cos(times)[:, None], atol=1e-7)
    assert w1(free.states[-1, :, 1]) == pytest.approx(path[0], rel=1e-5)


@claim("F-47")
@pytest.mark.parametrize("n_d", [1, 5, 25])
def test_a_lipschitz_constraint_alone_does_not_stop_the_dirac_wgan(n_d):
    run = gl.simulate(gl.dirac_gan("wasserstein", gl.Clip(1)), (1, 1), "alternating", lr=0.05, steps=6000, n_d=n_d)
    late, later = (np.abs(run.states[a:b, 0]).max() for a, b in ((2000, 4000), (4000, 6000)))
    assert later == pytest.approx(late, rel=1e-2)  # it does not shrink any more
    assert later == pytest.approx(1 / np.sqrt(n_d), rel=2e-2)  # the largest orbit that fits between the clips
    # by hand: theta falls by h psi, then n_d clipped critic steps of h theta
    theta, psi = 1.0, 1.0
    for _ in range(300):
        theta -= 0.05 * psi
        for _ in range(n_d):
            psi = min(max(psi + 0.05 * theta, -1), 1)
    assert np.allclose(run.states[300], (theta, psi), atol=1e-9)


@claim("F-60")
@pytest.mark.parametrize("tau", [0.25, 4, 100])
def test_a_faster_critic_only_changes_the_frequency_of_wgan(tau):
    assert np.allclose(sorted(gl.eigenvalues(gl.pointwise("wasserstein", tau=tau)).imag), [-np.sqrt(tau), np.sqrt(tau)])
    assert np.allclose(gl.eigenvalues(gl.pointwise("wasserstein", tau=tau)).real, 0)
    path = gl.flow(gl.pointwise("wasserstein", p_d=0.2, tau=tau), (0.25, 0.9), T=2 * np.pi / np.sqrt(tau), points=3)
    assert np.allclose(path.last, (0.25, 0.9), atol=1e-7)
    assert np.allclose(
        sorted(gl.eigenvalues(gl.dirac_gan("saturating", tau=tau)).imag), [-np.sqrt(tau) / 2, np.sqrt(tau) / 2]
    )


# ------------------------------------------------------------------ design


@claim("F-49")
def test_the_report_on_a_students_objective_agrees_with_numbers_alone():
    rng = np.random.default_rng(2)
    for a, b, k in rng.uniform(0.3, 2, (5, 3)):
        mine = gl.Objective(
            f1=lambda t, a=a: -exp(-a * t), f2=lambda t, b=b: -exp(b * t), f3=lambda t, k=k: k * t, name="mine"
        )
        p_d = 0.3

        def field(z, a=a, b=b, k=k, p_d=p_d):
            t, q = z
            rest = np.log(a / b) / (a + b)
            return np.array([p_d * a * np.exp(-a * t) - q * b * np.exp(b * t), k * (t - rest)])

        rest = fsolve(field, [0.1, 0.2], xtol=1e-13)
        assert np.allclose([float(v) for v in gl.pointwise(mine, p_d).rest], rest, atol=1e-8)
        A = np.array([(field(rest + e) - field(rest - e)) / 2e-6 for e in 1e-6 * np.eye(2)]).T
        values = np.linalg.eigvals(A)
        assert np.allclose(np.sort_complex(gl.eigenvalues(gl.pointwise(mine, p_d))), np.sort_complex(values), atol=1e-5)
        assert gl.verdict(gl.pointwise(mine, p_d)).stable == (values.real.max() < 0)
    text = str(gl.report(gl.Objective(f1=lambda t: -exp(-t), f2=lambda t: -exp(t), f3=lambda t: t, name="exponential")))
    words = " ".join(text.split())
    for part in ("rest value D0 0", "s = f1'' + f2'' -2", "Delta = -f2' f3' 1", "a node for p_d >= 1, a spiral below"):
        assert part in words
    assert gl.verdict(gl.Objective(f1=exp, f2=lambda t: t, f3=lambda t: t)).kind == "no equilibrium"
    assert gl.verdict("hinge").kind == "centre"  # linear near its rest score, as WGAN is


@claim("F-50")
def test_the_quadratic_gan_has_the_printed_eigenvalues_and_is_no_probability():
    p = sp.Symbol("p_d", positive=True)
    values = gl.symbolic_eigenvalues(gl.pointwise("quadratic"))
    for sign, value in zip((-1, 1), values, strict=True):
        assert sp.simplify(value - (-p + sign * sp.sqrt(p**2 - 4)) / 2) == 0
    assert gl.verdict(gl.pointwise("quadratic", 0.01)).stable
    run = gl.simulate(gl.pointwise("quadratic", 0.2), (0.25, 0.9), lr=1e-3, steps=100_000)  # the script's Euler
    assert run.states[:, 0].max() == pytest.approx(1.860, abs=5e-4)
    assert run.states[:, 1].min() == pytest.approx(-0.528, abs=5e-4)
    from scipy.linalg import expm  # the exact flow of the linear field

    A, z = np.array([[-0.2, 1], [-1, 0]]), np.array([-0.75, 0.7])
    exact = np.array([[1, 0.2] + expm(t * A) @ z for t in np.linspace(0, 10, 2001)])
    assert exact[:, 0].max() == pytest.approx(1.8592, abs=1e-4)
    assert exact[:, 1].min() == pytest.approx(-0.5264, abs=1e-4)


# ------------------------------------------------------------------ Lyapunov


def growth(name, weight=1):
    """dV/dt of the weighted squared distance, derived in SymPy from the package's rows; with its symbols."""
    game = gl.pointwise(name)
    (D, q), (rest, p) = game.symbols, game.equilibrium
    return sp.expand((D - rest) * game.rows[0] + weight * (q - p) * game.rows[1]), D, q, p


@claim("F-51")
def test_the_distance_of_the_quadratic_gan_stands_still_on_a_line_and_needs_lasalle():
    rate, D, q, p = growth("quadratic")
    assert sp.expand(rate + p * (D - 1) ** 2) == 0
    assert rate.subs({D: 1, q: 3}) == 0  # so it is no strict Lyapunov function: the source's last step is missing
    result = gl.lyapunov(gl.pointwise("quadratic", 0.2), ((-3, 3), (-3, 3)))
    assert result.holds
    assert result.flat is not None
    # the missing step: on the line the field leaves the line unless p_g = p_d
    assert gl.pointwise("quadratic", 0.2).rows[0].subs(D, 1) == q - p
    starts = np.random.default_rng(0).uniform([-5, 0], [5, 5], (50, 2))
    path = gl.flow(gl.pointwise("quadratic", 0.2), starts, T=200, points=401)
    assert np.all(np.diff(path.radius, axis=0) <= 1e-9)
    assert path.radius[-1].max() < 1e-6
    # and p_d > 0 is needed
    idle = solve_ivp(lambda t, z: BY_HAND["quadratic"](*z, 0.0), (0, 50), [0.25, 0.9], rtol=1e-10, atol=1e-12)
    assert np.hypot(idle.y[0, -1] - 1, idle.y[1, -1]) == pytest.approx(np.hypot(0.75, 0.9), rel=1e-6)


@claim("F-52")
def test_the_growth_of_the_distance_is_affine_in_the_density_with_the_printed_brackets():
    D, q, p = (sp.Symbol("D", real=True), sp.Symbol("p_g", real=True), sp.Symbol("p_d", positive=True))
    w, u = 2 * D, 2 * (1 - D)
    printed = {
        "saturating": p * (1 - 1 / w + sp.log(u)) - q * (1 / u - 1 + sp.log(u)),
        "nonsaturating": p * (1 - 1 / w - sp.log(w)) + q * (sp.log(w) - (w - 1) / (2 - w)),
        "least_squares": -(p + 3 * q) * (D - sp.Rational(1, 2)) ** 2 / 2,
        "wasserstein": sp.Integer(0),
    }
    for name, formula in printed.items():
        rate, *_ = growth(name)
        assert sp.simplify(sp.diff(rate, q, 2)) == 0
        difference = sp.lambdify((D, q, p), rate - formula)
        for d in np.linspace(0.03, 0.97, 25):
            assert abs(difference(d, 1.3, 0.4)) < 1e-11


@claim("F-52")
@pytest.mark.parametrize("name", ["saturating", "nonsaturating", "least_squares", "quadratic"])
def test_the_distance_never_grows_on_admissible_densities(name):
    rng = np.random.default_rng(1)
    D, q, p = rng.uniform(0.001, 0.999, 4000), rng.exponential(2, 4000), rng.exponential(0.5, 4000) + 1e-3
    v = BY_HAND[name](D, q, p)
    assert np.all((D - REST[name]) * v[0] + (q - p) * v[1] <= 1e-12)
    assert gl.lyapunov(gl.pointwise(name, 0.2), ((0.01, 0.99), (0, 3))).holds
    if name != "quadratic":  # and it does grow somewhere below zero
        result = gl.lyapunov(gl.pointwise(name, 0.2), ((0.01, 0.99), (-1, 3)))
        assert not result.holds
        d, density = result.counterexample
        assert density < 0
        v = BY_HAND[name](d, density, 0.2)
        assert (d - REST[name]) * v[0] + (density - 0.2) * v[1] == pytest.approx(result.worst, rel=1e-9)
        assert result.worst > 0


@claim("F-52")
def test_in_a_zero_sum_concave_game_the_distance_never_grows():
    rng = np.random.default_rng(4)
    for _ in range(50):  # f1, f2 random concave, f3 = -f2, with f1' + f2' = 0 at 0
        a, b, slope = rng.uniform(0, 2), rng.uniform(0, 2), rng.normal()

        def d1(t, a=a, slope=slope):
            return slope - a * np.sinh(t)

        def d2(t, b=b, slope=slope):
            return -slope - b * t**3

        def f2(t, b=b, slope=slope):
            return -slope * t - b * t**4 / 4

        t, q, p = rng.uniform(-2, 2, 200), rng.exponential(1, 200), rng.exponential(1, 200)
        assert np.all(t * (p * d1(t) + q * d2(t)) + (q - p) * -(f2(t) - f2(0)) <= 1e-10)


@claim("F-52")
def test_maximum_likelihood_needs_the_weight_one_half():
    rate, D, _q, p = growth("maximum_likelihood", sp.Rational(1, 2))
    assert sp.simplify(rate + 2 * p * (D - sp.Rational(1, 2)) ** 2 / (D * (1 - D))) == 0  # whatever the sign of p_g
    _, _f1, f2, f3 = gl.objectives.expressions("maximum_likelihood", "probability")
    assert abs(f2.diff(D).subs(D, sp.Rational(1, 2)) / f3.diff(D).subs(D, sp.Rational(1, 2))) == sp.Rational(1, 2)
    game, region = gl.pointwise("maximum_likelihood", 0.2), ((0.01, 0.99), (0, 3))
    assert not gl.lyapunov(game, region).holds
    assert gl.lyapunov(game, region, weights=(1, 0.5)).holds


# ------------------------------------------------------------------ outside the safe region


def blow_up_time(name, p_d, start=(0.25, 0.9)):
    """When D reaches 1, by SciPy with the clock ds = dt / (1 - D), for which D = 1 is an ordinary point."""

    def slowed(s, z):
        D = min(z[0], 1 - 1e-13)  # a trial step of the solver may look beyond the edge
        v = BY_HAND[name](D, z[1], p_d)
        return [(1 - D) * v[0], (1 - D) * v[1], 1 - D]

    def edge(s, z):
        return z[0] - (1 - 1e-10)

    edge.terminal, edge.direction = True, 1
    run = solve_ivp(slowed, (0, 60), [*start, 0.0], rtol=1e-11, atol=1e-13, method="DOP853", events=edge)
    return run.y_events[0][0][2] if len(run.t_events[0]) else None


@claim("F-39")
@pytest.mark.parametrize(
    ("name", "p_d", "time"), [("saturating", 0.01, 2.728160528), ("nonsaturating", 0.05, 1.652774329)]
)
def test_the_raw_flow_ends_in_finite_time(name, p_d, time):
    assert blow_up_time(name, p_d) == pytest.approx(time, abs=2e-8)
    path = gl.flow(gl.pointwise(name, p_d), (0.25, 0.9), T=40)
    assert path.status == "left the domain"
    assert path.stopped == pytest.approx(time, abs=2e-7)


@claim("F-39", "F-43")
@pytest.mark.parametrize(
    ("name", "negative", "lost"), [("saturating", 0.12564, 0.020553), ("nonsaturating", 0.14931, 0.072314)]
)
def test_the_thresholds_of_negative_densities_and_of_blow_up(name, negative, lost):
    for p_d, below in ((negative - 2e-5, True), (negative + 2e-5, False)):
        path = hand_flow(name, p_d, (0.25, 0.9), 20, t_eval=np.linspace(0, 20, 20_001))
        assert (path.y[1].min() < 0) == below
        mine = gl.flow(gl.pointwise(name, p_d), (0.25, 0.9), T=20, points=20_001)
        assert (mine.states[:, 1].min() < 0) == below
    for p_d, blows in ((lost - 2e-6, True), (lost + 2e-6, False)):
        assert (blow_up_time(name, p_d) is not None) == blows
        assert (gl.flow(gl.pointwise(name, p_d), (0.25, 0.9), T=30, points=3).status == "left the domain") == blows


@claim("F-39")
def test_eulers_steps_leave_the_unit_interval_from_starts_near_its_edge():
    run = gl.simulate(gl.pointwise("saturating", 0.2), (0.999, 2), lr=1e-3, steps=10)
    assert run.status == "left the domain"
    assert run.stopped == 0  # in its very first step
    assert 0.999 + 1e-3 * (0.2 / 0.999 - 2 / 0.001) < 0  # by hand
    flow = gl.flow(gl.pointwise("saturating", 0.2), (0.999, 2), T=40)
    assert flow.radius[-1] < 1e-6  # the flow itself converges


@claim("F-39", "F-43")
@pytest.mark.parametrize(("name", "count"), [("saturating", 234), ("nonsaturating", 227)])
def test_the_count_of_converging_euler_runs_on_the_stated_grid(name, count):
    starts = lattice(np.linspace(1e-4, 0.9999, 21), np.geomspace(1e-6, 50, 13))
    D, q = starts.T.copy()
    alive = np.ones(len(D), dtype=bool)
    with np.errstate(all="ignore"):
        for _ in range(5000):  # numpy by hand: whoever leaves (0, 1) does it early
            v = BY_HAND[name](D, q, 0.2)
            D, q = D + 1e-3 * v[0], q + 1e-3 * v[1]
            alive &= (D > 0) & (D < 1)
            D = np.where(alive, D, 0.5)
    run = gl.simulate(gl.pointwise(name, 0.2), starts, lr=1e-3, steps=40_000, save_every=40_000)
    assert np.array_equal(alive, run.status == "finished")
    converged = alive & (run.radius[-1] < 1e-3)
    assert converged.sum() == count < len(starts)


@claim("F-43")
def test_the_change_costs_nothing_near_equilibrium_and_more_starts_blow_up_far_away():
    near = [
        gl.flow(gl.pointwise(name, 0.2), (0.501, 0.2), T=5, points=51).states
        for name in ("saturating", "nonsaturating")
    ]
    assert np.abs(near[0] - near[1]).max() < 3e-6  # 1e-3 away the two flows agree to second order
    starts = lattice(np.linspace(0.05, 0.95, 8), np.geomspace(0.01, 5, 8))
    lost = {}
    for name in ("saturating", "nonsaturating"):
        path = gl.flow(gl.pointwise(name, 0.05), starts, T=60, points=3, rtol=1e-6, atol=1e-9)
        lost[name] = int((path.status == "left the domain").sum())
        repaired = gl.flow(gl.pointwise(name, 0.05, repair="multiply"), starts, T=100, points=3, rtol=1e-6, atol=1e-9)
        assert repaired.radius[-1].max() < 1e-2
    assert lost["nonsaturating"] > lost["saturating"]
    # its advantage: where D is sure of a fake (score -6) the generator's gain has the larger slope in the score
    t = torch.tensor(-6.0, dtype=torch.float64, requires_grad=True)
    slopes = [float(torch.autograd.grad(gl.OBJECTIVES[n].f3(t), t)[0]) for n in ("saturating", "nonsaturating")]
    assert slopes[1] > 100 * slopes[0]
    assert not gl.objectives.is_zero_sum("nonsaturating")
    assert gl.objectives.is_zero_sum("saturating")


@claim("F-31b")
@pytest.mark.parametrize("name", ["saturating", "nonsaturating"])
def test_the_multiplicative_field_converges_from_every_start_tested(name):
    starts = lattice(np.linspace(0.02, 0.98, 20), np.geomspace(1e-3, 20, 14))
    path = gl.flow(gl.pointwise(name, 0.05, repair="multiply"), starts, T=100, points=3, rtol=1e-6, atol=1e-9)
    assert len(starts) == 280
    assert np.sum((path.status == "finished") & (path.radius[-1] < 1e-2)) == 280
    raw = gl.flow(gl.pointwise(name, 0.01), (0.25, 0.9), T=40, points=3)
    assert raw.status == "left the domain"
    # the log of the density, integrated by SciPy, as an independent run of the same field
    push = (lambda D: -np.log(2 * (1 - D))) if name == "saturating" else (lambda D: np.log(2 * D))
    oracle = solve_ivp(lambda t, z: [0.01 / z[0] - np.exp(z[1]) / (1 - z[0]), push(z[0])], (0, 300),
                       [0.25, np.log(0.9)], rtol=1e-9, atol=1e-11, method="LSODA")  # fmt: skip
    mine = gl.flow(gl.pointwise(name, 0.01, repair="multiply"), (0.25, 0.9), T=300, points=3)
    assert np.allclose([oracle.y[0, -1], np.exp(oracle.y[1, -1])], mine.last, atol=1e-5)
    assert np.allclose(mine.last, (0.5, 0.01), atol=1e-4)


@claim("F-31b")
@pytest.mark.parametrize("name", ["saturating", "nonsaturating"])
def test_the_projected_steps_converge_from_every_start_tested(name):
    starts = lattice(np.linspace(0.05, 0.95, 8), np.geomspace(0.01, 5, 8))
    run = gl.simulate(gl.pointwise(name, 0.05, repair="project"), starts, lr=1e-3, steps=60_000, save_every=1000)
    assert np.sum((run.status == "finished") & (run.radius[-1] < 1e-2)) == 64
    assert run.states[..., 1].min() == 0  # the wall was needed
    assert np.all(np.diff(run.radius, axis=0) < 1e-3)  # the distance falls, up to the step's own error


@claim("F-31b")
def test_the_multiplicative_field_has_the_printed_eigenvalues_and_the_lyapunov_function_of_the_raw_one():
    for name in ("saturating", "nonsaturating", "quadratic", "least_squares"):
        game = gl.pointwise(name, repair="multiply")
        (D, q), (rest, p) = game.symbols, game.equilibrium
        s, delta = constants(name)[1:]
        for sign, value in zip((-1, 1), gl.symbolic_eigenvalues(game), strict=True):
            printed = (p * s + sign * sp.sqrt(p**2 * s**2 - 4 * p * delta)) / 2
            assert all(abs(complex((value - printed).subs(p, at))) < 1e-12 for at in (0.03, 0.4, 3.1))
        W = (D - rest) ** 2 / 2 + q - p - p * sp.log(q / p)
        rate = W.diff(D) * game.rows[0] + W.diff(q) * game.rows[1]
        assert sp.simplify(rate - growth(name)[0]) == 0
    assert np.allclose(
        gl.numeric_jacobian(gl.pointwise("saturating", 0.2, repair="multiply")), [[-1.6, -2], [0.4, 0]], atol=1e-6
    )


# ------------------------------------------------------------------ two time scales, friction


@claim("F-59")
@pytest.mark.parametrize(
    ("name", "best_rate", "best", "limit"),
    [
        ("saturating", lambda p: 1 / (4 * p**2), lambda p: -1 / p, lambda p: -1 / (2 * p)),
        ("nonsaturating", lambda p: 1 / (4 * p**2), lambda p: -1 / p, lambda p: -1 / (2 * p)),
        ("least_squares", lambda p: 0.25 / p**2, lambda p: -0.25 / p, lambda p: -0.25 / (2 * p)),
        ("quadratic", lambda p: 4 / p**2, lambda p: -2 / p, lambda p: -1 / p),
        ("maximum_likelihood", lambda p: 1 / (2 * p**2), lambda p: -2 / p, lambda p: -1 / p),
    ],
)
def test_a_faster_discriminator_helps_up_to_the_best_rate_only(name, best_rate, best, limit):
    s, delta = (float(v) for v in constants(name)[1:])
    known = gl.conditions()
    for p in (0.2, 0.9):

        def abscissa(tau, p=p):
            return np.linalg.eigvals(np.array([[tau * p * s, tau], [-delta, 0]])).real.max()

        taus = best_rate(p) * np.logspace(-2, 2, 2001)
        values = np.array([abscissa(t) for t in taus])
        assert taus[values.argmin()] == pytest.approx(best_rate(p), rel=0.01)
        assert abscissa(best_rate(p)) == pytest.approx(best(p), rel=1e-6)
        assert abscissa(1e6 * best_rate(p)) == pytest.approx(limit(p), rel=1e-5)
        assert np.all(np.diff(values[taus < 0.99 * best_rate(p)]) < 0)
        assert np.all(np.diff(values[taus > 1.01 * best_rate(p)]) > 0)  # the comment's "further left" is false here
        for tau in (0.5, 2, 50):
            assert gl.eigenvalues(gl.pointwise(name, p, tau=tau))[0].real == pytest.approx(abscissa(tau), abs=1e-9)
        numbers = {"p_d": p, "s": s, "Delta": delta}
        for formula, expected in ((known.tau_star, best_rate), (known.best, best), (known.limit, limit)):
            assert float(formula.subs({x: numbers[x.name] for x in formula.free_symbols})) == pytest.approx(expected(p))


@claim("F-59")
def test_a_node_is_slowed_down_by_a_larger_rate_and_eulers_step_shrinks():
    slow = [gl.eigenvalues(gl.pointwise("saturating", 0.8, tau=tau))[0].real for tau in (1, 2, 10)]
    assert slow[0] < slow[1] < slow[2] < 0
    path = [gl.flow(gl.pointwise("saturating", 0.8, tau=tau), (0.5, 0.75), T=6, points=3).radius[-1] for tau in (1, 10)]
    assert path[1] > path[0]
    fast = gl.eigenvalues(gl.pointwise("saturating", 0.2, tau=1000))[1].real
    assert fast < -1500
    assert gl.largest_stable_step(gl.pointwise("saturating", 0.2, tau=1000)) == pytest.approx(2 / abs(fast), rel=1e-6)


@claim("F-58")
def test_friction_on_the_critic_adds_to_the_trace_and_stops_the_circles():
    for name in NAMED:
        plain, damped = (gl.jacobian(gl.pointwise(name, 0.2, damping=g)) for g in (0, 0.7))
        assert np.allclose(damped - plain, [[-0.7, 0], [0, 0]])
    for gamma, kind in ((0.5, "stable spiral"), (1.99, "stable spiral"), (2.01, "stable node"), (3, "stable node")):
        game = gl.pointwise("wasserstein", 0.2, damping=gamma)
        assert gl.verdict(game).kind == kind
        assert np.allclose(np.sort_complex(gl.eigenvalues(game)), np.sort_complex(np.roots([1, gamma, 1])))
    oracle = solve_ivp(lambda t, z: [0.2 - z[1] - 0.5 * z[0], z[0]], (0, 60), [0.25, 0.9], rtol=1e-10, atol=1e-12)
    path = gl.flow(gl.pointwise("wasserstein", 0.2, damping=0.5), (0.25, 0.9), T=60, points=3)
    assert np.allclose(path.last, oracle.y[:, -1], atol=1e-8)
    assert path.radius[-1] < 1e-5


@claim("F-65")
def test_each_remedy_makes_the_trace_negative():
    f2nd = -0.25  # f'' at 0 of f(t) = -log(1 + exp(-t)), whose slope there is 1/2
    for remedy, trace in (
        (gl.R1(0.3), -0.3),
        (gl.InstanceNoise(0.7), 2 * f2nd * 0.49),
        (gl.Consensus(1.5), -2 * 1.5 * 0.25),
    ):
        game = gl.dirac_gan("saturating", remedy)
        assert gl.jacobian(game).trace() == pytest.approx(trace)
        assert gl.numeric_jacobian(game).trace() == pytest.approx(trace, abs=1e-5)
        assert gl.verdict(game).stable
    assert gl.jacobian(gl.dirac_gan("saturating")).trace() == 0
    # the noise by hand: mean over x ~ N(0, s^2) of f(psi x) and of f(psi (theta + x)) with its sign
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    nodes, weights = 0.7 * nodes, weights / weights.sum()

    def psi_dot(theta, psi):  # positive means fake: the critic raises f on fakes and f(-.) on data
        def slope(t):
            return 1 / (1 + np.exp(t))

        return weights @ (slope(psi * (theta + nodes)) * (theta + nodes) - slope(-psi * nodes) * nodes)

    assert (psi_dot(0, 1e-5) - psi_dot(0, -1e-5)) / 2e-5 == pytest.approx(2 * f2nd * 0.49, abs=1e-8)


@claim("F-61")
def test_the_algorithm_has_a_say_at_the_centre_and_with_large_steps():
    def fate(name, method, lr, steps):
        start = (float(gl.pointwise(name, 0.2).rest[0]) + 0.01, 0.2)
        run = gl.simulate(gl.pointwise(name, 0.2), start, method, lr=lr, steps=steps)
        ratio = run.radius[-20:].max() / run.radius[:20].max()
        return "stable" if ratio < 0.5 else "unstable" if ratio > 1.5 else "marginal"

    for name, lr, expected in (
        ("saturating", 0.1, {"simultaneous": "stable", "alternating": "stable", "extragradient": "stable"}),
        ("saturating", 0.5, {"simultaneous": "unstable", "alternating": "stable"}),
        ("wasserstein", 0.1, {"simultaneous": "unstable", "alternating": "marginal", "extragradient": "stable"}),
    ):
        for method, kind in expected.items():
            assert fate(name, method, lr, 60 if lr == 0.5 else 400) == kind
            assert gl.verdict(gl.pointwise(name, 0.2), method, lr=lr).kind == kind
    assert gl.verdict(gl.pointwise("wasserstein")).kind == "centre"
    assert gl.verdict(gl.pointwise("saturating")).kind == "stable spiral"


@claim("F-62")
def test_the_curvature_that_is_left_over_decides():
    epsilon, theta, psi = sp.symbols("epsilon theta psi", real=True)
    f = lambda t: -sp.log(1 + sp.exp(-t))  # noqa: E731
    loss = f(psi * theta + epsilon * theta**2 / 2)  # the generator lowers it, the critic raises it
    A = sp.Matrix([-loss.diff(theta), loss.diff(psi)]).jacobian([theta, psi]).subs({theta: 0, psi: 0})
    half = sp.Rational(1, 2)
    assert sp.simplify(A - half * sp.Matrix([[-epsilon, -1], [1, 0]])) == sp.zeros(2)
    mine = gl.symbolic_eigenvalues(gl.dirac_gan("saturating", curvature=epsilon))
    for sign, value in zip((-1, 1), mine, strict=True):
        printed = (-half * epsilon + sign * sp.sqrt(epsilon**2 / 4 - 1)) / 2
        assert all(abs(complex((value - printed).subs(epsilon, e))) < 1e-12 for e in (-3, -0.4, 0.4, 3))
    for e, moves in ((-0.4, "out"), (0.4, "in")):
        path = gl.flow(gl.dirac_gan("saturating", curvature=e), (0.01, 0.01), T=20, points=3)
        assert (path.radius[-1] > path.radius[0]) == (moves == "out")
    assert gl.verdict(gl.dirac_gan("saturating", gl.R1(0.3), curvature=-0.4)).kind == "stable spiral"
    assert gl.verdict(gl.dirac_gan("saturating", gl.R1(1.3), curvature=-0.4)).kind == "saddle"


# ------------------------------------------------------------------ networks


@claim("F-14")
def test_the_damping_reacts_to_the_activation_and_stays_a_damping():
    page = page_cell("def network_jacobian")
    spread = page["spread"]
    assert all(len(v) >= 10 for v in spread.values())
    medians = {kind: np.median(v) for kind, v in spread.items()}
    assert all(v.min() > 0 for v in spread.values())  # all damp: no parametrisation closes this field
    assert spread["ReLU"].min() > 5 * spread["sigmoid"].max()  # far beyond the spread over seeds
    assert medians["ReLU"] > 10 * medians["sigmoid"]
    within = spread["ReLU"].max() - spread["ReLU"].min()
    assert abs(medians["ReLU"] - medians["ELU"]) < within  # these two do not differ by more than seeds do
    assert abs(medians["ReLU"] - medians["ReLU + dropout"]) < within


@claim("F-14")
@pytest.mark.parametrize("kind", ["tanh", "sigmoid", "ReLU", "ELU"])
def test_the_network_jacobian_of_the_page_is_the_one_of_autograd_over_all_weights(kind):
    page, seed, n, m = page_cell("def network_jacobian"), 3, 64, 32
    rng = np.random.default_rng(seed)
    gain = np.sqrt((1 if kind in ("tanh", "sigmoid") else 2) / n)
    draws = [rng.normal(size=(1, n)), rng.normal(size=n), gain * rng.normal(size=(n, n)), 0.5 * rng.normal(size=n)]
    w1, b1, w2, b2 = (torch.tensor(w) for w in draws)
    act = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "ReLU": torch.relu, "ELU": torch.nn.functional.elu}[kind]
    x, p_d = torch.linspace(-2, 2, m, dtype=torch.float64)[:, None], torch.full((m,), 1 / m, dtype=torch.float64)
    sizes = [w.numel() for w in (w1, b1, w2, b2)]

    def score(w):
        a, b, c, d, out = torch.split(w, [*sizes, n + 1])
        hidden = act(act(x @ a.reshape(1, n) + b) @ c.reshape(n, n) + d)
        return hidden @ out[:n] / n**0.5 + out[n]

    def field(z):
        w, p_g = z[: sum(sizes) + n + 1], z[sum(sizes) + n + 1 :]
        J = (-p_d * torch.nn.functional.softplus(-score(w)) - p_g * torch.nn.functional.softplus(score(w))).sum()
        push = torch.nn.functional.softplus(score(w))  # the saturating f3
        return torch.cat([torch.autograd.grad(J, z, create_graph=True)[0][: sum(sizes) + n + 1], push - push.mean()])

    rest = torch.cat([*(w.reshape(-1) for w in (w1, b1, w2, b2)), torch.zeros(n + 1, dtype=torch.float64), p_d])
    rest.requires_grad_()
    value = field(rest)
    assert value.abs().max() < 1e-12  # it is a rest point
    rows = range(sum(sizes), len(rest))
    whole = torch.stack([torch.autograd.grad(value[k], rest, retain_graph=True)[0] for k in rows]).numpy()
    mine = page["network_jacobian"](kind, seed)
    # the generator of the page keeps the total mass, so its changes have mean zero: project the columns as well
    keep = np.eye(m) - 1 / m
    assert np.allclose(whole[:, sum(sizes) : -m], mine[:, :-m], atol=1e-10)
    assert np.allclose(whole[: n + 1, -m:] @ keep, mine[: n + 1, -m:], atol=1e-10)
    assert np.allclose(whole[:, : sum(sizes)], 0, atol=1e-12)  # hidden weights do not move and do not matter here


@claim("F-67")
def test_failures_are_counted_over_seeds_and_depend_on_the_settings():
    pytest.importorskip("torch")  # the page's cell trains networks
    page = page_cell("def outcome")
    results = page["results"]
    assert all(len(r) >= 10 for r in results.values())
    failed = {name: sum(o != "good" for o in r) for name, r in results.items()}
    names = list(page["SETTINGS"])
    assert failed[names[0]] <= 4  # a good setting next door to
    assert failed["SGD 0.5"] == 12  # one that always fails
    assert results["SGD 0.5"].count("diverged") == 12
    assert failed["Adam 0.01"] >= failed[names[0]] + 4
    outcome = page["outcome"]  # the judge itself, on samples whose fate is known
    true = torch.tensor(np.random.default_rng(0).choice([-2.0, 0.0, 2.0], (10, 500))).float()
    true = true + page["SPREAD"] * torch.randn(10, 500, generator=torch.Generator().manual_seed(0))
    assert outcome(true) == "good"
    assert outcome(true.clamp(max=0.5)) == "misses bumps"
    assert outcome(true * float("nan")) == "diverged"
    assert outcome(100 * true) == "diverged"
    moving = true.clone()
    moving[:5] = moving[:5].clamp(max=0.5)
    assert outcome(moving) == "wanders"


@claim("FIG-01")
def test_the_block_scheme_shows_what_depends_on_what():
    torch.manual_seed(0)
    G, D = torch.nn.Linear(2, 1), torch.nn.Linear(1, 1)
    noise, data = torch.randn(5, 2, requires_grad=True), torch.randn(7, 1, requires_grad=True)
    answers = [torch.sigmoid(D(data)), torch.sigmoid(D(G(noise)))]
    assert all(bool(((a > 0) & (a < 1)).all()) for a in answers)  # D answers with a belief
    J = answers[0].log().mean() + (1 - answers[1]).log().mean()
    I = answers[1].log().mean()  # noqa: E741
    assert all(g.abs().sum() > 0 for g in torch.autograd.grad(J, [noise, data], retain_graph=True))  # both feed D
    slopes = torch.autograd.grad(I, [noise, data, G.weight, D.weight], allow_unused=True)
    assert slopes[1] is None  # the generator never sees the data
    assert all(slopes[k].abs().sum() > 0 for k in (0, 2, 3))
    # the drawing has these five boxes and four arrows
    (cell,) = [c for c in nbformat.read(PAGE, as_version=4).cells if "Block diagram" in str(c.metadata)]
    for box in ("noise $z$", "generator $G$", "data $p_d$", "discriminator $D$", "real or fake?"):
        assert box in cell.source
    assert cell.outputs
