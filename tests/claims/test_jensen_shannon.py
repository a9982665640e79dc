"""The claims of the page *Jensen-Shannon*: what the best detective measures, where fits go, what thin laws do to both.

Oracles: formulas written out here, SciPy's quadrature, minimisers, root finders and its own Jensen-Shannon distance,
autograd, and small seeded runs.
"""

from math import exp, log, pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from proofs import claims_of, studies_of
from scipy import integrate, optimize, special, stats
from scipy.spatial.distance import jensenshannon

import ganlab as gl
from ganlab import data
from ganlab import divergences as dv

torch = pytest.importorskip("torch", reason="the page trains networks")

from ganlab.neural._scores import scores  # noqa: E402
from ganlab.neural.models.mlp import mlp  # noqa: E402

claim = claims_of("jensen-shannon")

X = np.linspace(-40, 40, 8_001)
DX = X[1] - X[0]
LOG_2 = log(2)
MOVED = np.array([0.5, 0.0])


def log_one(m, s):
    return -(((X - m) / s) ** 2) / 2 - np.log(s * sqrt(2 * pi))


def log_two(a):
    return np.logaddexp(log_one(-a, 1), log_one(a, 1)) - LOG_2


def js_on_grid(log_p, log_q):
    """Jensen-Shannon, written out; the sum over a fine grid is exact for Gaussians."""
    log_m = np.logaddexp(log_p, log_q) - LOG_2
    return DX * (np.exp(log_p) * (log_p - log_m) + np.exp(log_q) * (log_q - log_m)).sum() / 2


def kl_on_grid(log_p, log_q):
    return DX * (np.exp(log_p) * (log_p - log_q)).sum()


LOSSES = {
    "kl": lambda a, m, s: kl_on_grid(log_two(a), log_one(m, s)),
    "reverse_kl": lambda a, m, s: kl_on_grid(log_one(m, s), log_two(a)),
    "js": lambda a, m, s: js_on_grid(log_two(a), log_one(m, s)),
}
dice = st.lists(st.floats(0.01, 1), min_size=4, max_size=4).map(lambda w: np.array(w) / sum(w))
beliefs = st.lists(st.floats(0.02, 0.98), min_size=4, max_size=4).map(np.array)


# ---------------------------------------------------------------- what the best detective measures


@claim("J-08")
def test_the_criterion_has_one_minimum_over_laws_and_it_is_at_the_data():
    thetas = np.linspace(-3, 3, 25)
    p = np.exp(log_one(0, 1))
    values = [dv.criterion("saturating", p, np.exp(log_one(t, 1)), weights=DX) for t in thetas]
    assert values[12] == pytest.approx(-log(4), abs=1e-9)
    assert (np.diff(values[12:]) > 0).all()
    assert (np.diff(values[:13]) < 0).all()
    for t, value in zip(thetas, values, strict=True):
        assert value == pytest.approx(-log(4) + 2 * js_on_grid(log_one(0, 1), log_one(t, 1)), abs=1e-8)
    widths = [dv.criterion("saturating", p, np.exp(log_one(0, s)), weights=DX) for s in (0.5, 0.9, 1.1, 2)]
    assert min(widths) > -log(4) + 1e-3


@claim("J-08")
@given(dice, dice)
def test_the_criterion_of_two_dice_is_least_where_they_agree(p, q):
    value = dv.criterion("saturating", p, q)
    assert value >= -log(4) - 1e-12
    assert value - -log(4) >= 2 * np.abs(p - q).sum() ** 2 / 8 - 1e-12  # Pinsker's inequality, once for each half


@claim("J-09")
@given(dice, dice)
def test_the_criterion_is_two_kl_minus_log_4_and_half_of_them_is_the_divergence(p, q):
    m = (p + q) / 2
    terms = stats.entropy(p, m) + stats.entropy(q, m)  # SciPy's KL
    D = p / (p + q)
    written = p @ np.log(D) + q @ np.log(1 - D)
    assert dv.criterion("saturating", p, q) == pytest.approx(written, abs=1e-9)
    assert written == pytest.approx(terms - log(4), abs=1e-9)
    assert dv.js(p, q) == pytest.approx(terms / 2, abs=1e-9)
    assert dv.js(p, q) == pytest.approx(jensenshannon(p, q) ** 2, abs=1e-9)
    assert dv.js(p, q) <= LOG_2


