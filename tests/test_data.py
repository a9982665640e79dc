"""Toy data against closed forms, SciPy's distributions and quadrature, and samplers against their densities."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from scipy.spatial.distance import pdist

from ganlab.checks import InputError
from ganlab.data import (
    DATASETS,
    Curve,
    Mixture,
    disjoint_lines,
    gaussian,
    grid,
    mixture_1d,
    ring,
    swiss_roll,
    two_peaks,
    unequal,
)

LOPSIDED = Mixture([[0.0, 0.0], [1.0, -0.5], [-0.8, 0.9]], [0.3, 0.5, 0.2], [0.2, 0.5, 0.3], name="lopsided")
every_set = pytest.mark.parametrize("name", DATASETS)


def seeded(seed=0):
    return np.random.default_rng(seed)


def midpoints(low, high, cells):
    """The centres of `cells` equal cells, and their width."""
    width = (high - low) / cells
    return low + width * (np.arange(cells) + 0.5), width


def on_a_grid(law, reach, cells):
    """Density times area on square cells of [-reach, reach]^2: spectrally accurate for smooth laws."""
    line, width = midpoints(-reach, reach, cells)
    x = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    return law.density(x).reshape(cells, cells) * width**2


# ---- densities


@pytest.mark.parametrize("law", [LOPSIDED, ring(5, 1.5, 0.3), unequal((0.7, 0.2, 0.1), 1.0, 0.25), grid(2, 3.0, 0.4),
                                 gaussian(2, [0.5, -1.0], 0.6)])  # fmt: skip
def test_a_mixture_has_the_density_that_scipy_gives_it(law):
    x = seeded().uniform(-4, 4, size=(50, 2))
    truth = sum(
        w * stats.multivariate_normal(m, s**2 * np.eye(2)).pdf(x)
        for w, m, s in zip(law.weights, law.means, law.sd, strict=True)
    )
    np.testing.assert_allclose(law.density(x), truth, rtol=1e-11)
    np.testing.assert_allclose(law.log_density(x), np.log(truth), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dim", [1, 3, 40])
def test_the_density_knows_its_dimension(dim):
    x = seeded().normal(size=(7, dim))
    truth = stats.norm(0.25, 1.5).logpdf(x).sum(axis=1)
    np.testing.assert_allclose(gaussian(dim, 0.25, 1.5).log_density(x), truth, rtol=1e-13)


def test_the_peaks_on_a_line_have_the_density_of_two_normals():
    x = np.linspace(-9, 9, 41)
    np.testing.assert_allclose(
        two_peaks().density(x[:, None]), stats.norm(-3, 1).pdf(x) / 2 + stats.norm(3, 1).pdf(x) / 2, rtol=1e-13
    )
    law = mixture_1d([-1.0, 2.0], [0.5, 2.0], [0.3, 0.7])
    truth = 0.3 * stats.norm(-1, 0.5).pdf(x) + 0.7 * stats.norm(2, 2.0).pdf(x)
    np.testing.assert_allclose(law.density(x[:, None]), truth, rtol=1e-13)


@pytest.mark.parametrize("law", [two_peaks(), mixture_1d([0.0, 1.0, 5.0], [0.3, 1.0, 2.0], [0.5, 0.25, 0.25])])
def test_a_density_on_the_line_has_mass_one(law):
    mass, _ = quad(lambda v: law.density([[v]])[0], -20, 25, points=[-3, 0, 1, 3, 5], limit=200)
    assert mass == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    ("law", "reach"),
    [(LOPSIDED, 5), (ring(8, 1.0, 0.15), 2.5), (grid(3, 1.0, 0.2), 3), (unequal(sd=0.2), 4), (swiss_roll(0.05), 1.5),
     (swiss_roll(0.25 / 7.5, 4.5 * np.pi / 7.5), 2.2)])  # fmt: skip
def test_a_density_in_the_plane_has_mass_one(law, reach):
    assert on_a_grid(law, reach, 150).sum() == pytest.approx(1, abs=1e-9)


def test_the_log_density_is_exact_where_the_density_is_zero():
    law = ring(8, 2.0, 0.02)
    x = np.array([[1000.0, 0.0]])
    assert law.density(x) == 0
    nearest = stats.norm(2, 0.02).logpdf(1000.0) + stats.norm(0, 0.02).logpdf(0.0) - np.log(8)
    assert law.log_density(x) == pytest.approx(nearest, rel=1e-14)


def test_a_point_too_far_for_floats_has_log_density_minus_infinity():
    for law in (ring(), swiss_roll()):
        assert law.log_density([[1e200, -1e200]])[0] == -np.inf
        assert law.density([[1e200, -1e200]])[0] == 0


def test_a_long_list_of_points_gets_the_answers_of_its_points_one_by_one():
    for law, n in ((grid(), 12_001), (swiss_roll(), 301)):  # several blocks, the last one short
        x = law.sample(n, seeded())
        some = [0, 1, 77, n // 2, n - 2, n - 1]
        np.testing.assert_array_equal(law.log_density(x)[some], [law.log_density(x[[i]])[0] for i in some])


def test_a_blurred_segment_has_its_closed_form():
    """Along the segment a difference of normal distribution functions, across it a normal density."""
    law = Curve(lambda u: np.stack([3 * u, np.full_like(u, 0.5)], axis=1), noise=0.07)
    x = seeded().uniform([-0.4, 0.1], [3.4, 0.9], size=(200, 2))
    start = np.minimum(x[:, 0], 3 - x[:, 0])  # by symmetry; the difference below then does not cancel
    along = (stats.norm.cdf(start / 0.07) - stats.norm.cdf((start - 3) / 0.07)) / 3
    np.testing.assert_allclose(law.density(x), along * stats.norm(0.5, 0.07).pdf(x[:, 1]), rtol=1e-11)


def test_the_quadrature_is_fine_enough_where_the_curve_runs_fastest():
    law = Curve(lambda u: u[:, None] ** 12, noise=0.01)
    x = np.array([0.3, 0.7, 0.9, 0.97, 1.0])
    truth = [
        quad(lambda u, v=v: stats.norm(u**12, 0.01).pdf(v), 0, 1, points=[v ** (1 / 12)], epsrel=1e-11, limit=300)[0]
        for v in x
    ]
    np.testing.assert_allclose(law.density(x[:, None]), truth, rtol=1e-9)


def test_a_curve_that_stands_still_is_a_gaussian():
    x = seeded().normal(size=(20, 2))
    law = Curve(lambda u: np.stack([0 * u + 0.5, 0 * u], axis=1), noise=0.4)
    np.testing.assert_allclose(law.log_density(x), gaussian(2, [0.5, 0.0], 0.4).log_density(x), rtol=1e-12)


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3])
def test_the_swiss_roll_density_is_the_integral_along_the_spiral(noise):
    law = swiss_roll(noise)
    turn = np.array([1.5, 1.5 + 1e-3, 2.2, 3.0, 4.1, 4.5]) * np.pi
    on_curve = np.stack([turn * np.cos(turn), turn * np.sin(turn)], axis=1) / (4.5 * np.pi)
    for away in (0.0, 1.0, 3.0, 10.0):
        for point, t in zip(on_curve + away * noise * np.array([0.6, -0.8]), turn, strict=True):

            def bump(s, point=point):
                spiral = s * np.array([np.cos(s), np.sin(s)]) / (4.5 * np.pi)
                return np.exp(-((point - spiral) ** 2).sum() / (2 * noise**2))

            stops = np.clip(t + np.array([-2, -0.5, 0, 0.5, 2]), 1.5 * np.pi, 4.5 * np.pi)
            total, _ = quad(bump, 1.5 * np.pi, 4.5 * np.pi, points=np.unique(stops), limit=400, epsabs=0, epsrel=1e-11)
            truth = total / (3 * np.pi) / (2 * np.pi * noise**2)
            assert law.density(point[None])[0] == pytest.approx(truth, rel=1e-10)


def test_far_from_the_spiral_the_logarithm_keeps_four_digits():
    """The nearest point decides: log p is -distance^2 / (2 sd^2) up to a logarithm of it."""
    law = swiss_roll()
    t = np.linspace(1.5, 4.5, 200_001) * np.pi
    spiral = t[:, None] * np.stack([np.cos(t), np.sin(t)], axis=1) / (4.5 * np.pi)
    for point in ([[5.0, 3.0]], [[-20.0, 1.0]]):
        nearest = np.linalg.norm(spiral - point, axis=1).min()
        assert law.log_density(point)[0] == pytest.approx(-(nearest**2) / (2 * 0.02**2), rel=3e-4)


# ---- samplers


@pytest.mark.parametrize("law", [two_peaks(), mixture_1d([-1.0, 2.0], [0.2, 1.5], [0.3, 0.7]), gaussian(1, 2.0, 0.5)])
def test_samples_on_the_line_follow_the_distribution_function(law):
    def cdf(v):
        parts = zip(law.weights, law.means[:, 0], law.sd, strict=True)
        return sum(w * stats.norm(m, s).cdf(v) for w, m, s in parts)

    x = law.sample(100_000, seeded(1))
    assert x.shape == (100_000, 1)
    assert stats.kstest(x[:, 0], cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("law", "reach"),
    [(LOPSIDED, 3.0), (ring(7, 1.0, 0.2), 2.0), (grid(3, 1.0, 0.3), 2.5), (unequal((0.6, 0.3, 0.1), 1.0, 0.3), 2.5),
     (swiss_roll(0.1), 1.5), (swiss_roll(0.08, 1.5), 1.8)])  # fmt: skip
def test_samples_in_the_plane_fill_cells_as_the_density_says(law, reach):
    cells, fine, n = 15, 12, 300_000
    chance = on_a_grid(law, reach, cells * fine).reshape(cells, fine, cells, fine).sum(axis=(1, 3))
    counts, _, _ = np.histogram2d(*law.sample(n, seeded(2)).T, bins=cells, range=[[-reach, reach]] * 2)
    full = chance * n > 10
    expected = np.append(chance[full] * n, n - chance[full].sum() * n)  # the thin cells together
    observed = np.append(counts[full], n - counts[full].sum())
    assert stats.chisquare(observed, expected).pvalue > 1e-3


@pytest.mark.parametrize("law", [ring(), grid(), unequal(), unequal((0.6, 0.3, 0.1))])
def test_each_mode_gets_its_weight_in_samples(law):
    n = 50_000
    x = law.sample(n, seeded(3))
    nearest = np.argmin(((x[:, None] - law.modes) ** 2).sum(axis=2), axis=1)
    counts = np.bincount(nearest, minlength=len(law.modes))
    for count, weight in zip(counts, law.weights, strict=True):
        assert stats.binomtest(int(count), n, weight).pvalue > 1e-4


def test_no_more_than_98_89_percent_of_real_data_lie_within_three_sd_in_the_plane():
    """Two round axes: the ceiling of every high-quality share is 1 - exp(-4.5)."""
    law = ring(8, 1.0, 0.01)
    x = law.sample(100_000, seeded(4))
    close = int((np.linalg.norm(x[:, None] - law.modes, axis=2).min(axis=1) < 3 * 0.01).sum())
    assert stats.binomtest(close, 100_000, 1 - np.exp(-4.5)).pvalue > 1e-3


def test_the_axes_of_a_sample_are_independent():
    x = gaussian(3, 0.0, 2.0).sample(100_000, seeded(5))
    np.testing.assert_allclose(np.cov(x.T), 4 * np.eye(3), atol=0.06)


@every_set
def test_equal_generators_draw_equal_samples_and_others_differ(name):
    law = DATASETS[name]()
    x = law.sample(64, seeded(6))
    assert x.dtype == np.float64
    assert x.shape == (64, law.dim)
    np.testing.assert_array_equal(x, law.sample(64, seeded(6)))
    assert not np.isin(x[:, -1], law.sample(64, seeded(7))[:, -1]).any()
    rng = seeded(6)
    np.testing.assert_array_equal(law.sample(64, rng), x)
    assert not np.isin(x[:, -1], law.sample(64, rng)[:, -1]).any()


@every_set
def test_sampling_leaves_the_global_random_state_alone(name):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    DATASETS[name]().sample(10, seeded())
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


# ---- where the modes are


@given(st.integers(1, 100), st.floats(0.1, 50))
def test_a_ring_has_as_many_distinct_equal_modes_as_asked_for(modes, radius):
    """Defect B7: published rings take linspace(0, 2 pi, K) with both ends, and lose a mode."""
    law = ring(modes, radius)
    assert law.modes.shape == (modes, 2)
    np.testing.assert_allclose(np.linalg.norm(law.modes, axis=1), radius, rtol=1e-14)
    np.testing.assert_array_equal(law.weights, np.full(modes, 1 / modes))
    if modes > 1:
        assert pdist(law.modes).min() == pytest.approx(2 * radius * np.sin(np.pi / modes), rel=1e-10)


def test_the_published_code_with_both_ends_has_seven_modes_and_ours_eight():
    angle = np.linspace(0, 2 * np.pi, 8)
    theirs = np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def distinct(means):
        return len(np.unique(means.round(9) + 0.0, axis=0))

    assert distinct(theirs) == 7
    assert distinct(ring(8, 1.0).modes) == 8


@pytest.mark.parametrize("modes", [1, 2, 5, 8])
def test_a_ring_turned_by_one_mode_is_the_same_ring(modes):
    law, angle = ring(modes, 1.0, 0.3), 2 * np.pi / modes
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    x = seeded().normal(size=(40, 2))
    np.testing.assert_allclose(law.log_density(x @ turn.T), law.log_density(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(law.modes @ turn.T, np.roll(law.modes, -1, axis=0), atol=1e-14)
    np.testing.assert_allclose(law.modes[0], [1.0, 0.0], atol=1e-15)


def test_the_defaults_are_the_published_settings():
    ends = {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert {tuple(mode) for mode in grid().modes} == ends  # PacGAN
    assert (grid().sd == 0.05).all()
    assert np.linalg.norm(ring().modes, axis=1) == pytest.approx(2)  # Unrolled GAN
    assert (ring().sd == 0.02).all()
    assert len(ring().modes) == 8
    np.testing.assert_array_equal(two_peaks().modes, [[-3.0], [3.0]])
    np.testing.assert_array_equal(two_peaks(4.0, 0.5).modes, [[-2.0], [2.0]])
    assert (two_peaks(4.0, 0.5).sd == 0.5).all()


def test_a_grid_with_an_even_side_is_centred_too():
    np.testing.assert_allclose(grid(4, 1.0).modes.mean(axis=0), 0, atol=1e-15)
    assert pdist(grid(4, 1.0).modes).min() == 1.0
    assert len(grid(4).modes) == 16
    np.testing.assert_array_equal(grid(1).modes, [[0.0, 0.0]])
    np.testing.assert_array_equal(grid(2).modes, [[-1, -1], [-1, 1], [1, -1], [1, 1]])  # row by row of the first axis


def test_unequal_weights_halve_and_their_modes_stand_where_the_ring_has_them():
    law = unequal()
    np.testing.assert_allclose(law.weights[1:] / law.weights[:-1], 0.5, rtol=1e-15)
    assert law.weights.sum() == pytest.approx(1, abs=1e-15)
    np.testing.assert_array_equal(law.modes, ring().modes)
    np.testing.assert_array_equal(law.sd, ring().sd)
    np.testing.assert_array_equal(unequal((0.9, 0.1), 1.0).modes, ring(2, 1.0).modes)


def test_the_swiss_roll_of_wgan_gp_is_the_spiral_over_seven_and_a_half():
    """gan_toy.py: scikit-learn's t = 1.5 pi (1 + 2 u), noise 0.25, first and last axis, all divided by 7.5."""
    law, u = swiss_roll(0.25 / 7.5, 4.5 * np.pi / 7.5), np.linspace(0, 1, 11)
    t = 1.5 * np.pi * (1 + 2 * u)
    np.testing.assert_allclose(law.path(u), np.stack([t * np.cos(t), t * np.sin(t)], axis=1) / 7.5, rtol=1e-12)
    assert np.linalg.norm(swiss_roll().path(u), axis=1).max() == pytest.approx(1)
    assert swiss_roll().noise == 0.02


