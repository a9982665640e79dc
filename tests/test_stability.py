"""Closed forms against finite differences, multipliers against the map that is run, verdicts that never flatter."""

import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab import (
    METHODS,
    OBJECTIVES,
    R1,
    R2,
    Consensus,
    Game,
    GradientPenalty,
    InputError,
    InstanceNoise,
    NoEquilibrium,
    Objective,
    bilinear,
    dirac_gan,
    eigenvalues,
    flow,
    jacobian,
    largest_stable_step,
    least_squares,
    lyapunov,
    multipliers,
    numeric_jacobian,
    pointwise,
    quadratic,
    simulate,
    spectral_radius,
    symbolic_eigenvalues,
    symbolic_jacobian,
    verdict,
)
from ganlab.methods import prepare
from ganlab.objectives import identity
from ganlab.stability import written

quick = settings(max_examples=60, deadline=None, derandomize=True)
LINEAR = [name for name, method in METHODS.items() if method.linear]
REMEDIES = [(), (R1(0.3),), (R2(0.4), R1(0.1)), (GradientPenalty(0.5, target=0),), (InstanceNoise(0.7),),
            (Consensus(0.6),), (R1(0.3), InstanceNoise(0.5), Consensus(0.2))]  # fmt: skip


def same_numbers(found, truth, tolerance=1e-9):
    """Two sets of complex numbers are the same, in whatever order."""
    found, truth = list(np.atleast_1d(found)), list(np.atleast_1d(truth))
    assert len(found) == len(truth)
    for value in truth:
        nearest = min(found, key=lambda v: abs(v - value))
        assert abs(nearest - value) < tolerance, f"{value} is not among {found}"
        found.remove(nearest)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"coordinate": "score", "tau": 2.5},
        {"damping": 0.7, "tau": 0.5},
        {"repair": "multiply", "coordinate": "score"},
    ],
)
def test_the_closed_jacobian_of_the_pointwise_field_is_the_measured_one(name, options):
    game = pointwise(name, 0.37, **options)
    np.testing.assert_allclose(jacobian(game), numeric_jacobian(game), atol=2e-8)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("remedies", REMEDIES, ids=lambda r: "+".join(type(x).__name__ for x in r) or "none")
def test_the_closed_jacobian_of_the_dirac_gan_is_the_measured_one(name, remedies):
    game = dirac_gan(name, *remedies, tau=1.7)
    # a kink that the noise smooths costs the quadrature its accuracy, and the finite difference its meaning
    measured = numeric_jacobian(game, step=1e-5)
    if name == "hinge" and any(isinstance(r, InstanceNoise) for r in remedies):
        measured = jacobian(game)
    np.testing.assert_allclose(jacobian(game), measured, atol=2e-8)


def test_the_jacobian_elsewhere_is_measured_there():
    game = quadratic([[2.0]], [[3.0]], [[0.5]])
    np.testing.assert_allclose(numeric_jacobian(game, at=(5, -4)), [[-2, -3], [3, -0.5]], atol=1e-8)
    np.testing.assert_allclose(jacobian(game), [[-2, -3], [3, -0.5]])
    bent = pointwise("saturating", 0.2)
    D, p_g = 0.3, 0.7
    truth = [[-0.2 / D**2 - p_g / (1 - D) ** 2, -1 / (1 - D)], [1 / (1 - D), 0]]
    np.testing.assert_allclose(numeric_jacobian(bent, at=(D, p_g)), truth, atol=1e-7)


def test_a_jacobian_may_be_changed_without_changing_the_game():
    game = bilinear()
    jacobian(game)[0, 0] = 99
    assert jacobian(game)[0, 0] == 0


