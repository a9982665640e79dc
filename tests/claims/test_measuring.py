"""The claims of the page on measuring. Oracles: closed forms, sums over exact laws, counting, and the stored study."""

from functools import cache
from math import log, sqrt

import numpy as np
import pytest
from proofs import claims_of, studies_of
from scipy.linalg import sqrtm
from scipy.optimize import brentq
from scipy.spatial.distance import cdist
from scipy.special import ndtr, rel_entr
from scipy.stats import binom, norm

from ganlab import drawings, pictures
from ganlab.metrics import kl_floor, mean_interval
from ganlab.quality import (
    classifier_test,
    frechet,
    frechet_extrapolated,
    frechet_floor,
    kernel_distance,
    patch_sliced_wasserstein,
)
from ganlab.two_sample import density_coverage, memorisation, precision_recall

torch = pytest.importorskip("torch")

from ganlab.neural.features import extractor, label_report  # noqa: E402

claim = claims_of("measuring")
stored = studies_of("measuring")


def rng(seed=0):
    return np.random.default_rng(seed)


def flat(images):
    return images.reshape(len(images), -1)


@cache
def halves():
    """Training digits dealt into three sets of 355, and those held out."""
    train = pictures.digits("train").images
    return (*np.split(train[rng().permutation(len(train))[:1065]], 3), pictures.digits("test").images)


# ---- quality and diversity


@claim("MEAS-01")
@pytest.mark.parametrize("delta", [0.2, 0.5, 0.9])
def test_twins_have_one_fid(delta):
    a = rng(1).normal(size=(5, 5))
    z = rng(2).normal(size=(40, 5))
    z = np.linalg.solve(np.linalg.cholesky(np.cov(z.T)), (z - z.mean(0)).T).T  # moments exactly 0 and I
    for s in (1 - delta, 1 + delta):
        assert frechet(z @ a.T + 3, s * z @ a.T + 3).value == pytest.approx(delta**2 * np.trace(a @ a.T), rel=1e-8)


@claim("MEAS-01")
def test_precision_and_recall_tell_the_twins_apart():
    real, narrow, wide = rng().normal(size=(3, 1000, 16))
    (p, r), (q, s) = precision_recall(real, narrow / 2), precision_recall(real, 1.5 * wide)
    assert min(p, s) > 0.97
    assert r < 0.1
    assert q < 0.3
    assert frechet(real, narrow / 2).value == pytest.approx(frechet(real, 1.5 * wide).value, rel=0.15)


@claim("MEAS-02")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_diseases_of_digits_with_one_fid(seed):
    a, b, c, _ = (z[rng(seed).permutation(355)] for z in halves())
    seen = extractor("digits")
    x, few, dirt = seen.features(a), c[np.arange(355) % 40], rng(seed).normal(size=b.shape)

    def dirty(s):
        return seen.features((b + s * dirt).clip(-1, 1))

    target = frechet(x, seen.features(few)).value
    s = brentq(lambda s: frechet(x, dirty(s)).value - target, 0, 2, xtol=1e-3)
    assert frechet(x, dirty(s)).value == pytest.approx(target, rel=0.01)
    (p, r), (q, t) = precision_recall(x, seen.features(few)), precision_recall(x, dirty(s))
    assert p > 0.8 > 0.5 > q
    assert r < 0.05
    assert t > 0.6
    (d1, c1), (d2, c2) = density_coverage(x, seen.features(few)), density_coverage(x, dirty(s))
    assert d1 > 2 * d2
    assert max(c1, c2) < 0.8
    assert density_coverage(x, seen.features(b))[1] > 0.95


@claim("MEAS-03")
def test_the_stored_classifiers_name_held_out_pictures():
    test = pictures.digits("test")
    right = int(np.sum(extractor("digits").labels(test.images) == test.labels))
    assert abs(right - stored("extractors")["digits"]["right"]) <= 1  # a doubtful one may tip on another machine
    made = drawings.glyphs(3000, rng(123), 16)
    assert np.mean(extractor("glyphs").labels(made.images) == made.factors["character"]) > 0.99


