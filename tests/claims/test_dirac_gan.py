"""The claims of the Dirac-GAN page. Oracles: bare loops, SymPy, autograd, SciPy, the printed end states of 2018."""

from math import exp, pi, sqrt

import numpy as np
import pytest
import sympy as sp
from proofs import claims_of
from scipy.integrate import quad, solve_ivp
from scipy.special import i0

import ganlab as gl

claim = claims_of("dirac-gan")

PAGE = "dirac-gan"
H, STEPS, START = 0.2, 500, (1.0, 1.0)  # the settings of Mescheder et al. 2018
EIGEN = 0.5j * np.array([-1, 1])
A0 = np.array([[0.0, -0.5], [0.5, 0.0]])


# ---------------------------------------------------------------- the oracle: fields written by hand, and a bare loop


def slope(x):
    """f'(x) for f(t) = -log(1 + exp(-t))."""
    return 1 / (1 + exp(x)) if x < 700 else 0.0


def gan(theta, psi):
    return -slope(theta * psi) * psi, slope(theta * psi) * theta


def nsgan(theta, psi):
    return -slope(-theta * psi) * psi, slope(theta * psi) * theta


def wgan(theta, psi):
    return -psi, theta


def wgan_gp(gamma):
    return lambda theta, psi: (-psi, theta - gamma * np.sign(psi) * (abs(psi) - 1))


def with_r1(field, gamma):
    def penalised(theta, psi):
        a, b = field(theta, psi)
        return a, b - gamma * psi

    return penalised


def noisy(sigma, nodes=80):
    x, w = np.polynomial.hermite.hermgauss(nodes)
    n, w = sqrt(2) * sigma * x, w / sqrt(pi)

    def field(theta, psi):
        fake, real = 1 / (1 + np.exp(psi * (theta + n))), 1 / (1 + np.exp(-psi * n))
        return -psi * float(w @ fake), float(w @ (fake * (theta + n) - real * n))

    return field


def consensus(gamma, factor=1.0):
    """v - gamma grad |v|^2 / 2, with |v|^2 = f'^2 r^2; the published code has `factor` 1/2 on the second-order term."""

    def field(theta, psi):
        s, r2 = slope(theta * psi), theta**2 + psi**2
        bend = factor * s * (-s * (1 - s)) * r2
        return -s * psi - gamma * (s**2 * theta + bend * psi), s * theta - gamma * (s**2 * psi + bend * theta)

    return field


def loop(field, h=H, steps=STEPS, start=START, n_d=None, clip=None):
    """The path of simultaneous steps, or of turns (the generator first) when `n_d` is given."""
    theta, psi = start
    path = [(theta, psi)]
    for _ in range(steps):
        if n_d is None:
            a, b = field(theta, psi)
            theta, psi = theta + h * a, psi + h * b
        else:
            theta = theta + h * field(theta, psi)[0]
        for _ in range(n_d or 0):
            psi = psi + h * field(theta, psi)[1]
            psi = psi if clip is None else min(max(psi, -clip), clip)
        psi = psi if clip is None else min(max(psi, -clip), clip)
        path.append((theta, psi))
    return np.array(path)


def solved(field, start, times, **options):
    """SciPy's solution of the hand-written field."""
    how = {"method": "DOP853", "rtol": 1e-11, "atol": 1e-13} | options
    return solve_ivp(lambda t, z: field(*z), (0, times[-1]), start, t_eval=times, **how).y.T


def autograd_jacobian(field, at):
    """The Jacobian of a torch function of a vector."""
    torch = pytest.importorskip("torch")
    return torch.autograd.functional.jacobian(field, torch.tensor(at, dtype=torch.float64)).numpy()


def radii(path):
    return np.hypot(*path.T)


def envelope_rate(path, after=0.3):
    """Decay rate of a spiral from the envelope of its radius."""
    peaks = np.maximum.accumulate(path.radius[::-1])[::-1]
    late = path.times > after * path.times[-1]
    return -np.polyfit(path.times[late], np.log(peaks[late]), 1)[0]


def bisect_step(matrix, low=0.0, high=50.0):
    """The largest h with the spectral radius of I + h A below 1, knowing no formula."""
    for _ in range(80):
        middle = (low + high) / 2
        inside = np.abs(np.linalg.eigvals(np.eye(len(matrix)) + middle * matrix)).max() < 1
        low, high = (middle, high) if inside else (low, middle)
    return low


def ring_of_starts(n=20, seed=0):
    rng = np.random.default_rng(seed)
    r, angle = rng.uniform(0.5, 2, n), rng.uniform(0, 2 * pi, n)
    return np.column_stack([r * np.cos(angle), r * np.sin(angle)])


GAMES = {
    "GAN": (gl.dirac_gan("saturating"), gan, None),
    "NSGAN": (gl.dirac_gan("nonsaturating"), nsgan, None),
    "WGAN": (gl.dirac_gan("wasserstein", gl.Clip(1)), wgan, 1.0),
    "WGAN-GP": (gl.dirac_gan("wasserstein", gl.GradientPenalty(0.7, target=1)), wgan_gp(0.7), None),
    "R1 0.3": (gl.dirac_gan("saturating", gl.R1(0.3)), with_r1(gan, 0.3), None),
    "R1 1.0": (gl.dirac_gan("saturating", gl.R1(1.0)), with_r1(gan, 1.0), None),
    "noise": (gl.dirac_gan("saturating", gl.InstanceNoise(0.7)), noisy(0.7), None),
    "consensus": (gl.dirac_gan("saturating", gl.Consensus(1.0)), consensus(1.0), None),
    "NSGAN R1": (gl.dirac_gan("nonsaturating", gl.R1(0.3)), with_r1(nsgan, 0.3), None),
}
SADDLE, REMEDIES = GAMES["GAN"][0], ("R1 0.3", "R1 1.0", "noise", "consensus", "NSGAN R1")


def run(name, n_d=None, **how):
    how = {"lr": H, "steps": STEPS} | how
    method = {"method": "simultaneous"} if n_d is None else {"method": "alternating", "n_d": n_d}
    return gl.simulate(GAMES[name][0], START, **method, **how)


# ---------------------------------------------------------------- the end states of the figures of 2018

# (game, critic steps or None for simultaneous, the printed end state or radius, its last digit)
PRINTED = [
    ("GAN", None, (-2.161611, -2.217775), 1e-6), ("GAN", None, 3.096949, 1e-6),
    ("NSGAN", None, (0.548337, 0.330441), 1e-6), ("NSGAN", None, 0.640207, 1e-6),
    ("WGAN", None, (-0.065641, 1.0), 1e-6),
    ("WGAN-GP", None, (-0.180849, -1.792694), 1e-6), ("WGAN-GP", None, 1.801793, 1e-6),
    ("R1 0.3", None, 3e-6, 1e-6), ("noise", None, 5.7e-5, 1e-6),
    ("GAN", 1, 1.421019, 1e-6), ("NSGAN", 1, 0.283923, 1e-6), ("WGAN", 1, 1.024119, 1e-6),
    ("GAN", 5, 1.84527, 1e-5), ("NSGAN", 5, 0.138877, 1e-6), ("WGAN", 5, 0.916885, 1e-6),
    ("WGAN-GP", 1, 1.221067, 1e-6), ("WGAN-GP", 5, 0.716301, 1e-6),
    ("consensus", 5, 10.97, 1e-2),
]  # fmt: skip
PRINTED_CLAIMS = {
    "GAN": ("D-14", "D-17"), "NSGAN": ("D-29",), "WGAN": ("D-23",), "WGAN-GP": ("D-27",),
    "R1 0.3": ("D-28",), "noise": ("D-20", "D-22"), "consensus": ("D-30",),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "n_d", "printed", "digit"),
    [pytest.param(*row, marks=[pytest.mark.claim(c, page=PAGE) for c in PRINTED_CLAIMS[row[0]]],
                  id=f"{row[0]}, {row[1] or 'simultaneous'}, {np.ndim(row[2])}") for row in PRINTED])  # fmt: skip