@claim("J-09")
def test_without_the_halves_strangers_would_be_two_log_2_apart():
    assert dv.js([1, 0], [0, 1]) == pytest.approx(LOG_2, abs=1e-12)
    assert stats.entropy([1, 0], [0.5, 0.5]) + stats.entropy([0, 1], [0.5, 0.5]) == pytest.approx(2 * LOG_2)
    assert dv.criterion("saturating", [1, 0], [0, 1]) == pytest.approx(0, abs=1e-9)


def coins(a, b):
    return a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b))


@claim("JSD-01")
@given(dice, dice, beliefs)
def test_an_imperfect_detective_misses_the_mean_divergence_of_coins(p, q, D):
    f = gl.OBJECTIVES["saturating"]
    t = np.log(D / (1 - D))
    reading = LOG_2 + (p @ f.f1(t) + q @ f.f2(t)) / 2
    missing = (p + q) / 2 @ coins(p / (p + q), D)
    assert jensenshannon(p, q) ** 2 - reading == pytest.approx(missing, abs=1e-9)
    assert missing >= 0


@claim("JSD-01")
def test_only_the_best_detective_misses_nothing():
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])
    t = dv.optimal_score("saturating", p, q)
    f = gl.OBJECTIVES["saturating"]
    assert LOG_2 + (p @ f.f1(t) + q @ f.f2(t)) / 2 == pytest.approx(dv.js(p, q), abs=1e-12)
    for bump in np.eye(3) * 0.1:
        assert LOG_2 + (p @ f.f1(t + bump) + q @ f.f2(t + bump)) / 2 < dv.js(p, q) - 1e-5


def learn(draw, networks, steps, lr=3e-3):
    """Train detectives on the average of `estimate`, as the page does."""
    D = mlp(1, 1, (32, 32), "tanh", seed=range(networks))
    adam = torch.optim.Adam(D.parameters(), lr)
    for step in range(1, steps + 1):
        adam.zero_grad()
        (-estimate(D, *draw(128)).sum()).backward()
        adam.step()
        adam.param_groups[0]["lr"] = lr * (1 - step / steps)
        yield step, D


def estimate(D, real, fake):
    loss = torch.nn.functional.binary_cross_entropy_with_logits  # torch's own, not our rows
    t, s = scores(D, real), scores(D, fake)
    gain = -loss(t, torch.ones_like(t), reduction="none").mean(-1) - loss(
        s, torch.zeros_like(s), reduction="none"
    ).mean(-1)
    return LOG_2 + gain / 2


@claim("JSD-02")
def test_trained_detectives_read_low_on_unseen_samples_and_high_on_their_own():
    torch.set_num_threads(1)
    thetas = [0.0, 2.0]
    shift = torch.tensor(thetas).repeat_interleave(10)[:, None, None]
    rng = torch.Generator().manual_seed(3)

    def fresh(n):
        real, z = torch.randn(2, 20, n, 1, generator=rng)
        return real, z + shift

    fifty = fresh(50)
    *_, (_, on_fresh) = learn(fresh, 20, 400)
    *_, (_, on_fifty) = learn(lambda n: fifty, 20, 400)
    with torch.no_grad():
        unseen = fresh(20_000)
        read = [estimate(on_fresh, *unseen), estimate(on_fifty, *unseen), estimate(on_fifty, *fifty)]
    fresh_read, honest, flattering = (r.reshape(2, 10).numpy() for r in read)
    exact = np.array([js_on_grid(log_one(0, 1), log_one(t, 1)) for t in thetas])
    assert exact[1] == pytest.approx(0.3368, abs=1e-4)
    assert np.abs(fresh_read.mean(1) - exact).max() < 0.005
    assert (honest.mean(1) < exact - 0.005).all()
    assert (honest[0] < 0).all()
    assert (flattering[0] > 0.005).all()
    assert flattering.mean() > honest.mean() + 0.03


# ---------------------------------------------------------------- three ways of being wrong


@claim("W-01")
def test_minus_the_mean_log_likelihood_is_kl_plus_the_entropy_of_the_data():
    log_p = log_two(2)

    def inside(x):
        return -stats.norm.pdf(x, 2) * log(stats.norm.pdf(x, 2) / 2 + stats.norm.pdf(x, -2) / 2)

    entropy = integrate.quad(inside, -9, 13, epsabs=1e-12)[0]
    assert entropy == pytest.approx(2.0517, abs=1e-4)
    for s in (1.5, sqrt(5), 3.5):
        loss = -DX * (np.exp(log_p) * log_one(0, s)).sum()
        ours = dv.on_line("kl", data.two_peaks(4), data.gaussian(1, 0.0, s))
        assert loss - ours == pytest.approx(entropy, abs=1e-7)