@claim("MEAS-03")
def test_the_training_of_the_study_gives_such_a_classifier():
    import measuring_extractors as study

    found = study.judge(
        study.as_extractor("digits", study.train("digits", seed=5, steps=150)), *study.held_out("digits")
    )
    assert found["accuracy"] > 0.93
    assert min(stored("extractors")["digits"]["other seeds"]) > 0.98
    assert len(stored("extractors")["digits"]["other seeds"]) == 9
    assert stored("extractors")["glyphs"]["accuracy"] > 0.995
    assert stored("extractors")["digits"]["sha256"] == extractor("digits").sha256


# ---- FID


@claim("MEAS-04")
@pytest.mark.parametrize("seed", range(3))
def test_fid_is_the_closed_form_with_scipys_root(seed):
    x = rng(seed).normal(size=(60, 4)) @ rng(seed + 10).normal(size=(4, 4))
    y = rng(seed + 20).normal(size=(50, 4)) + 1
    p, q = np.cov(x.T), np.cov(y.T)
    root = sqrtm(p)
    truth = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(p + q - 2 * np.real(sqrtm(root @ q @ root)))
    assert frechet(x, y).value == pytest.approx(truth, rel=1e-7)
    u, v = x[:, :1], y[:, :1]
    line = (u.mean() - v.mean()) ** 2 + (u.std(ddof=1) - v.std(ddof=1)) ** 2
    assert frechet(u, v).value == pytest.approx(line, rel=1e-8)


def mean_fid(n, d, s, draws, seed):
    g = rng(seed)
    return np.array([frechet(g.normal(size=(n, d)), s * g.normal(size=(n, d))).value for _ in range(draws)])


def bias_formula(n, d, s):
    return d * (1 - s) ** 2 + d * (1 + s**2) / n + s * d * (d + 1) / (2 * n)


@claim("MEAS-05")
@pytest.mark.parametrize(("n", "d", "s"), [(300, 4, 0.7), (300, 4, 1.0), (300, 4, 1.4), (200, 16, 0.8), (200, 16, 1.2)])
def test_the_expected_fid_of_n_samples(n, d, s):
    found = mean_fid(n, d, s, 500, seed=int(10 * s))
    assert abs(found.mean() - bias_formula(n, d, s)) < 4 * found.std() / sqrt(500) + d**3 / n**2 / 5


@claim("MEAS-05")
def test_the_narrow_generator_wins():
    n, d = 50, 16
    best = (1 - (d + 1) / (4 * n)) / (1 + 1 / n)
    grid = np.linspace(0.5, 1.5, 10_001)
    assert grid[np.argmin(bias_formula(n, d, grid))] == pytest.approx(best, abs=2e-4)
    n, d = 10_000, 2048
    assert abs((1 - (d + 1) / (4 * n)) / (1 + 1 / n) - 0.949) < 5e-4
    n, d = 50, 16
    narrow, right = (mean_fid(n, d, s, 300, seed=9) for s in (0.9, 1.0))
    assert narrow.mean() < right.mean()
    assert bias_formula(n, d, 1.0) == pytest.approx(frechet_floor(np.eye(d), n + 1, n + 1), rel=0.02)


@claim("MEAS-05")
def test_extrapolation_takes_the_bias_away():
    g, d, n = rng(4), 8, 400
    pairs = g.normal(size=(12, 2, n, d))
    plain = np.array([frechet(u, v).value for u, v in pairs])
    limit = np.array([frechet_extrapolated(u, v, g).value for u, v in pairs])
    assert plain.mean() > 10 * plain.std() / sqrt(12)
    assert abs(limit.mean()) < 3 * limit.std() / sqrt(12)
    assert limit.std() > plain.std()


# ---- KID


def tensors(x):
    return x.mean(0), np.einsum("ni,nj->ij", x, x) / len(x), np.einsum("ni,nj,nk->ijk", x, x, x) / len(x)


@claim("MEAS-06")
def test_kid_is_three_moments():
    """Two laws on a few points, equally likely: the discrepancy is a finite sum."""
    p, q, d = rng(1).normal(size=(6, 3)), rng(2).normal(size=(9, 3)), 3
    k = lambda a, b: ((a @ b.T / d + 1) ** 3).mean()  # noqa: E731
    moments = [np.sum((m - n) ** 2) for m, n in zip(tensors(p), tensors(q), strict=True)]
    assert k(p, p) + k(q, q) - 2 * k(p, q) == pytest.approx(np.dot(moments, [3 / d, 3 / d**2, 1 / d**3]), rel=1e-10)
    # and the package estimates this number
    g = rng(3)
    found = [kernel_distance(p[g.integers(6, size=40)], q[g.integers(9, size=40)], g, 1).value for _ in range(300)]
    truth = k(p, p) + k(q, q) - 2 * k(p, q)
    assert abs(np.mean(found) - truth) < 4 * np.std(found) / sqrt(300)