@pytest.mark.parametrize("theta", [0.0, 0.5, -2.0])
def test_the_lines_are_vertical_unit_segments_at_theta(theta):
    x = disjoint_lines(theta).sample(20_000, seeded(8))
    assert (x[:, 0] == theta).all()
    assert stats.kstest(x[:, 1], "uniform").pvalue > 1e-3
    zero = disjoint_lines(0.0).sample(20_000, seeded(8))
    assert np.linalg.norm(x - zero, axis=1) == pytest.approx(abs(theta))  # the plan that moves straight across


@every_set
def test_every_set_answers_the_same_questions(name):
    law = DATASETS[name]()
    assert law.name == name
    assert law.dim == (1 if name == "two_peaks" else 2)
    assert law.modes.shape[1:] == (law.dim,)
    if name in ("swiss_roll", "disjoint_lines"):
        assert len(law.modes) == 0
    else:
        assert law.modes is law.means
        assert law.sd.shape == law.weights.shape == (len(law.modes),)
    if name != "disjoint_lines":
        x = law.sample(20, seeded())
        assert law.density(x).shape == law.log_density(x).shape == (20,)
        np.testing.assert_allclose(law.density(x), np.exp(law.log_density(x)))
        assert (law.density(x) > 0).all()


@every_set
def test_a_law_can_be_sent_to_another_process(name):
    law = DATASETS[name]()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(law)).sample(5, seeded()), law.sample(5, seeded()))