@claim("W-01")
def test_the_most_likely_model_of_samples_is_the_one_nearest_in_forward_kl():
    sample = data.two_peaks(4).sample(200_000, np.random.default_rng(0))[:, 0]
    found = optimize.minimize(lambda z: -stats.norm.logpdf(sample, z[0], exp(z[1])).mean(), (1.0, 0.0)).x
    best = dv.fit_gaussian("kl", data.two_peaks(4))
    assert found[0] == pytest.approx(best.mean, abs=0.02)
    assert exp(found[1]) == pytest.approx(best.sd, abs=0.02)


def local_minimum(loss, a, start):
    """SciPy's own search, on the sum over a grid: not the package's."""
    found = optimize.minimize(lambda z: loss(a, z[0], exp(z[1])), (start[0], log(start[1])), method="Nelder-Mead",
                              options={"xatol": 1e-7, "fatol": 1e-12, "maxiter": 2000})  # fmt: skip
    return abs(found.x[0]), exp(found.x[1]), found.fun


PRINTED = {  # a, divergence: mean, deviation, value
    (2, "kl"): (0, 2.236068, 0.171999), (2, "reverse_kl"): (0, 2.047010, 0.226508), (2, "js"): (0, 2.196360, 0.046089),
    (3, "kl"): (0, 3.162278, 0.461995), (3, "reverse_kl"): (2.984306, 1.023369, 0.688769),
    (3, "js"): (0, 3.119832, 0.128411), (5, "js"): (5.0, 1.0, 0.215761),
}  # fmt: skip


@claim("J-16")
@pytest.mark.parametrize(("a", "name"), PRINTED)
def test_jensen_shannon_lies_between_the_two_directions(a, name):
    best = dv.fit_gaussian(name, data.two_peaks(2 * a))
    assert (abs(best.mean), best.sd, best.value) == pytest.approx(PRINTED[a, name], abs=2e-5)
    starts = [(0.1, sqrt(1 + a * a)), (a, 1.0), (a / 2, 1.5)]
    oracle = min((local_minimum(LOSSES[name], a, s) for s in starts), key=lambda found: found[2])
    assert (abs(best.mean), best.sd, best.value) == pytest.approx(oracle, abs=2e-4)


@claim("J-16")
def test_at_3_jensen_shannon_prefers_to_cover_and_at_5_to_choose():
    hill = {a: local_minimum(LOSSES["js"], a, (a, 1.0)) for a in (3, 5)}
    wide = {a: local_minimum(LOSSES["js"], a, (0.0, sqrt(1 + a * a))) for a in (3, 5)}
    assert hill[3][2] == pytest.approx(0.21408, abs=1e-5)
    assert wide[3][2] < hill[3][2]
    assert LOSSES["js"](3, 3, 1) == pytest.approx(0.21439, abs=1e-5)  # the bump that is exactly the hill
    assert hill[5][2] == pytest.approx(0.21576, abs=1e-5)
    assert wide[5][2] == pytest.approx(0.25538, abs=1e-5)


@claim("FIG-08")
@pytest.mark.parametrize(("a", "on_a_hill"), [(2, set()), (3, {"reverse_kl"}), (5, {"reverse_kl", "js"})])
def test_the_panels_show_who_covers_and_who_chooses(a, on_a_hill):
    for name in LOSSES:
        best = dv.fit_gaussian(name, data.two_peaks(2 * a))
        assert (abs(best.mean) > a / 2) == (name in on_a_hill)
        assert (best.sd < 1.1) == (name in on_a_hill)


@claim("JSD-03")
def test_the_forward_fit_matches_moments():
    for a in (0.5, 2.0, 5.0):
        best = dv.fit_gaussian("kl", data.two_peaks(2 * a))
        assert best.sd == pytest.approx(sqrt(1 + a * a), abs=1e-6)
    best = dv.fit_gaussian("kl", data.mixture_1d([-1.0, 2.0], [0.5, 1.0], [0.3, 0.7]))
    variance = 0.3 * (0.25 + 1) + 0.7 * (1 + 4) - 1.1**2
    assert (best.mean, best.sd) == pytest.approx((1.1, sqrt(variance)), abs=1e-6)


