"""Every solver of transport against another, against closed forms and against counting; bad input never reaches one."""

import itertools
import math
import subprocess
import sys

import numpy as np
import ot
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, linalg, stats

from ganlab import OBJECTIVES, transport, two_sample
from ganlab._plan import SOLVERS
from ganlab._sinkhorn import _own
from ganlab.checks import InputError, NotConverged
from ganlab.data import disjoint_lines, gaussian, mixture_1d, ring, two_peaks
from ganlab.transport import (
    gaussian_w2,
    kantorovich_dual,
    line_critic,
    lipschitz_extension,
    plan,
    plan_of_costs,
    quadratic_cost,
    sinkhorn,
    sinkhorn_divergence,
    sliced_wasserstein,
    wasserstein,
    wasserstein_line,
)

quick = settings(max_examples=30, deadline=None, derandomize=True)
seeds = st.integers(0, 10**6)
nan, inf = float("nan"), float("inf")


def rng(seed=0):
    return np.random.default_rng(seed)


def cloud(seed, n, dim):
    """Points and weights; every third cloud lies on a lattice (ties, doubled points), every fourth has empty places."""
    random = rng(seed)
    x = random.integers(-2, 3, (n, dim)).astype(float) if seed % 3 == 0 else random.normal(size=(n, dim))
    a = random.dirichlet(np.ones(n))
    if seed % 4 == 0 and n > 1:
        a[random.integers(n)] = 0
    return x, a / a.sum()


clouds = st.builds(cloud, seeds, st.integers(1, 7), st.shared(st.integers(1, 3), key="dim"))


def costs(x, y, p=1):
    return np.array([[math.dist(s, t) ** p for t in y] for s in x])


# Plans: two solvers, and counting


@given(one=clouds, two=clouds, p=st.sampled_from([1, 1.5, 2, 3]))
@quick
def test_network_and_linear_programme_agree_and_both_prove_it(one, two, p):
    (x, a), (y, b) = one, two
    found = {solver: plan(x, y, a, b, p, solver) for solver in ("network", "lp")}
    assert found["network"].cost == pytest.approx(found["lp"].cost, rel=1e-9, abs=1e-12)
    for answer in found.values():
        c = costs(x, y, p)
        assert answer.c == pytest.approx(c, abs=1e-12)
        assert answer.gamma.sum(axis=1) == pytest.approx(a, abs=1e-9)
        assert answer.gamma.sum(axis=0) == pytest.approx(b, abs=1e-9)
        assert answer.gamma.min() >= 0
        assert answer.cost == pytest.approx((answer.gamma * c).sum(), abs=1e-12)
        slack, scale = c - answer.u[:, None] - answer.v, max(c.max(), 1)
        assert slack.min() >= -1e-12 * scale  # feasible, also where there is no weight
        assert np.abs(slack[answer.gamma > 1e-12]).max() < 1e-9 * scale  # complementary slackness
        assert a @ answer.u + b @ answer.v == pytest.approx(answer.cost, abs=1e-9 * scale)
        assert a @ answer.u == pytest.approx(0, abs=1e-12 * scale)  # the gauge
        assert np.count_nonzero(answer.gamma) <= len(x) + len(y) - 1  # a corner


@given(seed=seeds, n=st.integers(1, 6), p=st.sampled_from([1, 2]))
@quick
def test_three_solvers_find_what_trying_all_matchings_finds(seed, n, p):
    (x, _), (y, _) = cloud(seed, n, 2), cloud(seed + 3, n, 2)
    c = costs(x, y, p)
    best = min(c[range(n), order].mean() for order in itertools.permutations(range(n)))
    for solver in SOLVERS:
        found = plan(x, y, p=p, solver=solver)
        assert found.cost == pytest.approx(best, abs=1e-12)
        assert found.u.mean() == pytest.approx(0, abs=1e-12)
        assert found.v.mean() == pytest.approx(best, abs=1e-12)
        assert (c - found.u[:, None] - found.v).min() > -1e-12
    assert wasserstein(x, y, p) == pytest.approx(best ** (1 / p), abs=1e-12)
    assert quadratic_cost(x, y) == pytest.approx(plan(x, y, p=2).cost / 2, abs=1e-12)


@given(seed=seeds, copies=st.lists(st.integers(0, 3), min_size=2, max_size=5).filter(sum), dim=st.integers(1, 2))
@quick
def test_a_weight_is_a_number_of_copies(seed, copies, dim):
    x, y = rng(seed).normal(size=(len(copies), dim)), rng(seed + 1).normal(size=(sum(copies), dim))
    a = np.array(copies) / sum(copies)
    found = wasserstein(x, y, 2, a=a)
    assert found == pytest.approx(wasserstein(np.repeat(x, copies, axis=0), y, 2), abs=1e-12)
    assert found == pytest.approx(plan(x, y, a, p=2).cost ** 0.5, abs=1e-12)
    assert found == pytest.approx(wasserstein(y, x, 2, b=a), abs=1e-12)


