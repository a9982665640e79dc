"""The quadratic program of WGAN-QC against brute force, SciPy's HiGHS, POT's cost and shortest paths."""

import itertools

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment, linprog
from scipy.sparse.csgraph import shortest_path

from ganlab import _quadratic_program as program
from ganlab._quadratic import (
    Potentials,
    critic_from_potentials,
    quadratic_potentials,
    quadratic_slack,
    transport_map,
)
from ganlab.checks import InputError, NotConverged

THREE = [0, 0.5, 2], [1, 2.5, 3]  # claim W-26: 1 with one-sided constraints, 7/12 with two-sided ones
seeds = st.integers(0, 10_000)
sizes = st.integers(1, 12)


def sets(seed, n, m, d=2):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(0.5, 2, size=(m, d))


def squares(x, y):
    return ((np.asarray(x)[:, None] - np.asarray(y)) ** 2).sum(-1)


def extreme(x, y, gain, two_sided=False):
    """The largest ``gain @ H`` over the optimal face of the program, written out again here."""
    n, m, c = len(x), len(y), squares(x, y).ravel() / 2
    rows = np.zeros((n * m, n + m))
    for k, (i, j) in enumerate(itertools.product(range(n), range(m))):
        rows[k, i], rows[k, n + j] = -1, 1
    total = np.repeat([1 / n, -1 / m], [n, m])
    if two_sided:
        rows, c = np.vstack([rows, -rows]), np.tile(c, 2)
    nailed = [(0, 0)] + [(None, None)] * (n + m - 1)
    best = linprog(total, rows, c, bounds=nailed, method="highs")
    if gain is None:
        return -best.fun
    found = linprog(-gain, np.vstack([rows, total]), np.append(c, best.fun + 1e-12), bounds=nailed, method="highs")
    return float(gain @ found.x)


# ---------------------------------------------------------------- the optimum


@pytest.mark.parametrize("solver", ["simplex", "highs"])
@pytest.mark.parametrize("choice", ["centre", "vertex"])
@given(seed=seeds, n=st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_the_optimum_is_the_best_of_all_matchings(solver, choice, seed, n):
    x, y = sets(seed, n, n)
    c = squares(x, y) / 2
    best = min(itertools.permutations(range(n)), key=lambda s: sum(c[i, j] for i, j in enumerate(s)))
    h = quadratic_potentials(x, y, solver=solver, choice=choice)
    assert h.value == pytest.approx(c[range(n), best].mean(), rel=1e-9)
    assert tuple(h.partner) == best


@given(seed=seeds, n=sizes, m=sizes, d=st.integers(1, 4), scale=st.floats(1e-3, 1e3))
@settings(max_examples=40, deadline=None)
def test_the_two_solvers_and_pots_cost_agree_and_so_do_the_central_potentials(seed, n, m, d, scale):
    x, y = sets(seed, n, m, d)
    a, b = (quadratic_potentials(x, y, scale, solver=solver) for solver in ("simplex", "highs"))
    cost = scale / 2 * ot.emd2([], [], squares(x, y))
    assert a.value == pytest.approx(cost, rel=1e-9)
    assert b.value == pytest.approx(cost, rel=1e-9)
    for mine, theirs in ((a.fake, b.fake), (a.real, b.real)):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-8 * scale * squares(x, y).max())


@given(seed=seeds, n=sizes, m=sizes, choice=st.sampled_from(["centre", "vertex"]))
@settings(max_examples=40, deadline=None)
def test_complementary_slackness_marginals_and_gauge(seed, n, m, choice):
    x, y = sets(seed, n, m)
    h, room = quadratic_potentials(x, y, choice=choice), quadratic_slack
    slack = room(x, y, h)
    np.testing.assert_allclose(slack, squares(x, y) / 2 + h.fake[:, None] - h.real, atol=1e-12)
    assert slack.min() > -1e-9
    assert np.abs(slack * h.plan).max() < 1e-9  # mass only where the constraint is tight
    np.testing.assert_allclose(h.plan.sum(1), 1 / n, atol=1e-9)
    np.testing.assert_allclose(h.plan.sum(0), 1 / m, atol=1e-9)
    assert abs(np.concatenate([h.fake, h.real]).mean()) < 1e-12
    assert h.value == pytest.approx(h.real.mean() - h.fake.mean(), abs=1e-12)


