"""Distances between samples against closed forms and SciPy; quality, variety and memorisation against counting."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ganlab import _samples
from ganlab.checks import InputError
from ganlab.data import ring, two_peaks
from ganlab.two_sample import (
    density_coverage,
    memorisation,
    mmd,
    permutation_test,
    precision_recall,
    sliced_wasserstein,
    wasserstein,
)

quick = settings(max_examples=30, deadline=None, derandomize=True)
seeds = st.integers(0, 10**6)
nan = float("nan")


def rng(seed=0):
    return np.random.default_rng(seed)


def turned(x, seed=1):
    return x @ np.linalg.qr(rng(seed).normal(size=(x.shape[1],) * 2))[0]


# MMD


def mmd_of_gaussians(shift, s, t, h, dim):
    """Between N(0, s^2 I) and N(m, t^2 I) with |m| = shift: a Gaussian kernel averaged over Gaussians."""

    def mean_kernel(variance, distance):
        return (h**2 / (h**2 + variance)) ** (dim / 2) * math.exp(-(distance**2) / (2 * (h**2 + variance)))

    return mean_kernel(2 * s**2, 0) + mean_kernel(2 * t**2, 0) - 2 * mean_kernel(s**2 + t**2, shift)


def gaussian_pairs(n, dim, t, shift, tries):
    for seed in range(tries):
        x, y = rng(seed).normal(size=(2, n, dim))
        yield x, t * y + shift / math.sqrt(dim)


@pytest.mark.parametrize(("dim", "t", "shift", "h"), [(1, 1.0, 1.0, 1.0), (2, 0.5, 0.0, 0.7), (5, 1.0, 0.0, 2.0)])
def test_the_unbiased_mmd_of_gaussians_averages_to_the_closed_form(dim, t, shift, h):
    found = [mmd(x, y, h) for x, y in gaussian_pairs(20, dim, t, shift, 600)]
    truth = mmd_of_gaussians(shift, 1, t, h, dim)
    assert abs(np.mean(found) - truth) < 4 * stats.sem(found)
    assert min(found) < truth < max(found)


def test_the_biased_mmd_is_too_large_by_the_pairs_of_a_sample_with_itself():
    n, h = 20, 1.0
    found = [mmd(x, y, h, unbiased=False) for x, y in gaussian_pairs(n, 2, 1, 0, 400)]
    assert min(found) > 0
    excess = 2 / n * (1 - h**2 / (h**2 + 2))
    assert abs(np.mean(found) - excess) < 4 * stats.sem(found)


@given(seed=seeds, n=st.integers(2, 6), m=st.integers(2, 6), dim=st.integers(1, 4), h=st.floats(0.1, 10))
@quick
def test_mmd_is_the_double_sum_of_its_definition(seed, n, m, dim, h):
    x, y = rng(seed).normal(size=(n, dim)), 2 * rng(seed + 1).normal(size=(m, dim))

    def k(a, b):
        return math.exp(-sum((a - b) ** 2) / (2 * h**2))

    cross = sum(k(a, b) for a in x for b in y) / (n * m)
    inside = [sum(k(*pair) for pair in itertools.permutations(z, 2)) / (len(z) * (len(z) - 1)) for z in (x, y)]
    assert mmd(x, y, h) == pytest.approx(sum(inside) - 2 * cross, abs=1e-12)
    inside = [sum(k(*pair) for pair in itertools.product(z, z)) / len(z) ** 2 for z in (x, y)]
    assert mmd(x, y, h, unbiased=False) == pytest.approx(sum(inside) - 2 * cross, abs=1e-12)


def test_the_median_is_taken_over_the_distances_of_all_samples():
    x, y = np.array([0.0, 1.0]), np.array([4.0])
    assert mmd(x, y, unbiased=False) == mmd(x, y, bandwidth=3.0, unbiased=False)  # the distances are 1, 3 and 4


# Wasserstein


@pytest.mark.parametrize("dim", [1, 2, 7])
@pytest.mark.parametrize("p", [1, 2, 3.5])
def test_a_shift_costs_its_length(dim, p):
    x = rng().normal(size=(40, dim))
    assert wasserstein(x, x + 1 / math.sqrt(dim), p) == pytest.approx(1, abs=1e-12)


@given(seed=seeds, n=st.integers(1, 30), m=st.integers(1, 30))
@quick
def test_on_the_line_the_distance_is_scipy_s_whatever_the_sizes(seed, n, m):
    x, y = rng(seed).normal(size=n), rng(seed + 1).exponential(size=m)
    assert wasserstein(x, y) == pytest.approx(stats.wasserstein_distance(x, y), abs=1e-12)


@given(seed=seeds, n=st.integers(1, 6), m=st.integers(1, 6), p=st.sampled_from([1, 1.5, 2, 4]))
@quick
def test_unequal_sizes_cost_what_their_copies_cost(seed, n, m, p):
    x, y = rng(seed).normal(size=n), rng(seed + 1).normal(size=m)
    alike = np.sort(np.repeat(x, m)) - np.sort(np.repeat(y, n))
    assert wasserstein(x, y, p) == pytest.approx(np.mean(np.abs(alike) ** p) ** (1 / p), abs=1e-12)


@given(seed=seeds, n=st.integers(1, 6), p=st.sampled_from([1, 2, 3]))
@quick
def test_in_the_plane_no_matching_is_cheaper(seed, n, p):
    x, y = rng(seed).normal(size=(2, n, 2))
    best = min(np.mean(np.linalg.norm(x - y[list(order)], axis=1) ** p) for order in itertools.permutations(range(n)))
    assert wasserstein(x, y, p) == pytest.approx(best ** (1 / p), abs=1e-12)


def test_a_line_in_the_plane_is_a_line():
    x, y = rng().normal(size=30), rng(1).uniform(size=30)
    across = np.array([[0.6, 0.8]])
    assert wasserstein(x[:, None] * across, y[:, None] * across, 2) == pytest.approx(wasserstein(x, y, 2), abs=1e-12)


@pytest.mark.parametrize("p", [1, 2])
def test_pot_agrees(p):
    ot = pytest.importorskip("ot")
    x, y = rng().normal(size=(2, 60, 3))
    equal = np.full(60, 1 / 60)
    plan = ot.emd2(equal, equal, ot.dist(x, y, metric="euclidean") ** p)
    assert wasserstein(x, y, p) == pytest.approx(plan ** (1 / p), rel=1e-9)


def test_gaussians_on_the_line_are_as_far_apart_as_the_formula_says():
    q = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    assert wasserstein(q, 2 + 1.5 * q, 2) == pytest.approx(math.hypot(2, 0.5), abs=2e-3)


def test_a_collapse_under_the_left_of_two_peaks_is_three_away():
    law = two_peaks()
    x, left = law.sample(20000, rng()), law.sample(20000, rng(1))
    assert wasserstein(x, left[left[:, 0] < 0]) == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize(("dim", "p", "share"), [(2, 1, 2 / math.pi), (2, 2, math.sqrt(1 / 2)), (3, 1, 1 / 2),
                                                 (5, 2, math.sqrt(1 / 5))])  # fmt: skip
def test_the_shadow_of_a_shift_is_the_mean_cosine(dim, p, share):
    x = rng().normal(size=(5, dim))
    moved = x + 4 * np.eye(dim)[0]
    assert sliced_wasserstein(x, moved, 20000, rng(), p) == pytest.approx(4 * share, rel=0.02)


@pytest.mark.parametrize("p", [1, 2])
def test_on_the_line_every_slice_is_the_whole(p):
    x, y = rng().normal(size=30), rng(1).normal(size=20)
    assert sliced_wasserstein(x, y, 3, rng(), p) == pytest.approx(wasserstein(x, y, p), abs=1e-12)


@given(seed=seeds, p=st.sampled_from([1, 2]))
@quick
def test_shadows_are_never_further_apart_than_what_casts_them(seed, p):
    x, y = rng(seed).normal(size=(2, 12, 3))
    assert sliced_wasserstein(x, y, 20, rng(seed), p) <= wasserstein(x, y, p) + 1e-12


@pytest.mark.parametrize("dim", [2, 3])
def test_slices_point_in_all_directions_alike(dim):
    x = np.zeros((1, dim))
    moves = [np.eye(dim)[0], np.ones(dim) / math.sqrt(dim), -np.eye(dim)[-1]]
    found = [sliced_wasserstein(x, x + move, 20000, rng()) for move in moves]
    assert found == pytest.approx([found[0]] * 3, rel=0.03)


# What the distances have in common

DISTANCES = {
    "mmd": (lambda x, y: mmd(x, y), 0),
    "mmd, biased": (lambda x, y: mmd(x, y, unbiased=False), 0),
    "mmd, fixed": (lambda x, y: mmd(x, y, 1.3), None),
    "wasserstein": (wasserstein, 1),
    "wasserstein 2": (lambda x, y: wasserstein(x, y, 2), 1),
    "sliced": (lambda x, y: sliced_wasserstein(x, y, 10, rng()), 1),
}


@pytest.mark.parametrize("name", DISTANCES)
@given(seed=seeds, shift=st.floats(-100, 100), scale=st.floats(0.01, 100))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_order_place_and_sides_do_not_matter_and_scale_does_as_it_should(name, seed, shift, scale):
    distance, power = DISTANCES[name]
    x, y = rng(seed).normal(size=(15, 3)), 1 + rng(seed + 1).normal(size=(15, 3))
    found = distance(x, y)
    assert distance(y, x) == pytest.approx(found, abs=1e-12)
    assert distance(rng(seed).permutation(x), rng(3).permutation(y)) == pytest.approx(found, abs=1e-12)
    assert distance(x + shift, y + shift) == pytest.approx(found, abs=1e-9)
    if name != "sliced":  # which turns only on average
        assert distance(turned(x), turned(y)) == pytest.approx(found, abs=1e-9)
    if power is not None:
        assert distance(scale * x, scale * y) == pytest.approx(scale**power * found, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in DISTANCES if name not in ("mmd", "mmd, fixed")])
def test_the_same_samples_are_no_distance_apart(name):
    x = rng().normal(size=(15, 3))
    assert DISTANCES[name][0](x, x[::-1]) == pytest.approx(0, abs=1e-9)


# The permutation test


def test_samples_of_one_law_are_rejected_as_often_as_the_level_says():
    def gap(x, y):
        return abs(x.mean() - y.mean())

    p = [permutation_test(rng(s).normal(size=8), rng(s + 1000).normal(size=12), gap, rng(s), 19) for s in range(400)]
    assert min(p) == 0.05
    for level in (0.05, 0.2, 0.5):  # the p-value takes the values 1/20, 2/20, ... equally often
        assert stats.binomtest(sum(v <= level + 1e-9 for v in p), 400, level).pvalue > 1e-3


@pytest.mark.parametrize("statistic", [mmd, wasserstein, lambda x, y: sliced_wasserstein(x, y, 20, rng())])
def test_samples_of_two_laws_are_told_apart(statistic):
    x, y = rng().normal(size=(2, 40, 2))
    assert permutation_test(x, y + 1.5, statistic, rng(), 99) == 0.01
    assert permutation_test(x, y, statistic, rng(), 99) > 0.05


def test_a_statistic_that_never_changes_proves_nothing():
    assert permutation_test([1.0, 2.0], [3.0], lambda x, y: 1.0, rng(), 9) == 1


def test_the_order_in_which_a_sum_is_rounded_does_not_matter():
    p = permutation_test([0.1, 0.2, 0.3], [0.0], lambda x, y: float(np.sum(x)), rng(), 2000)
    assert p == pytest.approx(1 / 4, abs=0.04)  # 0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1


# Quality and variety


def prdc_by_loops(real, fake, k):
    """All four by the definitions, one ball at a time."""

    def near(a, b):
        return math.dist(a, b)

    def ball(centre, crowd):
        return sorted(near(centre, other) for other in crowd)[k]

    r, f = [ball(a, real) for a in real], [ball(a, fake) for a in fake]
    precision = np.mean([any(near(a, b) <= q for a, q in zip(real, r, strict=True)) for b in fake])
    recall = np.mean([any(near(a, b) <= q for b, q in zip(fake, f, strict=True)) for a in real])
    density = sum(near(a, b) < q for a, q in zip(real, r, strict=True) for b in fake) / (k * len(fake))
    coverage = np.mean([any(near(a, b) < q for b in fake) for a, q in zip(real, r, strict=True)])
    return precision, recall, density, coverage


@given(seed=seeds, n=st.integers(4, 12), m=st.integers(4, 12), k=st.integers(1, 3), dim=st.integers(1, 3))
@quick
def test_the_four_scores_are_their_definitions(seed, n, m, k, dim):
    real, fake = rng(seed).normal(size=(n, dim)), 0.3 + rng(seed + 1).normal(size=(m, dim))
    truth = prdc_by_loops(real, fake, k)
    assert (*precision_recall(real, fake, k), *density_coverage(real, fake, k)) == pytest.approx(truth, abs=1e-12)


# Real 0, 1, 3 have the radii 1, 1, 2 for k = 1 and 3, 2, 3 for k = 2; fake 0.5, 5.5, 6.5 have 5, 1, 1 and 6, 5, 6.
# k = 1: 0.5 lies in the balls of 0 and 1; 5.5 and 6.5 lie in none; the ball of 0.5 holds all real points.
# k = 2: 0.5 lies in all three balls, 5.5 in that of 3, 6.5 in none.
@pytest.mark.parametrize(("k", "quality", "near"), [(1, (1 / 3, 1), (2 / 3, 2 / 3)), (2, (2 / 3, 1), (4 / 6, 1))])
def test_a_small_example_by_hand(k, quality, near):
    real, fake = [0.0, 1.0, 3.0], [0.5, 5.5, 6.5]
    assert precision_recall(real, fake, k) == pytest.approx(quality)
    assert density_coverage(real, fake, k) == pytest.approx(near)


@pytest.mark.parametrize(("n", "m", "k", "dim"), [(20, 30, 3, 2), (30, 10, 5, 4)])
def test_density_and_coverage_of_one_law_average_to_the_closed_form(n, m, k, dim):
    found = np.array([density_coverage(rng(s).normal(size=(n, dim)), rng(s + 5000).normal(size=(m, dim)), k)
                      for s in range(600)])  # fmt: skip
    coverage = 1 - math.prod((n - i) / (n + m - i) for i in range(1, k + 1))
    error = stats.sem(found)
    assert np.all(np.abs(found.mean(axis=0) - (1, coverage)) < 4 * error)


def test_balls_are_closed_for_precision_and_open_for_density():
    real, fake = [0.0, 1.0], [2.0, 3.0]  # 2 lies on the edge of the ball of 1
    assert precision_recall(real, fake, 1) == (0.5, 0.5)
    assert density_coverage(real, fake, 1) == (0, 0)


def test_each_score_sees_the_failure_it_is_meant_for():
    law = ring(8, 2, 0.2)
    real, same = law.sample(500, rng()), law.sample(500, rng(1))
    blurred = same + rng(2).normal(size=(500, 2))
    collapsed = same[np.argmin(np.linalg.norm(same[:, None] - law.means, axis=2), axis=1) == 0]
    assert min(precision_recall(real, same)) > 0.85
    assert precision_recall(real, blurred)[0] < 0.5 < precision_recall(real, blurred)[1]
    assert precision_recall(real, collapsed)[1] < 0.2 < 0.85 < precision_recall(real, collapsed)[0]
    density, coverage = density_coverage(real, same)
    assert density == pytest.approx(1, abs=0.1)
    assert coverage > 0.9
    assert density_coverage(real, collapsed)[1] < 0.2 < 0.8 < density_coverage(real, collapsed)[0]
    assert density_coverage(real, blurred)[0] < 0.4


@pytest.mark.parametrize("score", [precision_recall, density_coverage])
def test_scores_do_not_depend_on_place_or_scale(score):
    real, fake = rng().normal(size=(2, 40, 3))
    assert score(8 * real + 1, 8 * fake + 1, 3) == score(real, fake, 3)


# Memorisation


def three(seed, n=100, m=60, k=60, dim=2):
    draw = rng(seed)
    return [draw.normal(size=(size, dim)) for size in (n, m, k)]


def test_a_copying_model_is_caught():
    samples, train, holdout = three(0)
    found = memorisation(train[rng().integers(60, size=100)] + 1e-6, train, holdout, rng())
    assert (found.share, found.high, found.p_value) == (1, 1, 0.001)
    assert found.low == pytest.approx(0.025 ** (1 / 100))
    assert memorisation(samples, train, holdout, rng()).p_value > 0.05
    assert memorisation(holdout, train, holdout, rng()).share == 0


@pytest.mark.parametrize(("n", "m", "k"), [(30, 40, 40), (400, 20, 20), (100, 40, 10)])
def test_an_innocent_model_is_accused_no_more_often_than_the_level_says(n, m, k):
    found = [memorisation(*three(s, n, m, k), rng(s), draws=39) for s in range(300)]
    for level in (0.05, 0.25):
        accused = sum(report.p_value <= level + 1e-9 for report in found)
        assert stats.binomtest(accused, 300, level, alternative="greater").pvalue > 1e-3
    shares = [report.share for report in found]
    assert {report.expected for report in found} == {m / (m + k)}
    assert abs(np.mean(shares) - m / (m + k)) < 4 * stats.sem(shares)


def test_the_share_and_its_interval_are_counted():
    found = memorisation([0.1, 0.2, 0.9, 5.0], [0.0, 4.0], [1.0], rng())
    truth = stats.binomtest(3, 4).proportion_ci(0.95, method="exact")
    assert (found.share, found.low, found.high) == pytest.approx((0.75, truth.low, truth.high))
    assert (found.n, found.ties, found.expected) == (4, 0, 2 / 3)
    assert memorisation([0.1, 0.2, 0.9, 5.0], [0.0, 4.0], [1.0], rng(), level=0.5).low > found.low


def test_the_p_value_is_the_share_of_relabellings():
    # Samples near the three points: 2, 0 and 1. Two of the three points are dealt to train, and 2 or more of the
    # samples are then near train in two deals of three.
    samples, train, holdout = [0.0, 0.1, 20.0], [0.0, 10.0], [20.0]
    found = memorisation(samples, train, holdout, rng(), draws=4000)
    assert found.p_value == pytest.approx(2 / 3, abs=0.03)


@pytest.mark.parametrize("dim", [1, 2, 10])
def test_samples_as_near_to_both_are_left_out(dim):
    samples, train, holdout = three(0, dim=dim)
    plain = memorisation(samples, train, holdout, rng())
    found = memorisation(*(np.concatenate([x, np.full((3, dim), 50.0)]) for x in (samples, train, holdout)), rng())
    assert (found.ties, found.n, found.share) == (3, 103, plain.share)


def test_the_verdict_reads_as_a_sentence():
    found = memorisation([0.1, 0.2, 0.9, 5.0], [0.0, 4.0], [1.0], rng(), draws=1)
    assert repr(found).startswith("75.0 % nearer to train (19.4 to 99.4; 66.7 expected), p = ")


# Bad input

PAIRS = {
    "mmd": mmd, "wasserstein": wasserstein, "sliced": lambda x, y: sliced_wasserstein(x, y, 5, rng()),
    "permutation": lambda x, y: permutation_test(x, y, wasserstein, rng(), 3),
    "precision": precision_recall, "density": density_coverage,
    "memorisation": lambda x, y: memorisation(x, y, x, rng()),
}  # fmt: skip
FIRST = {"precision": ("real", "fake"), "density": ("real", "fake"), "memorisation": ("samples", "train")}


@pytest.mark.parametrize("name", PAIRS)
def test_samples_that_cannot_be_used_are_named(name):
    good, call = rng().normal(size=(10, 2)), PAIRS[name]
    first, second = FIRST.get(name, ("x", "y"))
    holed = good.copy()
    holed[3, 1] = nan
    for bad, words in (
        (np.empty((0, 2)), "must be numbers"),
        (holed, "must be finite, got NaN or infinity in 1 of 10"),
    ):
        with pytest.raises(InputError, match=f"^{first} {words}"):
            call(bad, good)
        with pytest.raises(InputError, match=f"^{second} {words}"):
            call(good, bad)
    with pytest.raises(InputError, match=rf"^{second} must have dimension 2, got shape \(10, 3\)"):
        call(good, np.zeros((10, 3)))


X = np.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: mmd(X[:1], X), "^x must hold at least 2 points, got 1"),
    (lambda: mmd(X, X[:1]), "^y must hold at least 2 points, got 1"),
    (lambda: mmd(X, X, 0), "bandwidth"),
    (lambda: mmd(X, X, "mean"), "unknown bandwidth 'mean': choose one of median"),
    (lambda: mmd([1.0, 1.0], [1.0, 1.0]), "the median distance is 0"),
    (lambda: wasserstein(X, X, 0.5), "p must"),
    (lambda: sliced_wasserstein(X, X, 0, rng()), "directions"),
    (lambda: sliced_wasserstein(X, X, 5, 0), "rng must be a numpy Generator"),
    (lambda: sliced_wasserstein(X, X, 5, rng(), 0), "p must"),
    (lambda: permutation_test(X, X, wasserstein, 0), "rng must be a numpy Generator"),
    (lambda: permutation_test(X, X, wasserstein, rng(), 0), "draws"),
    (lambda: permutation_test(X, X, lambda x, y: nan, rng()), "statistic must be a number"),
    (lambda: precision_recall(X, X, 0), "k must"),
    (lambda: precision_recall(X, X, 3), "^real must hold at least 4 points, got 3"),
    (lambda: precision_recall(np.zeros((9, 2)), X, 3), "^fake must hold at least 4 points, got 3"),
    (lambda: density_coverage(X, X), "^real must hold at least 6 points, got 3"),
    (lambda: memorisation(X, X, X, rng()), "every sample is equally near to train and holdout"),
    (lambda: memorisation(X, X, X + 1, 0), "rng must be a numpy Generator"),
    (lambda: memorisation(X, X, X + 1, rng(), level=2), "level"),
    (lambda: memorisation(X, X, X + 1, rng(), draws=0), "draws"),
    (lambda: memorisation(X, X, X[:, :1], rng()), "^holdout must have dimension 2"),
])  # fmt: skip
def test_other_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()


@pytest.mark.parametrize("call", [mmd, wasserstein, precision_recall])
def test_too_many_pairs_are_refused_before_the_memory_is_gone(call, monkeypatch):
    with pytest.raises(InputError, match=r"10000 times 10000 distances would take 0.7 GiB; take at most 8192"):
        call(np.zeros((10000, 2)), np.zeros((10000, 2)))
    monkeypatch.setattr(_samples, "MOST_PAIRS", 16)
    call(rng().normal(size=(4, 2)), rng(1).normal(size=(4, 2)))