def test_unequal_numbers_need_no_weights():
    x, y = rng().normal(size=(30, 2)), rng(1).normal(size=(12, 2))
    alike = np.repeat(x, 2, axis=0), np.repeat(y, 5, axis=0)
    assert wasserstein(x, y) == pytest.approx(wasserstein(*alike), rel=1e-12)


def test_a_known_plan_reads_as_a_sentence():
    found = plan_of_costs([[0, 2, 5], [1, 4, 9]], [0.75, 0.25], [0.25, 0.5, 0.25])
    assert found.gamma.tolist() == [[0, 0.5, 0.25], [0.25, 0, 0]]
    assert repr(found) == "Plan by network: 2 to 3 points over 3 routes, cost 2.5"
    assert plan_of_costs([[-3.0, 2.0]], [1.0], [0.5, 0.5]).cost == -0.5  # costs may be negative


@pytest.mark.parametrize("solver", SOLVERS)
def test_ties_are_broken_the_same_way_every_time(solver):
    square = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    first, again = (plan(square, square[::-1] + 0.5, solver=solver) for _ in range(2))
    np.testing.assert_array_equal(first.gamma, again.gamma)
    np.testing.assert_array_equal(first.u, again.u)
    degenerate = plan([0.0, 0, 0], [1.0, 1, 1], solver=solver)  # any plan is as cheap
    assert (degenerate.cost, degenerate.gamma.sum()) == (pytest.approx(1), pytest.approx(1))


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e9])
def test_neither_tiny_costs_nor_tiny_masses_are_lost(size):
    a = np.array([1e-7, 1 - 1e-7])
    x, y = np.array([[0.0, 1.0], [0.0, 0.0]]) * size, np.array([[0.0, 0.0]])
    for solver in ("network", "lp"):
        found = plan(x, y, a, solver=solver)
        assert found.cost == pytest.approx(1e-7 * size, rel=1e-9)
    x, y = size * rng().normal(size=(2, 20, 2))
    assert wasserstein(x, y, 2) == pytest.approx(plan(x, y, p=2).cost ** 0.5, rel=1e-12)


@pytest.mark.parametrize("p", [1, 2])
def test_a_large_plan_is_the_large_assignment(p):
    x, y = rng().normal(size=(2, 300, 5))
    found = {solver: plan(x, y, p=p, solver=solver) for solver in ("network", "assignment")}
    assert found["network"].cost == pytest.approx(found["assignment"].cost, rel=1e-12)
    assert found["network"].cost ** (1 / p) == pytest.approx(wasserstein(x, y, p), rel=1e-12)
    assert found["network"].cost == pytest.approx(ot.emd2([], [], ot.dist(x, y, metric="euclidean") ** p), rel=1e-12)


# What a distance owes


@given(one=clouds, two=clouds, three=clouds, p=st.sampled_from([1, 2, 3]))
@quick
def test_symmetry_triangle_and_identity(one, two, three, p):
    def distance(s, t):
        return wasserstein(s[0], t[0], p, a=s[1], b=t[1])

    assert distance(one, two) == pytest.approx(distance(two, one), abs=1e-9)
    assert distance(one, three) <= distance(one, two) + distance(two, three) + 1e-9
    assert distance(one, (one[0][::-1], one[1][::-1])) == pytest.approx(0, abs=1e-5 if p > 1 else 1e-12)


@given(one=clouds, two=clouds, shift=st.floats(-50, 50), scale=st.floats(0.01, 100))
@quick
def test_shift_scale_and_power(one, two, shift, scale):
    (x, a), (y, b) = one, two
    found = wasserstein(x, y, a=a, b=b)
    assert wasserstein(x + shift, y + shift, a=a, b=b) == pytest.approx(found, abs=1e-11)
    assert wasserstein(-scale * x, -scale * y, a=a, b=b) == pytest.approx(scale * found, rel=1e-9, abs=1e-12)
    assert found <= wasserstein(x, y, 2, a=a, b=b) + 1e-9 <= wasserstein(x, y, 4, a=a, b=b) + 2e-9
    length = abs(shift) * math.sqrt(x.shape[1])
    assert wasserstein(x, x + shift, a=a, b=a) == pytest.approx(length, rel=1e-12)  # all go alike
    mean = math.dist(a @ x, b @ y)
    assert mean <= found + 1e-9  # the mean is 1-Lipschitz


NEVER_FARTHER = {
    "projection": lambda x: x[:, :1],
    "clip": lambda x: np.clip(x, -0.5, 0.7),
    "absolute": np.abs,
    "sine": np.sin,
    "norm": lambda x: np.linalg.norm(x, axis=1),
    "mean": lambda x: x.sum(axis=1) / math.sqrt(x.shape[1]),
}


@pytest.mark.parametrize("name", NEVER_FARTHER)
@given(one=clouds, two=clouds)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_no_1_lipschitz_map_takes_two_laws_apart(name, one, two):
    (x, a), (y, b) = one, two
    for p in (1, 2):
        before = wasserstein(x, y, p, a=a, b=b)
        assert wasserstein(NEVER_FARTHER[name](x), NEVER_FARTHER[name](y), p, a=a, b=b) <= before + 1e-9