def test_a_law_is_its_own_and_cannot_be_changed():
    means, sds, weights = np.zeros((2, 2)), np.ones(2), np.full(2, 0.5)
    law = Mixture(means, sds, weights)
    means[:], sds[:], weights[:] = 7.0, 7.0, 7.0
    assert (law.means.sum(), law.sd.sum(), law.weights.sum()) == (0, 2, 1)
    for array in (law.means, law.sds, law.weights):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    with pytest.raises(AttributeError):
        law.name = "other"


def test_laws_introduce_themselves():
    assert repr(ring()) == "Mixture 'ring': 8 modes in 2-D, sd 0.02"
    assert repr(gaussian(1)) == "Mixture 'gaussian': 1 mode in 1-D, sd 1"
    assert repr(LOPSIDED) == "Mixture 'lopsided': 3 modes in 2-D, sd 0.2 to 0.5"
    assert repr(swiss_roll()) == "Curve 'swiss_roll' in 2-D, noise 0.02"


# ---- bad input

NOT_POSITIVE = [0, -0.1, np.nan, np.inf, True, "1", None, [0.1, 0.2, 0.3]]
NOT_A_COUNT = [0, -3, 2.0, True, None, "8", np.nan]


@pytest.mark.parametrize(
    ("law", "name"),
    [(ring, "radius"), (ring, "sd"), (grid, "spacing"), (grid, "sd"), (two_peaks, "distance"), (two_peaks, "sd"),
     (unequal, "radius"), (unequal, "sd"), (gaussian, "sd"), (swiss_roll, "radius")])  # fmt: skip
