"""The claims of the page *Quadratic transport*: the linear programme, its critic, the proof with a hole, the papers.

Oracles: brute force over matchings, SciPy's programmes and shortest paths, SymPy, autograd, closed forms, and paths
integrated here by SciPy from a field written out here.
"""

import re
from itertools import permutations
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
import yaml
from hypothesis import given
from hypothesis import strategies as st
from proofs import claims_of, studies_of
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq, linear_sum_assignment, linprog
from scipy.sparse.csgraph import shortest_path
from scipy.spatial.distance import cdist
from scipy.special import expit

import ganlab as gl
from ganlab import metrics
from ganlab.objectives import expressions
from ganlab.transport import critic_from_potentials, plan, quadratic_potentials, quadratic_slack, transport_map

torch = pytest.importorskip("torch", reason="the page trains critics")

import wgan_qc_digits  # noqa: E402
import wgan_qc_toys  # noqa: E402

from ganlab.neural.models.mlp import mlp  # noqa: E402
from ganlab.neural.transport_critic import (  # noqa: E402
    TRANSPORT,
    QuadraticCritic,
    regression_loss,
    transport_gap,
    transport_targets,
)

claim = claims_of("wgan-qc")
stored = studies_of("wgan-qc")
BOOK = Path(__file__).resolve().parents[2] / "book"

X, Y = np.array([0, 0.5, 2]), np.array([1, 2.5, 3])  # three fakes and three data: the page's example
SEEDS = range(10)
GAMMAS, SCALES = (0.1, 0.3, 1.0, 4.0), (0.5, 1.0, 2.0)


def clouds(seed, n=6, m=6, d=2):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5


def costs(x, y, scale=1.0):
    x, y = (np.reshape(v, (len(v), -1)) for v in (x, y))
    return scale / 2 * cdist(x, y, "sqeuclidean")


def brute(c):
    """The cheapest matching, by trying all."""
    n = len(c)
    return min(sum(c[i, j] for i, j in enumerate(p)) for p in permutations(range(n))) / n


def programme(c, two_sided=False):
    """The linear programme written out, by SciPy: its optimum."""
    n, m = c.shape
    A = np.hstack([-np.kron(np.eye(n), np.ones((m, 1))), np.tile(np.eye(m), (n, 1))])
    A, b = (np.vstack([A, -A]), np.tile(c.ravel(), 2)) if two_sided else (A, c.ravel())
    found = linprog(np.repeat([1 / n, -1 / m], [n, m]), A_ub=A, b_ub=b, bounds=(None, None))
    return -found.fun


def cheapest_paths(c):
    """The price of going from fake to datum when detours over other samples are allowed, in both directions."""
    n, m = c.shape
    graph = np.zeros((n + m, n + m))
    graph[:n, n:], graph[n:, :n] = c, c.T
    return shortest_path(graph)[:n, n:]


# ---------------------------------------------------------------- the linear programme


@claim("W-26")
@pytest.mark.parametrize("seed", range(6))
def test_the_one_sided_programme_is_the_cheapest_matching_and_the_two_sided_one_takes_detours(seed):
    x, y = clouds(seed, 5, 5)
    c = costs(x, y)
    one, two = quadratic_potentials(x, y), quadratic_potentials(x, y, one_sided=False)
    assert one.value == pytest.approx(brute(c), rel=1e-9) == programme(c)
    assert two.value == pytest.approx(programme(c, two_sided=True), rel=1e-9)
    assert two.value == pytest.approx(brute(cheapest_paths(c)), rel=1e-9)
    assert two.value <= one.value + 1e-12


@claim("W-26")
def test_in_the_example_the_two_programmes_give_one_and_seven_twelfths():
    c = costs(X, Y)
    assert brute(c) == pytest.approx(1)
    assert quadratic_potentials(X, Y).value == pytest.approx(1, abs=1e-12)
    assert quadratic_potentials(X, Y, one_sided=False).value == pytest.approx(7 / 12, abs=1e-12)
    assert programme(c, two_sided=True) == pytest.approx(7 / 12, abs=1e-9)
    assert cheapest_paths(c)[0, 1] == pytest.approx(9 / 8)
    assert c[0, 1] == pytest.approx(25 / 8)


@claim("W-26")
def test_how_often_the_two_differ_in_random_batches():
    differ = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(2, 6, 2))
        c = costs(x, y)
        detours = cheapest_paths(c)
        values = [d[linear_sum_assignment(d)].mean() for d in (c, detours)]
        differ += values[1] < values[0] - 1e-9
    assert differ == 64


@claim("W-26")
@pytest.mark.parametrize("power", [1, 2])
def test_only_a_cost_that_is_no_metric_can_be_undercut(power):
    x, y = clouds(3, 6, 6)
    c = cdist(x, y) ** power
    assert np.allclose(cheapest_paths(c), c) == (power == 1)


@claim("W-26")
@given(st.lists(st.floats(0, 10), min_size=4, max_size=4))
def test_two_pairs_have_no_detour(prices):
    c = np.reshape(prices, (2, 2))
    assert programme(c, two_sided=True) == pytest.approx(brute(c), abs=1e-7)


@claim("W-27")
@given(st.integers(0, 10**6), st.sampled_from(SCALES), st.integers(1, 5))
def test_the_optimum_is_the_cost_of_the_plan_half_the_squared_distance(seed, scale, d):
    x, y = clouds(seed, 5, 7, d)
    h, found = quadratic_potentials(x, y, scale), plan(x, y, p=2, solver="lp")
    assert h.value == pytest.approx(scale / 2 * found.cost, rel=1e-8)
    assert h.real.mean() - h.fake.mean() == pytest.approx(h.value, rel=1e-12)
    assert h.plan.sum(1) == pytest.approx(np.full(5, 1 / 5), abs=1e-9)
    assert h.plan.sum(0) == pytest.approx(np.full(7, 1 / 7), abs=1e-9)