def slopes(loss, a, m, s, h=1e-4):
    return np.array(
        [(loss(a, m + h, s) - loss(a, m - h, s)) / (2 * h), (loss(a, m, s + h) - loss(a, m, s - h)) / (2 * h)]
    )


def bending(loss, a, m, s, h=1e-3):
    columns = [(slopes(loss, a, m + h, s) - slopes(loss, a, m - h, s)) / (2 * h),
               (slopes(loss, a, m, s + h) - slopes(loss, a, m, s - h)) / (2 * h)]  # fmt: skip
    return np.linalg.det(np.stack(columns))


@claim("JSD-03")
@pytest.mark.parametrize(
    ("name", "start", "fold"), [("reverse_kl", (2.2, 1.25, 2.42), 2.412), ("js", (2.6, 1.25, 2.76), 2.757)]
)
def test_a_second_minimum_is_born_where_slope_and_bending_vanish(name, start, fold):
    loss = LOSSES[name]
    born = optimize.root(lambda v: [*slopes(loss, v[2], v[0], v[1]), bending(loss, v[2], v[0], v[1])], start, tol=1e-8)
    assert np.abs(born.fun).max() < 1e-6
    assert born.x[2] == pytest.approx(fold, abs=2e-3)
    for a, exists in ((fold - 0.05, False), (fold + 0.05, True)):
        ends = dv.fit_gaussian(name, data.two_peaks(2 * a), start=(a, 1.0))
        assert (abs(ends.mean) > 1) == exists


@claim("JSD-03")
@pytest.mark.parametrize(("name", "jump"), [("reverse_kl", 2.800), ("js", 4.245)])
def test_the_best_fit_jumps_to_a_hill(name, jump):
    loss = LOSSES[name]
    for a, hill_wins in ((jump - 0.003, False), (jump + 0.003, True)):
        hill, wide = local_minimum(loss, a, (a, 1.0)), local_minimum(loss, a, (0.0, sqrt(1 + a * a)))
        assert (hill[2] < wide[2]) == hill_wins
        best = dv.fit_gaussian(name, data.two_peaks(2 * a))
        assert (abs(best.mean) > 1) == hill_wins


@claim("JSD-03")
def test_far_hills_cost_log_2_and_three_quarters_of_log_four_thirds():
    assert LOSSES["reverse_kl"](9, 9, 1) == pytest.approx(LOG_2, abs=1e-9)
    assert LOSSES["js"](9, 9, 1) == pytest.approx(0.75 * log(4 / 3), abs=1e-9)
    assert dv.reverse_kl([0.5, 0.5], [1, 0]) == pytest.approx(LOG_2)
    assert dv.js([0.5, 0.5], [1, 0]) == pytest.approx(0.75 * log(4 / 3))


@claim("JSD-04")
@given(dice, st.lists(st.floats(-1, 1), min_size=4, max_size=4).map(np.array))
def test_near_the_truth_both_kl_and_four_js_are_one_quadratic_form(p, step):
    step = step - step.mean()
    step = step / max(np.abs(step / p).max(), 1e-3)
    eps = 1e-3
    q = p + eps * step
    quadratic = (step**2 / p).sum() / 2
    for value in (stats.entropy(p, q), dv.kl(p, q), dv.reverse_kl(p, q), 4 * dv.js(p, q)):
        assert value / eps**2 == pytest.approx(quadratic, rel=5e-3, abs=1e-6)


def stored_fits():
    table = studies_of("jensen-shannon")("fits")["table"]
    return {(row["objective"], row["a"]): row for row in table}


def on_a_hill(ends, a):
    return sum(abs(abs(m) - a) < 0.3 and s < 1.5 for m, s in ends)


@claim("JSD-05")
def test_saturating_gans_with_one_bump_end_in_the_local_minima_of_jensen_shannon():
    fits = stored_fits()
    for a in (2.0, 2.5, 3.0, 4.0, 5.0):
        row = fits["saturating", a]
        assert len(row["middle"]) == len(row["mode"]) == 10
        assert on_a_hill(row["middle"], a) == 0
        assert on_a_hill(row["mode"], a) == (10 if a > 2.757 else 0)
        wide = local_minimum(LOSSES["js"], a, (0.0, sqrt(1 + a * a)))
        assert np.mean([s for _, s in row["middle"]]) == pytest.approx(wide[1], abs=0.06)