def test_shift_and_scale_move_the_cost_as_they_should():
    x, y = sets(0, 7, 7)
    h = quadratic_potentials(x, y)
    assert quadratic_potentials(x, x + np.array([3, 4])).value == pytest.approx(12.5)  # half of 5^2
    assert quadratic_potentials(10 * x, 10 * y).value == pytest.approx(100 * h.value)
    assert quadratic_potentials(x, y, scale=0.25).value == pytest.approx(h.value / 4)
    np.testing.assert_allclose(quadratic_potentials(x, y, scale=0.25).fake, h.fake / 4)
    assert quadratic_potentials(x + 1e6, y + 1e6).value == pytest.approx(h.value, rel=1e-6)


@pytest.mark.parametrize("size", [1e-150, 1e-6, 1e6, 1e150])
def test_the_size_of_the_numbers_does_not_matter(size):
    """Both solvers have absolute tolerances of their own."""
    x, y = sets(3, 5, 8)
    for solver in ("simplex", "highs"):
        h = quadratic_potentials(size * x, size * y, solver=solver)
        assert h.value / size**2 == pytest.approx(ot.emd2([], [], squares(x, y)) / 2, rel=1e-8)


def test_one_point_and_equal_samples():
    h = quadratic_potentials([[1.0, 1.0]], [[1.0, 4.0]])
    assert (h.value, h.fake[0], h.real[0], h.plan[0, 0]) == (4.5, -2.25, 2.25, 1.0)
    x = np.array([[0.0, 0], [1, 0], [1, 0]])
    assert quadratic_potentials(x, x).value == pytest.approx(0, abs=1e-15)
    assert quadratic_potentials(x[:1], x[:1]).value == 0.0


# ---------------------------------------------------------------- one-sided and two-sided (W-26)


def test_the_printed_two_sided_constraint_is_another_problem():
    h, printed = quadratic_potentials(*THREE), quadratic_potentials(*THREE, one_sided=False)
    assert h.value == pytest.approx(1)
    assert printed.value == pytest.approx(7 / 12)
    assert printed.plan is None
    # oracle: transport at the cost of the cheapest path that may go back and forth between the two sets
    x, y = np.array(THREE[0])[:, None], np.array(THREE[1])[:, None]
    graph = np.zeros((6, 6))
    graph[:3, 3:] = squares(x, y) / 2
    paths = shortest_path(graph + graph.T)[:3, 3:]
    assert paths[linear_sum_assignment(paths)].mean() == pytest.approx(7 / 12)


@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_two_sided_is_transport_by_cheapest_paths(seed):
    x, y = sets(seed, 6, 6)
    graph = np.zeros((12, 12))
    graph[:6, 6:] = squares(x, y) / 2
    paths = shortest_path(graph + graph.T)[:6, 6:]
    printed = quadratic_potentials(x, y, one_sided=False)
    assert printed.value == pytest.approx(paths[linear_sum_assignment(paths)].mean(), rel=1e-8)
    assert printed.value <= quadratic_potentials(x, y).value + 1e-9
    assert np.abs(printed.real - printed.fake[:, None]).max() <= (squares(x, y) / 2).max()


# ---------------------------------------------------------------- which potentials (W-28)


def face(x, y, i, k):
    """The range of ``H_i - H_k`` of two fakes over all optimal potentials."""
    gain = np.zeros(len(x) + len(y))
    gain[i], gain[k] = 1, -1
    return -extreme(x, y, -gain), extreme(x, y, gain)


def test_with_degenerate_data_the_potentials_are_not_unique():
    x = y = np.array([[0.0], [1.0]])
    low, high = face(x, y, 0, 1)
    assert (low, high) == pytest.approx((-0.5, 0.5))
    h = quadratic_potentials(x, y)
    np.testing.assert_allclose([*h.fake, *h.real], 0, atol=1e-12)  # the middle of them


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_equal_numbers_never_give_unique_potentials_and_the_centre_lies_inside(seed):
    """Not a matter of degenerate data: a matching leaves every pair free to move as one."""
    x, y = sets(seed, 5, 5)
    h = quadratic_potentials(x, y)
    for i, k in [(0, 1), (2, 4)]:
        low, high = face(x, y, i, k)
        gap = h.fake[i] - h.fake[k]
        assert high - low > 1e-6
        assert low + 1e-9 < gap < high - 1e-9


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_coprime_numbers_give_unique_potentials(seed):
    x, y = sets(seed, 4, 7)
    low, high = face(x, y, 0, 3)
    assert high - low < 1e-7
    a, b = (quadratic_potentials(x, y, choice=choice) for choice in ("centre", "vertex"))
    np.testing.assert_allclose(a.fake, b.fake, atol=1e-9)