@claim("W-27")
def test_for_a_shift_the_cost_is_half_the_square_and_the_distance_is_the_shift():
    x = clouds(0, 8)[0]
    y = x + np.array([3, 4])
    assert quadratic_potentials(x, y).value == pytest.approx(12.5)
    assert sqrt(plan(x, y, p=2).cost) == pytest.approx(5)


@claim("W-28")
def test_potentials_are_free_up_to_a_constant_and_with_degenerate_data_beyond_it():
    x = y = np.array([0.0, 1.0])
    c = costs(x, y)
    for h in (-0.5, -0.2, 0, 0.3, 0.5):
        H = np.array([0, h])
        assert (H[None] - H[:, None] <= c + 1e-12).all()
        assert H.mean() - H.mean() == brute(c) == 0
    assert (np.array([0, 0.6])[None] - np.array([0, 0.6])[:, None] > c).any()
    middle = quadratic_potentials(x, y)
    assert np.allclose(middle.fake, 0)
    assert np.allclose(middle.real, 0)


@claim("W-28")
@pytest.mark.parametrize("seed", range(4))
def test_two_choices_of_potentials_have_one_value_and_the_mean_is_zero(seed):
    x, y = clouds(seed)
    centre, vertex = (quadratic_potentials(x, y, choice=choice) for choice in ("centre", "vertex"))
    assert centre.value == pytest.approx(vertex.value, rel=1e-12)
    for h in (centre, vertex):
        assert np.concatenate([h.fake, h.real]).mean() == pytest.approx(0, abs=1e-12)
        assert quadratic_slack(x, y, h).min() > -1e-9
    assert np.abs(centre.fake - vertex.fake).max() > 1e-3


@claim("W-29")
@pytest.mark.parametrize("seed", range(6))
def test_a_fakes_partner_is_where_the_slack_is_smallest_and_that_is_zero(seed):
    x, y = clouds(seed, 8, 8)
    h = quadratic_potentials(x, y)
    slack = costs(x, y) + h.fake[:, None] - h.real
    _, partner = linear_sum_assignment(costs(x, y))
    assert np.abs(slack.min(axis=1)).max() < 1e-9
    assert (slack.argmin(axis=1) == partner).all()
    assert (h.plan.argmax(axis=1) == partner).all()
    assert np.allclose(transport_map(y, h), y[partner])


@claim("W-29")
def test_the_printed_index_gives_a_partner_to_data_and_none_to_some_fakes():
    x, y = np.array([0.0, 1.0, 2.0]), np.array([0.9])
    h = quadratic_potentials(x, y)
    slack = costs(x, y) + h.fake[:, None] - h.real
    assert slack.argmin(axis=0).shape == (1,)  # sigma(j): one answer, for one datum
    assert slack.argmin(axis=1).tolist() == [0, 0, 0]  # sigma(i): one for each fake
    assert np.abs(slack).max() < 1e-12


@claim("QC-09")
@pytest.mark.parametrize("scale", SCALES)
def test_near_the_equilibrium_flat_potentials_are_optimal_and_so_are_leaning_ones(scale):
    y = np.random.default_rng(2).normal(size=12)
    a = 1e-3 * np.diff(np.sort(y)).min()
    c = costs(y + a, y, scale)
    value = scale * a**2 / 2
    assert c[linear_sum_assignment(c)].mean() == pytest.approx(value)
    flat, lean = np.zeros(12), -scale * a * (y - y.mean())
    for H in (flat, lean):
        fake, real = H - value / 2, H + value / 2
        assert (real[None] - fake[:, None] <= c + 1e-15).all()
        assert real.mean() - fake.mean() == pytest.approx(value)
    vertex, centre = (quadratic_potentials(y + a, y, scale, choice=choice) for choice in ("vertex", "centre"))
    assert np.abs(centre.fake - lean).max() < 0.1 * np.abs(lean).max()
    assert np.abs(vertex.fake - lean).max() > 0.5 * np.abs(lean).max()


@claim("QC-09")
@pytest.mark.parametrize("gamma", [0, sp.Rational(1, 10), 1])
def test_leaning_potentials_fill_the_block_even_without_a_regulariser(gamma):
    """Data N(0, 1), fakes shifted by theta, D = psi x: the expected squares by SymPy."""
    z, theta, psi, K = sp.symbols("z theta psi K", positive=True)
    lean = -K * theta * z - K * theta**2 / 2
    inside = sp.expand((psi * (z + theta) - lean) ** 2 / 2)
    square = inside.subs(z**2, 1).subs(z, 0)  # the moments of N(0, 1)
    row = -square.diff(psi) - gamma * (psi + K * theta)
    J = sp.Matrix([row, psi]).jacobian([psi, theta]).subs({psi: 0, theta: 0})
    assert sp.Matrix([[-1 - gamma, -(1 + gamma) * K], [1, 0]]) == J
    assert np.linalg.eigvals(np.array(J.subs(K, 1), dtype=float)).real.max() < 0


# ---------------------------------------------------------------- the critic and its loss


@claim("W-30")
@pytest.mark.parametrize("scale", SCALES)
def test_the_critic_of_the_potentials_answers_them_at_fakes_and_its_slope_is_the_arrow(scale):
    x, y = clouds(5, 12, 12)
    h = quadratic_potentials(x, y, scale)
    _, partner = linear_sum_assignment(costs(x, y))
    D = critic_from_potentials(y, h)

    def by_hand(points):
        return (h.real - costs(points, y, scale)).max(1)

    assert np.allclose(D(x), h.fake)
    assert np.allclose(by_hand(x), h.fake)
    assert (D(y) >= h.real - 1e-12).all()
    e = 1e-6
    slopes = np.stack([(by_hand(x + e * v) - by_hand(x - e * v)) / (2 * e) for v in np.eye(2)], 1)
    assert np.allclose(slopes, scale * (y[partner] - x), atol=1e-6)
    assert np.allclose(D.gradient(x), scale * (y[partner] - x))