@claim("JSD-05")
def test_non_saturating_gans_stay_on_a_hill_where_their_own_functional_has_a_minimum():
    def follows(a, m, s):
        return LOSSES["reverse_kl"](a, m, s) - 2 * LOSSES["js"](a, m, s)

    fits = stored_fits()
    for a in (2.0, 2.5, 3.0, 4.0, 5.0):
        row, hill = fits["nonsaturating", a], local_minimum(follows, a, (a, 1.0))
        assert on_a_hill(row["middle"], a) == 0
        assert on_a_hill(row["mode"], a) == (10 if hill[0] > 1 else 0)
        if hill[0] > 1:
            assert np.abs(np.mean(row["mode"], axis=0)) == pytest.approx(hill[:2], abs=0.03)
    assert local_minimum(follows, 2.1, (2.1, 1.0))[0] < 0.1
    assert local_minimum(follows, 2.17, (2.17, 1.0))[0] > 1
    wide = local_minimum(follows, 3.0, (0.0, sqrt(10)))
    assert wide[1] == pytest.approx(2.681, abs=1e-3)
    assert np.mean([s for _, s in fits["nonsaturating", 3.0]["middle"]]) > wide[1] + 0.2  # the discrepancy that we keep


@claim("JSD-05")
def test_a_row_of_the_study_run_again_goes_where_it_went():
    torch.set_num_threads(1)
    from jensen_shannon_fits import fit

    middle, mode = fit("saturating", 3.0, range(2), steps=600)
    assert on_a_hill(middle, 3) == 0
    assert on_a_hill(mode, 3) == 2


# ---------------------------------------------------------------- silence


@claim("J-18")
@pytest.mark.parametrize(
    ("theta", "dead", "alive"), [(1.0, 0.398, 0.602), (3.0, 0.2959, 2.704), (8.0, 3.93e-4, 7.9996)]
)
def test_the_saturating_gradient_at_the_best_detective_dies_and_is_the_slope_of_two_js(theta, dead, alive):
    q = np.exp(log_one(theta, 1))
    D = special.expit(theta**2 / 2 - theta * X)  # p / (p + q) for two unit Gaussians
    by_hand = theta * DX * (q * D).sum()  # theta E[D*]
    assert by_hand == pytest.approx(dead, rel=2e-3)
    h = 1e-3
    slope = [2 * dv.on_line("js", data.gaussian(1), data.gaussian(1, theta + e)) for e in (h, -h)]
    assert (slope[0] - slope[1]) / (2 * h) == pytest.approx(by_hand, rel=1e-4)
    for name, expected in (("saturating", by_hand), ("nonsaturating", alive)):
        x = torch.tensor(X, requires_grad=True)
        loss = -gl.OBJECTIVES[name].f3(theta**2 / 2 - theta * x)  # the best score, held still
        (push,) = torch.autograd.grad(loss.sum(), x)
        assert DX * (q * push.numpy()).sum() == pytest.approx(expected, rel=1e-3)


@claim("JSD-06")
def test_on_disjoint_boxes_detectives_close_in_on_log_2_and_the_saturating_gradient_dies():
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(5)

    def boxes(n):
        real, z = torch.rand(2, 10, n, 1, generator=rng)
        return real, z + 1.5

    unseen, looks = boxes(1000), {}
    for step, D in learn(boxes, 10, 1500, lr=1e-3):
        if step in (10, 100, 1500):
            fake = unseen[1].clone().requires_grad_()
            missing = (LOG_2 - estimate(D, *unseen)).detach().numpy()
            t = scores(D, fake)
            (slope,) = torch.autograd.grad(t.sum(), fake)
            D_fake, slope = torch.sigmoid(t.detach()).numpy(), slope[..., 0].numpy()
            looks[step] = missing, np.abs((D_fake * slope).mean(-1)), np.abs(((1 - D_fake) * slope).mean(-1))
    (far, young, _), (_, peak, _), (near, dead, alive) = looks.values()
    assert (far > near).all()
    assert (near > 0).all()
    assert near.max() < 2e-3
    assert (peak > young).all()
    assert (dead < peak / 8).all()
    assert alive.min() > 1


# ---------------------------------------------------------------- thin laws


def arc_cells(points, eps):
    return [tuple(cell) for cell in np.floor(points / eps + 0.37).astype(int)]


def binned(points, others, eps):
    """Two dictionaries of masses in cells, then SciPy's divergence."""
    visited = {cell: k for k, cell in enumerate(set(arc_cells(points, eps)) | set(arc_cells(others, eps)))}
    masses = np.zeros((2, len(visited)))
    for row, cloud in zip(masses, (points, others), strict=True):
        for cell in arc_cells(cloud, eps):
            row[visited[cell]] += 1 / len(cloud)
    return masses


