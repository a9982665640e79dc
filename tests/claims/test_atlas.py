"""The atlas, cell by cell: predicted rates against closed forms written here, and against runs of the methods."""

import math

import numpy as np
import pytest
from proofs import claims_of

import ganlab as gl
from ganlab import atlas

claim = claims_of("atlas")
H, BETA = 0.2, {"momentum +0.5": 0.5, "momentum -0.5": -0.5, "negative momentum, in turn": -0.5}

# By hand, at the critic's rest score t0: f2', f3', f1'' + f2'', f2'', f3''. Smoothing rests at sigma(t0) = 0.45.
DERIVATIVES = {
    "saturating": (-1 / 2, 1 / 2, -1 / 2, -1 / 4, 1 / 4),
    "nonsaturating": (-1 / 2, 1 / 2, -1 / 2, -1 / 4, -1 / 4),
    "wasserstein": (-1, 1, 0, 0, 0),
    "least_squares": (-1 / 2, 1 / 2, -2, -1, -1),
    "quadratic": (1, -1, -1, 0, 0),
    "hinge": (-1, 1, 0, 0, 0),
    "maximum_likelihood": (-1 / 2, 1, -1 / 2, -1 / 4, 1),
    "label_smoothing": (-0.45, 0.55, -0.495, -0.2475, -0.2475),
}
FRICTION = {"R1": 0.3, "R2": 0.3, "R1 + R2": 0.6, "R1 + consensus": 0.3}
NOISE, CONSENSUS = 0.7, 1.0
LINEAR = [name for name in atlas.RECIPES if name != "Adam"]
SMOOTH = [name for name in atlas.REMEDIES if name != "WGAN-GP"]

objective = pytest.mark.parametrize("objective", DERIVATIVES)
recipe = pytest.mark.parametrize("recipe", LINEAR)
remedy = pytest.mark.parametrize("remedy", SMOOTH)


def plain_jacobian(objective, remedy):
    """The derivative of the field at rest by hand, without the consensus term."""
    slope2, slope3, curvature = DERIVATIVES[objective][:3]
    friction = FRICTION.get(remedy, 0) - (NOISE**2 * curvature if remedy == "instance noise" else 0)
    return np.array([[0, -slope3], [-slope2, -friction]])


def jacobian(objective, remedy):
    J = plain_jacobian(objective, remedy)
    return J - CONSENSUS * J.T @ J if "consensus" in remedy else J


def largest_root(*coefficients):
    return max(abs(np.roots(coefficients)))


def oracle(objective, remedy, recipe, h=H):
    """The spectral radius from the closed form of each method, which is a polynomial or a product of matrices."""
    J, one = jacobian(objective, remedy), np.eye(2)
    if recipe in ("simultaneous", "extragradient", "optimistic", "momentum +0.5", "momentum -0.5"):
        return max(by_eigenvalue(recipe, h * value) for value in np.linalg.eigvals(J))
    if recipe.startswith("alternating"):
        generator, critic = one + h * np.diag([1, 0]) @ J, one + h * np.diag([0, 1]) @ J
        return max(abs(np.linalg.eigvals(np.linalg.matrix_power(critic, int(recipe[-1])) @ generator)))
    if recipe == "negative momentum, in turn":
        beta, square = BETA[recipe], [1, -(1 + BETA[recipe]), BETA[recipe]]
        generator, critic = ([1, square[1] - h * own, beta] for own in np.diag(J))
        return largest_root(*np.polysub(np.polymul(generator, critic), [h * h * J[0, 1] * J[1, 0], 0, 0, 0]))
    return max(abs(np.linalg.eigvals(one + h * unrolled(objective, remedy, J, int(recipe[-1]), h))))


def by_eigenvalue(recipe, x):
    """The largest multiplier that belongs to an eigenvalue, given step size times eigenvalue."""
    if recipe == "simultaneous":
        return abs(1 + x)
    if recipe == "extragradient":
        return abs(1 + x + x * x)
    if recipe == "optimistic":
        return largest_root(1, -(1 + 2 * x), x)
    return largest_root(1, -(1 + BETA[recipe] + x), BETA[recipe])