@claim("W-30")
@pytest.mark.parametrize("form", ["norm", "vector"])
def test_the_loss_is_the_formula_of_the_page_and_the_printed_first_term_misses_its_target(form):
    x, y = clouds(2, 6, 6)
    gamma, scale, a = 0.7, 0.5, np.array([0.3, -1.1])
    h = quadratic_potentials(x, y, scale)
    _, partner = linear_sum_assignment(costs(x, y))
    arrow = scale * (y[partner] - x)
    t_real, t_fake, slope = y @ a, x @ a, np.broadcast_to(a, x.shape)
    gap = {"norm": (np.linalg.norm(slope, axis=1) - np.linalg.norm(arrow, axis=1)) ** 2,
           "vector": ((slope - arrow) ** 2).sum(1)}[form]  # fmt: skip
    fakes = ((t_fake - h.fake) ** 2).mean() / 2
    meant = (t_real.mean() - h.real.mean()) ** 2 / 2 + fakes + gamma / 2 * gap.mean()
    D = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    D.weight.data[:] = torch.tensor(a)
    loss = QuadraticCritic(form, gamma, scale)(D, torch.tensor(y), torch.tensor(x))
    assert loss.item() == pytest.approx(meant, rel=1e-12)
    # with the potentials themselves as scores the loss is zero as meant, and not with H_j / n as printed
    targets = transport_targets(torch.tensor(y), torch.tensor(x), scale)
    assert regression_loss(torch.tensor(h.real), torch.tensor(h.fake), targets).item() < 1e-20
    assert (h.real.mean() - h.real[0] / 6) ** 2 / 2 > 1e-4


@claim("QC-01")
@pytest.mark.parametrize("scale", [1.0, 0.25, 1 / 64])
def test_the_released_regulariser_is_the_printed_one_with_another_weight(scale):
    rng, weight = np.random.default_rng(0), 0.1
    slopes, gap = rng.normal(size=(2, 32, 8))
    root = sqrt(scale)
    lengths = [np.linalg.norm(v, axis=1) for v in (slopes, gap)]
    released = 4 * root * weight * 0.5 * ((lengths[0] / (2 * root) - root / 2 * lengths[1]) ** 2).mean()
    assert released == pytest.approx(weight / (2 * root) * ((lengths[0] - scale * lengths[1]) ** 2).mean())
    ours = transport_gap(torch.tensor(slopes), torch.tensor(scale * gap), "norm").item()
    assert released == pytest.approx(weight / root * ours)


# ---------------------------------------------------------------- the Dirac-GAN


def velocity(theta, psi, form, gamma, scale=1.0):
    """The field of WGAN-QC on the Dirac-GAN, from the formulas of the page."""
    push = gamma * ((abs(psi) - scale * abs(theta)) * np.sign(psi) if form == "norm" else psi + scale * theta)
    return psi, -(psi * theta + scale * theta**2 / 4) * theta - push


def by_autograd(theta, psi, form, gamma, scale=1.0):
    """The same field from the package's own loss: one real sample, 0, and one fake, theta."""
    D = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
    D.weight.data[:] = psi
    fake = torch.tensor([[float(theta)]], dtype=torch.float64, requires_grad=True)
    loss = QuadraticCritic(form, gamma, scale)(D, torch.zeros_like(fake), fake.detach())
    (up,) = torch.autograd.grad(TRANSPORT.f3(D(fake)).mean(), fake)
    (down,) = torch.autograd.grad(loss, D.weight)
    return up.item(), -down.item()


def end_of(start, form, gamma, h=0.01, T=400.0):
    """Where simultaneous steps end, for many starts at once."""
    theta, psi = np.array(start, dtype=float).T
    for _ in range(int(T / h)):
        v = velocity(theta, psi, form, gamma)
        theta, psi = theta + h * v[0], psi + h * v[1]
    return np.stack([theta, psi], 1)


STARTS = np.random.default_rng(0).uniform(-3, 3, (60, 2))


@claim("W-35")
@pytest.mark.parametrize("form", ["norm", "vector"])
@pytest.mark.parametrize("scale", SCALES)
def test_the_field_of_the_page_is_the_gradient_of_the_packages_loss(form, scale):
    for theta, psi in STARTS[:12]:
        assert by_autograd(theta, psi, form, 0.7, scale) == pytest.approx(velocity(theta, psi, form, 0.7, scale))


@claim("W-35")
@pytest.mark.parametrize("gamma", [0.5, 1, 2])
def test_with_the_printed_regulariser_every_start_ends_at_a_wrong_point(gamma):
    ends = end_of(STARTS, "norm", gamma)
    assert np.abs(ends[:, 0]) == pytest.approx(np.full(60, 2 * sqrt(gamma)), abs=1e-6)
    assert np.abs(ends[:, 1]).max() < 1e-6


@claim("W-35")
@pytest.mark.parametrize("gamma", [4, 8])
def test_a_strong_printed_regulariser_converges_from_some_starts_only(gamma):
    ends = end_of(STARTS, "norm", gamma, T=60)
    home = np.hypot(*ends.T) < 1e-6
    assert 0 < home.sum() < 60
    assert (STARTS[home].prod(1) < 0).all()  # the critic pointed the right way
    assert np.abs(ends[~home, 0]) == pytest.approx(np.full((~home).sum(), 2 * sqrt(gamma)), abs=1e-6)
    # beyond the wrong rest point the values, not the slopes, turn the critic round: also such starts come home
    assert np.hypot(*end_of([(20, 5)], "norm", gamma, h=1e-3, T=60).T) < 1e-6