def circle(u):
    return np.stack([np.cos(2 * pi * u), np.sin(2 * pi * u)], axis=1)


@claim("W-02")
def test_kl_is_infinite_where_one_law_has_mass_and_the_other_has_none():
    assert dv.kl([0.5, 0.5, 0], [0, 0.5, 0.5]) == dv.reverse_kl([0.5, 0.5, 0], [0, 0.5, 0.5]) == np.inf
    assert stats.entropy([0.5, 0.5, 0], [0, 0.5, 0.5]) == np.inf  # SciPy agrees
    assert dv.js([0.5, 0.5, 0], [0, 0.5, 0.5]) == pytest.approx(jensenshannon([0.5, 0.5, 0], [0, 0.5, 0.5]) ** 2)
    fine = circle((np.arange(20_000) + 0.5) / 20_000)
    p, q = binned(fine, fine + MOVED, 0.1)
    assert dv.kl(p, q) == dv.kl(q, p) == stats.entropy(p, q) == np.inf


@claim("W-02")
def test_a_curve_without_noise_has_no_density_to_maximise():
    law = data.Curve(circle, noise=0.0)
    with pytest.raises(ValueError, match="no density"):
        law.log_density(np.zeros((1, 2)))
    # the share of the plane near the curve vanishes, and with it every density that could sit on it
    near = [np.mean(np.abs(np.linalg.norm(np.random.default_rng(0).uniform(-2, 2, (100_000, 2)), axis=1) - 1) < w)
            for w in (0.1, 0.01, 0.001)]  # fmt: skip
    assert near == pytest.approx([4 * pi * w / 16 for w in (0.1, 0.01, 0.001)], rel=0.2)


@claim("JSD-07")
def test_crossing_circles_are_log_2_apart_in_the_limit_of_small_cells():
    fine, values, shared = circle((np.arange(60_000) + 0.5) / 60_000), [], []
    for eps in (0.3, 0.03, 0.003):
        p, q = binned(fine, fine + MOVED, eps)
        ours = dv.js(p, q)
        assert ours == pytest.approx(jensenshannon(p, q) ** 2, abs=1e-9)
        values.append(ours)
        shared.append(np.minimum(p, q).sum())
    assert values == pytest.approx([0.476, 0.678, 0.6916], abs=2e-3)
    assert np.diff(values).min() > 0
    assert shared[2] < 0.003
    assert values[-1] < LOG_2


@claim("JSD-07")
def test_two_samples_of_one_circle_look_like_strangers_in_small_cells():
    random = np.random.default_rng(1)
    readings = [dv.js(*binned(circle(random.random(1000)), circle(random.random(1000)), 0.001)) for _ in range(10)]
    assert min(readings) > 0.55
    coarse = [dv.js(*binned(circle(random.random(1000)), circle(random.random(1000)), 0.3)) for _ in range(10)]
    assert max(coarse) < 0.02


# ---------------------------------------------------------------- noise


def radius(sigma):
    """The maximum of h(r), found by SciPy and not by the equation of the theorem."""

    def cost(r):
        return (1 + r * r) / (2 * sigma**2) - log(special.i0e(r / sigma**2)) - r / sigma**2

    found = optimize.minimize_scalar(cost, bounds=(0, 1.2), method="bounded", options={"xatol": 1e-10})
    return found.x


def best_likelihood(sigma):
    r = radius(sigma)
    return log(special.i0e(r / sigma**2)) + r / sigma**2 - (1 + r * r) / (2 * sigma**2) - log(2 * pi * sigma**2)


@claim("JSD-08")
@pytest.mark.parametrize(
    ("sigma", "r"), [(0.05, 0.9987), (0.1, 0.9950), (0.2, 0.9794), (0.35, 0.9317), (0.5, 0.8315), (0.8, 0)]
)
def test_the_best_curve_under_noise_is_a_smaller_circle(sigma, r):
    assert radius(sigma) == pytest.approx(r, abs=1e-4)
    if r:
        assert special.iv(1, r / sigma**2) / special.iv(0, r / sigma**2) == pytest.approx(r, abs=2e-4)
    law = data.Curve(lambda u: max(r, 1e-9) * circle(u), noise=sigma)  # the package's quadrature
    assert law.log_density(circle(np.array([0.1, 0.6]))) == pytest.approx([best_likelihood(sigma)] * 2, abs=1e-6)