def test_the_end_states_of_2018_are_reproduced_to_the_printed_digits(name, n_d, printed, digit):
    path = run(name, n_d)
    found = path.last if np.ndim(printed) else path.radius[-1]
    np.testing.assert_allclose(found, printed, rtol=0, atol=0.5001 * digit)


@claim("FIG-12")
@pytest.mark.parametrize("n_d", [None, 1, 5])
@pytest.mark.parametrize("name", [name for name in GAMES if name != "noise"])
def test_every_run_of_the_figures_is_the_bare_loop(name, n_d):
    _, field, clip = GAMES[name]
    bare = loop(field, n_d=n_d, clip=clip)
    np.testing.assert_allclose(run(name, n_d).states, bare, rtol=1e-8, atol=1e-10)


@claim("FIG-12")
def test_the_five_panels_show_scheme_spiral_oval_inward_spiral_and_a_squeezed_orbit():
    scheme = gl.dirac_gan("wasserstein")
    theta, psi = scheme.symbols
    scores = [float(scheme.payoffs[0].subs({theta: x, psi: 0.6})) for x in (0.0, 1.0, 2.0)]
    np.testing.assert_allclose(scores, [0.0, -0.6, -1.2])  # a line through the data, whose positive side is fake
    spiral, oval, inward = (r.radius for r in (run("GAN"), run("GAN", 1), run("noise")))
    assert np.all(np.diff(spiral) > 0)
    assert 1.3 < oval.min() < oval.max() < 1.45
    np.testing.assert_allclose(inward[::25], radii(loop(noisy(0.7)))[::25], rtol=1e-6)
    assert inward[-1] < 1e-4
    squeezed = np.abs(run("WGAN", 5).states[250:]).max(axis=0)
    assert squeezed[0] == pytest.approx(1 / sqrt(5), rel=0.01)
    assert squeezed[1] == pytest.approx(1.0, abs=0.02)


# ---------------------------------------------------------------- failure, and the game itself


@claim("D-01")
@pytest.mark.parametrize("n_d", [None, 1, 5])
def test_no_unregularised_game_arrives_from_twenty_starts_and_the_penalised_one_always_does(n_d):
    starts = ring_of_starts()
    method = {"method": "simultaneous"} if n_d is None else {"method": "alternating", "n_d": n_d}
    for name in ("GAN", "NSGAN", "WGAN", "WGAN-GP"):
        assert gl.simulate(GAMES[name][0], starts, lr=H, steps=STEPS, **method).radius[-1].min() > 0.05, name
    assert gl.simulate(GAMES["R1 0.3"][0], starts, lr=H, steps=STEPS, **method).radius[-1].max() < 0.01


@claim("D-02")
@pytest.mark.parametrize(
    ("name", "matrix"),
    [("R1 0.3", [[0, -0.5], [0.5, -0.3]]), ("noise", [[0, -0.5], [0.5, -0.245]]), ("consensus", A0 - A0.T @ A0)],
)
def test_the_largest_real_part_of_the_jacobian_is_the_measured_rate(name, matrix):
    game = GAMES[name][0]
    rate = -np.linalg.eigvals(np.array(matrix)).real.max()
    np.testing.assert_allclose(gl.jacobian(game), matrix, atol=1e-12)
    assert envelope_rate(gl.flow(game, (0.01, 0), T=60, points=1201)) == pytest.approx(rate, rel=0.03)


@claim("D-03", "D-11")
def test_a_simultaneous_step_follows_the_autograd_of_the_objective():
    torch = pytest.importorskip("torch")
    rng, f = np.random.default_rng(1), torch.nn.functional.logsigmoid
    for start in rng.uniform(-3, 3, (20, 2)):
        theta, psi = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in start)
        loss = f(theta * psi) + f(torch.zeros(()))
        down, up = torch.autograd.grad(loss, (theta, psi))
        v = np.array([-down.item(), up.item()])
        np.testing.assert_allclose(gl.simulate(SADDLE, start, lr=0.3, steps=1).last, start + 0.3 * v, rtol=1e-13)
        assert v @ start == pytest.approx(0, abs=1e-14)  # across the radius
        assert np.linalg.norm(v) == pytest.approx(slope(start.prod()) * np.linalg.norm(start))


@claim("D-11")
def test_the_slope_at_zero_is_a_half_and_the_curvature_minus_a_quarter():
    t, theta, psi = sp.symbols("t theta psi", real=True)
    f = -sp.log(1 + sp.exp(-t))
    assert f.diff(t).subs(t, 0) == sp.Rational(1, 2)
    assert f.diff(t, 2).subs(t, 0) == -sp.Rational(1, 4)
    loss = f.subs(t, theta * psi)
    rows = sp.lambdify((theta, psi), (-loss.diff(theta), loss.diff(psi)))
    for at in ((0.3, -1.2), (2.0, 1.5), (-0.7, -0.4)):
        np.testing.assert_allclose(SADDLE.field(*at), rows(*at), rtol=1e-12)


@claim("D-04")
def test_taking_turns_is_a_composition_whose_order_matters_for_the_path_but_not_for_the_multipliers():
    first = gl.simulate(SADDLE, START, "alternating", lr=H, steps=1, n_d=2).last
    theta = 1 - H * slope(1.0)
    psi = 1 + H * slope(theta) * theta
    np.testing.assert_allclose(first, (theta, psi + H * slope(theta * psi) * theta), rtol=1e-13)
    other = gl.simulate(SADDLE, START, "alternating", lr=H, steps=1, n_d=2, first="discriminator").last
    assert np.abs(first - other).max() > 1e-3
    G, D = np.eye(2) + H * np.array([[0, -0.5], [0, 0]]), np.eye(2) + H * np.array([[0, 0], [0.5, 0]])
    for order, product in (("generator", D @ D @ G), ("discriminator", G @ D @ D)):
        found = gl.multipliers(SADDLE, "alternating", lr=H, n_d=2, first=order)
        np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(np.linalg.eigvals(product)), atol=1e-12)
    both = [gl.multipliers(SADDLE, "alternating", lr=H, n_d=2, first=order) for order in ("generator", "discriminator")]
    np.testing.assert_allclose(*both, atol=1e-12)


@claim("D-05")
def test_a_higher_order_solver_follows_the_flow_and_euler_does_not():
    exact = solved(gan, START, [0, 10.0])[-1]
    ends = [gl.simulate(SADDLE, START, "rk4", lr=h, steps=round(10 / h)).last for h in (0.05, 0.025)]
    coarse, fine = (np.linalg.norm(end - exact) for end in ends)
    assert np.log2(coarse / fine) == pytest.approx(4, abs=0.15)
    assert gl.simulate(SADDLE, START, "rk4", lr=H, steps=STEPS).radius[-1] == pytest.approx(sqrt(2), abs=1e-3)
    assert run("GAN").radius[-1] > 3
    np.testing.assert_allclose(gl.flow(SADDLE, START, T=10).last, exact, atol=1e-8)