@pytest.mark.parametrize("value", NOT_POSITIVE, ids=str)
def test_a_size_must_be_one_positive_number(law, name, value):
    with pytest.raises(InputError, match=rf"^{name} must"):
        law(**{name: value})


@pytest.mark.parametrize(("law", "name"), [(ring, "modes"), (grid, "side"), (gaussian, "dim")])
@pytest.mark.parametrize("value", NOT_A_COUNT, ids=str)
def test_a_count_must_be_a_positive_whole_number(law, name, value):
    with pytest.raises(InputError, match=rf"^{name} must"):
        law(**{name: value})


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf, True, "1", None, [0.1, 0.2]], ids=str)
def test_noise_and_theta_must_be_one_finite_number(value):
    with pytest.raises(InputError, match=r"^noise must"):
        swiss_roll(value)
    if value != -0.1:
        with pytest.raises(InputError, match=r"^theta must"):
            disjoint_lines(value)


TWO = [[0.0, 0.0], [1.0, 1.0]]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [(([[np.nan, 0.0]], 1.0), "means"), (([0.0, 1.0], 1.0), "means"), ((1.0, 1.0), "means"), (([], 1.0), "means"),
     (([[True, False]], 1.0), "means"), (([[0.0], [1.0, 2.0]], 1.0), "means"), ((np.zeros((1, 2, 2)), 1.0), "means"),
     ((TWO, 0.0), "sds"), ((TWO, [1.0, -1.0]), "sds"), ((TWO, np.nan), "sds"), ((TWO, True), "sds"),
     ((TWO, [1.0, 1.0, 1.0]), "sds"), ((TWO, [1.0]), "sds"), ((TWO, np.ones((2, 2))), "sds"),
     ((TWO, 1.0, [0.5, 0.6]), "weights"), ((TWO, 1.0, [0.5, 0.4999999]), "weights"), ((TWO, 1.0, [1.0]), "weights"),
     ((TWO, 1.0, [1.0, 0.0]), "weights"), ((TWO, 1.0, [1.5, -0.5]), "weights"), ((TWO, 1.0, 1.0), "weights"),
     ((TWO, 1.0, [np.nan, 1.0]), "weights"), ((TWO, 1.0, [[0.5, 0.5]]), "weights")])  # fmt: skip