@claim("MEAS-06", "MEAS-04")
def test_the_coin_and_the_bell():
    g = rng(4)
    coin, bell = g.choice([-1.0, 1.0], 2000), g.normal(size=2000)
    assert frechet(coin, bell).value < 0.01
    found = kernel_distance(coin, bell, g)
    assert abs(found.value) < 4 * found.error
    assert classifier_test(coin, bell, g).accuracy > 0.95
    assert classifier_test(coin, bell, g, "logistic").accuracy < 0.55


@claim("MEAS-07")
@pytest.mark.parametrize("m", [0.0, 0.3])
def test_the_intervals_of_kid_hold_the_truth(m):
    truth = 3 * m**2 + 3 * m**4 + (m**3 + 3 * m) ** 2  # moments 0, 1, 0 against m, m^2 + 1, m^3 + 3 m
    g, values, held = rng(5), [], 0
    for _ in range(150):
        found = kernel_distance(g.normal(size=400), g.normal(m, size=400), g)
        low, high = mean_interval(found.values)
        values, held = [*values, found.value], held + (low <= truth <= high)
    assert abs(np.mean(values) - truth) < 4 * np.std(values) / sqrt(150)
    assert 0.82 < held / 150 < 0.99


# ---- a classifier


@claim("MEAS-08")
@pytest.mark.parametrize(("eps", "n"), [(0.05, 400), (0.08, 200), (0.1, 400), (0.2, 100)])
def test_the_power_of_the_classifier_test(eps, n):
    critical = binom.isf(0.05, n, 0.5)  # alarms are counts above it
    exact = binom.sf(critical, n, 0.5 + eps)
    formula = ndtr((eps * sqrt(n) - norm.isf(0.05) / 2) / sqrt(0.25 - eps**2))
    assert formula == pytest.approx(exact, abs=0.06)


@claim("MEAS-08")
def test_no_classifier_beats_half_of_the_total_variation():
    shift = 0.8
    grid = np.linspace(-6, 7, 20_001)
    tv = np.abs(norm.pdf(grid) - norm.pdf(grid - shift)).sum() * (grid[1] - grid[0]) / 2
    assert 0.5 + tv / 2 == pytest.approx(ndtr(shift / 2), abs=1e-4)
    g = rng(6)
    found = [classifier_test(g.normal(size=800), g.normal(shift, size=800), g, "logistic").accuracy for _ in range(20)]
    assert np.mean(found) == pytest.approx(ndtr(shift / 2), abs=0.02)


# ---- patches


@claim("MEAS-09")
def test_each_set_by_itself_is_blind_to_colour():
    real, fake, other = (drawings.faces(60, rng(k), 32).images for k in range(3))
    gain, offset = np.array([1.0, 0.8, 0.5])[:, None, None], np.array([0.0, -0.1, -0.4])[:, None, None]

    def value(x, rule):
        return patch_sliced_wasserstein(real, x, rng(0), patches=8, directions=64, standardise=rule).mean

    assert value(gain * fake + offset, "each") == pytest.approx(value(fake, "each"), rel=1e-4)
    assert value(gain * fake + offset, "real") > 2.5 * max(value(fake, "real"), value(other, "real"))


# ---- memorisation


@claim("MEAS-10")
def test_copies_win_fid_and_are_caught():
    a, b, _, held = halves()
    seen, g = extractor("digits"), rng(6)
    copies = (a + 0.02 * g.normal(size=a.shape)).clip(-1, 1)
    x, h, y, z = map(seen.features, (a, held, b, copies))
    assert frechet(x, z).value < 0.1 < 1 < frechet(x, y).value
    assert frechet(h, z).value < 1.3 * frechet(h, y).value
    caught = memorisation(flat(copies), flat(a), flat(held), g)
    assert (caught.share, caught.p_value) == (1.0, 0.001)
    assert memorisation(flat(b), flat(a), flat(held), g).p_value > 0.05