@claim("D-10")
@pytest.mark.parametrize("name", sorted(gl.OBJECTIVES))
def test_the_field_is_the_gradient_of_the_objective_on_two_points_and_a_line(name):
    torch = pytest.importorskip("torch")
    objective = gl.OBJECTIVES[name]
    game = gl.dirac_gan(name)
    bias = float(sp.N(gl.objectives.rest_score(objective).score))
    for start in np.random.default_rng(2).uniform(-1.7, 1.7, (8, 2)):
        theta, psi = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in start)
        real, fake = bias - psi * 0.0, bias - psi * theta  # D_psi(x) = psi x is positive for fakes, t for data
        up = torch.autograd.grad(objective.f1(real) + objective.f2(fake), psi, retain_graph=True)[0]
        across = torch.autograd.grad(objective.f3(fake), theta)[0]
        found = [float(v) for v in game.field(*start)]
        np.testing.assert_allclose(found, [across.item(), up.item()], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose([float(v) for v in game.rest], [0, 0])
    np.testing.assert_allclose([float(v) for v in game.field(0.0, 0.0)], [0, 0], atol=1e-12)


@claim("D-12")
def test_the_origin_is_the_only_nash_equilibrium_and_its_eigenvalues_are_imaginary():
    def L(theta, psi):
        return -np.logaddexp(0, -theta * psi) - np.log(2)

    moves = np.linspace(-5, 5, 101)
    assert np.all(-L(moves, 0.0) <= -L(0.0, 0.0))  # the generator gains nothing by moving alone
    assert np.all(L(0.0, moves) <= L(0.0, 0.0))  # nor does the critic
    for theta, psi in np.random.default_rng(3).uniform(-2, 2, (20, 2)):
        near = np.linspace(-0.1, 0.1, 3)
        assert (-L(theta + near, psi)).max() > -L(theta, psi) or L(theta, psi + near).max() > L(theta, psi)
    np.testing.assert_allclose(gl.jacobian(SADDLE), A0)
    np.testing.assert_allclose(gl.eigenvalues(SADDLE), EIGEN, atol=1e-12)
    assert gl.symbolic_eigenvalues(SADDLE) == (-sp.I / 2, sp.I / 2)
    assert not gl.verdict(SADDLE).stable  # the sufficient condition fails
    # the source's sentence gives "psi = 0" for both: neither the whole line psi = 0 rests, nor are the eigenvalues 0
    assert np.linalg.norm(SADDLE.field(1.0, 0.0)) > 0.4
    assert np.abs(gl.eigenvalues(SADDLE)).min() > 0.4


@claim("D-07", "D-08")
def test_multipliers_are_one_plus_h_times_the_eigenvalues_of_an_asymmetric_jacobian():
    torch = pytest.importorskip("torch")

    def field(z):
        x = z[0] * z[1]
        return torch.stack([-torch.sigmoid(-x) * z[1], torch.sigmoid(-x) * z[0] - 0.3 * z[1]])

    J = autograd_jacobian(field, [0.0, 0.0])
    np.testing.assert_allclose(J, gl.jacobian(GAMES["R1 0.3"][0]), atol=1e-14)
    assert np.abs(J - J.T).max() > 0.5
    assert np.abs(np.linalg.eigvals(J).imag).min() > 0.1
    for h in (0.05, 0.2, 1.5):
        step = autograd_jacobian(lambda z, h=h: z + h * field(z), [0.0, 0.0])
        found = np.sort_complex(gl.multipliers(GAMES["R1 0.3"][0], "simultaneous", lr=h))
        np.testing.assert_allclose(found, np.sort_complex(np.linalg.eigvals(step)), atol=1e-12)
        np.testing.assert_allclose(found, np.sort_complex(1 + h * np.linalg.eigvals(J)), atol=1e-12)
    still = gl.simulate(SADDLE, (0, 0), lr=0.7, steps=3).last
    np.testing.assert_array_equal(still, 0)  # zeros of v are the fixed points
    assert np.all(np.abs(gl.simulate(SADDLE, (0.4, -0.9), lr=0.7, steps=1).last - (0.4, -0.9)) > 0.01)


@claim("D-08")
def test_a_field_that_descends_one_loss_cannot_turn_and_a_game_can():
    rng = np.random.default_rng(4)
    for _ in range(10):
        B = rng.normal(size=(2, 2))
        assert np.isrealobj(np.linalg.eigvals(-(B + B.T)))  # the Jacobian of minus a gradient is symmetric
    assert np.abs(gl.eigenvalues(gl.bilinear(2.0)).imag).min() == pytest.approx(2.0)


# ---------------------------------------------------------------- fixed points and steps


@claim("D-06")
def test_a_jordan_block_beats_the_clean_rate_by_a_factor_k_but_not_the_rate_plus_epsilon():
    h, lam = 0.05, 0.9
    game = gl.pointwise("saturating", p_d=0.5)
    np.testing.assert_allclose(gl.jacobian(game), [[-4, -2], [2, 0]])
    np.testing.assert_allclose(gl.multipliers(game, lr=h), lam, atol=1e-6)
    path = gl.simulate(game, (0.5 + 1e-3, 0.5), lr=h, steps=180)
    k = np.arange(181)
    clean = path.radius / lam**k
    growth = np.diff(clean[[45, 90, 135, 180]])
    assert growth.min() > 0.1 * clean[45]  # O(lambda^k), as printed, would be bounded
    np.testing.assert_allclose(growth, growth[0], rtol=0.02)  # it grows like k
    bounded = path.radius / (lam + 0.03) ** k
    assert bounded[-1] < 0.1 * bounded.max()
    N = np.eye(2) + h * np.array([[-4, -2], [2, 0]]) - lam * np.eye(2)
    assert np.allclose(N @ N, 0)
    assert np.abs(N).max() > 0
    closed = np.linalg.matrix_power(np.eye(2) + h * gl.jacobian(game), 50)
    np.testing.assert_allclose(closed, lam**50 * (np.eye(2) + 50 * N / lam), rtol=1e-10, atol=1e-15)


@claim("D-06")
def test_inside_the_circle_means_local_convergence_at_the_predicted_rate():
    for name in REMEDIES:
        rho = gl.spectral_radius(GAMES[name][0], lr=H)
        radius = gl.simulate(GAMES[name][0], (0.01, -0.02), lr=H, steps=200).radius
        scaled = radius / (rho + 0.02) ** np.arange(201)
        assert scaled.max() < 30 * radius[0], name
        assert scaled[-1] < 0.5 * scaled.max(), name


@claim("D-06", "D-28")
def test_at_the_critical_penalty_the_distance_over_the_clean_rate_grows_like_k():
    clean = run("R1 1.0").radius / 0.9 ** np.arange(STEPS + 1)
    np.testing.assert_allclose(clean[[200, 400]] / clean[[100, 200]], 2, rtol=0.02)


@claim("D-09")
def test_the_step_bound_is_the_one_that_bisection_finds():
    rng = np.random.default_rng(5)
    for _ in range(20):
        P, A, Q = rng.uniform(0.05, 2, (1, 1)), rng.normal(size=(1, 1)), rng.uniform(0.05, 2, (1, 1))
        game = gl.quadratic(P, A, Q)
        J = np.block([[-P, -A], [A.T, -Q]])
        lam = np.linalg.eigvals(J)
        formula = (2 * np.abs(lam.real) / np.abs(lam) ** 2).min()
        assert bisect_step(J) == pytest.approx(formula, rel=1e-9)
        assert gl.largest_stable_step(game) == pytest.approx(formula, rel=1e-9)
    assert gl.largest_stable_step(gl.pointwise("saturating", p_d=0.2)) == pytest.approx(0.4, rel=1e-12)
    assert gl.largest_stable_step(SADDLE) == 0.0
    for h in (1e-4, 0.01, 0.5, 3.0):  # an imaginary eigenvalue: no step works
        assert np.abs(np.linalg.eigvals(np.eye(2) + h * A0)).max() > 1


# ---------------------------------------------------------------- the three lemmas of failure


@claim("D-13")
@pytest.mark.parametrize("r", [0.1, 1.0, sqrt(2), 2.5])
def test_each_path_of_the_flow_stays_on_its_circle_and_comes_round_in_the_bessel_time(r):
    period = 2 * pi * (1 + i0(r**2 / 2))
    start = (r * np.cos(0.4), r * np.sin(0.4))
    lap = solved(gan, start, np.linspace(0, period, 9))
    np.testing.assert_allclose(radii(lap), r, rtol=1e-8)
    np.testing.assert_allclose(lap[-1], start, atol=1e-6)
    assert np.abs(lap[1:-1] - start).max(axis=1).min() > 0.01 * r  # and not before
    turn = quad(lambda a: 1 + exp(r**2 / 2 * np.sin(2 * a)), 0, 2 * pi)[0]  # the integral of dphi / f'
    assert period == pytest.approx(turn, rel=1e-9)
    path = gl.flow(SADDLE, start, T=period)
    np.testing.assert_allclose(path.radius, r, rtol=1e-7)
    np.testing.assert_allclose(path.last, start, atol=1e-6)


@claim("D-13")
def test_the_period_is_14_2381_from_one_one_and_four_pi_near_the_centre():
    assert 2 * pi * (1 + i0(1.0)) == pytest.approx(14.238112, abs=5e-7)
    assert gl.flow(SADDLE, (1e-3, 0), T=4 * pi).last == pytest.approx((1e-3, 0), abs=1e-8)
    assert gl.flow(GAMES["NSGAN"][0], START, T=14.238112).radius[-1] < 0.75  # not valid for the variant


@claim("D-14", "D-03")
@pytest.mark.parametrize("h", [0.01, 0.2, 1.5])
def test_simultaneous_steps_grow_by_exactly_the_factor_of_the_lemma(h):
    for start in ring_of_starts(10, seed=6):
        path = gl.simulate(SADDLE, start, lr=h, steps=200)
        r2 = path.radius**2
        s = np.array([slope(x) for x in path.states.prod(axis=1)])
        np.testing.assert_allclose(r2[1:], (1 + h**2 * s[:-1] ** 2) * r2[:-1], rtol=1e-12)
        assert r2[-1] > r2[0]


@claim("D-14")
def test_the_multipliers_carry_an_imaginary_unit_that_the_report_lost():
    for h in (0.01, 0.2, 1.0):
        found = gl.multipliers(SADDLE, "simultaneous", lr=h)
        np.testing.assert_allclose(np.sort_complex(found), [1 - 0.5j * h, 1 + 0.5j * h], atol=1e-12)
        assert np.abs(found).max() == pytest.approx(sqrt(1 + h**2 / 4))
        printed = np.array([1 - h / 2, 1 + h / 2])  # without the i: one inside, so some starts would come in
        assert printed.min() < 1
        assert np.abs(np.sort(np.abs(found)) - np.sort(printed)).max() > h / 3
        angles = np.linspace(0, pi, 25)
        starts = 1e-3 * np.column_stack([np.cos(angles), np.sin(angles)])
        assert (gl.simulate(SADDLE, starts, lr=h, steps=1).radius[-1] > 1e-3).all()
    assert gl.spectral_radius(SADDLE, lr=H) == pytest.approx(1.0049876, abs=5e-8)


@claim("D-15")
@pytest.mark.parametrize(("n_g", "n_d", "h"), [(1, 1, 0.2), (1, 5, 0.2), (3, 2, 0.7), (2, 2, 1.9), (1, 1, 5.0)])
def test_alternating_multipliers_depend_on_one_number_and_have_product_one(n_g, n_d, h):
    a = sqrt(n_g * n_d) * h / 2
    root = np.sqrt(complex((1 - a**2 / 2) ** 2 - 1))
    expected = np.sort_complex([1 - a**2 / 2 - root, 1 - a**2 / 2 + root])
    found = gl.multipliers(SADDLE, "alternating", lr=h, n_g=n_g, n_d=n_d)
    np.testing.assert_allclose(np.sort_complex(found), expected, atol=1e-9)

    def round_of(z):  # the nonlinear round by hand, differentiated by differences
        theta, psi = z
        for _ in range(n_g):
            theta -= h * slope(theta * psi) * psi
        for _ in range(n_d):
            psi += h * slope(theta * psi) * theta
        return np.array([theta, psi])

    M = np.column_stack([(round_of(e) - round_of(-e)) / 2e-5 for e in 1e-5 * np.eye(2)])
    assert np.linalg.det(M) == pytest.approx(1, abs=1e-7)
    assert np.trace(M) == pytest.approx(2 - a**2, abs=1e-7)


@claim("D-15")
def test_the_two_multipliers_of_the_figures():
    for n_d, value in ((1, 0.995 + 0.0999j), (5, 0.975 + 0.222j)):
        found = gl.multipliers(SADDLE, "alternating", lr=H, n_d=n_d)
        assert abs(found[np.argmax(found.imag)] - value) < 5e-4


@claim("D-16")
def test_alternating_multipliers_are_on_the_circle_up_to_two_and_one_is_outside_beyond():
    for a in (0.01, 0.5, 1.0, 1.9, 1.999):
        found = gl.multipliers(SADDLE, "alternating", lr=2 * a)
        np.testing.assert_allclose(np.abs(found), 1, atol=1e-9)
        assert np.abs(found.imag).min() > 0
    for a in (2.001, 2.5, 4.0):
        moduli = np.sort(np.abs(gl.multipliers(SADDLE, "alternating", lr=2 * a)))
        assert moduli[0] < 1 < moduli[1]
        assert gl.verdict(SADDLE, "alternating", lr=2 * a).kind == "unstable"
    assert gl.largest_stable_step(SADDLE, "alternating") == 0.0  # never inside


@claim("D-16")
def test_at_alpha_two_the_linear_iteration_grows_in_proportion_to_the_number_of_rounds():
    linear = gl.bilinear(0.5)  # the Dirac-GAN's linear part; h = 4 is alpha = 2
    M = np.column_stack([gl.simulate(linear, e, "alternating", lr=4.0, steps=1).last for e in np.eye(2)])
    np.testing.assert_allclose(M, [[1, -2], [2, -3]], atol=1e-12)
    assert np.linalg.matrix_rank(M + np.eye(2)) == 1  # double -1, one eigenvector
    radius = gl.simulate(linear, (1, 0), "alternating", lr=4.0, steps=1000).radius
    closed = [np.linalg.norm((np.eye(2) - k * (M + np.eye(2))) @ [1, 0]) for k in (10, 100, 1000)]
    np.testing.assert_allclose(radius[[10, 100, 1000]], closed, rtol=1e-9)
    below = gl.simulate(linear, (1, 0), "alternating", lr=3.6, steps=1000).radius
    assert below.max() < 10  # bounded just below the threshold


@claim("D-17")
def test_simultaneous_steps_spiral_out_and_taking_turns_goes_round_an_oval():
    assert np.all(np.diff(run("GAN").radius) > 0)
    for n_d, low, high in ((1, 1.34, 1.43), (5, 1.0, 2.5)):
        radius = run("GAN", n_d).radius
        assert low < radius.min() < radius.max() < high


@claim("D-17")
def test_the_tall_oval_is_misread_as_a_drift_outwards_and_slowly_shrinks():
    bare = loop(gan, h=0.1, steps=200_000, n_d=5)
    path = gl.simulate(SADDLE, START, "alternating", lr=0.1, n_d=5, steps=2000)
    np.testing.assert_allclose(path.states, bare[:2001], atol=1e-8)
    radius = radii(bare)
    assert radius[1000] == pytest.approx(1.939, abs=5e-4)  # the one number that suggests a drift
    assert (radius[:1001].min(), radius[:1001].max()) == pytest.approx((1.07, 2.46), abs=0.005)
    assert (radius[-2000:].min(), radius[-2000:].max()) == pytest.approx((0.66, 1.50), abs=0.005)
    assert radius[-20_000:].min() > 0.6  # and yet nobody arrives


@claim("D-17")
def test_the_round_oval_with_a_large_step_slowly_grows():
    bare = loop(gan, h=0.5, steps=200_000, n_d=1)
    path = gl.simulate(SADDLE, START, "alternating", lr=0.5, steps=2000)
    np.testing.assert_allclose(path.states, bare[:2001], atol=1e-8)
    radius = radii(bare)
    assert radius[:100].max() < 1.5
    assert radius[-1] == pytest.approx(4.85, abs=0.005)


# ---------------------------------------------------------------- noise, and the theorem behind it


def gaussian_jacobian(f1, f2, theta, psi, critic, sample, nodes=60):
    """v' of L = E f(D(fake)) + E f(-D(real)) by quadrature and autograd, for a generator with any parameters."""
    torch = pytest.importorskip("torch")
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    x, w = torch.tensor(x), torch.tensor(w / w.sum())
    n = len(theta)

    def field(z):
        a, b = z[:n], z[n:]
        value = (w * f1(critic(b, sample(a, x)))).sum() + (w * f2(critic(b, sample(torch.tensor(theta), x)))).sum()
        grad = torch.autograd.grad(value, z, create_graph=True)[0]
        return torch.cat([-grad[:n], grad[n:]])

    z = torch.tensor([*theta, *psi], dtype=torch.float64, requires_grad=True)
    rows = [torch.autograd.grad(row, z, retain_graph=True, allow_unused=True)[0] for row in field(z)]
    return field(z).detach().numpy(), np.array([np.zeros(len(z)) if r is None else r.numpy() for r in rows])


@claim("D-18", "D-21")
@pytest.mark.parametrize("sigma", [0.3, 0.7, sqrt(2), 2.0])
def test_gaussian_data_with_a_linear_critic_have_the_eigenvalues_of_instance_noise(sigma):
    torch = pytest.importorskip("torch")
    f = torch.nn.functional.logsigmoid
    rest, J = gaussian_jacobian(f, lambda t: f(-t), [0.0], [0.0], lambda b, x: b[0] * x, lambda a, z: a[0] + sigma * z)
    np.testing.assert_allclose(rest, 0, atol=1e-14)
    np.testing.assert_allclose(J, [[0, -0.5], [0.5, -0.5 * sigma**2]], atol=1e-10)
    np.testing.assert_allclose(J, gl.jacobian(gl.dirac_gan("saturating", gl.InstanceNoise(sigma))), atol=1e-10)
    if sigma != sqrt(2):
        assert np.linalg.eigvals(J).real.max() < 0


@claim("D-18")
def test_a_gaussian_with_two_parameters_and_a_parabola_for_a_critic_converges_locally():
    torch = pytest.importorskip("torch")
    f = torch.nn.functional.logsigmoid
    how = ([0.0, 1.0], [0.0, 0.0], lambda b, x: b[0] * x + b[1] * x**2, lambda a, z: a[0] + a[1] * z)
    rest, J = gaussian_jacobian(f, lambda t: f(-t), *how)
    B, K = np.diag([1.0, 2.0]), np.diag([1.0, 3.0])  # d E[x, x^2] and E [x, x^2][x, x^2]^T at N(0, 1)
    expected = np.block([[np.zeros((2, 2)), -0.5 * B.T], [0.5 * B, -0.5 * K]])
    np.testing.assert_allclose(rest, 0, atol=1e-12)
    np.testing.assert_allclose(J, expected, atol=1e-10)
    assert np.linalg.eigvals(J).real.max() < -0.1
    _, flat = gaussian_jacobian(lambda t: t, lambda t: -t, *how)  # f(t) = t: the theorem fails
    np.testing.assert_allclose(np.linalg.eigvals(flat).real, 0, atol=1e-10)


@claim("D-18")
def test_the_block_matrix_of_the_theorem_is_stable_and_each_assumption_is_needed():
    rng = np.random.default_rng(7)
    for _ in range(20):
        n, m = 2, 4
        B, R = rng.normal(size=(m, n)), rng.normal(size=(m, m))
        C = R @ R.T + 0.01 * np.eye(m)
        assert np.linalg.eigvals(np.block([[np.zeros((n, n)), -B.T], [B, -C]])).real.max() < 0
        dependent = np.column_stack([B[:, 0], 2 * B[:, 0]])  # a generator direction that the critic cannot see
        assert np.linalg.eigvals(np.block([[np.zeros((n, n)), -dependent.T], [dependent, -C]])).real.max() > -1e-9
    without = {
        "full rank: a point mass": SADDLE,
        "f''(0) < 0": gl.dirac_gan("wasserstein", gl.InstanceNoise(1)),
        "D = 0 near the support": gl.dirac_gan("saturating", curvature=-0.3),
    }
    assert [gl.verdict(game).kind for game in without.values()] == ["centre", "centre", "unstable spiral"]


@claim("D-18")
def test_the_theorem_is_for_small_steps_only():
    game, bound = GAMES["noise"][0], 2 * 0.1225 / 0.25
    assert gl.simulate(game, (0.01, 0), lr=0.9 * bound, steps=150).radius[-1] < 0.005
    assert gl.simulate(game, (0.01, 0), lr=1.1 * bound, steps=150).radius[-1] > 0.02


@claim("D-19")
def test_the_damping_dies_with_the_square_of_the_data_noise():
    rates = {}
    for sigma in (0.8, 0.4, 0.2):
        game = gl.dirac_gan("saturating", gl.InstanceNoise(sigma))
        path = gl.flow(game, (0.05, 0), T=30 / sigma, points=801, rtol=1e-8)
        # the area of the ellipse on which a spiral turns decays at twice its rate, without ripples
        theta, psi = path.states.T
        energy = theta**2 + psi**2 - sigma**2 / 2 * theta * psi
        rates[sigma] = -np.polyfit(path.times, np.log(energy), 1)[0] / 2
        assert rates[sigma] == pytest.approx(sigma**2 / 4, rel=0.01)
    assert rates[0.4] / rates[0.2] == pytest.approx(4, rel=0.02)


@claim("D-20", "D-22")
@pytest.mark.parametrize(("sigma", "steps"), [(0.5, 500), (1.0, 300), (2.0, 400)])
def test_noise_brings_the_players_home_and_leaves_wgan_turning(sigma, steps):
    path = gl.simulate(gl.dirac_gan("saturating", gl.InstanceNoise(sigma)), START, lr=H, steps=steps, save_every=20)
    np.testing.assert_allclose(path.radius, radii(loop(noisy(sigma), steps=steps))[::20], rtol=1e-5, atol=1e-12)
    assert path.radius[-1] < 0.1
    rotating = gl.dirac_gan("wasserstein", gl.InstanceNoise(sigma))
    np.testing.assert_allclose(gl.eigenvalues(rotating), [-1j, 1j], atol=1e-12)
    assert gl.simulate(rotating, START, lr=0.01, steps=100).radius[-1] > sqrt(2)


@claim("D-21")
def test_instance_noise_is_derived_with_factor_two_and_with_one_noise_factor_one():
    theta, psi, n, s, d1, d2 = sp.symbols("theta psi n sigma f1 f2", real=True)
    f = d1 * sp.Symbol("t") + d2 * sp.Symbol("t") ** 2 / 2  # f near 0, up to a constant
    at_rest = {theta: 0, psi: 0}

    def mean(e):
        e = sp.Poly(sp.expand(e), n)
        return sum(c * {0: 1, 1: 0, 2: s**2, 3: 0, 4: 3 * s**4}[k] for (k,), c in e.terms())

    fake, real = mean(f.subs("t", psi * (theta + n))), mean(f.subs("t", -psi * n))
    for L, factor in ((fake + real, 2), (fake, 1), (f.subs("t", psi * theta) + real, 1)):
        J = sp.Matrix([-L.diff(theta), L.diff(psi)]).jacobian([theta, psi]).subs(at_rest)
        assert sp.simplify(J - sp.Matrix([[0, -d1], [d1, factor * d2 * s**2]])) == sp.zeros(2)
    J = np.array([[0, -0.5], [0.5, -0.5 * 0.49]])
    np.testing.assert_allclose(gl.jacobian(GAMES["noise"][0]), J, atol=1e-12)
    np.testing.assert_allclose(gl.eigenvalues(GAMES["noise"][0]), [-0.1225 - 0.4848j, -0.1225 + 0.4848j], atol=5e-5)


@claim("D-21")
def test_the_spiral_turns_into_a_node_at_sigma_squared_two_and_is_fastest_there():
    def rate(sigma):
        return -gl.eigenvalues(gl.dirac_gan("saturating", gl.InstanceNoise(sigma)))[0].real

    def kind(sigma):
        return gl.verdict(gl.dirac_gan("saturating", gl.InstanceNoise(sigma))).kind

    for sigma in (0.5, 1.0, 1.41):
        assert rate(sigma) == pytest.approx(sigma**2 / 4)
        assert kind(sigma) == "stable spiral"
    for sigma in (1.42, 2.0, 3.0):
        assert rate(sigma) == pytest.approx(sigma**2 / 4 - sqrt(sigma**4 / 16 - 0.25))
        assert kind(sigma) == "stable node"
    rates = [rate(s) for s in (1.0, 1.3, 1.41, sqrt(2), 1.42, 1.6, 2.0)]
    assert np.argmax(rates) == 3
    assert rates[-1] == pytest.approx(1 - sqrt(0.75))  # over-smoothing


# ---------------------------------------------------------------- WGAN, clipped and penalised


@claim("D-23")
def test_wgan_turns_grows_exactly_with_simultaneous_steps_and_keeps_an_ellipse_in_turns():
    free = gl.dirac_gan("wasserstein")
    for start in ring_of_starts(5, seed=8):
        t = np.linspace(0, 20, 41)
        turned = np.exp(1j * t) * complex(*start)
        turned = np.column_stack([turned.real, turned.imag])
        np.testing.assert_allclose(gl.flow(free, start, T=20, points=41).states, turned, atol=1e-7)
    n = np.arange(201)
    grown = gl.simulate(free, START, lr=H, steps=200).radius
    np.testing.assert_allclose(grown, sqrt(2) * (1 + H**2) ** (n / 2), rtol=1e-12)
    assert gl.spectral_radius(free, lr=H) == pytest.approx(1.0198, abs=5e-5)
    for h in (0.1, 0.5, 1.7):
        theta, psi = gl.simulate(free, START, "alternating", lr=h, steps=1000).states.T
        np.testing.assert_allclose(theta**2 + psi**2 - h * theta * psi, 2 - h, rtol=1e-10)


@claim("D-23")
def test_clipping_leaves_a_limit_cycle_that_all_starts_share():
    game = GAMES["WGAN"][0]
    late = gl.simulate(game, [(1, 1), (0.1, 0), (-3, 0.5), (0, -1)], lr=H, steps=3000).states[2000:]
    assert np.abs(late[..., 1]).max() <= 1
    amplitude = np.abs(late[..., 0]).max(axis=0)
    np.testing.assert_allclose(amplitude, amplitude[0], rtol=0.01)
    assert amplitude.min() > 1
    assert np.linalg.norm(late, axis=-1).min() > 0.9


@claim("D-24")
@pytest.mark.parametrize(("n_d", "printed"), [(1, 1.0), (5, 0.447), (20, 0.224)])
def test_more_critic_steps_squeeze_the_swing_like_one_over_their_root(n_d, printed):
    path = gl.simulate(GAMES["WGAN"][0], START, "alternating", lr=0.1, n_d=n_d, steps=4000).states[2000:]
    amplitude = np.abs(path[:, 0]).max()
    assert amplitude == pytest.approx(printed, abs=6e-4)
    assert amplitude == pytest.approx(1 / sqrt(n_d), rel=2e-3)  # the ellipse n_d theta^2 + psi^2 = 1 touches the clip
    assert np.abs(path[:, 1]).max() == pytest.approx(1, abs=0.01)  # and the critic still swings all the way
    assert amplitude > 0.2


@claim("D-27")
def test_the_flow_of_wgan_gp_circles_across_a_field_that_jumps():
    field = wgan_gp(1.0)
    game = gl.dirac_gan("wasserstein", gl.GradientPenalty(1.0))
    for at in ((0.3, 0.5), (-1.2, -0.4), (0.7, 2.0)):
        np.testing.assert_allclose(game.field(*at), field(*at), rtol=1e-12)
    for theta in (-0.5, 0.0, 0.8):
        above, below = game.field(theta, 1e-12)[1], game.field(theta, -1e-12)[1]
        assert float(above - below) == pytest.approx(2.0, abs=1e-9)  # twice gamma
    assert gl.verdict(game).kind == "not differentiable"
    times = np.linspace(0, 100, 1001)
    oracle = solved(field, (1, 0.5), times, method="RK45", rtol=1e-8, atol=1e-10, max_step=0.05)
    path = gl.flow(game, (1, 0.5), T=100, points=1001)
    np.testing.assert_allclose(path.radius[-200:].min(), radii(oracle)[-200:].min(), rtol=1e-2)
    assert path.radius[-200:].min() > 1.1
    turns = np.ptp(np.unwrap(np.arctan2(*path.states.T[::-1]))) / (2 * pi)
    assert turns > 5


@claim("D-27")
def test_a_fast_critic_is_caught_at_a_spurious_point_because_it_is_a_node_of_one_side():
    game = gl.dirac_gan("wasserstein", gl.GradientPenalty(1.0))
    path = gl.simulate(game, (1, 0.5), "alternating", lr=0.1, n_d=5, steps=1000)
    np.testing.assert_allclose(path.states[:100], loop(wgan_gp(1.0), 0.1, 99, (1, 0.5), n_d=5), atol=1e-12)
    np.testing.assert_allclose(path.last, (-1, 0), atol=1e-9)
    h, columns = 0.1, []
    for theta, psi in np.eye(2):  # one round on the side psi > 0, centred on (-1, 0): theta' = -psi, psi' = theta - psi
        theta = theta - h * psi
        for _ in range(5):
            psi = psi + h * (theta - psi)
        columns.append((theta, psi))
    rates = np.linalg.eigvals(np.array(columns).T)
    assert np.isrealobj(rates)  # a node: no crossing of psi = 0
    assert 0 < rates.min() <= rates.max() < 1
    gap = np.abs(path.states[100:140, 0] + 1)
    np.testing.assert_allclose(gap[1:] / gap[:-1], rates.max(), rtol=1e-3)
    for tau, gamma in ((5, 1.0), (1, 2.1), (1, 1.9), (3, 1.1)):  # a node iff tau gamma^2 >= 4
        side = np.array([[0, -1], [tau, -tau * gamma]])
        assert np.isrealobj(np.linalg.eigvals(side)) == (tau * gamma**2 >= 4)


# ---------------------------------------------------------------- the non-saturating surprise


@claim("D-29")
def test_the_energy_of_the_non_saturating_flow_falls_as_stated():
    theta, psi = sp.symbols("theta psi", real=True)
    x = theta * psi
    v = (-psi / (1 + sp.exp(-x)), theta / (1 + sp.exp(x)))
    assert sp.simplify((theta * v[0] + psi * v[1] + x * sp.tanh(x / 2)).rewrite(sp.exp)) == 0
    for at in np.random.default_rng(9).uniform(-2, 2, (10, 2)):
        np.testing.assert_allclose([float(c) for c in GAMES["NSGAN"][0].field(*at)], nsgan(*at), rtol=1e-12)
    np.testing.assert_allclose(gl.eigenvalues(GAMES["NSGAN"][0]), EIGEN, atol=1e-12)
    assert gl.verdict(GAMES["NSGAN"][0]).kind == "centre"  # the linearisation decides nothing


@claim("D-29")
@pytest.mark.parametrize("start", [(1.0, 1.0), (0.3, -0.8), (2.0, 0.5)])
def test_the_non_saturating_flow_converges_with_radius_squared_times_time_to_eight(start):
    game = GAMES["NSGAN"][0]
    path = gl.flow(game, start, T=1000, points=1001)
    np.testing.assert_allclose(path.radius[::100], radii(solved(nsgan, start, np.linspace(0, 1000, 11))), rtol=1e-6)
    product = path.radius**2 * path.times
    if start == START:
        assert product[1000] == pytest.approx(7.97, abs=0.005)
    # 1 / r^2 grows at the rate 1/8, which forgets the start
    late = np.polyfit(path.times[300:], path.radius[300:] ** -2.0, 1)[0]
    assert late == pytest.approx(1 / 8, rel=2e-3)


@claim("D-29")
@pytest.mark.parametrize(("h", "printed"), [(0.4, None), (0.2, 0.6318), (0.1, None), (0.05, None), (0.02, 0.2000)])
def test_simultaneous_steps_stall_on_the_circle_of_radius_root_two_h(h, printed):
    steps = round(60 / h**2)
    for start in ((0.5, 0.5), (0.05, 0.0)):  # from outside and from inside
        # in the first third an inside start is still on its way out: growth is h^2 / 8 a step
        radius = gl.simulate(GAMES["NSGAN"][0], start, lr=h, steps=2 * steps, save_every=1).radius
        late = radius[-round(40 * pi / h) :]
        assert late.mean() == pytest.approx(sqrt(2 * h), rel=0.02 * h / 0.2 + 1e-3)
        if printed:
            assert late.mean() == pytest.approx(printed, abs=1e-4)
        assert late.min() > 0.9 * sqrt(2 * h)


@claim("D-29")
def test_alternating_steps_lack_the_push_and_fall_like_the_flow():
    path = run("NSGAN", 1, steps=20_000)
    assert path.radius[-1] < 0.06  # simultaneous steps are at 0.63
    assert path.radius[-1] ** 2 * path.times[-1] == pytest.approx(8, rel=0.1)


# ---------------------------------------------------------------- what helps, and what does not


@claim("D-26")
def test_a_faster_critic_alone_only_turns_faster():
    for tau in (0.01, 0.1, 10, 1000):
        game = gl.dirac_gan("saturating", tau=tau)
        np.testing.assert_allclose(gl.eigenvalues(game), sqrt(tau) * EIGEN, atol=1e-9)
        np.testing.assert_allclose(
            np.linalg.eigvals(np.diag([1, tau]) @ A0).real, np.zeros(2), atol=1e-12 * max(1.0, tau))  # fmt: skip
        assert not gl.verdict(game).stable
        assert gl.largest_stable_step(game) == 0.0
    for tau in (0.1, 10):
        game = gl.dirac_gan("saturating", tau=tau)
        theta, psi = gl.simulate(game, START, lr=0.05, steps=2000).states.T
        assert np.all(np.diff(theta**2 * tau + psi**2) > 0)  # the ellipse of the flow is left outwards
        pair = gl.simulate(SADDLE, START, lr=(0.05, 0.05 * tau), steps=2000).states
        np.testing.assert_allclose(pair, np.column_stack([theta, psi]), rtol=1e-9, atol=1e-12)


@claim("D-28")
def test_penalties_have_the_eigenvalues_of_a_damped_swing():
    g, f = sp.symbols("gamma f", positive=True)
    roots = sp.Matrix([[0, -f], [f, -g]]).eigenvals()
    expected = {-g / 2 + s * sp.sqrt(g**2 / 4 - f**2) for s in (1, -1)}
    assert all(any(sp.simplify(root - e) == 0 for e in expected) for root in roots)
    for gamma in (0.05, 0.3, 1.0, 3.0):
        wanted = -gamma / 2 + np.array([-1, 1]) * np.sqrt(complex(gamma**2 / 4 - 0.25))
        for remedy in (gl.R1, gl.R2):
            found = gl.eigenvalues(gl.dirac_gan("saturating", remedy(gamma)))
            np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(wanted), atol=1e-7)
    # a blog drops a square: at gamma = 2 it is -1 ± sqrt(1 - f'^2)
    found = np.sort(gl.eigenvalues(gl.dirac_gan("saturating", gl.R1(2.0))).real)
    np.testing.assert_allclose(found, [-1 - sqrt(0.75), -1 + sqrt(0.75)])
    assert np.abs(found - [-1 - sqrt(0.5), -1 + sqrt(0.5)]).min() > 0.1


