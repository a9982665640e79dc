"""Measures for pictures (fault 23): FID, KID, a classifier, patches; against closed forms, SciPy, counting, seeds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal, stats
from scipy.linalg import sqrtm
from scipy.special import gammaln

from ganlab import _classifier_test, _kernel_distance, _patches
from ganlab.checks import InputError
from ganlab.metrics import mean_interval
from ganlab.quality import (
    classifier_test,
    frechet,
    frechet_extrapolated,
    frechet_floor,
    kernel_distance,
    laplacian_pyramid,
    patch_sliced_wasserstein,
)

quick = settings(max_examples=30, deadline=None, derandomize=True)
seeds = st.integers(0, 10**6)
nan = float("nan")


def rng(seed=0):
    return np.random.default_rng(seed)


def with_moments(mean, cov, n, seed):
    """Samples whose mean and unbiased covariance are exactly these."""
    z = rng(seed).normal(size=(n, len(mean)))
    z = np.linalg.solve(np.linalg.cholesky(np.cov(z, rowvar=False)), (z - z.mean(axis=0)).T)
    return (np.linalg.cholesky(cov) @ z).T + mean


def random_cov(d, seed):
    a = rng(seed).normal(size=(d, d))
    return a @ a.T + 0.1 * np.eye(d)


# Frechet distance


@given(seed=seeds, d=st.integers(2, 8))
@quick
def test_frechet_is_the_formula_of_fid_with_scipys_root(seed, d):
    p, q = random_cov(d, seed), random_cov(d, seed + 1)
    m, k = rng(seed).normal(size=(2, d))
    truth = np.sum((m - k) ** 2) + np.trace(p + q - 2 * np.real(sqrtm(p @ q)))
    found = frechet(with_moments(m, p, 3 * d, seed), with_moments(k, q, 4 * d, seed + 2))
    assert math.isclose(found.value, truth, rel_tol=1e-7)
    assert (found.n, found.m, found.d, found.notes) == (3 * d, 4 * d, d, ())


def test_frechet_of_axis_parallel_gaussians_adds_the_differences_of_the_deviations():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 0.5])
    x, y = with_moments([0, 0, 0], np.diag(a**2), 20, 0), with_moments([1, 0, 2], np.diag(b**2), 20, 1)
    assert math.isclose(frechet(x, y).value, 5 + sum((a - b) ** 2), rel_tol=1e-9)


@given(seed=seeds, d=st.integers(1, 6), scale=st.floats(0.1, 10))
@quick
def test_frechet_is_symmetric_and_unmoved_by_what_moves_both_sets(seed, d, scale):
    x, y = rng(seed).normal(size=(15, d)), 2 * rng(seed + 1).normal(size=(12, d)) + 1
    value = frechet(x, y).value
    turn = np.linalg.qr(rng(seed).normal(size=(d, d)))[0]
    for other in (frechet(y, x), frechet(x @ turn + 3, y @ turn + 3)):
        assert math.isclose(other.value, value, rel_tol=1e-8)
    assert math.isclose(frechet(scale * x, scale * y).value, scale**2 * value, rel_tol=1e-8)
    assert frechet(x, x).value < 1e-12


@pytest.mark.parametrize(("n", "m", "lam"), [
    (20, 20, [1.0]), (60, 60, [1.0] * 4), (100, 50, [4, 1, 0.25, 0.1]), (100, 100, [1.0] * 10),
])  # fmt: skip
def test_two_samples_of_one_gaussian_are_apart_by_the_floor(n, m, lam):
    lam, draws = np.array(lam, dtype=float), 400
    found = []
    for seed in range(draws):
        z = rng(seed).normal(size=(n + m, len(lam))) * np.sqrt(lam)
        found.append(frechet(z[:n], z[n:]).value)
    floor = frechet_floor(np.diag(lam), n, m)
    slack = 0.7 * floor * len(lam) / min(n, m)  # the order that is left out
    assert abs(np.mean(found) - floor) < 4 * stats.sem(found) + slack
    assert min(found) > 0


def test_the_floor_falls_as_one_over_n_and_grows_with_the_square_of_the_features():
    for d in (1, 8, 64):
        assert math.isclose(frechet_floor(9 * np.eye(d), 10**6, 10**6), 9 * d * (d + 5) / 4 * 2e-6, rel_tol=1e-5)
    means = {n: np.mean([frechet(*rng(s).normal(size=(2, n, 6))).value for s in range(200)]) for n in (50, 100, 200)}
    for n in (50, 100):
        assert 1.75 < means[n] / means[2 * n] < 2.25
    turn = np.linalg.qr(rng().normal(size=(3, 3)))[0]
    turned = turn @ np.diag([1.0, 2, 3]) @ turn.T
    assert math.isclose(frechet_floor(turned, 9, 7), frechet_floor(np.diag([1.0, 2, 3]), 9, 7), rel_tol=1e-9)


def test_the_floor_in_the_record_is_that_of_the_mean_covariance():
    p, q = random_cov(3, 0), random_cov(3, 1)
    found = frechet(with_moments([0, 0, 0], p, 30, 0), with_moments([9, 0, 0], q, 40, 1), extractor="abc")
    assert math.isclose(found.floor, frechet_floor((p + q) / 2, 30, 40), rel_tol=1e-9)
    assert found.extractor == "abc"


def test_singular_fits_have_a_real_value_and_are_told():
    x, y = rng().normal(size=(5, 40)), rng(1).normal(size=(60, 40))
    y[:, 7] = 3.0
    found = frechet(x, y)
    p, q = (np.cov(z, rowvar=False) for z in (x, y))
    eigenvalues = np.linalg.eigvals(p @ q)  # tr (PQ)^(1/2) by torch-fidelity's way
    truth = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(p + q) - 2 * np.sqrt(eigenvalues.astype(complex)).real.sum()
    assert math.isclose(found.value, truth, rel_tol=1e-5)
    singular, constant = found.notes
    assert singular.startswith("x has 5 samples for 40 features")
    assert constant == "1 of 40 features are constant in y"


def test_constant_features_are_compared_by_their_means():
    found = frechet(np.full((4, 3), 2.0), np.full((9, 3), 1.0))
    assert (round(found.value, 12), found.floor) == (3.0, 0.0)
    assert "3 of 3 features are constant in x" in found.notes


@pytest.mark.parametrize(("x", "y", "said"), [
    ([[1.0, 2]], [[1.0, 2], [2, 3]], "x must hold at least 2 points, got 1"),
    ([[1.0], [nan]], [[1.0], [2]], "x must be finite"),
    ([[1.0, 2], [2, 3]], [[1.0], [2]], "y must have dimension 2"),
    ([[1e200], [-1e200]], [[1.0], [2]], "too large to square"),
    ([], [1.0, 2.0], "x must be numbers"), (np.zeros((9, 1, 8, 8)), [1.0, 2.0], "of pictures take features"),
])  # fmt: skip
def test_frechet_refuses(x, y, said):
    with pytest.raises(InputError, match=said):
        frechet(x, y)


@pytest.mark.parametrize(("cov", "n", "said"), [
    (np.eye(2)[:1], 9, "symmetric"), ([[1, 2], [0, 1]], 9, "entries that differ by 2"), (-1.0, 9, "negative"),
    (np.eye(2), 1, "n must be"), (nan, 9, "finite"), (np.ones((2, 2, 2)), 9, "symmetric"),
])  # fmt: skip
def test_the_floor_refuses(cov, n, said):
    with pytest.raises(InputError, match=said):
        frechet_floor(cov, n, 9)


def test_the_extrapolated_distance_has_lost_the_bias():
    raw, found = [], []
    for seed in range(60):
        x, y = rng(seed).normal(size=(2, 200, 8))
        raw.append(frechet(x, y).value)
        found.append(frechet_extrapolated(x, y, rng(seed)))
    values = [f.value for f in found]
    assert np.mean(raw) > 20 * stats.sem(raw)
    assert abs(np.mean(values)) < 4 * stats.sem(values) < np.mean(raw) / 4
    assert min(values) < 0 < max(values)
    assert abs(np.mean([f.slope for f in found]) / (8 * 13 / 2) - 1) < 0.15
    assert found[0].sizes[0] == 50
    assert found[0].sizes[-1] == 200
    assert len(found[0].sizes) == 8


def test_the_extrapolated_distance_of_two_laws_is_nearer_to_the_truth():
    truth, raw, found = 4 * 1.0 + 4 * 0.25, [], []
    for seed in range(60):
        x, y = rng(seed).normal(size=(2, 100, 4))
        raw.append(frechet(x, 2 * y + 0.5).value - truth)
        found.append(frechet_extrapolated(x, 2 * y + 0.5, rng(seed)).value - truth)
    assert abs(np.mean(found)) < abs(np.mean(raw))
    assert abs(np.mean(found)) < 4 * stats.sem(found)


def test_the_extrapolation_of_sets_of_two_sizes_takes_as_many_of_each():
    x, y = rng().normal(size=(100, 3)), rng(1).normal(size=(400, 3))
    for found in (frechet_extrapolated(x, y, rng()), frechet_extrapolated(y, x, rng())):
        assert (found.sizes[0], found.sizes[-1]) == (25, 100)
        assert {found.n, found.m} == {100, 400}


def test_the_extrapolation_is_the_line_through_its_values_and_warns_of_few_samples():
    x, y = rng().normal(size=(2, 48, 8))
    found = frechet_extrapolated(x, y, rng(), points=4, repeats=2)
    line = stats.linregress(1 / np.array(found.sizes), found.values)
    assert math.isclose(found.value, line.intercept, rel_tol=1e-8)
    assert math.isclose(found.slope, line.slope)
    assert math.isclose(found.values[-1], frechet(x, y).value)  # all samples
    assert "no line in 1 / k" in found.notes[-1]
    assert found == frechet_extrapolated(x, y, rng(), points=4, repeats=2)
    for bad in ({"points": 1}, {"repeats": 0}, {"rng": 3}, {"y": y[:15]}, {"extractor": 7}):
        with pytest.raises(InputError):
            frechet_extrapolated(**{"x": x, "y": y, "rng": rng()} | bad)


# Kernel distance


@given(seed=seeds, n=st.integers(2, 6), m=st.integers(2, 6), d=st.integers(1, 4))
@quick
def test_kernel_distance_of_one_hand_is_the_double_sum_of_its_definition(seed, n, m, d):
    x, y = rng(seed).normal(size=(n, d)), 2 * rng(seed + 1).normal(size=(m, d))

    def k(a, b):
        return (sum(a * b) / d + 1) ** 3

    within = sum(k(z[i], z[j]) / (len(z) * (len(z) - 1)) for z in (x, y) for i in range(len(z)) for j in range(len(z))
                 if i != j)  # fmt: skip
    cross = sum(k(a, b) for a in x for b in y) / (n * m)
    found = kernel_distance(x, y, rng(), subsets=1)
    assert math.isclose(found.value, within - 2 * cross, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isnan(found.error)
    assert found.notes == ("one subset has no standard error",)


def cubic_truth(shift, s):
    """On the line, N(0, 1) against N(shift, s^2): k(a, b) = sum binom(3, j) (a b)^j, so moments do."""
    mine, other = [0, 1, 0], [shift, shift**2 + s**2, shift**3 + 3 * shift * s**2]
    return sum(c * (a - b) ** 2 for c, a, b in zip((3, 3, 1), mine, other, strict=True))


@pytest.mark.parametrize(("shift", "s", "subsets"), [(0, 1, 1), (0, 1, 5), (0.5, 1, 4), (0, 1.5, 2)])
def test_kernel_distance_averages_to_the_truth_for_few_samples(shift, s, subsets):
    found = []
    for seed in range(800):
        x, y = rng(seed).normal(size=(2, 20))
        found.append(kernel_distance(x, s * y + shift, rng(seed), subsets).value)
    assert abs(np.mean(found) - cubic_truth(shift, s)) < 4 * stats.sem(found)
    assert min(found) < 0  # and that is right


@pytest.mark.parametrize(("n", "shift", "subsets"), [(400, 0.0, 20), (1000, 0.5, 10)])
def test_the_error_of_the_kernel_distance_covers_the_truth(n, shift, subsets):
    held = []
    for seed in range(300):
        x, y = rng(seed).normal(size=(2, n))
        found = kernel_distance(x, y + shift, rng(seed), subsets)
        low, high = mean_interval(found.values)
        held.append(low <= cubic_truth(shift, 1) <= high)
        assert math.isclose(found.error, stats.sem(found.values))
        assert math.isclose(found.value, np.mean(found.values))
    assert 0.91 < np.mean(held) < 0.99  # 95 % for normal values; these are skewed


def test_the_error_over_overlapping_subsets_does_not():
    held = []
    for seed in range(60):
        r = rng(seed)
        x, y = r.normal(size=(2, 400, 1))
        values = [_kernel_distance._cubic(r.permutation(x)[:100], r.permutation(y + 0.5)[:100]) for _ in range(100)]
        low, high = mean_interval(values)
        held.append(low <= cubic_truth(0.5, 1) <= high)
    assert np.mean(held) < 0.5


def test_no_sample_is_dealt_twice(monkeypatch):
    seen = []
    monkeypatch.setattr("ganlab._kernel_distance._cubic", lambda x, y: seen.append((x, y)) or 1.0)
    found = kernel_distance(np.arange(23.0), np.arange(100, 141.0), rng(), subsets=5, extractor="e")
    x, y = (np.concatenate([hand[side] for hand in seen]).ravel() for side in (0, 1))
    assert len(set(x)) == len(x) == found.n == 20
    assert len(set(y)) == len(y) == found.m == 40
    assert set(x) <= set(range(23))
    assert set(y) <= set(range(100, 141))
    assert list(x) != sorted(x)
    assert found.notes == ("4 samples were left over by the dealing and not used",)
    assert found.extractor == "e"


@pytest.mark.parametrize(("change", "said"), [
    ({"x": np.ones((19, 2))}, "x must hold at least 20"), ({"subsets": 0}, "subsets must be"),
    ({"rng": 0}, "rng must be"), ({"x": np.full((40, 2), nan)}, "x must be finite"),
    ({"x": np.full((40, 2), 1e200)}, "too large for the cubic"), ({"y": np.ones((40, 3))}, "dimension 2"),
    ({"extractor": 3}, "extractor must be"),
    ({"x": np.ones((9000, 2)), "subsets": 1}, "9000 times 9000 kernel values .* more subsets"),
])  # fmt: skip
def test_kernel_distance_refuses(change, said):
    with pytest.raises(InputError, match=said):
        kernel_distance(**{"x": np.ones((40, 2)), "y": np.zeros((40, 2)), "rng": rng()} | change)


# Classifier


@pytest.mark.parametrize("classifier", ["neighbours", "logistic"])
def test_a_classifier_cannot_tell_equal_laws_apart(classifier):
    held, p = [], []
    for seed in range(200):
        found = classifier_test(*rng(seed).normal(size=(2, 60, 3)), rng(seed), classifier)
        held.append(found.low <= 0.5 <= found.high)
        p.append(found.p_value)
    assert np.mean(held) > 0.92  # 95 %, and cautious
    assert np.mean(np.array(p) <= 0.05) < 0.09
    assert 0.3 < np.median(p) < 0.75
    assert abs(np.mean(p) - 0.5) < 0.12


@pytest.mark.parametrize("classifier", ["neighbours", "logistic"])
def test_a_classifier_tells_far_laws_apart(classifier):
    x, y = rng().normal(size=(2, 200, 3))
    found = classifier_test(x, y + 5, rng(), classifier)
    assert found.accuracy == found.correct / found.held_out > 0.99
    assert found.held_out == 200
    assert found.p_value < 1e-40
    assert found.low < found.accuracy <= found.high


def test_the_odd_sample_is_held_out():
    x, y = rng().normal(size=(2, 9, 2))
    assert classifier_test(x, y, rng()).held_out == 10


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_the_plane_reaches_the_best_accuracy_for_shifted_gaussians(shift):
    x, y = rng(1).normal(size=(2, 4000, 2))
    y[:, 0] += shift
    found = classifier_test(x, y, rng(), "logistic")
    assert abs(found.accuracy - stats.norm.cdf(shift / 2)) < 4 * math.sqrt(0.25 / found.held_out)


def test_the_plane_is_blind_to_a_spread_that_the_neighbours_see():
    x, y = rng().normal(size=(2, 1000, 2))
    assert classifier_test(x, 2 * y, rng(), "neighbours").p_value < 1e-20
    assert classifier_test(x, 2 * y, rng(), "logistic").p_value > 1e-3


@pytest.mark.parametrize(("name", "k"), [("neighbours", 1), ("neighbours", 7), ("logistic", None)])
def test_both_classifiers_agree_with_scikit_learn(name, k):
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    train, test = rng(0).normal(size=(80, 3)), rng(1).normal(size=(300, 3))
    labels = np.repeat([False, True], 40)
    train[labels] += 0.7
    theirs = KNeighborsClassifier(k) if k else LogisticRegression(C=1.0, tol=1e-8)
    ours = _classifier_test.CLASSIFIERS[name](train, labels, test, k)
    assert (ours == theirs.fit(train, labels).predict(test)).all()
    assert 0 < ours.mean() < 1


def test_the_interval_and_the_p_value_are_scipys_and_units_do_not_matter():
    x, y = rng().normal(size=(60, 2)), rng(1).normal(size=(90, 2)) + 0.5
    found = classifier_test(x, y, rng(), level=0.9)
    exact = stats.binomtest(found.correct, found.held_out, alternative="greater")
    two_sided = stats.binomtest(found.correct, found.held_out).proportion_ci(0.9)
    assert math.isclose(found.p_value, exact.pvalue, rel_tol=1e-9)
    assert np.allclose((found.low, found.high), two_sided)
    assert found.notes == ("60 of 90 samples of the larger set were used",)
    assert found.held_out == 60
    assert classifier_test(x * [1, 1024], y * [1, 1024], rng(), level=0.9) == found
    constant = [np.c_[z, np.full(len(z), 5.0)] for z in (x, y)]
    assert classifier_test(*constant, rng(), level=0.9) == found


@pytest.mark.parametrize("change", [
    {"x": np.ones((3, 2))}, {"x": np.full((9, 2), nan)}, {"y": np.ones((9, 3))}, {"rng": None}, {"k": 2}, {"k": 9},
    {"k": 0}, {"classifier": "forest"}, {"level": 1}, {"level": 0},
])  # fmt: skip
def test_classifier_test_refuses(change):
    with pytest.raises(InputError):
        classifier_test(**{"x": np.ones((9, 2)), "y": np.zeros((8, 2)), "rng": rng()} | change)


# Patches


def smooth(n, side, seed, channels=3):
    """Pictures with large and small shapes, in [-0.9, 0.9]."""
    x = sum(np.kron(rng(seed + k).normal(size=(n, channels, side // k, side // k)), np.ones((k, k))) for k in (1, 4, 8))
    return 0.9 * x / np.abs(x).max()


def test_the_pyramid_gives_the_pictures_back_and_is_the_filter_of_burt_and_adelson():
    x = smooth(2, 64, 0).astype(np.float32)
    fine, middle, coarse = laplacian_pyramid(x)
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256

    def reduced(picture):
        return signal.correlate2d(np.pad(picture, 2, mode="reflect"), kernel, mode="valid")[::2, ::2]

    def doubled(picture):
        """Burt and Adelson's EXPAND, pixel by pixel, away from the border."""
        wide = np.zeros((2 * len(picture),) * 2)
        for i in range(4, len(wide) - 4):
            for j in range(4, len(wide) - 4):
                taps = [(a, b) for a in range(-2, 3) for b in range(-2, 3) if not ((i - a) % 2 or (j - b) % 2)]
                wide[i, j] = 4 * sum(kernel[a + 2, b + 2] * picture[(i - a) // 2, (j - b) // 2] for a, b in taps)
        return wide

    once = reduced(x[0, 0].astype(float))
    inner = (slice(4, -4),) * 2
    assert np.allclose(reduced(once), coarse[0, 0])
    assert np.allclose((once - doubled(coarse[0, 0]))[inner], middle[0, 0][inner])
    assert np.allclose((x[0, 0] - doubled(once))[inner], fine[0, 0][inner])


def test_the_fine_levels_of_a_flat_picture_are_empty():
    *fine, coarse = laplacian_pyramid(np.full((1, 1, 64, 64), 0.25))
    assert max(np.abs(level).max() for level in fine) < 1e-12
    assert np.allclose(coarse, 0.25)


def flat_pictures(values):
    return np.broadcast_to(np.asarray(values)[:, None, None, None], (len(values), 3, 16, 16)).copy()


def mean_projection(dim):
    """E |theta_1| on the sphere."""
    return math.exp(gammaln(dim / 2) - gammaln((dim + 1) / 2)) / math.sqrt(math.pi)


def test_flat_pictures_have_a_closed_form_and_standardising_each_hides_the_difference():
    v = rng().uniform(-0.5, 0.3, 50)
    real, fake = flat_pictures(v), flat_pictures(v + 0.2)
    found = {
        how: patch_sliced_wasserstein(real, fake, rng(), patches=2, directions=3000, standardise=how).mean
        for how in ("real", "each", "none")
    }
    unit = 0.2 * math.sqrt(147) * mean_projection(147)
    assert math.isclose(found["none"], unit, rel_tol=0.06)
    assert math.isclose(found["real"], found["none"] / v.std(), rel_tol=1e-5)
    assert found["each"] < 1e-5


@pytest.mark.parametrize("wrong", ["pale", "tinted", "dark"])
def test_the_trap_a_wrong_colour_or_contrast_is_seen_only_on_the_scale_of_the_real_pictures(wrong):
    real, other = smooth(60, 32, 0), smooth(60, 32, 100)
    tint = np.array([0.1, 0.0, -0.1])[:, None, None]
    fake = {"pale": other * 0.5, "tinted": other + tint, "dark": other - 0.1}[wrong]

    def measured(z, standardise):
        return patch_sliced_wasserstein(real, z, rng(1), 32, 128, standardise=standardise)

    floor = measured(other, "real")
    assert measured(fake, "real").values[-1] > 3 * floor.values[-1]
    assert np.allclose(measured(fake, "each").values, measured(other, "each").values, rtol=1e-3)
    assert measured(other, "each").mean < 1.5 * floor.mean
    assert floor == patch_sliced_wasserstein(real, other, rng(1), 32, 128)  # the default is the right one


def test_a_wrong_texture_is_told_by_the_fine_level_and_a_wrong_shape_by_the_coarse_one():
    real, other = smooth(60, 32, 0), smooth(60, 32, 100)
    blurred = laplacian_pyramid(other, 16)[0]
    floor, found = (patch_sliced_wasserstein(real, z, rng(), 32, 128) for z in (other, other - 0.8 * blurred))
    assert found.resolutions == (32, 16)
    assert found.values[0] > 5 * floor.values[0]
    assert found.values[1] < 2 * floor.values[1]
    assert math.isclose(found.mean, np.mean(found.values))
    assert (found.n, found.m) == (60, 60)


def test_patches_are_windows_of_their_own_picture_and_every_place_is_drawn():
    level = np.arange(2 * 3 * 9 * 9.0).reshape(2, 3, 9, 9)
    drawn = _patches._drawn(level, 200, rng())
    windows = {level[i, :, r : r + 7, c : c + 7].tobytes(): i for i in range(2) for r in range(3) for c in range(3)}
    assert drawn.shape == (400, 3, 7, 7)
    assert {p.tobytes() for p in drawn} == set(windows)
    assert [windows[p.tobytes()] for p in drawn] == [0] * 200 + [1] * 200


@pytest.mark.parametrize(("change", "said"), [
    ({"real": np.zeros((4, 1, 16, 16))}, "constant at one level"), ({"fake": np.zeros((4, 3, 16, 16))}, "fake"),
    ({"fake": np.zeros((4, 1, 32, 32))}, "fake"), ({"fake": np.full((4, 1, 16, 16), nan)}, "fake"),
    ({"real": np.full((4, 1, 16, 16), 9.0)}, "real"), ({"rng": 1}, "rng must"), ({"patches": 0}, "patches must"),
    ({"directions": 0}, "directions must"), ({"smallest": 5}, "smallest must"), ({"smallest": 12}, "power of two"),
    ({"smallest": 32}, "power of two"), ({"standardise": "both"}, "choose one of each, none, real"),
])  # fmt: skip
def test_patch_sliced_wasserstein_refuses(change, said):
    good = rng().uniform(-1, 1, size=(4, 1, 16, 16))
    with pytest.raises(InputError, match=said):
        patch_sliced_wasserstein(**{"real": good, "fake": good, "rng": rng()} | change)


def test_directions_are_averaged_over_all_groups(monkeypatch):
    counts = []
    monkeypatch.setattr("ganlab._patches.sliced_wasserstein", lambda x, y, c, r: counts.append(c) or float(c))
    good = rng().uniform(-1, 1, size=(4, 1, 16, 16))
    found = patch_sliced_wasserstein(good, good, rng(), patches=1, directions=300)
    assert counts == [128, 128, 44]
    assert math.isclose(found.mean, (128**2 * 2 + 44**2) / 300)