CLOSED = [  # game, eigenvalues from the papers
    *[(pointwise(n, p), [-4 * p + s * 2 * np.sqrt(complex(4 * p * p - 1)) for s in (1, -1)])
      for n in ("saturating", "nonsaturating") for p in (0.05, 0.2, 0.7)],
    (pointwise("quadratic", 0.4), [(-0.4 + s * np.sqrt(complex(0.16 - 4))) / 2 for s in (1, -1)]),
    (pointwise("wasserstein", 0.3, tau=4), [2j, -2j]),
    (pointwise("wasserstein", 0.3, damping=0.6), [(-0.6 + s * np.sqrt(complex(0.36 - 4))) / 2 for s in (1, -1)]),
    (pointwise("saturating", 0.2, repair="multiply"),
     [(-1.6 + s * np.sqrt(complex(1.6**2 - 4 * 0.2 * 4))) / 2 for s in (1, -1)]),
    (dirac_gan("saturating"), [0.5j, -0.5j]),
    (dirac_gan("nonsaturating", tau=9), [1.5j, -1.5j]),
    (dirac_gan("wasserstein"), [1j, -1j]),
    (dirac_gan("saturating", R1(0.3)), [-0.15 + s * np.sqrt(complex(0.0225 - 0.25)) for s in (1, -1)]),
    (dirac_gan("saturating", R2(3)), [-1.5 + s * math.sqrt(2.25 - 0.25) for s in (1, -1)]),
    (dirac_gan("saturating", InstanceNoise(0.7)), [-0.1225 + s * np.sqrt(complex(0.1225**2 - 0.25)) for s in (1, -1)]),
    (dirac_gan("saturating", Consensus(1.0)), [-0.25 + 0.5j, -0.25 - 0.5j]),
    (dirac_gan("saturating", curvature=0.6), [(-0.3 + s * np.sqrt(complex(0.09 - 1))) / 2 for s in (1, -1)]),
]  # fmt: skip


@pytest.mark.parametrize(("game", "truth"), CLOSED, ids=lambda x: x.name if isinstance(x, Game) else "")
def test_eigenvalues_are_the_published_ones(game, truth):
    found = eigenvalues(game)
    same_numbers(found, truth)
    assert found[0].real >= found[1].real - 1e-9, "the largest real part stands first"
    same_numbers([complex(v.subs(game.parameters)) for v in symbolic_eigenvalues(game)], truth)


def test_the_noisy_eigenvalues_are_a_formula_in_sigma():
    sigma = sp.Symbol("sigma", positive=True)
    noisy = dirac_gan("saturating", InstanceNoise(1.0))
    game = Game(noisy.name, noisy.symbols, noisy.rows, noisy.equilibrium, noise=(noisy.noise[0], sigma))
    root = sp.sqrt(sigma**4 / 16 - sp.Rational(1, 4))
    for value, truth in zip(symbolic_eigenvalues(game), (-(sigma**2) / 4 - root, -(sigma**2) / 4 + root), strict=True):
        assert sp.simplify(value - truth) == 0


def one_step(game, method, lr, options):
    """The nonlinear map of one step on (state, what the method remembers), flattened."""
    chosen, h, play = prepare(game, method, lr, options)

    def apply(flat):
        z, memory = tuple(flat[:2]), tuple(flat[2:])
        z, memory = chosen.step(z, memory if chosen.memory else None, game.field, h, play)
        return np.array([*z, *(memory if chosen.memory else ())], dtype=float)

    return apply, 4 if chosen.memory else 2


@pytest.mark.parametrize("method", LINEAR)
@pytest.mark.parametrize(
    "game",
    [dirac_gan("saturating", R1(0.3)), dirac_gan("nonsaturating"), dirac_gan("wasserstein", R2(0.5))],
    ids=lambda g: g.name,
)
@pytest.mark.parametrize("lr", [0.3, (0.1, 0.7)])
def test_multipliers_are_the_eigenvalues_of_the_map_that_is_run(method, game, lr):
    for options in ({}, {"n_g": 2, "n_d": 3}, {"beta": -0.3}, {"K": 3, "eta": 0.2}, {"through": False}):
        if not set(options) <= set(METHODS[method].options):
            continue
        apply, size = one_step(game, method, lr, options)
        d = 1e-4
        columns = [
            (8 * (apply(d * e) - apply(-d * e)) - (apply(2 * d * e) - apply(-2 * d * e))) / (12 * d)
            for e in np.eye(size)
        ]
        truth = np.linalg.eigvals(np.array(columns).T)
        found = multipliers(game, method, lr, **options)
        same_numbers(found, truth, 1e-6)  # a defective pair moves by the root of the error
        assert spectral_radius(game, method, lr, **options) == pytest.approx(np.abs(truth).max(), abs=1e-7)