@claim("D-28")
def test_critical_damping_is_at_one_and_a_stronger_penalty_is_slower():
    gammas = (0.2, 0.6, 0.9, 1.0, 1.1, 2.0, 5.0)
    rates = [-gl.eigenvalues(gl.dirac_gan("saturating", gl.R1(g)))[0].real for g in gammas]
    assert np.argmax(rates) == 3
    assert rates[3] == pytest.approx(0.5, abs=1e-7)
    games = [gl.dirac_gan("saturating", gl.R1(g)) for g in (0.2, 0.6, 1, 2, 5)]
    far = [gl.simulate(game, START, lr=H, steps=100).radius[-1] for game in games]
    assert np.argmin(far) == 2
    assert far[-1] > 100 * far[2]


@claim("D-28")
def test_while_it_swings_simultaneous_steps_are_stable_below_four_gamma():
    for gamma in (0.05, 0.3, 0.8):
        game = gl.dirac_gan("saturating", gl.R1(gamma))
        assert gl.largest_stable_step(game) == pytest.approx(4 * gamma)
        assert bisect_step(np.array([[0, -0.5], [0.5, -gamma]])) == pytest.approx(4 * gamma)
    game = gl.dirac_gan("saturating", gl.R1(0.05))
    near = [gl.simulate(game, (0.01, 0), lr=h, steps=4000).radius[-1] for h in (0.15, 0.25)]
    assert near[0] < 1e-3
    assert near[1] > 0.1
    assert gl.spectral_radius(GAMES["R1 0.3"][0], lr=H) == pytest.approx(0.9747, abs=5e-5)
    assert gl.spectral_radius(GAMES["R1 1.0"][0], lr=H) == pytest.approx(0.9, abs=1e-7)