# ---- modes


def exact_kl(n, K):
    """The expected KL of n samples of K equal modes, by summing over the binomial law of one mode's count."""
    j = np.arange(1, n + 1)
    j = j[: 40 * n // K]  # beyond it the binomial is zero in floats
    return float(K * np.sum(binom.pmf(j, n, 1 / K) * j / n * np.log(K * j / n)))


@claim("MEAS-11")
def test_the_floor_of_a_thousand_modes():
    n, K = 26_000, 1000
    assert exact_kl(n, K) == pytest.approx((K - 1) / (2 * n) + (K**2 - 1) / (12 * n**2), abs=1e-5)
    assert exact_kl(n, K) == pytest.approx(0.0193, abs=5e-5)
    assert kl_floor(np.full(K, 1 / K), n) == pytest.approx(exact_kl(n, K), rel=0.01)
    draws = rel_entr(rng().multinomial(n, np.full(K, 1 / K), size=400) / n, 1 / K).sum(1)
    assert draws.mean() == pytest.approx(exact_kl(n, K), abs=4 * draws.std() / 20)
    assert draws.std() == pytest.approx(sqrt(2 * (K - 1)) / (2 * n), rel=0.15)
    assert abs(K * binom.sf(0, 2500, 1 / K) - 918) < 0.5


@claim("MEAS-11")
def test_mnist_is_not_uniform():
    # how often each digit occurs in the training set of MNIST
    q = np.array([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]) / 60_000
    each = rel_entr(q, 0.1).sum()
    assert each == pytest.approx(0.00143, abs=5e-6)
    stack = (q[:, None, None] * q[:, None] * q).ravel()
    assert rel_entr(stack, 1e-3).sum() == pytest.approx(3 * each)
    draws = rel_entr(rng(1).multinomial(26_000, stack, size=200) / 26_000, 1e-3).sum(1)
    assert draws.mean() == pytest.approx(0.0236, abs=3e-4)


class ClassMeans:
    classes = "0123456789"

    def __init__(self):
        train = pictures.digits("train")
        self.means = np.stack([flat(train.images[train.labels == k]).mean(0) for k in range(10)])

    def labels(self, x):
        each = cdist(x.reshape(-1, 64), self.means).argmin(1)
        return each.reshape(len(x), -1) @ 10 ** np.arange(x.shape[1])[::-1]


def stacked(digits, g):
    test = pictures.digits("test")
    which = [np.flatnonzero(test.labels == k) for k in range(10)]
    index = [which[k][int(u * len(which[k]))] for k, u in zip(digits.flat, g.random(digits.size), strict=True)]
    return test.images[index, 0].reshape(*digits.shape, 8, 8)


@claim("MEAS-12")
def test_a_classifier_finds_modes_that_were_never_drawn():
    g, n = rng(7), 8000
    nines, mixed = np.full((n, 3), 9), g.integers(10, size=(n, 3))
    ours, cheap = (label_report(stacked(nines, g), judge) for judge in (extractor("digits"), ClassMeans()))
    assert 5 < ours.modes < 60 < cheap.modes
    assert log(1000) > ours.reverse_kl > cheap.reverse_kl
    floor = kl_floor(np.full(1000, 1e-3), n)
    assert label_report(stacked(mixed, g), extractor("digits")).reverse_kl == pytest.approx(floor, abs=0.01)


@claim("MEAS-12")
def test_mistakes_in_three_channels_cost_three_times_as_much():
    q = rng(8).dirichlet(np.full(10, 20.0))
    stack = (q[:, None, None] * q[:, None] * q).ravel()
    assert rel_entr(stack, 1e-3).sum() == pytest.approx(3 * rel_entr(q, 0.1).sum())


# ---- the class score


@claim("MEAS-13")
def test_trained_noise_scores_above_real_digits():
    from measuring_sicknesses import class_score

    seen = extractor("digits")
    x, names = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(1)) - 0.5, torch.arange(60) % 10
    start = class_score(seen.probabilities(x))
    for _ in range(200):
        x.requires_grad_()
        gain = seen.network(x).log_softmax(1)[torch.arange(60), names].sum()
        x = (x + 0.02 * torch.autograd.grad(gain, x)[0].sign()).detach().clamp(-1, 1)
    real = halves()[3]
    assert start < 3 < class_score(seen.probabilities(real)) < 8 < class_score(seen.probabilities(x))
    train = pictures.digits("train").images
    ten = seen.probabilities(train[seen.probabilities(train).argmax(0)])
    assert class_score(ten) > 8.5
    far = frechet(seen.features(halves()[0]), seen.features(x.numpy())).value
    assert far > 10 * frechet(seen.features(halves()[0]), seen.features(halves()[1])).value