def unrolled(objective, remedy, J, K, eta):
    """The field whose generator meets psi_K = P psi + c S theta, and knows that psi_K moves with theta at the rate c S.

    The look-ahead sees the payoffs, not the consensus term, which acts on the generator's own row as it always does.
    """
    slope2, slope3, _, _, bend3 = DERIVATIVES[objective]
    own = plain_jacobian(objective, remedy)[1, 1]
    P, S = (1 + eta * own) ** K, eta * sum((1 + eta * own) ** j for j in range(K))
    c = -slope2
    spread = (
        bend3 * NOISE**2 if remedy == "instance noise" else 0
    )  # E (theta + n) f3'(t0 - psi (theta + n)), second order
    ahead = np.array([-slope3 * c * S - slope3 * c * S + spread * (c * S) ** 2, -slope3 * P + spread * P * c * S])
    correction = J[0] - plain_jacobian(objective, remedy)[0]
    return np.array([ahead + correction, J[1]])


@objective
def test_the_derivatives_by_hand_are_those_of_the_losses(objective):
    """Central differences of the package's own three functions at the score where f1' + f2' vanishes."""
    row, step = gl.OBJECTIVES[objective], 1e-4
    rest = {"least_squares": 0.5, "quadratic": 1.0, "label_smoothing": math.log(0.45 / 0.55)}.get(objective, 0.0)

    def first(f):
        return (f(rest + step) - f(rest - step)) / (2 * step)

    def second(f):
        return (f(rest + step) - 2 * f(rest) + f(rest - step)) / step**2

    found = first(row.f2), first(row.f3), second(row.f1) + second(row.f2), second(row.f2), second(row.f3)
    assert first(row.f1) + first(row.f2) == pytest.approx(0, abs=1e-7)
    assert found == pytest.approx(DERIVATIVES[objective], abs=1e-6)


@claim("ATLAS-01")
@remedy
@recipe
@objective
def test_the_predicted_rate_is_the_closed_form_and_the_measured_one(objective, remedy, recipe):
    """Both to 1e-5 of the rate.

    The prediction is exact but for unrolling, whose row is a difference quotient (error 1e-12), and a double multiplier
    turns an error e into its root. The measurement starts at 1e-100, or with noise at 1e-4, where the neglected second
    order is 1e-8; over 30 steps the same root and a rounding of 1e-17 leave less than 1e-6.
    """
    cell = atlas.cell(objective, remedy, recipe)
    assert cell.predicted == pytest.approx(oracle(objective, remedy, recipe), rel=1e-6)
    assert cell.measured == pytest.approx(cell.predicted, rel=1e-5)
    assert cell.kind == (
        "marginal" if abs(cell.predicted - 1) < 1e-9 else "stable" if cell.predicted < 1 else "unstable"
    )


@claim("ATLAS-01")
def test_the_slope_of_one_plain_run_is_the_rate_too():
    """The measurement without theory: the logarithmic radius of 2000 steps, fitted by a line (wobble/steps < 1e-3)."""
    for remedy, recipe in [("R1", "simultaneous"), ("consensus", "optimistic"), ("none", "extragradient")]:
        method, options = atlas.RECIPES[recipe]
        game = gl.dirac_gan("saturating", *atlas.REMEDIES[remedy])
        radius = gl.simulate(game, (1e-100, 0), method, H, 2000, **options).radius
        slope = np.polyfit(np.arange(2001), np.log(radius), 1)[0]
        assert math.exp(slope) == pytest.approx(oracle("saturating", remedy, recipe), rel=1e-3)