@claim("D-30")
def test_consensus_is_the_gradient_of_half_the_squared_speed_and_the_published_code_is_not():
    torch = pytest.importorskip("torch")

    def penalty(z):
        return torch.sigmoid(-z[0] * z[1]) ** 2 * (z[0] ** 2 + z[1] ** 2) / 2

    for at in ((1.0, 1.0), (0.5, -1.5), (-0.8, 0.3)):
        z = torch.tensor(at, dtype=torch.float64, requires_grad=True)
        gradient = torch.autograd.grad(penalty(z), z)[0].numpy()
        v = np.array(gan(*at))
        np.testing.assert_allclose([float(c) for c in GAMES["consensus"][0].field(*at)], v - gradient, rtol=1e-10)
        np.testing.assert_allclose(consensus(1.0)(*at), v - gradient, rtol=1e-10)
        halved = v - np.array(consensus(1.0, factor=0.5)(*at))
        assert np.abs(halved - gradient).max() > 0.01
    by_hand = [gan(1, 1)[0] - consensus(1.0, factor)(1, 1)[0] for factor in (0.5, 1.0)]
    np.testing.assert_allclose(by_hand, [0.0195, -0.0334], atol=5e-5)  # the sign flips
    by_hand = [gan(0.5, -1.5)[0] - consensus(1.0, factor)(0.5, -1.5)[0] for factor in (0.5, 1.0)]
    np.testing.assert_allclose(by_hand, [0.508, 0.786], atol=5e-4)