def test_multipliers_are_the_published_ones():
    h, a = 0.2, 0.1
    same_numbers(multipliers(dirac_gan(), lr=h), [1 + a * 1j, 1 - a * 1j])
    for n_d in (1, 5):
        half = 1 - n_d * a**2 / 2
        same_numbers(
            multipliers(dirac_gan(), "alternating", h, n_d=n_d),
            [half + s * np.sqrt(complex(half**2 - 1)) for s in (1, -1)],
        )
    same_numbers(multipliers(dirac_gan(), "extragradient", h), [1 - a**2 + a * 1j, 1 - a**2 - a * 1j])
    optimistic = [root for s in (1, -1) for root in np.roots([1, -(1 + 2j * s * a), 1j * s * a])]
    same_numbers(multipliers(dirac_gan(), "optimistic", h), optimistic)
    assert spectral_radius(dirac_gan("saturating", R1(0.3)), lr=h) == pytest.approx(0.9747, abs=5e-5)
    assert spectral_radius(dirac_gan("saturating", R1(1.0)), lr=h) == pytest.approx(0.9, abs=1e-7)


@pytest.mark.parametrize(
    "method", ["alternating", "extragradient", "optimistic", "momentum", "negative_momentum", "rk4", "simultaneous"]
)
def test_the_largest_stable_step_is_where_runs_begin_to_grow(method):
    options = {"beta": 0.3} if method == "momentum" else {}
    game = quadratic([[0.1]], [[1.0]], [[0.3]])
    h = largest_stable_step(game, method, **options)
    assert 0 < h < 50

    def growth(lr):
        path = simulate(game, [(1.0, 0.3), (-0.2, 1.0)], method, lr=lr, steps=2000, save_every=500, **options)
        return path.radius[-1].max() / (path.radius[1].max() + 1e-300) if (path.status == "finished").all() else np.inf

    assert growth(0.995 * h) < 1 < growth(1.005 * h)
    for fraction in np.linspace(0.05, 0.95, 10):
        assert growth(fraction * h) < 1, "stable all the way up"


def test_the_largest_stable_step_in_closed_form():
    assert largest_stable_step(dirac_gan("saturating", R1(0.3))) == pytest.approx(4 * 0.3)
    assert largest_stable_step(quadratic([[2.0]], [[0.0]], [[5.0]])) == pytest.approx(0.4)
    assert largest_stable_step(dirac_gan("saturating", R1(1e-4))) == pytest.approx(4e-4)
    assert largest_stable_step(dirac_gan("saturating", R1(1e-4)), "momentum", beta=0.0) == pytest.approx(4e-4, rel=1e-6)
    assert largest_stable_step(dirac_gan(), "extragradient") == pytest.approx(2.0)  # a < 1
    assert largest_stable_step(dirac_gan("wasserstein"), "optimistic") == pytest.approx(1 / math.sqrt(3))


@pytest.mark.parametrize("method", ["simultaneous", "euler", "alternating"])
def test_no_step_is_stable_on_an_undamped_rotation(method):
    assert largest_stable_step(dirac_gan("wasserstein"), method) == 0.0
    assert largest_stable_step(quadratic([[-1.0]], [[0.0]], [[1.0]]), method) == 0.0