@claim("ATLAS-01")
def test_the_atlas_has_792_cells_and_640_of_them_a_linearisation():
    cells = len(gl.OBJECTIVES) * len(atlas.REMEDIES) * len(atlas.RECIPES)
    assert set(gl.OBJECTIVES) == set(DERIVATIVES)
    assert (cells, len(DERIVATIVES) * len(SMOOTH) * len(LINEAR)) == (792, 640)


@claim("ATLAS-02")
@objective
def test_without_a_remedy_every_objective_is_a_rotation(objective):
    slope2, slope3 = DERIVATIVES[objective][:2]
    values = gl.eigenvalues(gl.dirac_gan(objective))
    assert values.real == pytest.approx([0, 0], abs=1e-12)
    assert np.abs(values.imag) == pytest.approx(2 * [math.sqrt(-slope2 * slope3)])


@claim("ATLAS-02")
@recipe
@objective
def test_without_a_remedy_only_step_times_frequency_counts(objective, recipe):
    """The same multipliers as the Wasserstein loss, whose frequency is 1, at the step that is scaled to it."""
    method, options = atlas.RECIPES[recipe]
    slope2, slope3 = DERIVATIVES[objective][:2]
    frequency = math.sqrt(-slope2 * slope3)
    mine = gl.multipliers(gl.dirac_gan(objective), method, 0.3 / frequency, **options)
    other = gl.multipliers(gl.dirac_gan("wasserstein"), method, 0.3, **options)
    assert np.poly(mine) == pytest.approx(np.poly(other), abs=1e-9)


@claim("ATLAS-03")
@pytest.mark.parametrize("beta", [-0.95, -0.5, 0.0, 0.5, 0.95])
def test_simultaneous_steps_are_unstable_whatever_the_momentum_and_the_step(beta):
    """Schur and Cohn: the roots of m^2 + a m + beta lie inside iff |a - conj(a) beta| < 1 - beta^2; here never."""
    for alpha in np.geomspace(1e-3, 10, 30):
        a = -(1 + beta + 1j * alpha)
        assert abs(a - a.conjugate() * beta) > 1 - beta**2
        step = alpha / 0.5
        assert gl.spectral_radius(gl.dirac_gan(), "momentum", step, beta=beta) == pytest.approx(
            largest_root(1, a, beta)
        )
        assert gl.spectral_radius(gl.dirac_gan(), "momentum", step, beta=beta) > 1


@claim("ATLAS-03")
@pytest.mark.parametrize("n_d", [1, 5])
def test_without_friction_alternating_steps_are_marginal_at_best(n_d):
    """The multipliers solve m^2 - (2 - n_d alpha^2) m + 1 = 0: on the circle up to sqrt(n_d) alpha = 2, then out."""
    for alpha, marginal in [
        (0.01, True),
        (1.0 / n_d, True),
        (1.99 / math.sqrt(n_d), True),
        (2.01 / math.sqrt(n_d), False),
    ]:
        radius = gl.spectral_radius(gl.dirac_gan("wasserstein"), "alternating", alpha, n_d=n_d)
        assert radius == pytest.approx(largest_root(1, -(2 - n_d * alpha**2), 1), rel=1e-9)
        assert (radius < 1 + 1e-9) == marginal
    assert gl.largest_stable_step(gl.dirac_gan("wasserstein"), "alternating", n_d=n_d) == 0


@claim("ATLAS-03")
@pytest.mark.parametrize(
    ("recipe", "limit"),
    [
        ("extragradient", 1),
        ("optimistic", 1 / math.sqrt(3)),
        ("unrolled, K=1", 2 / math.sqrt(3)),
        ("unrolled, K=5", 2 / math.sqrt(19)),
        ("negative momentum, in turn", 1),
    ],
)
@pytest.mark.parametrize(("objective", "frequency"), [("wasserstein", 1), ("saturating", 0.5)])
def test_each_way_of_looking_ahead_has_its_longest_stable_step(objective, frequency, recipe, limit):
    method, options = atlas.RECIPES[recipe]
    game = gl.dirac_gan(objective)
    assert gl.largest_stable_step(game, method, **options) == pytest.approx(limit / frequency, rel=1e-6)
    assert oracle(objective, "none", recipe, 0.999 * limit / frequency) < 1
    assert oracle(objective, "none", recipe, 1.001 * limit / frequency) > 1