@claim("D-30")
def test_consensus_has_negative_real_parts_at_the_equilibrium_for_every_weight():
    for gamma in (0.1, 1.0, 4.0):
        game = gl.dirac_gan("saturating", gl.Consensus(gamma))
        np.testing.assert_allclose(gl.eigenvalues(game), -gamma / 4 + EIGEN, atol=1e-12)
        np.testing.assert_allclose(gl.numeric_jacobian(game), A0 - gamma * A0.T @ A0, atol=1e-8)


@claim("D-30")
def test_exact_consensus_is_local_and_the_halved_term_hides_it():
    assert run("consensus").radius[-1] < 1e-6
    assert run("consensus", 1).radius[-1] < 1e-6
    assert run("consensus", 5).radius[-1] == pytest.approx(10.97, abs=0.005)
    assert run("consensus", 5, steps=2000).radius[-1] > 13  # it goes on
    assert radii(loop(consensus(1.0, factor=0.5), n_d=5))[-1] < 1e-6  # the published code comes home


@claim("D-31")
@pytest.mark.parametrize("h", [0.2, 0.9, 1.9, 2.1])
def test_extragradient_multipliers_and_its_limit(h):
    a = h / 2
    found = np.sort_complex(gl.multipliers(SADDLE, "extragradient", lr=h))
    np.testing.assert_allclose(found, np.sort_complex([1 - a**2 - 1j * a, 1 - a**2 + 1j * a]), atol=1e-12)
    M = np.eye(2) + h * A0 + h**2 * A0 @ A0
    np.testing.assert_allclose(found, np.sort_complex(np.linalg.eigvals(M)), atol=1e-12)
    assert (np.abs(found).max() < 1) == (a < 1)
    near = gl.simulate(SADDLE, (1e-3, 0), "extragradient", lr=h, steps=20).radius[-1]
    np.testing.assert_allclose(near, 1e-3 * (1 - a**2 + a**4) ** 10, rtol=1e-3)