@claim("W-35")
@pytest.mark.parametrize("gamma", [0.5, 1, 2, 4, 8])
def test_the_linear_pieces_have_the_eigenvalues_of_the_page(gamma):
    e = 1e-6
    for sign in (-1, 1):  # of psi theta
        at = np.array([e, sign * e])
        J = np.array([np.subtract(velocity(*(at + d), "norm", gamma), velocity(*(at - d), "norm", gamma)) / (2e-9)
                      for d in 1e-9 * np.eye(2)]).T  # fmt: skip
        roots = np.roots([1, gamma, -sign * gamma])  # lambda^2 + gamma lambda -+ gamma
        assert np.sort_complex(np.linalg.eigvals(J)) == pytest.approx(np.sort_complex(roots), abs=1e-5)


@claim("QC-01")
@pytest.mark.parametrize(("gamma", "where"), [(1, 2.0), (0.3, 1.0954), (0.1, 0.6325)])
def test_the_wrong_rest_points_of_the_released_weights(gamma, where):
    """By a root finder on the package's own loss, just above psi = 0."""
    root = brentq(lambda theta: by_autograd(theta, 1e-13, "norm", gamma)[1], 0.1, 9)
    assert root == pytest.approx(2 * sqrt(gamma), abs=1e-9) == pytest.approx(where, abs=1e-4)


@claim("QC-02")
def test_the_wrong_rest_points_attract_from_one_side_and_are_nodes_from_eight_twentyfifths_on():
    theta, psi, gamma, K = sp.symbols("theta psi gamma K", positive=True)
    upper = sp.Matrix([psi, -(psi * theta + K * theta**2 / 4) * theta - gamma * (psi - K * theta)])  # psi, theta > 0
    at = {theta: 2 * sp.sqrt(gamma), psi: 0}
    assert sp.simplify(upper.subs(at)) == sp.zeros(2, 1)
    J = sp.simplify(upper.jacobian([theta, psi]).subs(at))
    assert sp.Matrix([[0, 1], [-2 * K * gamma, -5 * gamma]]) == J
    discriminant = sp.factor(J.trace() ** 2 - 4 * J.det())
    assert sp.solve(discriminant, gamma) == [8 * K / 25]
    assert velocity(2.0, 0.1, "norm", 1.0)[1] == pytest.approx(
        float(upper[1].subs({theta: 2, psi: 0.1, gamma: 1, K: 1}))
    )


@claim("QC-02")
@pytest.mark.parametrize("gamma", [0.1, 0.2, 0.3])
def test_below_that_strength_the_path_never_settles(gamma):
    """At every step size, and however long one waits: the distance keeps swinging between the same two bounds."""
    for h in (0.2, 0.05):
        late = []
        theta, psi = STARTS[:10].T
        for k in range(int(900 / h)):
            v = velocity(theta, psi, "norm", gamma)
            theta, psi = theta + h * v[0], psi + h * v[1]
            if k * h > 600:
                late.append(np.hypot(theta, psi))
        late = np.array(late)
        assert late.max(0).min() > 1.8 * sqrt(gamma)
        assert late.min(0).max() < 1.2 * sqrt(gamma)