@claim("ATLAS-04")
@objective
def test_r1_and_r2_are_the_same_remedy_here(objective):
    paths = [
        gl.simulate(gl.dirac_gan(objective, remedy), (0.7, -0.4), steps=50).states
        for remedy in (gl.R1(0.3), gl.R2(0.3))
    ]
    assert np.array_equal(*paths)
    one, other = (
        gl.simulate(gl.dirac_gan(objective, r(0.3), curvature=0.5), (0.7, -0.4), steps=50).states
        for r in (gl.R1, gl.R2)
    )
    assert not np.allclose(one, other), "with a bent critic they differ, so the sameness is the straight line's"


@claim("ATLAS-04")
@pytest.mark.parametrize("gamma", [0.05, 0.3, 0.999, 1.5, 3.0])
@objective
def test_r1_is_stable_up_to_the_step_that_is_known(objective, gamma):
    slope2, slope3 = DERIVATIVES[objective][:2]
    square = -slope2 * slope3
    limit = gamma / square if gamma < 2 * math.sqrt(square) else 4 / (gamma + math.sqrt(gamma**2 - 4 * square))
    game = gl.dirac_gan(objective, gl.R1(gamma))
    assert gl.largest_stable_step(game) == pytest.approx(limit)
    roots = [largest_root(1, h * gamma - 2, 1 - h * gamma + h * h * square) for h in (0.999 * limit, 1.001 * limit)]
    assert roots[0] < 1 < roots[1]


@claim("ATLAS-05")
@pytest.mark.parametrize("sigma", [0.3, 0.7, 1.5])
@objective
def test_noise_is_friction_where_the_critics_loss_is_curved(objective, sigma):
    slope2, slope3, curvature = DERIVATIVES[objective][:3]
    game = gl.dirac_gan(objective, gl.InstanceNoise(sigma))
    by_hand = [[0, -slope3], [-slope2, sigma**2 * curvature]]
    assert gl.jacobian(game) == pytest.approx(np.array(by_hand), abs=1e-12)
    assert gl.numeric_jacobian(game, step=1e-3) == pytest.approx(np.array(by_hand), abs=1e-4)
    assert gl.verdict(game).stable == (objective not in ("wasserstein", "hinge"))


@claim("ATLAS-06")
@recipe
def test_clipping_changes_no_multiplier(recipe):
    method, options = atlas.RECIPES[recipe]
    for objective in DERIVATIVES:
        free, clipped = (
            gl.multipliers(gl.dirac_gan(objective, *r), method, H, **options) for r in ((), (gl.Clip(1.0),))
        )
        assert np.array_equal(free, clipped)


@claim("ATLAS-06")
def test_clipping_turns_growth_into_an_orbit_along_the_wall():
    free, clipped = (
        gl.simulate(gl.dirac_gan("wasserstein", *r), (0.1, 0), lr=H, steps=800) for r in ((), (gl.Clip(1.0),))
    )
    assert free.radius[-1] == pytest.approx(0.1 * (1 + H**2) ** 400)
    late = clipped.states[-200:]
    assert np.max(np.abs(late[:, 1])) == 1.0
    assert 0.9 < np.max(np.linalg.norm(late, axis=1)) < 2