@claim("D-31")
def test_optimistic_multipliers_solve_the_quadratic_and_all_three_look_ahead_methods_converge():
    for h in (0.2, 0.9, 1.3):
        wanted = np.concatenate([np.roots([1, -(1 + 2 * h * lam), h * lam]) for lam in EIGEN])
        found = gl.multipliers(SADDLE, "optimistic", lr=h)
        assert all(np.abs(wanted - m).min() < 1e-9 for m in found)
        assert all(np.abs(found - m).min() < 1e-9 for m in wanted)
    assert gl.spectral_radius(SADDLE, "extragradient", lr=H) == pytest.approx(0.9950377, abs=5e-8)
    assert gl.largest_stable_step(SADDLE, "extragradient") == pytest.approx(2.0, rel=1e-9)
    assert gl.largest_stable_step(SADDLE, "optimistic") == pytest.approx(2 / sqrt(3), rel=1e-9)
    v, old, z = np.zeros(2), np.array(gan(*START)), np.array(START)
    for _ in range(300):  # optimistic steps by hand
        v = np.array(gan(*z))
        z, old = z + 2 * H * v - H * old, v
    np.testing.assert_allclose(gl.simulate(SADDLE, START, "optimistic", lr=H, steps=300).last, z, rtol=1e-9)