@given(seed=seeds, n=st.integers(1, 30), m=st.integers(1, 30))
@quick
def test_weights_on_the_line_are_scipy_s_weights(seed, n, m):
    (x, a), (y, b) = cloud(seed, n, 1), cloud(seed + 1, m, 1)
    expected = stats.wasserstein_distance(x[:, 0], y[:, 0], a, b)
    assert wasserstein(x, y, a=a, b=b) == pytest.approx(expected, abs=1e-12)
    assert wasserstein_line((x[:, 0], a), (y[:, 0], b)) == pytest.approx(expected, abs=1e-12)
    assert plan(x, y, a, b).cost == pytest.approx(expected, abs=1e-12)
    assert wasserstein(x, y, 2, a=a, b=b) == pytest.approx(plan(x, y, a, b, 2).cost ** 0.5, abs=1e-8)


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("sizes", [(20, 20), (20, 33)])
def test_slices_are_pot_s_slices_and_never_further_apart(p, sizes):
    x, y = rng().normal(size=(sizes[0], 3)), 1 + rng(1).normal(size=(sizes[1], 3))
    theta = rng(7).standard_normal((3, 25))
    theta /= np.linalg.norm(theta, axis=0)
    found = sliced_wasserstein(x, y, 25, rng(7), p)
    assert found == pytest.approx(ot.sliced.sliced_wasserstein_distance(x, y, p=p, projections=theta), rel=1e-9)
    assert found <= wasserstein(x, y, p)


@pytest.mark.parametrize("theta", [-1.5, 0.0, 0.3, 2.0])
def test_parallel_lines_are_as_far_apart_as_they_are(theta):
    u = rng().uniform(size=50)
    lines = [disjoint_lines(t).path(u) for t in (0.0, theta)]
    for p in (1, 2):
        assert wasserstein(*lines, p) == pytest.approx(abs(theta), abs=1e-12)
        assert plan(*lines, p=p).cost == pytest.approx(abs(theta) ** p, abs=1e-12)
    assert kantorovich_dual(*lines).gain == pytest.approx(abs(theta), abs=1e-9)


def test_there_is_one_definition():
    assert two_sample.wasserstein is transport.wasserstein
    assert two_sample.sliced_wasserstein is transport.sliced_wasserstein


# The best critic


@given(one=clouds, two=clouds)
@quick
def test_the_best_critic_gains_what_the_cheapest_plan_costs(one, two):
    (x, a), (y, b) = one, two
    found, route = kantorovich_dual(x, y, a, b), plan(x, y, a, b)
    assert found.gain == pytest.approx(route.cost, rel=1e-9, abs=1e-9)
    assert a @ found.fx - b @ found.fy == pytest.approx(found.gain, abs=1e-12)
    assert a @ found.fx == pytest.approx(0, abs=1e-12)  # the gauge
    z, f = np.concatenate([x, y]), np.append(found.fx, found.fy)
    assert (np.abs(f[:, None] - f) <= costs(z, z) + 1e-9).all()
    drop = found.fx[:, None] - found.fy
    assert drop[route.gamma > 1e-9] == pytest.approx(route.c[route.gamma > 1e-9], abs=1e-7)  # slope 1 along a route
    probe = 3 * rng(1).normal(size=(40, x.shape[1]))
    g = found.critic(probe)
    assert (np.abs(g[:, None] - g) <= costs(probe, probe) + 1e-9).all()
    assert found.critic(z) == pytest.approx(f, abs=1e-9)


def test_on_the_line_a_thousand_points_are_no_burden():
    x, y = rng().normal(size=(2, 1000))
    found = kantorovich_dual(x, y + 0.5)
    assert found.gain == pytest.approx(stats.wasserstein_distance(x, y + 0.5), rel=1e-9)
    assert repr(found).startswith("KantorovichDual on 1000 and 1000 points: gain 0.")


@given(seed=seeds, slope=st.floats(0.1, 10))
@quick
def test_an_extension_takes_its_values_and_every_other_lies_between_lowest_and_highest(seed, slope):
    at, probe, centre = rng(seed).normal(size=(6, 2)), rng(seed + 1).normal(size=(30, 2)), rng(seed + 2).normal(size=2)

    def f(z):
        return slope * np.linalg.norm(z - centre, axis=1)

    sides = {side: lipschitz_extension(at, f(at), slope, side) for side in ("lower", "middle", "upper")}
    for g in sides.values():
        assert g(at) == pytest.approx(f(at), abs=1e-12)
        assert (np.abs(np.subtract.outer(g(probe), g(probe))) <= slope * costs(probe, probe) + 1e-9).all()
    assert (sides["lower"](probe) <= f(probe) + 1e-12).all()
    assert (f(probe) <= sides["upper"](probe) + 1e-12).all()
    assert sides["middle"](probe) == pytest.approx((sides["lower"](probe) + sides["upper"](probe)) / 2)
    assert (sides["lower"](probe) < sides["upper"](probe) - 1e-6).any()


# Laws on the line