def test_a_mixture_names_the_argument_that_is_wrong(arguments, name):
    with pytest.raises(InputError, match=rf"^{name} must"):
        Mixture(*arguments)


def test_weights_off_by_rounding_are_accepted():
    assert Mixture(TWO, 1.0, [0.5, 0.5 + 5e-9]).sample(3, seeded()).shape == (3, 2)


def test_a_mean_of_the_wrong_shape_is_refused():
    with pytest.raises(InputError, match=r"^mean must be one number or 3"):
        gaussian(3, [0.0, 1.0])
    with pytest.raises(InputError, match=r"^means must be a row"):
        mixture_1d([[0.0], [1.0]], 1.0)
    with pytest.raises(InputError, match=r"^weights must"):
        unequal([[0.5, 0.5]])


@pytest.mark.parametrize("law", [ring(), two_peaks(), swiss_roll(), disjoint_lines()], ids=lambda law: law.name)
def test_sampling_refuses_bad_counts_and_whatever_is_no_generator(law):
    for n in NOT_A_COUNT:
        with pytest.raises(InputError, match=r"^n must"):
            law.sample(n, seeded())
    for rng in (0, None, np.random, np.random.RandomState(0)):
        with pytest.raises(InputError, match=r"^rng must be a numpy Generator"):
            law.sample(3, rng)