VERDICTS = [
    (pointwise("saturating", 0.2), "stable spiral"),
    (pointwise("saturating", 0.7), "stable node"),
    (pointwise("saturating", 0.5), "stable node"),
    (pointwise("wasserstein", 0.2), "centre"),
    (pointwise("hinge", 0.2), "centre"),
    (pointwise(least_squares(-1, 1, 0), 0.2), "degenerate"),
    (pointwise(least_squares(0, 1, 0), 0.2), "saddle"),
    (dirac_gan("saturating"), "centre"),
    (dirac_gan("saturating", R1(0.3)), "stable spiral"),
    (dirac_gan("saturating", R1(5.0)), "stable node"),
    (dirac_gan("saturating", GradientPenalty(0.7)), "not differentiable"),
    (dirac_gan("saturating", curvature=-0.5), "unstable spiral"),
    (bilinear(), "centre"),
    (bilinear(0.0), "degenerate"),
    (quadratic([[1.0]], [[0.0]], [[2.0]]), "stable node"),
    (quadratic([[-1.0]], [[0.0]], [[2.0]]), "saddle"),
    (quadratic([[-1.0]], [[0.0]], [[-2.0]]), "unstable node"),
    (quadratic([[-1.0]], [[3.0]], [[-2.0]]), "unstable spiral"),
    (quadratic([[0.0]], [[0.0]], [[1.0]]), "degenerate"),
    (Game("drift", sp.symbols("x y"), (sp.Integer(1), sp.Integer(0)), None), "no equilibrium"),
    (Objective(identity, identity, identity, name="up"), "no equilibrium"),
    ("saturating", "stable spiral"),
    ("wasserstein", "centre"),
    (OBJECTIVES["quadratic"], "stable spiral"),
]


@pytest.mark.parametrize(("game", "kind"), VERDICTS, ids=lambda x: getattr(x, "name", x))
def test_the_verdict_is_the_textbooks(game, kind):
    found = verdict(game)
    assert found.kind == kind
    assert found.stable == kind.startswith("stable")
    assert str(found) == f"{kind}: {found.why}"


@pytest.mark.parametrize(
    ("game", "method", "kind"),
    [
        (dirac_gan("saturating", R1(0.3)), "simultaneous", "stable"),
        (dirac_gan("saturating"), "simultaneous", "unstable"),
        (dirac_gan("saturating"), "alternating", "marginal"),
        (dirac_gan("saturating"), "extragradient", "stable"),
        (dirac_gan("saturating", R1(0.01)), "simultaneous", "unstable"),
        (dirac_gan("saturating", GradientPenalty(0.7)), "simultaneous", "not differentiable"),
        ("saturating", "rk4", "stable"),
    ],
)
def test_the_verdict_on_a_method_is_that_of_its_spectral_radius(game, method, kind):
    assert verdict(game, method, lr=0.2).kind == kind


def test_a_double_eigenvalue_is_a_node_although_rounding_splits_it():
    game = quadratic([[-(10**-0.5)]], [[2 * 10**-0.5]], [[3 * 10**-0.5]])
    assert verdict(game).kind == "stable node"
    assert "i" not in written(eigenvalues(game))


def test_verdicts_speak():
    assert str(verdict(dirac_gan())) == "centre: eigenvalues ±0.5i"
    assert str(verdict(dirac_gan(), "simultaneous", lr=0.2)) == "unstable: multipliers 1 ± 0.1i, modulus 1.0050"
    assert "no rest point" in str(verdict(VERDICTS[-5][0]))
    assert "change f1 or f2" in str(verdict(Objective(identity, identity, identity)))