@claim("D-25", "D-31")
@pytest.mark.parametrize("K", [1, 5])
def test_unrolling_puts_friction_on_the_generator(K):
    eta = H
    for through, factor in ((True, 2), (False, 1)):
        J = np.array([[-factor * K * eta / 4, -0.5], [0.5, 0]])  # the reaction of the critic is K eta f' theta
        found = np.sort_complex(gl.multipliers(SADDLE, "unrolled", lr=H, K=K, through=through))
        np.testing.assert_allclose(found, np.sort_complex(np.linalg.eigvals(np.eye(2) + H * J)), atol=1e-6)


@claim("D-25")
def test_the_remedies_arrive_from_twenty_starts_except_consensus_which_is_local():
    starts = np.random.default_rng(0).uniform(-2, 2, (20, 2))
    R2 = gl.dirac_gan("saturating", gl.R2(0.3))
    arrives = {
        "noise": (GAMES["noise"][0], "simultaneous", 0.9803), "R1": (GAMES["R1 0.3"][0], "simultaneous", 0.9747),
        "R2": (R2, "simultaneous", 0.9747), "extragradient": (SADDLE, "extragradient", 0.9950),
        "optimistic": (SADDLE, "optimistic", 0.9949), "unrolled": (SADDLE, "unrolled", 0.9539),
    }  # fmt: skip
    for name, (game, method, modulus) in arrives.items():
        assert gl.spectral_radius(game, method, lr=H) == pytest.approx(modulus, abs=6e-5), name
        steps = 600 if name == "noise" else 2000
        assert gl.simulate(game, starts, method, lr=H, steps=steps, save_every=steps).radius[-1].max() < 0.01, name
    fast = gl.dirac_gan("saturating", tau=10)
    for game, method in ((SADDLE, "simultaneous"), (SADDLE, "alternating"), (fast, "simultaneous")):
        assert gl.simulate(game, starts, method, lr=H, steps=2000, save_every=2000).radius[-1].min() > 0.05
    lost = gl.simulate(GAMES["consensus"][0], starts, lr=H, steps=2000, save_every=2000).radius[-1] > 0.01
    assert lost.sum() == 4  # those that start where the critic has won: theta psi above 2
    assert starts[lost].prod(axis=1).min() > starts[~lost].prod(axis=1).max()