LAWS = {
    "normal": gaussian(1),
    "wide": gaussian(1, mean=0.5, sd=2.0),
    "peaks": two_peaks(),
    "sharp": mixture_1d([-3, 0, 4], [0.01, 1, 2], [0.2, 0.5, 0.3]),
    "masses": (np.array([-1.0, 0.5, 2.0, 0.5]), np.array([0.25, 0.25, 0.4, 0.1])),
    "point": ([0.3], [1.0]),
}


def cdf(law, x):
    if isinstance(law, tuple):
        return sum(w for at, w in zip(*law, strict=True) if at <= x)
    return float(law.weights @ stats.norm.cdf(x, law.means[:, 0], law.sds))


def kinks(*laws):
    at = [np.asarray(law[0]) if isinstance(law, tuple) else (law.means + law.sds[:, None] * [-4, -1, 0, 1, 4]).ravel()
          for law in laws]  # fmt: skip
    return np.unique(np.clip(np.concatenate(at), -20, 20))


@pytest.mark.parametrize("names", list(itertools.combinations(LAWS, 2)), ids=" ".join)
def test_between_laws_the_distance_is_the_integral_of_the_difference(names):
    P, Q = (LAWS[name] for name in names)
    edges = np.concatenate([[-25], kinks(P, Q), [25]])
    by_quad = sum(integrate.quad(lambda x: abs(cdf(P, x) - cdf(Q, x)), s, t, epsabs=1e-10, limit=200)[0]
                  for s, t in itertools.pairwise(edges))  # fmt: skip
    assert wasserstein_line(P, Q) == pytest.approx(by_quad, abs=1e-8)
    # Another road to the same: quantiles, not distribution functions. p -> 1 from above.
    assert wasserstein_line(P, Q, 1 + 1e-12) == pytest.approx(by_quad, abs=1e-8)
    assert wasserstein_line(Q, P) == pytest.approx(wasserstein_line(P, Q), rel=1e-12)
    assert wasserstein_line(P, Q) <= wasserstein_line(P, Q, 1.5) <= wasserstein_line(P, Q, 2)


@pytest.mark.parametrize(("mean", "sd"), [(3, 1), (0.5, 2), (0, 3), (1e-3, 1), (100, 0.01), (-1e6, 1)])
def test_normal_laws_have_a_closed_form(mean, sd):
    P, Q = gaussian(1), gaussian(1, mean=mean, sd=sd)
    assert wasserstein_line(P, Q, 2) == pytest.approx(math.hypot(mean, sd - 1), rel=1e-10)
    assert gaussian_w2(0, 1, mean, sd**2) == pytest.approx(math.hypot(mean, sd - 1), rel=1e-12)
    folded = stats.norm(mean, abs(sd - 1)).expect(abs) if sd != 1 and abs(mean) < 10 else abs(mean)
    assert wasserstein_line(P, Q) == pytest.approx(
        folded, rel=1e-8
    )  # the map is x -> m + s x, so W_1 = E|m + (s - 1) x|


def test_a_normal_law_and_a_point():
    P, Q = gaussian(1), ([0.0], [1.0])
    assert wasserstein_line(P, Q) == pytest.approx(math.sqrt(2 / math.pi), rel=1e-12)
    assert wasserstein_line(P, Q, 2) == pytest.approx(1, rel=1e-12)
    assert wasserstein_line(P, Q, 4) == pytest.approx(3**0.25, rel=1e-12)
    assert wasserstein_line(P, P, 2) == 0


def test_large_samples_come_near_to_the_laws():
    P, Q = LAWS["sharp"], LAWS["peaks"]
    for p in (1, 2):
        x, y = P.sample(100_000, rng()), Q.sample(100_000, rng(1))
        assert wasserstein(x, y, p) == pytest.approx(wasserstein_line(P, Q, p), abs=0.02)


def gain(f, P, Q):
    """E_P f - E_Q f, by sums and by SciPy's quadrature."""

    def mean(law):
        if isinstance(law, tuple):
            return np.dot(law[1], f(law[0]))
        edges = np.unique(np.concatenate([kinks(law), np.clip(f.knots, -25, 25), [-25, 25]]))
        return sum(integrate.quad(lambda x: f([x])[0] * law.density([[x]])[0], s, t, epsabs=1e-11)[0]
                   for s, t in itertools.pairwise(edges))  # fmt: skip

    return mean(P) - mean(Q)


@pytest.mark.parametrize("names", list(itertools.permutations(("normal", "wide", "peaks", "masses"), 2)), ids=" ".join)
def test_the_best_critic_on_the_line_gains_the_distance(names):
    P, Q = (LAWS[name] for name in names)
    f = line_critic(P, Q)
    assert gain(f, P, Q) == pytest.approx(wasserstein_line(P, Q), abs=1e-8)
    assert set(f.slopes) <= {-1.0, 0.0, 1.0}
    assert f([0.0])[0] == 0
    inside = (f.knots[:-1] + f.knots[1:]) / 2
    x = np.concatenate([f.knots[:1] - 1, inside, f.knots[-1:] + 1]) if len(f.knots) else np.array([5.0])
    assert (f(x + 1e-3) - f(x - 1e-3)) / 2e-3 == pytest.approx(f.slopes, abs=1e-9)
    assert f.slope(x) == pytest.approx(f.slopes)