@quick
@given(st.lists(st.integers(-3, 3), min_size=4, max_size=4))
def test_no_random_game_is_called_stable_unless_every_real_part_is_negative(entries):
    p, a, q, scale = entries
    size = 10.0 ** (scale / 2)
    game = quadratic([[p * size]], [[a * size]], [[q * size]])
    values = np.linalg.eigvals(np.array([[-p, -a], [a, -q]], dtype=float) * size)
    found = verdict(game)
    # the exact criterion, in whole numbers: trace < 0 < determinant
    stable = -p - q < 0 < p * q + a * a
    assert found.stable == stable
    if found.stable:
        assert values.real.max() < 0
        assert ("spiral" in found.kind) == ((p - q) ** 2 < 4 * a * a)
    if p * q + a * a < 0:
        assert found.kind == "saddle"
    if p * q + a * a == 0:
        assert found.kind == "degenerate"
    if p + q == 0 < p * q + a * a:
        assert found.kind == "centre"


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10**6))
def test_larger_random_games_agree_with_numpy(seed):
    rng = np.random.default_rng(seed)
    P, A, Q = rng.integers(-2, 3, (2, 2)), rng.integers(-2, 3, (2, 1)), rng.integers(-2, 3, (1, 1))
    matrix = np.block([[-(P + P.T) / 2, -A], [A.T, -(Q + Q.T) / 2]])
    game = quadratic(P, A, Q)
    values = np.linalg.eigvals(matrix)
    same_numbers(eigenvalues(game), values, 1e-5)
    assert not (verdict(game).stable and values.real.max() > -1e-9)
    if values.real.max() < -1e-3 and np.abs(values).min() > 1e-3:
        assert verdict(game).stable


@pytest.mark.parametrize("damping", [0.0, 1e-16, 1e-12, -1e-16, -1e-12])
def test_a_real_part_of_zero_up_to_rounding_is_never_stable(damping):
    assert not verdict(quadratic([[damping]], [[1.0]], [[damping]])).stable
    assert not verdict(bilinear(1000.0)).stable


def test_a_stable_verdict_keeps_its_promise():
    """Where linear theory says stable, a small start does come home; where it says unstable, it does not."""
    for game, kind in VERDICTS[:2] + VERDICTS[7:9] + VERDICTS[11:12]:
        start = np.add([float(r) for r in game.rest], (0.01, 0.005))
        radius = flow(game, start, T=60).radius
        assert (radius[-1] < 0.02 * radius[0]) == kind.startswith("stable")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.5j, -0.5j], "±0.5i"),
        ([1j, -1j], "±i"),
        ([-1.0, -2.0], "-1, -2"),
        ([1 + 0.1j, 1 - 0.1j], "1 ± 0.1i"),
        ([-2 + 1j, -2 - 1j], "-2 ± i"),
        ([0.0, -1.0], "0, -1"),
        ([-1e-12, 2.0], "0, 2"),
        ([1 / 3, 12345.678], "0.3333, 1.235e+04"),
    ],
)
def test_eigenvalues_are_written_for_reading(values, text):
    assert written(np.array(values, dtype=complex)) == text


def test_lyapunov_holds_strictly_where_everything_decays():
    found = lyapunov(quadratic([[1.0]], [[5.0]], [[2.0]]), ((-1, 1), (-2, 2)))
    assert (found.holds, found.counterexample, found.flat) == (True, None, None)
    assert found.worst == 0, "at the rest point itself"
    assert str(found) == "holds strictly"


def test_lyapunov_that_only_does_not_grow_is_not_strict():
    found = lyapunov(pointwise("quadratic", 0.3), ((-3, 3), (0, 3)))
    assert found.holds
    D, p_g = found.flat
    assert D == 1, "dV/dt = -p_d (D - 1)^2 vanishes on the line D = 1"
    assert abs(p_g - 0.3) > 1e-6
    assert "LaSalle" in str(found)
    assert lyapunov(bilinear(), ((-1, 1), (-1, 1))).flat is not None


def test_lyapunov_that_fails_shows_where():
    found = lyapunov(quadratic([[-1.0]], [[1.0]], [[2.0]]), ((-1, 2), (-1, 1)), points=31)
    assert not found.holds
    assert found.counterexample.tolist() == [2, 0]
    assert found.worst == pytest.approx(4.0)
    assert str(found) == "fails: dV/dt = 4 > 0 at [2.0, 0.0]"