@claim("JSD-08")
def test_no_other_law_under_the_noise_is_more_likely():
    sigma, random, u = 0.35, np.random.default_rng(0), (np.arange(400) + 0.5) / 400
    x = circle(u)
    for _ in range(200):
        centres = random.normal(0, 1, (12, 2)) * random.uniform(0.2, 1.2)
        weights = random.dirichlet(np.ones(12) * 0.5)
        law = data.Mixture(centres, sigma, weights / weights.sum())
        assert law.log_density(x).mean() < best_likelihood(sigma)
    for r in (0.8, 0.9, 1.0):
        law = data.Curve(lambda u, r=r: r * circle(u), noise=sigma)
        assert law.log_density(x).mean() < best_likelihood(sigma)


@claim("JSD-08")
def test_the_curve_collapses_to_a_point_at_one_over_root_two():
    assert radius(sqrt(0.5) + 0.005) == pytest.approx(0, abs=1e-3)
    assert radius(sqrt(0.5) - 0.005) > 0.1
    for sigma in (0.02, 0.05, 0.1):
        assert (1 - radius(sigma)) / sigma**2 == pytest.approx(0.5, abs=0.02)


@claim("W-03")
def test_trained_with_noise_and_sampled_without_the_curve_is_sharp_and_displaced():
    torch.set_num_threads(1)
    sigmas = (0.1, 0.35, 0.8)
    sd, rng = torch.tensor(sigmas).repeat_interleave(10)[:, None, None], torch.Generator().manual_seed(2)
    G = mlp(2, 2, (16,), "tanh", seed=range(30))
    adam = torch.optim.Adam(G.parameters(), 0.01)

    def on_circle(n):
        u = 2 * pi * torch.rand(30, n, 1, generator=rng)
        return torch.cat([u.cos(), u.sin()], dim=-1)

    def log_likelihood(x, sd, centres):
        mixture = torch.distributions.MixtureSameFamily(  # torch's own density, not the page's
            torch.distributions.Categorical(torch.ones(centres.shape[:2])),
            torch.distributions.Independent(torch.distributions.Normal(centres, sd.expand_as(centres)), 1))  # fmt: skip
        return mixture.log_prob(x.transpose(0, 1)).transpose(0, 1)

    for step in range(300):
        adam.param_groups[0]["lr"] = 0.01 * (1 - step / 300)
        loss = -log_likelihood(on_circle(48), sd.clamp(min=1 - 1.5 * step / 300), G(on_circle(48)))
        adam.zero_grad()
        loss.mean(-1).sum().backward()
        adam.step()
    with torch.no_grad():
        likelihood = log_likelihood(on_circle(200), sd, G(on_circle(400))).mean(-1)
        clean = G(on_circle(400))
        noisy = clean + sd * torch.randn(clean.shape, generator=rng)
        off = [(c.norm(dim=-1) - 1).abs().mean(-1).reshape(3, 10).numpy() for c in (noisy, clean)]
    for k, sigma in enumerate(sigmas):
        assert likelihood.reshape(3, 10)[k].mean().item() == pytest.approx(best_likelihood(sigma), abs=0.03)
        assert off[1][k].mean() == pytest.approx(1 - radius(sigma), abs=0.04)
    assert (off[1][0] < off[0][0] / 4).all()  # sharper without noise at 0.1
    assert (off[1][2] > off[0][2]).all()  # worse without noise at 0.8


# ---------------------------------------------------------------- manifold overfitting


def likelihood_of(w, sigma):
    """The mean log-density of 0.3 at -1 and 0.7 at +1, by SciPy's densities."""
    at = np.array([-1.0, 1.0])
    logs = np.logaddexp(log(w) + stats.norm.logpdf(at, -1, sigma), log(1 - w) + stats.norm.logpdf(at, 1, sigma))
    return logs @ [0.3, 0.7]


@claim("W-24")
@pytest.mark.parametrize("w", [0.01, 0.3, 0.5, 0.95, 0.999])
def test_likelihood_grows_without_limit_for_every_weight(w):
    values = [likelihood_of(w, 10.0**-k) for k in range(1, 9)]
    assert np.diff(values) == pytest.approx([log(10)] * 7, abs=1e-9)
    model = data.mixture_1d([-1.0, 1.0], 0.01, [w, 1 - w])
    assert model.log_density(np.array([[-1.0], [1.0]])) @ [0.3, 0.7] == pytest.approx(values[1], abs=1e-9)
    asymptote = log(1 / (0.01 * sqrt(2 * pi))) + 0.3 * log(w) + 0.7 * log(1 - w)
    assert values[1] == pytest.approx(asymptote, abs=1e-9)