def test_between_two_shifted_laws_the_best_critic_is_a_straight_line():
    f = line_critic(gaussian(1, mean=3.0), gaussian(1))
    assert (f.knots.tolist(), f.slopes.tolist()) == ([], [1.0])
    same = line_critic(gaussian(1), gaussian(1))
    assert same([-1.0, 2.0]).tolist() == [0, 0]
    flat = line_critic(([0, 1, 2, 3], [0.5, 0, 0, 0.5]), ([0, 1, 2, 3], [0.25, 0.25, 0.25, 0.25]))
    assert (flat.knots.tolist(), flat.slopes.tolist()) == ([1, 2], [-1, 0, 1])


def test_far_out_the_right_tail_is_as_exact_as_the_left():
    sharp = mixture_1d([3, 0, -4], [0.01, 1, 2], [0.2, 0.5, 0.3])  # the mirror image
    left, right = line_critic(LAWS["sharp"], two_peaks()), line_critic(sharp, two_peaks())
    assert left.knots[0] == pytest.approx(-10.141, abs=1e-3)  # where the distribution functions are 2e-13
    assert right.knots == pytest.approx(-left.knots[::-1], abs=1e-9)
    assert right.slopes.tolist() == (-left.slopes[::-1]).tolist()


# Gaussians


def spread(seed, dim, rank=None):
    factor = rng(seed).normal(size=(dim, rank or dim))
    return factor @ factor.T


@given(seed=seeds, dim=st.integers(1, 5))
@quick
def test_gaussians_are_as_far_apart_as_the_formula_with_matrix_roots_says(seed, dim):
    (m, n), P, Q = rng(seed).normal(size=(2, dim)), spread(seed + 1, dim), spread(seed + 2, dim)
    root = linalg.sqrtm(P)
    square = np.sum((m - n) ** 2) + np.trace(P + Q - 2 * linalg.sqrtm(root @ Q @ root).real)
    found = gaussian_w2(m, P, n, Q)
    assert found**2 == pytest.approx(square, rel=1e-7, abs=1e-7)
    assert gaussian_w2(n, Q, m, P) == pytest.approx(found, rel=1e-10)
    far = gaussian_w2(m, P, 0 * m, np.eye(dim)) + gaussian_w2(0 * m, np.eye(dim), n, Q)
    assert found <= far + 1e-9
    turn = np.linalg.qr(rng(seed + 3).normal(size=(dim, dim)))[0]
    assert gaussian_w2(turn @ m, turn @ P @ turn.T, turn @ n, turn @ Q @ turn.T) == pytest.approx(found, rel=1e-6)


def test_gaussians_that_share_their_axes_have_a_closed_form():
    s, t = np.array([1.0, 2.0, 0.0]), np.array([3.0, 0.5, 0.0])
    found = gaussian_w2([0, 0, 1], np.diag(s**2), [0, 0, -1], np.diag(t**2))  # a constant feature is allowed
    assert found == pytest.approx(math.sqrt(4 + np.sum((s - t) ** 2)), rel=1e-12)


@pytest.mark.parametrize("rank", [2, 5])
def test_two_equal_gaussians_are_no_distance_apart_though_roots_of_rounding_are_large(rank):
    P = spread(1, 5, rank)
    assert gaussian_w2(np.ones(5), P, np.ones(5), P) < 1e-7  # where the difference of traces gives sqrt(1e-15) or NaN
    assert gaussian_w2(np.ones(5), P, np.ones(5), (1 + 1e-6) ** 2 * P) == pytest.approx(
        1e-6 * math.sqrt(np.trace(P)), rel=1e-3)  # fmt: skip


# Sinkhorn


@given(one=clouds, two=clouds, share=st.floats(0.4, 3), p=st.sampled_from([1, 2]))
@quick
def test_the_entropic_plan_satisfies_its_own_conditions(one, two, share, p):
    (x, a), (y, b) = one, two
    reg = share * (costs(x, y, p).max() or 1)
    found = sinkhorn(x, y, reg, a, b, p)
    assert found.gamma.sum(axis=1) == pytest.approx(a, abs=1e-9)
    assert found.gamma.sum(axis=0) == pytest.approx(b, abs=1e-9)
    assert found.error <= 1e-9
    c, some = costs(x, y, p), np.ix_(a > 0, b > 0)
    dual = reg * np.log(found.gamma[some] / np.outer(a, b)[some]) + c[some]  # optimal if and only if f_i + g_j
    centred = dual - dual.mean(axis=0) - dual.mean(axis=1)[:, None] + dual.mean()
    assert np.abs(centred).max() < 1e-6
    assert found.cost == pytest.approx((found.gamma * c).sum(), abs=1e-12)
    assert found.objective == pytest.approx((found.gamma[some] * dual).sum(), abs=1e-9)
    cheapest = plan(x, y, a, b, p).cost
    assert cheapest - 1e-8 <= found.cost <= found.objective + 1e-8