@pytest.mark.parametrize("name", ["saturating", "nonsaturating", "least_squares"])
def test_the_distance_is_a_lyapunov_function_on_admissible_densities_only(name):
    """V = half the squared distance; its rate by hand is (D - D0) v_D + (p_g - p_d) v_p."""
    game = pointwise(name, 0.2)
    assert lyapunov(game, ((0.02, 0.98), (0, 5))).holds
    found = lyapunov(game, ((0.02, 0.98), (-5, 5)))
    assert not found.holds
    D, p_g = found.counterexample
    assert p_g < 0
    v = game.field(D, p_g)
    assert (D - 0.5) * v[0] + (p_g - 0.2) * v[1] == pytest.approx(found.worst, rel=1e-10)


def test_maximum_likelihood_needs_the_weight_of_one_half():
    game, region = pointwise("maximum_likelihood", 0.2), ((0.02, 0.98), (0, 5))
    assert not lyapunov(game, region).holds
    assert lyapunov(game, region, weights=(1, 0.5)).holds


def test_the_multiplicative_field_has_a_lyapunov_function_of_its_own():
    game = pointwise("saturating", 0.2, repair="multiply")
    D, p_g = game.symbols
    V = (D - sp.Rational(1, 2)) ** 2 / 2 + p_g - 0.2 - 0.2 * sp.log(p_g / 0.2)
    assert lyapunov(game, ((0.02, 0.98), (0.01, 5)), V=V).holds


@pytest.mark.parametrize(
    ("call", "error", "parts"),
    [
        (lambda: verdict("gan"), InputError, ("unknown objective 'gan'", "saturating")),
        (lambda: verdict(dirac_gan(), "sgd"), InputError, ("unknown method 'sgd'",)),
        (lambda: verdict(dirac_gan(), "euler", lr=-1), InputError, ("lr", "-1")),
        (lambda: multipliers(dirac_gan(), "adam"), InputError, ("adam has no derivative", "simulate")),
        (lambda: largest_stable_step(dirac_gan(), "adam"), InputError, ("adam has no derivative",)),
        (lambda: largest_stable_step(dirac_gan(), "alternating", n_d=0), InputError, ("n_d", "0")),
        (lambda: symbolic_jacobian(dirac_gan("saturating", GradientPenalty(1))), NoEquilibrium, ("jumps",)),
        (
            lambda: symbolic_eigenvalues(quadratic(np.eye(2), np.eye(2), np.eye(2))),
            InputError,
            ("two coordinates", "4"),
        ),
        (lambda: jacobian(pointwise("saturating", [0.1, 0.2])), InputError, ("p_d", "one number")),
        (lambda: eigenvalues(pointwise(least_squares(*sp.symbols("a b c")))), InputError, ("a, b, c", "one number")),
        (lambda: numeric_jacobian(bilinear(), step=0), InputError, ("step", "(0, inf)")),
        (lambda: lyapunov(bilinear(), (-1, 1)), InputError, ("region", "(x_1, y_1)")),
        (lambda: lyapunov(bilinear(), ((1, -1), (0, 1))), InputError, ("region", "(low, high)")),
        (lambda: lyapunov(bilinear(), ((0, float("nan")), (0, 1))), InputError, ("region", "nan")),
        (lambda: lyapunov(bilinear(), ((0, 1), (0, 1)), weights=(1,)), InputError, ("weights", "2")),
        (lambda: lyapunov(bilinear(), ((0, 1), (0, 1)), points=2), InputError, ("points", "at least 3")),
        (
            lambda: lyapunov(bilinear(), ((0, 1), (0, 1)), V=sp.Symbol("q") * bilinear().symbols[0]),
            InputError,
            ("q is given a number",),
        ),
        (lambda: lyapunov(pointwise("saturating"), ((0, 1), (0, 1))), InputError, ("not defined at", "inside")),
        (
            lambda: lyapunov(dirac_gan("saturating", Consensus(1)), ((0, 1), (0, 1))),
            InputError,
            ("leave out", "consensus"),
        ),
        (
            lambda: lyapunov(dirac_gan("saturating", InstanceNoise(1)), ((0, 1), (0, 1))),
            InputError,
            ("instance noise",),
        ),
    ],
)
def test_bad_input_is_named(call, error, parts):
    with pytest.raises(error) as raised:
        call()
    for part in parts:
        assert part in str(raised.value)