@pytest.mark.parametrize("law", [ring(), two_peaks(), swiss_roll()], ids=lambda law: law.name)
def test_a_density_refuses_points_of_another_shape_or_that_are_not_finite(law):
    fine = np.zeros((4, law.dim))
    for x in (fine[0], fine[:, 0], np.zeros((4, 3)), fine[None], fine * np.nan, fine + np.inf, fine > 0, 0.0, [], "x"):
        for answer in (law.density, law.log_density):
            with pytest.raises(InputError, match=r"^x must"):
                answer(x)


def test_a_row_of_numbers_gets_the_hint_for_the_line():
    with pytest.raises(InputError, match=r"x\[:, None\]"):
        two_peaks().density(np.zeros(4))


@pytest.mark.parametrize("law", [disjoint_lines(), swiss_roll(0.0)], ids=lambda law: law.name)
def test_a_law_on_a_curve_has_no_density_and_says_what_to_do(law):
    for answer in (law.density, law.log_density):
        with pytest.raises(InputError, match=r"no density with respect to area.*compare samples"):
            answer([[0.0, 0.5]])


def test_too_little_noise_for_the_quadrature_says_how_much_it_needs():
    law = swiss_roll(1e-5)
    assert law.sample(3, seeded()).shape == (3, 2)
    with pytest.raises(
        InputError, match=r"^noise must be at least 0\.\d+ for the density of swiss_roll, got 1e-05"
    ) as e:
        law.density([[0.0, 0.0]])
    enough = float(str(e.value).split()[5])
    assert enough < 1e-3
    with pytest.raises(InputError, match=r"^noise must be at least"):
        swiss_roll(0.95 * enough).density([[0.0, 0.0]])
    with pytest.raises(InputError, match=r"^noise must be at least"):
        swiss_roll(5e-324).density([[0.0, 0.0]])
    assert np.isfinite(swiss_roll(enough).log_density([[0.0, 0.0]])).all()


def test_a_path_must_turn_numbers_into_points():
    for path in (None, 3.0, lambda u: u, lambda u: u[None, :, None], lambda u: np.zeros((3, 2)), lambda u: u * np.nan):
        with pytest.raises(InputError, match="path"):
            Curve(path, 0.1)