def test_two_points_have_a_closed_form_and_reg_leads_from_cheapest_to_independent():
    x = np.array([0.0, 1.0])
    for reg in (0.2, 0.5, 1, 10):
        found = sinkhorn(x, x, reg)
        assert found.gamma == pytest.approx(np.array([[1, math.exp(-1 / reg)], [math.exp(-1 / reg), 1]])
                                            / (2 + 2 * math.exp(-1 / reg)), abs=1e-9)  # fmt: skip
    x, y = rng().normal(size=(2, 8, 2))
    found = [sinkhorn(x, y, reg, tol=1e-7) for reg in (0.1, 0.3, 1)]
    assert [answer.cost for answer in found] == sorted(answer.cost for answer in found)
    for answer in found:  # a matching has the divergence log 8 from independence, and loses against the entropic plan
        assert 0 < answer.cost - wasserstein(x, y) <= answer.objective - wasserstein(x, y) <= answer.reg * math.log(8)
    assert sinkhorn(x, y, 1e6).gamma == pytest.approx(np.full((8, 8), 1 / 64), abs=1e-6)


@pytest.mark.parametrize("reg", [1.0, 10.0])
def test_the_debiased_divergence_of_a_shift_is_its_square(reg):
    (x, a), s = cloud(1, 6, 2), np.array([0.6, -0.8])
    assert sinkhorn_divergence(x, x + 2 * s, reg, a, a, p=2) == pytest.approx(4, abs=1e-6)  # mixed terms are fixed
    assert sinkhorn_divergence(x, x[::-1], reg, a, a[::-1]) == pytest.approx(0, abs=1e-8)
    whole = sinkhorn(x, x, reg, a, a).objective
    assert whole > 0.01  # which the plain objective is not
    assert _own(costs(x, x), reg, a, 1000, 1e-9) == pytest.approx(whole, abs=1e-8)  # one potential or two
    assert sinkhorn_divergence(x, rng(2).normal(size=(5, 2)), reg, a) > 0


# Numbers that a book prints


def udl_toy():
    """Prince, Understanding Deep Learning, notebook 15.1: ten real points, ten fakes, D = sigmoid(x - 2)."""
    real = 7.5 + np.random.RandomState(0).normal(size=10)
    fake = 3.0 + np.random.RandomState(1).normal(size=10)
    return real - 2, fake - 2


def test_the_udl_book_s_discriminator_loss_is_the_saturating_objective_summed_over_ten():
    loss = -10 * OBJECTIVES["saturating"].d_gain(*udl_toy())
    assert loss == pytest.approx(13.814757170851447, rel=1e-12)  # "True Loss" in notebook 15.1


def test_the_udl_book_s_generator_loss_is_minus_the_log_of_not_being_real():
    assert 10 * OBJECTIVES["saturating"].g_gain(*udl_toy()) == pytest.approx(13.78437035945412, rel=1e-12)


def test_the_udl_book_s_histograms_in_steps_of_a_ninth():
    p, q = np.array([5, 3, 2, 1, 8, 7, 5, 9, 2, 1]) / 43, np.array([4, 10, 1, 1, 4, 6, 3, 2, 0, 1]) / 32
    i = np.arange(10.0)
    for found in (
        wasserstein_line((i, p), (i, q)),
        wasserstein(i, i, a=p, b=q),
        plan(i, i, p, q).cost,
        plan_of_costs(np.abs(i[:, None] - i), p, q, solver="lp").cost,  # as notebook 15.2 does
        kantorovich_dual(i, i, p, q).gain,
    ):
        assert found / 9 == pytest.approx(0.1514857881, abs=5e-11)


# Bad input never reaches a solver

GOOD, ONE, TWO = np.arange(6.0).reshape(3, 2), [0.2, 0.3, 0.5], [0.5, 0.25, 0.25]


def all_solvers(x, y, a=None, b=None):
    return {
        "wasserstein": lambda: wasserstein(x, y, a=a, b=b),
        "network": lambda: plan(x, y, a, b),
        "lp": lambda: plan(x, y, a, b, solver="lp"),
        "quadratic": lambda: quadratic_cost(x, y, a, b),
        "dual": lambda: kantorovich_dual(x, y, a, b),
        "sinkhorn": lambda: sinkhorn(x, y, 1.0, a, b),
        "divergence": lambda: sinkhorn_divergence(x, y, 1.0, a, b),
    }


@pytest.fixture
def no_solver(monkeypatch):
    def called(*_, **__):
        raise AssertionError("a solver was called")

    for module, name in ((ot, "sinkhorn"), (ot.lp, "emd"), (ot.lp, "emd2"), (scipy.optimize, "linprog"),
                         (scipy.optimize, "linear_sum_assignment")):  # fmt: skip
        monkeypatch.setattr(module, name, called)