# ---- which measure sees which sickness


def seen_by(measure):
    """The sicknesses that a measure sees in at least four of five seeds."""
    study = stored("sicknesses")
    k = study["measures"].index(measure)
    need = 0.8 * study["settings"]["seeds"]
    return {name for name, row in study["sicknesses"].items() if row["alarms"][k] >= need}


@claim("MEAS-14")
def test_the_alarms_of_the_study():
    study = stored("sicknesses")
    seeds, sick = study["settings"]["seeds"], study["sicknesses"]
    assert seeds >= 20
    false = np.array(sick["healthy"]["alarms"])
    # each alarm is false one time in twenty: all of them together, and none far off
    assert binom.cdf(false.sum(), 12 * seeds, 0.05) > 0.01 < binom.sf(false.sum() - 1, 12 * seeds, 0.05)
    assert binom.sf(false.max() - 1, seeds, 0.05) * 12 > 0.05
    everything = set(sick) - {"healthy"}
    assert all(seen_by(name) < everything for name in study["measures"])
    copies = sick["copies of the training set"]
    assert [m for m, a in zip(study["measures"], copies["alarms"], strict=True) if a > 0.2 * seeds] == ["memorisation"]
    assert copies["largest FID"] < study["lowest FID of the healthy"] / 4
    assert "noise" not in seen_by("FID")
    assert "all stand upright" in seen_by("FID") - seen_by("KID")
    assert "noise" in seen_by("KID")
    assert seen_by("precision") == seen_by("density") == {"one pixel aside"}
    assert {"noise", "blur", "faded"} <= seen_by("patches") - seen_by("patches, each scaled")


@claim("MEAS-14")
def test_some_cells_of_the_study_again():
    import measuring_sicknesses as study

    found, names = stored("sicknesses"), list(study.SIGNS)
    assert names == found["measures"]
    assert found["settings"] == study.SETTINGS
    limits = np.array(found["thresholds"])

    def alarms(sickness, seed):
        return dict(zip(names, study.alarms(np.array(study.cell(sickness, seed)), limits), strict=True))

    copies, aside, missing = (
        alarms("copies of the training set", 501),
        alarms("one pixel aside", 502),
        alarms("a digit is missing", 503),
    )
    assert copies["memorisation"]
    assert not copies["FID"]
    assert all(aside[name] for name in ("FID", "KID", "precision", "recall", "patches", "C2ST"))
    assert missing["FID"]
    assert missing["recall"]
    assert missing["KL of classes"]
    assert not missing["memorisation"] or not aside["memorisation"]


@claim("MEAS-14")
def test_the_made_sicknesses_are_what_they_are_called():
    import measuring_sicknesses as study

    train = study.draw(60, rng(1))
    same = {name: make(train, 60, rng(2)) for name, make in study.SICKNESSES.items()}
    x = same["healthy"]
    assert np.array_equal(same["one pixel aside"][..., 1:], x[..., :-1])
    assert np.allclose(same["faded"], 0.97 * x + 0.03)
    assert np.std(same["noise"][:, :, 8] - x[:, :, 8]) == pytest.approx(0.1, rel=0.5)
    for axis in (2, 3):
        edges = [np.square(np.diff(z, axis=axis)).sum() for z in (same["blur"], x)]
        assert edges[0] < 0.8 * edges[1]
    assert len(np.unique(study.repeats(train, 500, rng(3)).reshape(500, -1), axis=0)) == 100
    assert cdist(flat(same["copies of the training set"]), flat(train)).min(axis=1).max() < 0.02 * 16 * 1.5
    limits = study.thresholds(np.tile(np.arange(1.0, 101)[:, None], (1, 12)))
    assert set(limits[np.array(list(study.SIGNS.values())) > 0]) == {96.0}  # four of a hundred lie beyond 96
    assert set(limits[np.array(list(study.SIGNS.values())) < 0]) == {5.0}