def by_shortest_paths(x, y):
    """The central potentials from SciPy's shortest paths in the residual graph: no groups, no potentials needed."""
    n, m, plan = len(x), len(y), ot.emd([], [], squares(x, y))
    graph = np.full((n + m, n + m), np.inf)
    graph[:n, n:] = squares(x, y) / 2
    graph[n:, :n] = np.where(plan > 1e-9, 1e-12 - squares(x, y) / 2, np.inf).T  # no cycle below 0 by rounding
    d = shortest_path(graph, method="FW")
    h = (d.mean(0) - d.mean(1)) / 2
    return h - h.mean()


@pytest.mark.parametrize(
    ("seed", "n", "m"),
    [(0, 5, 5), (0, 4, 6), (0, 6, 4), (0, 8, 2), (0, 3, 7), (18, 12, 18), (5, 8, 12)],
)
def test_the_centre_is_the_mean_of_the_extreme_potentials(seed, n, m):
    """In the last two, mass connects groups of unequal size, so the mean over samples is not one over groups."""
    x, y = sets(seed, n, m)
    h = quadratic_potentials(x, y)
    np.testing.assert_allclose([*h.fake, *h.real], by_shortest_paths(x, y), atol=1e-10)


@given(seed=seeds, n=st.integers(2, 9), m=st.integers(2, 9))
@settings(max_examples=25, deadline=None)
def test_the_centre_does_not_depend_on_the_order_of_samples(seed, n, m):
    x, y = sets(seed, n, m)
    rng = np.random.default_rng(seed)
    i, j = rng.permutation(n), rng.permutation(m)
    a, b = quadratic_potentials(x, y), quadratic_potentials(x[i], y[j])
    np.testing.assert_allclose(a.fake[i], b.fake, atol=1e-9)
    np.testing.assert_allclose(a.real[j], b.real, atol=1e-9)


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_only_partners_are_tight_at_the_centre_and_at_a_vertex_half_of_the_tight_ones_are_wrong(seed):
    """W-29: argmin over the reduced cost finds the map only where the minimum is unique."""
    x, y = sets(seed, 16, 16)
    a, b = (quadratic_potentials(x, y, choice=choice) for choice in ("centre", "vertex"))
    inside, corner = quadratic_slack(x, y, a), quadratic_slack(x, y, b)
    assert (inside < 1e-9).sum() == 16
    assert (corner < 1e-9).sum() >= 24  # a tree has 31 arcs, a few of them the solver's own
    np.testing.assert_array_equal(inside.argmin(1), a.partner)
    assert sorted(a.partner) == list(range(16))
    assert ((corner < 1e-9).sum(1) > 1).any()


def test_where_several_plans_are_optimal_all_their_arcs_are_tight():
    x, y = [[0, 0], [1, 1]], [[0, 1], [1, 0]]
    h = quadratic_potentials(x, y)
    np.testing.assert_allclose(quadratic_slack(x, y, h), 0, atol=1e-12)


# ---------------------------------------------------------------- map and critic (W-29, W-30)


def test_the_map_takes_the_largest_share_and_the_first_of_several():
    y = [[0.0], [4.0], [9.0]]
    plan = np.array([[0.1, 0.4, 0.0], [0.25, 0.0, 0.25 + 1e-17]])
    h = Potentials(np.zeros(2), np.zeros(3), 0.0, plan, 1.0)
    assert transport_map(y, h).ravel().tolist() == [4.0, 0.0]
    assert transport_map(y, h, "barycentre").ravel() == pytest.approx([3.2, 4.5])
    rounded = Potentials(np.zeros(1), np.zeros(2), 0.0, np.array([[0.5 - 1e-14, 0.5]]), 1.0)
    assert rounded.partner.tolist() == [0]  # a tie but for rounding