BAD_WEIGHTS = {
    "negative": ([-0.5, 0.5, 1.0], r"must lie in \[0, inf\)"),
    "unequal mass": ([0.2, 0.2, 0.2], r"must sum to 1, got 0.6; divide it by its sum"),
    "nearly": ([0.2, 0.3, 0.5 + 3e-8], "must sum to 1, got 1.00000003"),
    "NaN": ([nan, 0.5, 0.5], "must be a finite number"),
    "infinite": ([inf, 0.5, 0.5], "must be a finite number"),
    "too few": ([0.5, 0.5], r"must be 3 weights, one a point, got shape \(2,\)"),
    "empty": ([], "must be a finite number"),
    "table": ([[0.5, 0.25, 0.25]], "must be 3 weights"),
    "text": (["a", "b", "c"], "must be a number"),
}


@pytest.mark.parametrize("name", all_solvers(GOOD, GOOD))
@pytest.mark.parametrize("fault", BAD_WEIGHTS)
def test_bad_weights_are_named_before_any_solver_is_called(name, fault, no_solver):
    bad, words = BAD_WEIGHTS[fault]
    with pytest.raises(InputError, match=f"^a {words}"):
        all_solvers(GOOD, GOOD, a=bad, b=TWO)[name]()
    with pytest.raises(InputError, match=f"^b {words}"):
        all_solvers(GOOD, GOOD, a=ONE, b=bad)[name]()


BAD_POINTS = {
    "NaN": (np.array([[0, nan], [1, 1], [2, 2]]), "must be finite, got NaN or infinity in 1 of 3 rows"),
    "infinite": (np.array([[0, inf], [1, 1], [2, 2]]), "must be finite"),
    "empty": (np.empty((0, 2)), "must be numbers of shape"),
    "text": ("points", "must be numbers"),
}


@pytest.mark.parametrize("name", all_solvers(GOOD, GOOD))
@pytest.mark.parametrize("fault", BAD_POINTS)
def test_bad_points_are_named_before_any_solver_is_called(name, fault, no_solver):
    bad, words = BAD_POINTS[fault]
    for (x, y), which in (((bad, GOOD), "x"), ((GOOD, bad), "y")):
        with pytest.raises(InputError, match=f"^{which} {words}"):
            all_solvers(x, y)[name]()
    with pytest.raises(InputError, match=r"^y must have dimension 2, got shape"):
        all_solvers(GOOD, np.zeros((3, 3)))[name]()


@pytest.mark.parametrize(("call", "words"), [
    (lambda: plan_of_costs([[nan, 1.0]]), "^c must be a finite number"),
    (lambda: plan_of_costs([[inf, 1.0]]), "^c must be a finite number"),
    (lambda: plan_of_costs([1.0, 2.0]), r"^c must have shape \(n, m\), got \(2,\)"),
    (lambda: plan_of_costs(np.empty((0, 3))), "^c must be a finite number"),
    (lambda: plan_of_costs([[1.0, 2.0]], [1.0], [0.5, 0.4]), "^b must sum to 1, got 0.9"),
    (lambda: plan(GOOD, GOOD, solver="simplex"), "unknown solver 'simplex': choose one of assignment, lp, network"),
    (lambda: plan(GOOD, GOOD[:2], solver="assignment"), "'assignment' needs as many points on both sides"),
    (lambda: plan(GOOD, GOOD, ONE, solver="assignment"), "'assignment' needs .* all of the same weight"),
    (lambda: plan(GOOD, GOOD, p=0.5), "p must"),
    (lambda: plan(1e200 * GOOD, -1e200 * GOOD, p=2), r"\|x - y\|\^2 are too large for a float; scale x and y down"),
    (lambda: wasserstein(1e200 * GOOD, -1e200 * GOOD, 2), "are too large for a float"),
    (lambda: wasserstein(GOOD, GOOD, [1.0, 2.0, 3.0]), "^p must be one number"),
    (lambda: plan(np.zeros((600, 2)), np.zeros((600, 2)), solver="lp"), "takes at most 262144 pairs of points"),
    (lambda: plan(np.zeros((10000, 2)), np.zeros((10000, 2))), "10000 times 10000 distances would take 0.7 GiB"),
    (lambda: sinkhorn(np.zeros((10000, 2)), np.zeros((10000, 2)), 1), "10000 times 10000 distances would take 0.7 GiB"),
    (lambda: kantorovich_dual(np.zeros((300, 2)), np.zeros((300, 2))), "at most 512 points in all, got 600"),
    (lambda: sinkhorn(GOOD, GOOD, 0), r"^reg must lie in \(0, inf\)"),
    (lambda: sinkhorn(GOOD, GOOD, -1.0), "^reg must"),
    (lambda: sinkhorn(GOOD, GOOD, nan), "^reg must"),
    (lambda: sinkhorn(GOOD, GOOD, 1, tol=0), "^tol must"),
    (lambda: sinkhorn(GOOD, GOOD, 1, max_iter=0), "^max_iter must"),
    (lambda: sinkhorn_divergence(GOOD, GOOD, 0), "^reg must"),
    (lambda: lipschitz_extension([0.0, 1.0], [0.0, 1.5]), "must not be steeper than slope = 1, got two too far"),
    (lambda: lipschitz_extension([0.0, 1.0], [0.0]), r"^values must be 2 numbers, one a point, got shape \(1,\)"),
    (lambda: lipschitz_extension([0.0], [0.0], side="left"), "unknown side 'left'"),
    (lambda: lipschitz_extension([0.0], [0.0], slope=0), "^slope must"),
    (lambda: lipschitz_extension([0.0], [0.0])([[0.0, 1.0]]), "^z must have dimension 1"),
    (lambda: wasserstein_line(ring(), gaussian(1)), "^p_law must be a Mixture of dimension 1 or a pair"),
    (lambda: wasserstein_line(gaussian(1), disjoint_lines()), "^q_law must be a Mixture of dimension 1"),
    (lambda: wasserstein_line(([0, 1], [0.5, 0.6]), gaussian(1)), "^the masses of p_law must sum to 1, got 1.1"),
    (lambda: wasserstein_line(([0, 1], [-0.5, 1.5]), gaussian(1)), r"^the masses of p_law must lie in \[0"),
    (lambda: wasserstein_line(([0, nan], [0.5, 0.5]), gaussian(1)), "^the positions of p_law must be finite"),
    (lambda: wasserstein_line(gaussian(1), gaussian(1), 0.5), "p must"),
    (lambda: line_critic(gaussian(1), 3.0), "^q_law must"),
    (lambda: gaussian_w2([0, 0], np.eye(3), [0, 0], np.eye(2)), r"^cov_p must be a symmetric \(2, 2\) matrix"),
    (lambda: gaussian_w2([0, 0], np.eye(2), [0, 0], [[1, 1], [0, 1]]), "^cov_q must be a symmetric"),
    (lambda: gaussian_w2(0, 1, 0, -1), "^cov_q must have no negative eigenvalue, got -1"),
    (lambda: gaussian_w2(0, nan, 0, 1), "^cov_p must be a finite number"),
    (lambda: gaussian_w2([0, 0], np.eye(2), 0, 1), "two rows of as many numbers"),
])  # fmt: skip
def test_other_bad_input_is_named_before_any_solver_is_called(call, words, no_solver):
    with pytest.raises(InputError, match=words):
        call()