@claim("W-24")
def test_at_equal_noise_the_right_weight_wins_by_a_constant_and_loses_to_a_thinner_model():
    for sigma in (0.2, 0.05, 0.01):
        gap = likelihood_of(0.3, sigma) - likelihood_of(0.95, sigma)
        assert gap == pytest.approx(0.3 * log(0.3 / 0.95) + 0.7 * log(0.7 / 0.05), abs=1e-6)
    assert likelihood_of(0.95, 0.01) > likelihood_of(0.3, 0.1)


@claim("W-24")
@pytest.mark.parametrize(("w", "sigma"), [(0.3, 0.5), (0.95, 0.5), (0.95, 0.01)])
def test_an_f_divergence_sees_nothing_of_it_in_cells_finer_than_the_model(w, sigma):
    cells = np.arange(-4, 4, sigma * 1e-3)
    width = cells[1] - cells[0]
    q = w * stats.norm.cdf(cells + width, -1, sigma) + (1 - w) * stats.norm.cdf(cells + width, 1, sigma)
    q = np.diff(q, prepend=w * stats.norm.cdf(cells[0], -1, sigma) + (1 - w) * stats.norm.cdf(cells[0], 1, sigma))
    p = np.zeros_like(q)
    p[np.searchsorted(cells, [-1, 1])] = 0.3, 0.7
    assert dv.js(p, q, normalize=True) == pytest.approx(LOG_2, abs=5e-3)
    assert dv.total_variation(p, q, normalize=True) == pytest.approx(1, abs=2e-3)


@claim("FIG-11")
def test_the_thinner_wrong_model_of_the_panels_has_the_highest_likelihood():
    values = [likelihood_of(*panel) for panel in ((0.3, 0.3), (0.95, 0.1), (0.95, 0.01))]
    assert values == pytest.approx([-0.326, -0.729, 1.574], abs=1e-3)
    assert values[2] > values[0] > values[1]


def climb(w, sigma, log_coordinate):
    """Gradient flow on the likelihood, with numerical derivatives; stops at sigma = 1e-4."""

    def value(u, s):
        return likelihood_of(1 / (1 + exp(-u)), s)

    def slope(_, y):
        u, s = y[0], exp(y[1]) if log_coordinate else max(y[1], 1e-7)  # a trial step may overshoot
        h = 1e-4
        up = (value(u, s * (1 + h)) - value(u, s * (1 - h))) / (2 * h)  # d / d log sigma
        return (value(u + h, s) - value(u - h, s)) / (2 * h), up if log_coordinate else up / s

    def stop(_, y):
        return (exp(y[1]) if log_coordinate else y[1]) - 1e-4

    stop.terminal = True
    path = integrate.solve_ivp(slope, (0, 60), (log(w / (1 - w)), log(sigma) if log_coordinate else sigma),
                               events=stop, rtol=1e-6, atol=1e-9)  # fmt: skip
    return 1 / (1 + np.exp(-path.y[0, -1])), path.t[-1]


@claim("JSD-09")
def test_the_coordinate_of_the_noise_decides_which_weights_a_flow_finds():
    for w in (0.1, 0.5, 0.7):
        stuck, time = climb(w, 0.5, False)
        assert abs(stuck - w) < 0.02
        assert time == pytest.approx(0.125, abs=0.005)  # sigma^2 falls by 2 t
        moved, later = climb(w, 0.5, True)
        assert abs(moved - 0.3) < 0.6 * abs(w - 0.3)
        assert later == pytest.approx(log(0.5 / 1e-4), abs=0.05)


@claim("JSD-09")
def test_em_finds_the_weights_in_its_first_rounds_and_then_has_no_noise_left():
    w, sigma, x, mass = 0.95, 0.5, np.array([-1.0, 1.0]), np.array([0.3, 0.7])
    for _ in range(2):
        bumps = np.stack([w * stats.norm.pdf(x, -1, sigma), (1 - w) * stats.norm.pdf(x, 1, sigma)])
        share = bumps / bumps.sum(0)
        w, sigma = share[0] @ mass, sqrt((share * np.stack([(x + 1) ** 2, (x - 1) ** 2]) * mass).sum())
    assert w == pytest.approx(0.3, abs=1e-6)
    assert sigma < 1e-20
