"""Modes, quality and KL against closed forms and published floors; intervals against SciPy."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ganlab.checks import InputError
from ganlab.data import Mixture, grid, ring, swiss_roll, two_peaks, unequal
from ganlab.metrics import RULES, generator, hq_ceiling, kl_floor, mean_interval, modes_report, points, success_interval

quick = settings(max_examples=40, deadline=None, derandomize=True)
nan, inf = float("nan"), float("inf")


def rng(seed=0):
    return np.random.default_rng(seed)


# Perfect samples


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("law", [ring(), grid()], ids=["ring", "grid"])
def test_perfect_samples_reach_the_ceiling_and_the_floor(law, rule):
    n = 20000
    found = modes_report(law.sample(n, rng()), law, rule=rule)
    error = math.sqrt(found.ceiling * (1 - found.ceiling) / n)
    assert abs(found.hq - found.ceiling) < 4 * error + 1e-12
    assert found.modes == found.of == len(law.means)
    assert found.reverse_kl < kl_floor(law.weights, n, level=0.9999)
    assert found.floor == (found.of - 1) / (2 * sum(found.counts))
    assert found.notes == ()


def test_the_ceiling_in_the_plane_is_the_published_one():
    assert hq_ceiling() == pytest.approx(1 - math.exp(-4.5), abs=1e-15)
    assert round(100 * hq_ceiling(), 2) == 98.89


@given(dim=st.integers(1, 50), z=st.floats(0.1, 9))
@quick
def test_the_ceilings_are_the_laws_of_the_distance(dim, z):
    assert hq_ceiling(dim, z) == pytest.approx(stats.chi2.cdf(z**2, dim), abs=1e-12)
    assert hq_ceiling(dim, z, "rms") == pytest.approx(stats.chi2.cdf(dim * z**2, dim), abs=1e-12)
    assert hq_ceiling(dim, z, "axis") == pytest.approx((2 * stats.norm.cdf(z) - 1) ** dim, abs=1e-12)


def test_ten_sd_pass_no_true_sample_in_seven_hundred_dimensions():
    law = Mixture(100 * np.eye(10, 700), 1.0)
    x = law.sample(500, rng())
    found = modes_report(x, law, z=10)
    assert (found.hq, found.modes) == (0, 0)
    assert math.isnan(found.reverse_kl)
    assert found.ceiling < 1e-50
    distance = np.linalg.norm(x[:, None] - law.means, axis=2).min(axis=1)
    assert distance.mean() == pytest.approx(math.sqrt(700), abs=0.15)  # 26.44, the spread being 0.70
    assert modes_report(x, law, z=1.2, rule="rms").hq == 1


@pytest.mark.parametrize(("modes", "published"), [(8, 0.0014), (25, 0.0048)])
def test_the_floors_are_the_published_ones(modes, published):
    weights = np.full(modes, 1 / modes)
    assert round(kl_floor(weights, 2500), 4) == published
    assert kl_floor(weights, 2500, rng(), draws=4000) == pytest.approx(published, abs=1.5e-4)


def test_the_floor_of_stacked_mnist_is_the_measured_one_and_above_the_formula():
    weights = np.full(1000, 1e-3)
    drawn = kl_floor(weights, 26000, rng(), draws=200)
    assert drawn == pytest.approx(0.0194, abs=2e-4)
    assert drawn > kl_floor(weights, 26000) == 999 / 52000


def test_the_drawn_floor_of_two_modes_is_the_exact_mean():
    n, w = 10, 0.3
    k = np.arange(n + 1)
    share = np.array([k / n, 1 - k / n])
    terms = np.where(share > 0, share * np.log(np.maximum(share, 1e-300) / np.array([[w], [1 - w]])), 0)
    exact = stats.binom.pmf(k, n, w) @ terms.sum(axis=0)
    assert kl_floor([w, 1 - w], n, rng(), draws=40000) == pytest.approx(exact, rel=0.03)


@pytest.mark.parametrize("draw", [None, 0])
def test_perfect_samples_exceed_the_quantile_of_the_floor_as_often_as_it_says(draw):
    law = unequal()
    high = kl_floor(law.weights, 2000, None if draw is None else rng(draw), level=0.9)
    tries = [modes_report(law.sample(2000, rng(s)), law, z=1e6).reverse_kl > high for s in range(1, 301)]
    assert stats.binomtest(sum(tries), 300, 0.1).pvalue > 1e-3


def test_one_mode_has_no_floor():
    assert kl_floor([1.0], 10) == kl_floor([1.0], 10, level=0.95) == kl_floor([1.0], 10, rng()) == 0


# Imperfect samples


def test_a_collapse_to_one_of_two_modes_costs_log_two_one_way_and_everything_the_other_way():
    law = two_peaks()
    found = modes_report(np.full((100, 1), law.means[0, 0]), law)
    assert (found.modes, found.of, found.hq, found.counts) == (1, 2, 1, (100, 0))
    assert found.reverse_kl == pytest.approx(math.log(2), abs=1e-15)
    assert found.forward_kl == inf


def test_the_divergences_are_the_sums_of_the_definition():
    law = Mixture([[0.0], [10.0], [20.0]], 1.0, [0.5, 0.3, 0.2])
    found = modes_report(np.repeat([0.0, 10.0, 20.0], [1, 2, 5]), law)
    p, w = (0.125, 0.25, 0.625), (0.5, 0.3, 0.2)
    assert found.counts == (1, 2, 5)
    assert found.reverse_kl == pytest.approx(sum(a * math.log(a / b) for a, b in zip(p, w, strict=True)), rel=1e-13)
    assert found.forward_kl == pytest.approx(sum(b * math.log(b / a) for a, b in zip(p, w, strict=True)), rel=1e-13)
    assert found.floor == 2 / 16


def test_only_high_quality_samples_enter_the_histogram_and_capture_a_mode():
    law = Mixture([[0.0], [10.0]], 1.0)
    found = modes_report([0.0, 0.1, 10.0, 6.0, 5.5, 99.0], law)
    assert (found.modes, found.counts, found.n) == (2, (2, 1), 6)
    assert found.hq == 0.5
    assert found.floor == 1 / 6
    assert modes_report([0.0, 6.0], law).modes == 1


def test_a_mode_needs_as_many_samples_as_the_minimum():
    law = Mixture([[0.0], [10.0]], 1.0)
    assert [modes_report([0.0, 0.0, 10.0], law, minimum=m).modes for m in (1, 2, 3)] == [2, 1, 0]


@pytest.mark.parametrize(("rule", "good"), [("euclid", (True, False, False)), ("axis", (True, True, False)),
                                            ("rms", (True, True, False))])  # fmt: skip
def test_the_rules_draw_a_disc_a_square_and_a_wider_disc(rule, good):
    law = Mixture([[0.0, 0.0]], 0.5)
    for corner, expected in zip(([1.0, 1.0], [1.3, 1.3], [1.6, 1.6]), good, strict=True):
        assert modes_report([corner], law, rule=rule).modes == expected
    assert modes_report([[1.6, 0.0]], law, rule=rule).modes == (rule == "rms")
    assert modes_report([[1.5, 0.0]], law, rule=rule).modes == (rule == "rms")  # the edge does not count, as in PacGAN


def test_each_mode_has_its_own_standard_deviation():
    law = Mixture([[0.0], [10.0]], [0.1, 4.0])
    found = modes_report([0.5, 1.0, -3.0], law)  # nearer to 0 in metres, nearer to 10 in standard deviations
    assert found.counts == (0, 2)


def test_the_ring_of_linspace_has_seven_modes_one_of_them_double():
    angle = np.linspace(0, 2 * np.pi, 8)  # the slip of the unrolled demo
    law, x = ring(7), 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = modes_report(np.repeat(x, 100, axis=0), law)
    assert found.counts == (200, *[100] * 6)
    assert found.reverse_kl == pytest.approx(math.log(7) - stats.entropy([2, *[1] * 6]), abs=1e-12)


def test_no_high_quality_sample_is_no_mode_and_no_number():
    found = modes_report([[50.0, 50.0]] * 10, ring())
    assert (found.modes, found.hq, found.counts) == (0, 0, (0,) * 8)
    assert all(map(math.isnan, (found.reverse_kl, found.forward_kl, found.floor)))
    assert found.notes == ("no high-quality sample, so there is no KL",)
    assert repr(found) == "0/8 modes, 0.0 % high quality, KL nan; no high-quality sample, so there is no KL"


@pytest.mark.parametrize("bad", [nan, inf, -inf, 1e200, -1e308])
def test_a_diverged_run_has_no_modes(bad):
    x = np.full((10, 2), bad)
    found = modes_report(x, ring(), allow_nonfinite=True)
    assert (found.modes, found.hq, found.n) == (0, 0, 10)
    assert found.nonfinite == (0 if np.isfinite(bad) else 10)


def test_samples_that_are_not_finite_count_as_bad_and_are_told():
    x = ring().sample(100, rng())
    good = modes_report(x, ring())
    x = np.concatenate([x, [[0.0, nan], [inf, 0.0]]])
    found = modes_report(x, ring(), allow_nonfinite=True)
    assert (found.counts, found.nonfinite, found.n) == (good.counts, 2, 102)
    assert found.hq == pytest.approx(good.hq * 100 / 102)
    assert found.notes == ("2 of 102 samples are not finite",)
    with pytest.raises(InputError, match=r"samples must be finite, got NaN or infinity in 2 of 102 rows"):
        modes_report(x, ring())


def test_the_report_reads_as_a_sentence():
    x = np.concatenate([np.repeat(ring().means, 10, axis=0), np.zeros((20, 2))])
    assert repr(modes_report(x, ring())) == "8/8 modes, 80.0 % high quality, KL 0 (floor 0.044)"


@given(seed=st.integers(0, 10**6), shift=st.floats(-50, 50), scale=st.floats(0.01, 100))
@quick
def test_order_place_scale_and_orientation_do_not_matter(seed, shift, scale):
    draw = rng(seed)
    law = Mixture(draw.uniform(-2, 2, (4, 3)), draw.uniform(0.1, 1, 4), np.array([0.1, 0.2, 0.3, 0.4]))
    x = draw.normal(size=(60, 3)) * 1.5
    found = modes_report(x, law)
    Q = np.linalg.qr(draw.normal(size=(3, 3)))[0]
    order = draw.permutation(60)
    moved = Mixture(scale * law.means @ Q + shift, scale * law.sds, law.weights)
    again = modes_report((scale * x @ Q + shift)[order], moved)
    assert (again.counts, repr(again)) == (found.counts, repr(found))


def test_any_object_with_means_sds_and_weights_will_do():
    law = ring()
    loose = SimpleNamespace(means=law.means, sds=law.sds, weights=law.weights)
    x = law.sample(50, rng()).astype("float32")
    assert modes_report(x, loose) == modes_report(x, law)


# Intervals


@given(n=st.integers(1, 200), share=st.floats(0, 1), level=st.floats(0.5, 0.999))
@quick
def test_the_success_interval_is_the_exact_one_of_scipy(n, share, level):
    successes = round(share * n)
    truth = stats.binomtest(successes, n).proportion_ci(level, method="exact")
    assert success_interval(successes, n, level) == pytest.approx((truth.low, truth.high), abs=1e-9)


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9])
def test_the_success_interval_holds_the_truth_at_least_as_often_as_it_says(p):
    k = np.arange(21)
    holds = [low <= p <= high for low, high in (success_interval(int(s), 20) for s in k)]
    assert stats.binom.pmf(k, 20, p)[holds].sum() >= 0.95


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30), level=st.floats(0.5, 0.999))
@quick
def test_the_mean_interval_is_student_s(values, level):
    low, high = mean_interval(values, level)
    mean, error = np.mean(values), stats.sem(values)
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * error
    assert (low, high) == pytest.approx((mean - half, mean + half), rel=1e-9, abs=1e-6)


def test_equal_values_leave_no_doubt():
    assert mean_interval([8, 8, 8]) == (8, 8)


# Bad input


@pytest.mark.parametrize(("samples", "words"), [
    ([], "samples must be numbers of shape"),
    (np.empty((0, 2)), "samples must be numbers of shape"),
    (np.zeros((5, 3)), r"samples must have dimension 2, got shape \(5, 3\)"),
    (np.zeros(5), r"samples must have dimension 2, got shape \(5, 1\)"),
    (np.zeros((5, 2, 1)), "samples must be numbers of shape"),
    (np.zeros((5, 2), dtype=complex), "kind complex"),
    (np.zeros((5, 2), dtype=bool), "kind bool"),
    ([[1, 2], [3]], "samples must be numbers of shape"),
    ("far", "samples must be numbers of shape"),
    (None, "samples must be numbers of shape"),
])  # fmt: skip
@pytest.mark.parametrize("allow", [False, True])
def test_samples_that_cannot_be_used_are_named(samples, words, allow):
    with pytest.raises(InputError, match=words):
        modes_report(samples, ring(), allow_nonfinite=allow)


@pytest.mark.parametrize(("options", "name"), [
    ({"z": 0}, "z"), ({"z": nan}, "z"), ({"z": "3"}, "z"), ({"minimum": 0}, "minimum"), ({"minimum": 1.5}, "minimum"),
    ({"rule": "box"}, "unknown rule 'box': choose one of axis, euclid, rms"),
])  # fmt: skip
def test_options_that_cannot_be_used_are_named(options, name):
    with pytest.raises(InputError, match=name):
        modes_report([[0.0, 0.0]], ring(), **options)


@pytest.mark.parametrize("mixture", [swiss_roll(), None, SimpleNamespace(means=[[0.0, 0.0]])])
def test_a_law_without_modes_is_refused(mixture):
    with pytest.raises(InputError, match="mixture must have means, sds and weights"):
        modes_report([[0.0, 0.0]], mixture)


def test_a_mixture_whose_weights_are_wrong_is_refused():
    with pytest.raises(InputError, match="weights must sum to 1"):
        modes_report([[0.0]], SimpleNamespace(means=[[0.0], [1.0]], sds=[1.0, 1.0], weights=[0.5, 0.6]))


@pytest.mark.parametrize(("call", "words"), [
    (lambda: hq_ceiling(0), "dim"),
    (lambda: hq_ceiling(2, -1), "z"),
    (lambda: hq_ceiling(2, 3, "box"), "rule"),
    (lambda: kl_floor([0.5, 0.4], 10), "weights must be a row that sums to 1"),
    (lambda: kl_floor([[0.5, 0.5]], 10), "weights must be a row"),
    (lambda: kl_floor([1.0, 0.0], 10), "weights"),
    (lambda: kl_floor([0.5, 0.5], 0), "n must"),
    (lambda: kl_floor([0.5, 0.5], 10, 7), "rng must be a numpy Generator"),
    (lambda: kl_floor([0.5, 0.5], 10, rng(), draws=0), "draws"),
    (lambda: kl_floor([0.5, 0.5], 10, level=1), "level"),
    (lambda: success_interval(3, 2), "successes must be at most n, got 3 of 2"),
    (lambda: success_interval(-1, 2), "successes"),
    (lambda: success_interval(0.5, 2), "successes"),
    (lambda: success_interval(0, 0), "n must"),
    (lambda: success_interval(1, 2, 95), "level"),
    (lambda: mean_interval([1.0]), "values must be a row of at least 2"),
    (lambda: mean_interval([]), "values"),
    (lambda: mean_interval(3.0), "values"),
    (lambda: mean_interval([1.0, nan]), "values"),
    (lambda: mean_interval([[1.0, 2.0]]), "values"),
    (lambda: mean_interval([1.0, 2.0], 0), "level"),
    (lambda: points("x", [1, 2], least=3), "x must hold at least 3 points, got 2"),
    (lambda: generator(np.random.RandomState(0)), "rng must be a numpy Generator"),
])  # fmt: skip
def test_other_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