# A solver that fails is found out


def test_sinkhorn_that_has_not_converged_says_how_far_off_it_is():
    x, y = rng().normal(size=(2, 20, 2))
    with pytest.raises(
        NotConverged, match=r"after 3 rounds 0\.\d+ of the mass is in the wrong place, more than tol = 1e-09"
    ):
        sinkhorn(x, y, 0.01, max_iter=3)
    assert sinkhorn(x, y, 0.01, max_iter=3, tol=1.5).error > 0.01
    assert not issubclass(NotConverged, InputError)


def test_a_solver_that_stops_early_is_not_believed(monkeypatch):
    monkeypatch.setattr(scipy.optimize, "linprog",
                        lambda *_, **__: scipy.optimize.OptimizeResult(status=1, message="time is up"))  # fmt: skip
    with pytest.raises(NotConverged, match="HiGHS found no plan: time is up"):
        plan(GOOD, GOOD, solver="lp")
    with pytest.raises(NotConverged, match="HiGHS found no best critic: time is up"):
        kantorovich_dual(GOOD, GOOD)
    emd = ot.lp.emd
    monkeypatch.setattr(ot.lp, "emd", lambda a, b, c, numItermax, log: emd(a, b, c, numItermax=1, log=log))
    x, y = rng().normal(size=(2, 30, 2))
    with pytest.raises(NotConverged, match="POT's network simplex found no plan"):
        plan(x, y)


@pytest.mark.parametrize(("gamma", "v", "words"), [
    (np.eye(2) * (0.5 + 2e-9), [0.0, 0.0], "its marginals are off by"),
    (np.full((2, 2), 0.25), [0.0, 0.0], "its duality gap is 0.5"),
    (np.eye(2) * nan, [0.0, 0.0], "is not optimal"),
    (np.array([[1, -0.5], [-0.5, 1]]), [0.0, 0.0], "its marginals are off by 0.5"),
])  # fmt: skip
def test_a_wrong_answer_is_not_passed_on(gamma, v, words, monkeypatch):
    monkeypatch.setitem(SOLVERS, "network", lambda c, a, b: (gamma, np.array(v)))
    with pytest.raises(NotConverged, match=words):
        plan([0.0, 1.0], [0.0, 1.0])


def test_a_critic_that_is_too_steep_is_not_passed_on(monkeypatch):
    steep = scipy.optimize.OptimizeResult(status=0, x=np.array([0.0, -1.0 - 1e-8]))
    monkeypatch.setattr(scipy.optimize, "linprog", lambda *_, **__: steep)
    with pytest.raises(NotConverged, match="too steep: by 1e-08"):
        kantorovich_dual([0.0], [1.0])


def test_importing_transport_loads_nothing_heavy():
    code = "import sys, ganlab.transport; print({'scipy', 'ot', 'torch', 'sympy', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "set()", done.stderr