@claim("QC-03")
@pytest.mark.parametrize("scale", SCALES)
def test_the_slope_of_the_path_has_no_rest_below_four_K(scale):
    """u = psi / theta obeys u' = -(u^2 + gamma u + gamma K) - theta^2 (u + K/4) where psi theta < 0."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        theta, psi, gamma = rng.uniform(0.1, 2), -rng.uniform(0.1, 2), rng.uniform(0.1, 8)
        v, u = velocity(theta, psi, "norm", gamma, scale), psi / theta
        exact = -(u**2 + gamma * u + gamma * scale) - theta**2 * (u + scale / 4)
        assert (v[1] * theta - psi * v[0]) / theta**2 == pytest.approx(exact)
    u, gamma, K = sp.symbols("u gamma K", positive=True)
    assert sp.solve(sp.discriminant(u**2 + gamma * u + gamma * K, u), gamma) == [4 * K]


@claim("QC-03")
@pytest.mark.parametrize(("gamma", "home"), [(3.0, False), (5.0, True)])
def test_a_path_that_points_home_misses_it_below_four_and_arrives_above(gamma, home):
    """The flow from (1, -1) by SciPy: either theta reaches 0 with speed left, or never before the path is home."""

    def crossed(t, s):
        return s[0] - 1e-9

    crossed.terminal = True
    path = solve_ivp(lambda t, s: velocity(*s, "norm", gamma), (0, 30), [1, -1], events=crossed, rtol=1e-10, atol=1e-13)
    assert (abs(path.y[1, -1]) < 1e-6) == home


@claim("QC-04")
@pytest.mark.parametrize("scale", SCALES)
def test_the_vector_form_has_a_lyapunov_function(scale):
    theta, psi, gamma, K = sp.symbols("theta psi gamma K", real=True)
    row = -(psi * theta + K * theta**2 / 4) * theta - gamma * (psi + K * theta)
    V = psi**2 / 2 + gamma * K * theta**2 / 2 + K * theta**4 / 16
    rate = sp.expand(V.diff(theta) * psi + V.diff(psi) * row)
    assert sp.expand(rate + (gamma + theta**2) * psi**2) == 0
    numbers = {theta: 1.3, psi: -0.4, gamma: 0.7, K: scale}
    assert float(row.subs(numbers)) == pytest.approx(velocity(1.3, -0.4, "vector", 0.7, scale)[1])


@claim("QC-04")
@pytest.mark.parametrize("gamma", GAMMAS)
def test_the_vector_form_comes_home_from_every_start_with_the_rate_of_its_eigenvalues(gamma):
    assert np.hypot(*end_of(5 * STARTS, "vector", gamma, h=0.002, T=150).T).max() < 2e-3
    J = np.array([[0, 1], [-gamma, -gamma]])
    formula = -gamma / 2 + np.array([-1, 1]) * np.emath.sqrt(gamma**2 / 4 - gamma)
    assert np.sort_complex(np.linalg.eigvals(J)) == pytest.approx(np.sort_complex(formula + 0j), abs=1e-7)
    e = 1e-6
    slope = [(by_autograd(e, 0, "vector", gamma)[1] - by_autograd(-e, 0, "vector", gamma)[1]) / (2 * e),
             (by_autograd(0, e, "vector", gamma)[1] - by_autograd(0, -e, "vector", gamma)[1]) / (2 * e)]  # fmt: skip
    assert slope == pytest.approx([-gamma, -gamma], abs=1e-6)


@claim("QC-04")
@pytest.mark.parametrize(("gamma", "r"), [(0.1, 7e-3), (0.3, 4e-6), (1, 1e-19)])
def test_distances_after_five_hundred_steps_of_the_vector_form(gamma, r):
    end = end_of([(1, 1)], "vector", gamma, h=0.2, T=100)
    assert np.hypot(*end.T)[0] == pytest.approx(r, rel=0.5)


# ---------------------------------------------------------------- the Jacobian, and what it proves


DATA = torch.tensor(np.random.default_rng(4).normal(size=(9, 2)))


def features(x):
    a, b = x[..., 0], x[..., 1]
    return torch.stack([a, b, a * a, a * b, b * b, a**3, torch.sin(b)], -1)


def critic(psi, x):
    """Nonlinear in its parameters, and zero at psi = 0."""
    return features(x) @ psi + (features(x) @ psi) ** 2 + (x[..., 0] * psi[0]) ** 3


def generator(theta):
    """At theta = 0 every fake lies on its own datum; the partner of fake i is datum i as long as theta is small."""
    return (1 + theta[0]) * DATA + theta[1:3] + theta[3] * DATA.flip(1)


def learning(form, gamma, scale=1.0):
    """The field (psi', theta') with H* frozen at 0, as in the report; in the printed form the target length, too."""

    def loss(psi, theta):
        x = generator(theta)
        slopes = torch.func.vmap(torch.func.grad(lambda p: critic(psi, p)))(x)
        arrows = scale * (DATA - x) if form == "vector" else torch.zeros_like(x)
        squares = critic(psi, DATA).mean() ** 2 / 2 + critic(psi, x).square().mean() / 2
        return squares + gamma / 2 * (slopes - arrows).square().sum(-1).mean()

    def field(state):
        psi, theta = state[:7], state[7:]
        down = -torch.func.grad(loss)(psi, theta)
        up = torch.func.grad(lambda t: critic(psi, generator(t)).mean())(theta)
        return torch.cat([down, up])

    return torch.func.jacrev(field)(torch.zeros(11, dtype=torch.float64)).numpy()


def blocks(gamma):
    """M_DD, M_R and M_GD from the features alone."""
    phi = features(DATA).numpy()
    mixed = torch.func.vmap(torch.func.jacrev(features))(DATA).numpy()  # (9, 7, 2), the derivative in (psi, x)
    moves = torch.func.jacrev(generator)(torch.zeros(4, dtype=torch.float64)).numpy()  # (9, 2, 4)
    M_DD = np.outer(phi.mean(0), phi.mean(0)) + phi.T @ phi / len(phi)
    M_R = gamma * np.einsum("nia,nja->ij", mixed, mixed) / len(phi)
    M_GD = -np.einsum("nia,nat->it", mixed, moves) / len(phi)
    return M_DD, M_R, M_GD


@claim("W-31")
@claim("W-32")
@claim("W-33")
def test_the_jacobian_is_made_of_the_three_matrices_with_the_coupling_below():
    J, (M_DD, M_R, M_GD) = learning("norm", 0.7), blocks(0.7)
    assert np.allclose(-J[:7, :7], M_DD + M_R)
    assert np.allclose(-J[7:, :7], M_GD.T)
    assert np.abs(M_GD).max() > 0.1
    assert np.allclose(J[:, 7:], 0)  # the report prints the coupling here, above the diagonal


@claim("W-32")
@claim("W-33")
def test_with_and_without_the_regulariser_the_two_parts_come_apart():
    M_DD, M_R, _ = blocks(0.7)
    assert np.allclose(-learning("norm", 0.0)[:7, :7], M_DD)
    assert M_R.shape == (7, 7)  # the derivative in (theta, psi), as printed, could not be added to M_DD
    assert np.linalg.eigvalsh(M_DD).min() > -1e-12
    assert np.linalg.eigvalsh(M_DD + M_R).min() > 0


@claim("W-34")
def test_the_spectrum_has_a_zero_for_every_parameter_of_the_generator():
    J = learning("norm", 0.7)
    M_DD, M_R, _ = blocks(0.7)
    values = np.sort(np.linalg.eigvals(J).real)
    assert np.allclose(values[7:], 0, atol=1e-9)
    assert values[6] < -1e-4
    assert np.allclose(values[:7], np.sort(-np.linalg.eigvalsh(M_DD + M_R)))


@claim("W-34")
def test_the_quadratic_form_takes_both_signs():
    J = learning("norm", 0.7)
    values = np.linalg.eigvalsh((J + J.T) / 2)
    assert values.min() < -0.1
    assert values.max() > 0.1


@claim("QC-05")
def test_the_vector_form_fills_the_block_and_is_stable():
    gamma, scale = 0.7, 0.5
    J, (_, _, M_GD) = learning("vector", gamma, scale), blocks(gamma)
    assert np.allclose(-J[:7, 7:], -gamma * scale * M_GD)
    assert np.allclose(-J[7:, :7], M_GD.T)
    assert np.linalg.matrix_rank(M_GD) == 4
    assert np.linalg.eigvals(J).real.max() < 0


@claim("QC-05")
@given(st.integers(0, 10**6), st.floats(0.01, 10), st.integers(1, 4))
def test_the_block_matrix_is_stable_for_every_positive_A_and_full_B(seed, gamma, n):
    rng = np.random.default_rng(seed)
    root, B = rng.normal(size=(5, 5)), rng.normal(size=(5, n))
    A = root @ root.T + 0.05 * np.eye(5)
    J = -np.block([[A, gamma * B], [-B.T, np.zeros((n, n))]])
    assert np.linalg.eigvals(J).real.max() < 0
    B[:, 0] = 0  # not of full rank: a direction of the generator that no critic sees
    J = -np.block([[A, gamma * B], [-B.T, np.zeros((n, n))]])
    assert np.abs(np.linalg.eigvals(J)).min() < 1e-9


@claim("QC-05")
def test_a_critic_without_friction_is_not_enough():
    A, B = np.diag([0.0, 1.0]), np.array([[1.0], [0.0]])
    J = -np.block([[A, B], [-B.T, np.zeros((1, 1))]])
    assert np.linalg.eigvals(J).real.max() == pytest.approx(0, abs=1e-12)


@claim("QC-06")
def test_one_critic_on_both_sides_reports_twice_the_cost_of_a_shift():
    x, theta, s, K = sp.symbols("x theta s K", positive=True)
    density = sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)

    def mean(f):
        return sp.simplify(sp.integrate(sp.expand(f) * density, (x, -sp.oo, sp.oo)))

    for T in (x + theta, s * x):  # the map of the fakes N(0, 1) to the data: a shift, a stretch
        D = sp.integrate(K * (T - x), x)  # the critic whose slope is the arrow, everywhere
        gap = mean(D.subs(x, T)) - mean(D)
        cost = mean(K * (T - x) ** 2 / 2)
        assert sp.simplify(gap / cost - (2 if T.has(theta) else s + 1)) == 0


@claim("QC-06")
@pytest.mark.parametrize(("stretch", "shift", "ratio"), [(1.0, 1.0, 2.0), (0.7, 0.0, 1.7), (0.5, 0.0, 1.5)])
def test_the_programme_agrees_on_many_points_where_fakes_reach_all_data(stretch, shift, ratio):
    from scipy.stats import norm

    x = norm.ppf((np.arange(150) + 0.5) / 150)
    y = stretch * x + shift
    h = quadratic_potentials(x, y)
    D = critic_from_potentials(y, h)
    assert (D(y).mean() - D(x).mean()) / h.value == pytest.approx(ratio, rel=0.05)


# ---------------------------------------------------------------- batches, maps and networks


def steepness(form, seeds, steps=150):
    """Mean slope of critics trained on fresh batches of one and the same law, N(0, 1), where the right slope is 0."""
    D = mlp(1, 1, (32, 32), seed=seeds)
    optimizer, loss = torch.optim.Adam(D.parameters(), 3e-3), QuadraticCritic(form, 1.0, 1.0)
    g = torch.Generator().manual_seed(0)
    for _ in range(steps):
        real, fake = torch.randn(2, len(seeds), 32, 1, generator=g)
        optimizer.zero_grad()
        loss(D, real, fake).sum().backward()
        optimizer.step()
    x = torch.randn(len(seeds), 500, 1, generator=g).requires_grad_()
    (slopes,) = torch.autograd.grad(D(x).sum(), x)
    return slopes.abs().mean((1, 2)).numpy()


@claim("QC-07")
def test_at_equilibrium_the_printed_form_keeps_the_critic_steep():
    norm, vector = steepness("norm", range(6)), steepness("vector", range(6))
    apart = norm.mean() - vector.mean()
    noise = sqrt(norm.var(ddof=1) / 6 + vector.var(ddof=1) / 6)
    assert apart > 3 * noise
    assert norm.mean() > 1.5 * vector.mean()


def batch_map(d, n=64):
    """Unexplained variance, in per cent, of the map of one batch and of its average, N(0, I) to itself, ten seeds."""
    one, mean = [], []
    for seed in SEEDS:
        x, y = np.random.default_rng(seed).normal(size=(2, n, d))
        _, partner = linear_sum_assignment(costs(x, y))
        sent = y[partner]
        one.append(100 * ((sent - x) ** 2).sum(1).mean() / d)
        mean.append(100 * (1 - (sent * x).sum() / (x * x).sum()) ** 2)
    return np.mean(one), np.mean(mean)


@claim("QC-08")
def test_the_map_of_a_batch_gets_worse_with_the_dimension_and_then_worse_than_a_constant():
    one, mean = np.array([batch_map(d) for d in (2, 4, 8, 16, 32, 64)]).T
    assert np.round(one) == pytest.approx([17, 35, 67, 98, 126, 146], abs=1)
    assert (np.diff(one) > 0).all()
    assert (np.diff(mean) > 0).all()
    assert one[4] > 100
    published = [1.60, 5.90, 31.0, 59.3, 113, 141]  # Korotin et al. 2021, other laws
    assert all(m < p < o for m, p, o in zip(mean, published, one, strict=True)), (mean, one)


def last(rows, row, what):
    return np.array(rows[row][what][-1])


@claim("QC-10")
def test_on_the_ring_vectors_come_near_the_floor_and_lengths_go_nowhere():
    ring = stored("toys")["laws"]["ring"]
    norm, vector, light, none = (last(ring["rows"], row, "w2") for row in ("norm", "vector", "norm, light", "none"))
    assert norm.min() > 2 * vector.max()
    assert norm.mean() > np.mean(ring["rows"]["norm"]["w2"][0])
    assert light.mean() > none.mean() > metrics.mean_interval(vector)[1]
    low, high = metrics.mean_interval(ring["floor"])
    assert all(low < last(ring["rows"], row, "w2").mean() < high for row in ("vector", "vector, vertex", "WGAN-GP"))
    assert ring["rows"]["WGAN-GP"]["cost"] < 0.6 * ring["rows"]["vector"]["cost"]


@claim("QC-10")
def test_on_the_swiss_roll_lengths_go_nowhere_and_vectors_are_quick():
    rows = stored("toys")["laws"]["swiss roll"]["rows"]
    ends = {row: metrics.mean_interval(last(rows, row, "w2")) for row in rows}
    assert ends["norm"][0] > 3 * ends["vector"][1]
    assert np.mean(last(rows, "norm", "w2")) > np.mean(rows["norm"]["w2"][0])
    assert ends["none"][0] < ends["vector"][1] < ends["none"][1]
    assert np.mean(rows["vector"]["w2"][1]) < 1.1 * np.mean(last(rows, "none", "w2"))


@claim("QC-10")
def test_the_stored_starts_and_floors_of_the_toys_come_out_again_and_vectors_learn_where_lengths_do_not():
    laws = stored("toys")["laws"]
    for law, found in laws.items():
        assert found["floor"][:2] == pytest.approx(wgan_qc_toys.floor(law, [0, 1]), abs=2e-4)
    runs = {row: wgan_qc_toys.train_row("ring", row, [0, 1], steps=80) for row in ("norm", "vector")}
    assert runs["norm"]["w2"][0] == pytest.approx(laws["ring"]["rows"]["norm"]["w2"][0][:2], abs=1e-3)
    first, (norm, vector) = np.array(runs["norm"]["w2"][0]), (np.array(runs[k]["w2"][-1]) for k in ("norm", "vector"))
    assert (vector < 0.9 * first).all()
    assert vector.max() < norm.min()


@claim("QC-11")
def test_on_the_digits_vectors_beat_lengths_lengths_tie_with_the_mean_picture_and_none_loses():
    found = stored("digits")
    ends = {row: metrics.mean_interval(last(found["rows"], row, "cost")) for row in ("none", "norm", "vector")}
    assert np.mean(found["floor"]) < ends["vector"][0] < ends["vector"][1] < 0.6 * found["mean"]
    assert ends["norm"][0] < found["mean"] < ends["norm"][1] < ends["none"][0]
    assert ends["vector"][1] < ends["norm"][0]


@claim("QC-11")
def test_the_stored_baselines_of_the_digits_come_out_again_and_vectors_lead_after_a_few_steps():
    found, rng = stored("digits"), np.random.default_rng
    learn, held_out = wgan_qc_digits.pictures(rng(0))
    assert found["mean"] == pytest.approx(wgan_qc_digits.cost(0 * learn + learn.mean(0), held_out), abs=1e-4)
    assert found["floor"][0] == pytest.approx(wgan_qc_digits.cost(*wgan_qc_digits.pictures(rng([1, 0]))), abs=1e-4)
    ends = {row: wgan_qc_digits.train_row(row, [0, 1], steps=100) for row in ("norm", "vector")}
    starts = np.array(found["rows"]["vector"]["cost"][0][:2])
    assert np.array(ends["vector"]["cost"][0]) == pytest.approx(starts, abs=1e-3)
    assert np.max(ends["vector"]["cost"][-1]) < np.min(ends["norm"]["cost"][-1]) < starts.min()


@claim("X-10")
def test_a_critic_trained_to_the_end_gives_the_exact_gradient_of_the_transport_cost():
    x, y = clouds(7, 8, 8)

    def cost(a, b):
        return brute_cost(x * (1 + b) + a, y)

    def brute_cost(x, y):
        c = costs(x, y)
        return c[linear_sum_assignment(c)].mean()

    slope = critic_from_potentials(y, quadratic_potentials(x, y)).gradient(
        x
    )  # G raises mean D, the critic stands still
    e = 1e-5
    for j in range(2):
        a = e * np.eye(2)[j]
        assert (cost(a, 0) - cost(-a, 0)) / (2 * e) == pytest.approx(-slope[:, j].mean(), abs=1e-8)
    assert (cost(0, e) - cost(0, -e)) / (2 * e) == pytest.approx(-(slope * x).sum(1).mean(), abs=1e-8)


@claim("X-10")
@pytest.mark.parametrize(("shift", "most"), [(2, 1.0), (6, 0.1), (12, 1e-6)])
def test_a_saturating_critic_trained_to_the_end_gives_less_and_less(shift, most):
    """Fakes N(shift, 1), data N(0, 1): the best score is log p_d/p_g, and the pull is E f3'(t) t'."""
    t, _, _, f3 = expressions(gl.OBJECTIVES["saturating"])
    slope = sp.lambdify(t, f3.diff(t), [{"sigmoid": expit}, "numpy"])

    def inside(x):
        score = shift**2 / 2 - shift * x
        return slope(score) * -shift * np.exp(-((x - shift) ** 2) / 2) / sqrt(2 * np.pi)

    pull = abs(quad(inside, shift - 12, shift + 12, points=[shift / 2, shift], limit=200)[0])
    assert 0 < pull < most


# ---------------------------------------------------------------- the papers


def bibliography():
    """Fields of every entry of references.bib, by key."""
    text = (BOOK / "references.bib").read_text(encoding="utf-8")
    entries = {}
    for key, body in re.findall(r"@\w+\{(\w+),\n(.*?)\n\}", text, re.DOTALL):
        entries[key] = dict(re.findall(r"^\s*(\w+)\s*=\s*\{(.*?)\},?$", body, re.MULTILINE))
    return entries


ENTRIES = bibliography()
NIPS, ICLR = "Advances in Neural Information Processing Systems", "International Conference on Learning Representations"
ICCV = "International Conference on Computer Vision"


def is_entered(key, author, year, venue, arxiv=None):
    entry = ENTRIES[key]
    where = " ".join(
        entry.get(f, "") for f in ("booktitle", "journal", "institution", "howpublished", "series", "volume")
    )
    assert entry["author"].startswith(author), key
    assert (int(entry["year"]), venue in where) == (year, True), (key, entry)
    if arxiv:
        assert arxiv in entry.get("eprint", "") + entry.get("institution", ""), (key, entry)


def arxiv_year(key):
    number = re.search(r"(\d\d)\d\d\.\d{4,5}", " ".join(ENTRIES[key].values()))
    return 2000 + int(number[1]) if number else None


@claim("W-36")
def test_wgan_qc_is_a_paper_of_iccv():
    is_entered("liu2019wganqc", "Liu, Huidong and Gu, Xianfeng and Samaras, Dimitris", 2019, ICCV)
    assert ENTRIES["liu2019wganqc"]["doi"] == "10.1109/ICCV.2019.00493"


@claim("X-07")
def test_the_papers_of_the_mode_collapse_article():
    is_entered("kodali2017", "Kodali", 2017, "arXiv", "1705.07215")
    is_entered("metz2017", "Metz", 2017, ICLR, "1611.02163")
    assert arxiv_year("metz2017") == 2016  # the year the source gives


@claim("X-08")
def test_the_papers_of_the_report():
    is_entered("goodfellow2014", "Goodfellow", 2014, f"{NIPS} 27", "1406.2661")
    is_entered("mescheder2017", "Mescheder", 2017, f"{NIPS} 30", "1705.10461")
    is_entered("arjovsky2017", "Arjovsky", 2017, "34th International Conference on Machine Learning", "1701.07875")
    is_entered("mescheder2018", "Mescheder", 2018, "35th International Conference on Machine Learning", "1801.04406")
    is_entered("nagarajan2017", "Nagarajan", 2017, f"{NIPS} 30", "1706.04156")
    is_entered("liu2019wganqc", "Liu", 2019, ICCV)
    assert ENTRIES["arjovsky2017"]["series"] == "PMLR"
    assert ENTRIES["arjovsky2017"]["volume"] == "70"
    assert 2014 not in (int(ENTRIES["arjovsky2017"]["year"]), arxiv_year("arjovsky2017"))


LECTURE = {"oord2016": ("van den Oord", 2016, 2016, "arXiv"), "chen2019": ("Chen, Yutian", 2019, 2019, ICLR),
           "alain2016": ("Alain", 2015, 2016, "Information and Inference"),
           "goodfellow2014": ("Goodfellow", 2014, 2014, NIPS),
           "geitgey2017": ("Geitgey", 2017, 2017, "Medium"), "salimans2016": ("Salimans", 2016, 2016, f"{NIPS} 29"),
           "radford2016": ("Radford", 2016, 2016, ICLR), "karras2018": ("Karras", 2017, 2018, ICLR),
           "mao2017": ("Mao", 2016, 2017, ICCV), "chen2016": ("Chen, Xi", 2016, 2016, f"{NIPS} 29"),
           "arjovsky2017": ("Arjovsky", 2017, 2017, "34th International Conference on Machine Learning"),
           "gulrajani2017": ("Gulrajani", 2017, 2017, f"{NIPS} 30")}  # fmt: skip


@claim("X-09")
@pytest.mark.parametrize("key", LECTURE)
def test_a_year_of_the_lecture_is_that_of_the_preprint_or_of_the_publication(key):
    author, year, published, venue = LECTURE[key]
    is_entered(key, author, published, venue)
    assert year in (arxiv_year(key), int(ENTRIES[key]["year"]))


def ledger():
    return yaml.safe_load((BOOK / "claims.yml").read_text(encoding="utf-8"))["claims"]


@claim("X-11")
def test_whatever_the_copy_says_the_original_says_and_its_four_slips_are_in_the_ledger():
    copied = [c for c in ledger() if "arabic" in c["source"] and c["id"] != "X-11"]
    assert len(copied) >= 40
    assert all("habr2018" in c["source"] for c in copied)
    slips = {c["id"] for c in copied if c.get("slip")}
    assert {"F-06", "F-30", "F-36"} <= slips  # the sign in v, f(D0), the start of the figure


@claim("X-11")
def test_a_kernel_with_one_point_in_both_places_is_another_kernel():
    D = mlp(2, 1, (8,), seed=0)
    x, y = torch.tensor([[2.0, 1.0]]), torch.tensor([[-0.5, 0.3]])
    gx, gy = (torch.cat([g.flatten() for g in torch.autograd.grad(D(p).sum(), D.parameters())]) for p in (x, y))
    moved = torch.func.functional_call(D, {k: v + 1e-3 * g for (k, v), g in zip(
        D.named_parameters(), torch.autograd.grad(D(y).sum(), D.parameters()), strict=True)}, (x,))  # fmt: skip
    change = (moved - D(x)).item() / 1e-3
    assert change == pytest.approx((gx @ gy).item(), rel=0.02)
    assert abs(change - (gx @ gx).item()) > 0.2 * abs(change)


@claim("X-12")
@pytest.mark.parametrize("name", ["saturating", "wasserstein"])
@pytest.mark.parametrize("eta", [0.1, 0.5, 1.0])
def test_a_generator_that_descends_the_critics_gradient_norm_makes_the_dirac_gan_stable(name, eta):
    theta, psi = sp.symbols("theta psi", real=True)
    t, f1, f2, f3 = expressions(gl.OBJECTIVES[name])
    gain = f1.subs(t, 0) + f2.subs(t, -theta * psi)
    rows = sp.Matrix([f3.subs(t, -theta * psi).diff(theta) - eta * (gain.diff(psi) ** 2).diff(theta), gain.diff(psi)])
    J = np.array(rows.jacobian([theta, psi]).subs({theta: 0, psi: 0}), dtype=float)
    w = {"saturating": 0.5, "wasserstein": 1.0}[name]
    formula = -eta * w**2 + np.array([-1, 1]) * np.emath.sqrt(eta**2 * w**4 - w**2)
    assert np.sort_complex(np.linalg.eigvals(J)) == pytest.approx(np.sort_complex(formula + 0j), abs=1e-6)
    assert np.linalg.eigvals(J).real.max() < 0
    plain = np.linalg.eigvals(np.array([[0, -w], [w, 0]]))
    assert np.abs(plain.real).max() == 0  # without the term: a centre