@given(seed=seeds, n=sizes)
@settings(max_examples=20, deadline=None)
def test_with_equal_numbers_partner_and_barycentre_are_the_same_bijection(seed, n):
    x, y = sets(seed, n, n)
    h = quadratic_potentials(x, y)
    rows, columns = linear_sum_assignment(squares(x, y))
    np.testing.assert_allclose(transport_map(y, h), y[columns])
    np.testing.assert_allclose(transport_map(y, h, "barycentre"), y[columns], atol=1e-9)
    assert h.value == pytest.approx(squares(x, y)[rows, columns].mean() / 2)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (9, 9), (5, 8), (8, 5)])
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_the_critic_of_the_potentials_answers_them_and_its_dual_value_is_the_cost(n, m, scale):
    x, y = sets(5, n, m)
    h = quadratic_potentials(x, y, scale)
    D = critic_from_potentials(y, h)
    np.testing.assert_allclose(D(x), h.fake, atol=1e-9)
    assert "data in 2-D" in repr(D)
    assert f"{n} fakes" in repr(h)
    # oracle: the maximum written out, and central differences of it
    np.testing.assert_allclose(
        D(x), [max(h.real[j] - scale / 2 * ((p - y[j]) ** 2).sum() for j in range(m)) for p in x]
    )
    if n == m:
        np.testing.assert_allclose(D.gradient(x), scale * (transport_map(y, h) - x), atol=1e-12)
        e = 1e-6 * np.eye(2)
        slopes = np.stack([(D(x + step) - D(x - step)) / 2e-6 for step in e], -1)
        np.testing.assert_allclose(D.gradient(x), slopes, atol=1e-7)


# ---------------------------------------------------------------- faults


def test_a_solver_that_stops_early_is_an_error(monkeypatch):
    """Fault 21; POT itself only warns, and hands out the plan it has."""
    x, y = sets(0, 40, 40)
    monkeypatch.setattr("ganlab._plan.ROUNDS", 3)
    with pytest.raises(NotConverged, match="network simplex found no plan from 40 to 40 points"):
        quadratic_potentials(x, y)


def test_highs_that_fails_is_an_error(monkeypatch):
    import scipy.optimize

    true = scipy.optimize.linprog

    def hurried(*args, options, **kwargs):
        return true(*args, options=options | {"maxiter": 1}, **kwargs)

    monkeypatch.setattr(scipy.optimize, "linprog", hurried)
    with pytest.raises(NotConverged, match="HiGHS did not solve the program of 9 by 9"):
        quadratic_potentials(*sets(0, 9, 9), solver="highs")


@pytest.mark.parametrize("spoil", ["potentials", "value", "masses", "nan", "two-sided"])
def test_an_answer_that_is_not_optimal_does_not_pass(spoil):
    """Each of the first three breaks one condition and keeps the others."""
    x, y = np.array(THREE[0])[:, None], np.array(THREE[1])[:, None]
    costs = squares(x, y) / 2
    fake, real, plan = program.simplex(costs)  # which nobody has checked so far
    program.check(costs, fake, real, plan)
    back = None
    if spoil == "potentials":
        fake = fake + np.array([1e-6, -1e-6, 0])
    elif spoil == "value":
        fake = fake + 1e-6
    elif spoil == "masses":
        plan = plan + 1e-6 * np.diag([1 / costs[0, 0], -1 / costs[1, 1], 0])
    elif spoil == "nan":
        fake = fake * np.nan
    else:  # they solve the one-sided program, not the other
        back = 0 * plan
    with pytest.raises(NotConverged, match="is not optimal: smallest slack"):
        program.check(costs, fake, real, plan, back)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": []}, "x must be numbers of shape"),
        ({"x": [np.nan, 1.0]}, "NaN or infinity in 1 of 2 rows"),
        ({"y": [[0.0, 1.0]]}, "y must have dimension 1"),
        ({"x": [1e200]}, "too far apart"),
        ({"scale": 0}, "scale must lie in"),
        ({"scale": -1.0}, "scale must lie in"),
        ({"solver": "cvxopt"}, "unknown solver 'cvxopt'"),
        ({"choice": "corner"}, "unknown choice 'corner'"),
    ],
)
def test_bad_input(change, message):
    with pytest.raises(InputError, match=message):
        quadratic_potentials(**{"x": [0.0], "y": [1.0]} | change)


def test_potentials_of_other_samples_are_bad_input():
    h = quadratic_potentials(*THREE)
    for call in (
        lambda: quadratic_slack(THREE[0], [1.0], h),
        lambda: transport_map([1.0], h),
        lambda: critic_from_potentials([1.0], h),
    ):
        with pytest.raises(InputError, match="potentials of 3 fakes and 3 data"):
            call()
    with pytest.raises(InputError, match="must come from quadratic_potentials"):
        critic_from_potentials(THREE[1], 3)
    with pytest.raises(InputError, match="unknown form"):
        transport_map(THREE[1], h, "nearest")
    with pytest.raises(InputError, match="no plan, so no map"):
        transport_map(THREE[1], quadratic_potentials(*THREE, one_sided=False))