def drift(objective, n_d, steps=32000):
    """Relative change of the claim's energy, at its largest, between the first turns and the last eighth of a run."""
    slope2, slope3 = DERIVATIVES[objective][:2]
    states = gl.simulate(gl.dirac_gan(objective), (0.2, 0.2), "alternating", H, steps, n_d=n_d).states
    energy = abs(slope2) * states[:, 0] ** 2 + abs(slope3) * states[:, 1] ** 2
    return np.max(energy[-steps // 8 :]) / np.max(energy[:200]) - 1


@claim("ATLAS-07")
@objective
def test_one_number_decides_where_the_flow_drifts(objective):
    """The energy's rate on a small orbit is c (theta psi)^2, to a third order that a small start makes small."""
    slope2, slope3, _, bend2, bend3 = DERIVATIVES[objective]
    c, size = slope3 * bend2 - slope2 * bend3, 1e-2
    theta, psi = size * np.cos(np.linspace(0.1, 6, 12)), size * np.sin(np.linspace(0.1, 6, 12))
    v = gl.dirac_gan(objective).field(theta, psi)
    rate = -slope2 * theta * v[0] + slope3 * psi * v[1]
    assert rate == pytest.approx(c * (theta * psi) ** 2, abs=5 * size**6)


@claim("ATLAS-07")
@pytest.mark.parametrize("n_d", [1, 5])
@objective
def test_marginal_alternating_steps_drift_as_the_number_says(objective, n_d):
    slope2, slope3, _, bend2, bend3 = DERIVATIVES[objective]
    c = (slope3 * bend2 - slope2 * bend3) * np.sign(slope3)
    change = drift(objective, n_d)
    if c < 0:
        assert change < -0.5
    elif c > 0:
        assert change > 1
    else:
        assert abs(change) < 0.1


@claim("ATLAS-07")
@pytest.mark.parametrize(
    ("remedy", "objectives"), [("clipping", DERIVATIVES), ("instance noise", ("wasserstein", "hinge"))]
)
def test_the_other_marginal_cells_are_the_same_runs(remedy, objectives):
    """Inside the box a clip does nothing, and noise averages a straight line to itself: 20 more marginal cells."""
    for objective in objectives:
        for n_d in (1, 5):
            games = gl.dirac_gan(objective), gl.dirac_gan(objective, *atlas.REMEDIES[remedy])
            plain, other = (gl.simulate(g, (0.05, 0.05), "alternating", H, 400, n_d=n_d).states for g in games)
            assert other == pytest.approx(plain, abs=1e-12)


@claim("ATLAS-08")
@pytest.mark.parametrize("recipe", atlas.RECIPES)
@objective
def test_no_method_arrives_with_the_gradient_penalty(objective, recipe):
    cell = atlas.cell(objective, "WGAN-GP", recipe)
    assert (cell.kind, cell.differentiable) == ("jumps", False)
    assert cell.fate() in ("orbit", "stuck", "away")


@claim("ATLAS-08")
def test_the_penalised_field_jumps_where_the_critic_is_flat():
    field = gl.dirac_gan("wasserstein", gl.GradientPenalty(0.7)).field
    above, below = (field(0.0, psi)[1] for psi in (1e-12, -1e-12))
    assert (above, below) == pytest.approx((0.7, -0.7))


@claim("ATLAS-08")
def test_a_stuck_run_stands_where_the_critic_is_flat_and_the_generator_wrong():
    """At psi = 0 the critic is pushed from both sides by gamma = 0.7 and pulled by |f2'| theta = theta / 2 at most."""
    end = gl.simulate(gl.dirac_gan("nonsaturating", gl.GradientPenalty(0.7)), (1, 1), lr=H, steps=4000).last
    assert abs(end[0]) > 0.5
    assert abs(end[1]) < H


@claim("ATLAS-09")
@pytest.mark.parametrize("factor", [2.0**-4, 2.0**-8])
def test_adam_on_a_linear_field_scales_with_its_step(factor):
    """Powers of two scale floats exactly, and an epsilon of 1e-300 is none; so the two runs agree to the last bit."""
    game, start = gl.dirac_gan("wasserstein", gl.R1(0.3)), np.array([0.3, -0.2])
    whole = gl.simulate(game, start, "adam", H, 500, eps=1e-300).states
    small = gl.simulate(game, factor * start, "adam", factor * H, 500, eps=1e-300).states
    assert np.array_equal(small, factor * whole)


@claim("ATLAS-09")
@objective
def test_adam_circles_where_r1_makes_plain_steps_converge(objective):
    """A quarter of the step, a quarter of the orbit; simultaneous steps come to rest."""
    game = gl.dirac_gan(objective, gl.R1(0.3))
    far = [adams_orbit(game, lr) for lr in (0.004, 0.001)]
    assert min(far) > 2
    assert far[0] == pytest.approx(far[1], rel=0.1)
    assert gl.simulate(game, (0.1, 0.1), lr=H, steps=3000).radius[-1] < 1e-6


def adams_orbit(game, lr, steps=8000):
    """The farthest radius of the last quarter of a run that starts 28 steps away, in steps."""
    return np.max(gl.simulate(game, (20 * lr, 20 * lr), "adam", lr, steps).radius[-steps // 4 :]) / lr


@claim("ATLAS-09")
def test_adams_orbit_with_r1_is_seven_steps_wide():
    game = gl.dirac_gan("saturating", gl.R1(0.3))
    assert [adams_orbit(game, lr, 40000) for lr in (0.01, 0.002)] == pytest.approx([7.4, 7.4], abs=0.05)


@claim("ATLAS-09")
def test_some_of_adams_words_change_with_the_last_digits_of_the_start():
    """The page warns that Adam's rows are not robust; plain steps with R1 have one fate."""
    nudges = np.random.default_rng(0).uniform(-1e-8, 1e-8, (8, 2))
    fragile = [
        atlas.cell(*place, "Adam") for place in (("least_squares", "WGAN-GP"), ("maximum_likelihood", "consensus"))
    ]
    assert any(len({cell.fate(1 + nudge) for nudge in nudges}) > 1 for cell in fragile)
    plain = atlas.cell("saturating", "R1", "simultaneous")
    assert {plain.fate(1 + nudge) for nudge in nudges} == {"rest"}


# The stable cells whose run from (1, 1) does not arrive; the rest of the 534 do. The outcomes are stable under a
# change of the start by 1e-8.
LOCAL_ONLY = {
    ("maximum_likelihood", "none"): {"extragradient", "optimistic", "negative momentum, in turn", "unrolled, K=1"},
    ("maximum_likelihood", "clipping"): {"extragradient", "optimistic", "negative momentum, in turn"},
    ("maximum_likelihood", "instance noise"): {"simultaneous"},
    ("maximum_likelihood", "consensus"): {*LINEAR},
    ("saturating", "consensus"): {"alternating 1:5"},
    ("least_squares", "R1 + consensus"): {"extragradient", "optimistic"},
}


@claim("ATLAS-10")
@remedy
@objective
def test_stable_cells_arrive_from_one_one_but_for_twenty_one(objective, remedy):
    cells = [atlas.cell(objective, remedy, recipe) for recipe in LINEAR]
    lost = {c.recipe for c in cells if c.kind == "stable" and c.fate() != "rest"}
    assert lost == LOCAL_ONLY.get((objective, remedy), set())


@claim("ATLAS-10")
def test_of_the_534_stable_cells_twenty_one_are_local_promises():
    kinds = [oracle(o, r, m) < 1 - 1e-9 for o in DERIVATIVES for r in SMOOTH for m in LINEAR]
    assert (sum(kinds), sum(map(len, LOCAL_ONLY.values()))) == (534, 21)


@claim("ATLAS-10")
def test_the_fast_cell_runs_off_along_the_flat_axis():
    game = gl.dirac_gan("saturating", gl.Consensus(1.0))
    assert oracle("saturating", "consensus", "alternating 1:5") == pytest.approx(0.857, abs=5e-4)
    near, far = (gl.simulate(game, (s, s), "alternating", H, 4000, n_d=5) for s in (0.5, 1.0))
    assert near.radius[-1] < 1e-9
    theta, psi = far.last
    assert psi > 15
    assert abs(theta) < 0.5
    assert np.linalg.norm(game.field(theta, psi)) < 0.1
