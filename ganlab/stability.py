"""Is the rest point stable? Jacobians, eigenvalues, multipliers of the training methods, and Lyapunov's test."""

from dataclasses import dataclass, replace

import numpy as np

from ganlab._lyapunov import Lyapunov, lyapunov
from ganlab.checks import InputError, NoEquilibrium, number
from ganlab.methods import prepare
from ganlab.objectives import Objective

__all__ = ["Lyapunov", "Verdict", "eigenvalues", "jacobian", "largest_stable_step", "lyapunov", "multipliers",
           "numeric_jacobian", "spectral_radius", "symbolic_eigenvalues", "symbolic_jacobian", "verdict"]  # fmt: skip

ZERO = 1e-9  # real parts and distances from the unit circle below this count as zero
DOUBLE = 1e-7  # a double eigenvalue splits by the root of rounding: this much is no rotation
UNDECIDED = 1e-13  # rounding of a spectral radius: an excess below this is neither stable nor unstable
SMALLEST, LARGEST = 1e-6, 1e3  # the step sizes that are looked at


def symbolic_jacobian(game):
    """Return the Jacobian at the rest point as a SymPy matrix in the game's parameters.

    Raises
    ------
    NoEquilibrium
        If the field jumps at the rest point and so has no Jacobian there.

    Examples
    --------
    >>> from ganlab import pointwise
    >>> symbolic_jacobian(pointwise("saturating"))
    Matrix([
    [-8*p_d, -2],
    [     2,  0]])
    """
    if "_at_rest" not in vars(game):  # once a game, and not once for every step size that is tried
        vars(game)["_at_rest"] = _at_rest(game)
    return vars(game)["_at_rest"].copy()


def _at_rest(game):
    from ganlab import _symbolic

    if game.equilibrium is None:
        raise NoEquilibrium(f"{game.name} has no rest point")
    if not game.smooth:
        raise NoEquilibrium(f"{game.name}: the field jumps at the rest point, so there is no Jacobian there")
    at_rest = game.jacobian_rows.subs(dict(zip(game.symbols, game.equilibrium, strict=True)))
    if game.noise is not None:
        at_rest = at_rest.applyfunc(lambda entry: _symbolic.gaussian_mean(entry, *game.noise))
    at_rest = at_rest.applyfunc(_symbolic.closed)
    return at_rest - game.consensus * at_rest.T * at_rest if game.consensus else at_rest


def symbolic_eigenvalues(game):
    """Return the two eigenvalues of a planar game as SymPy formulas, the one with the minus sign first.

    Raises
    ------
    InputError
        If the game has not two coordinates.
    NoEquilibrium
        As for `symbolic_jacobian`.

    Examples
    --------
    >>> from ganlab import dirac_gan
    >>> symbolic_eigenvalues(dirac_gan())
    (-I/2, I/2)
    """
    import sympy as sp

    matrix = symbolic_jacobian(game)
    if matrix.shape != (2, 2):
        raise InputError(f"closed-form eigenvalues need two coordinates, {game.name} has {matrix.shape[0]}")
    half, root = matrix.trace() / 2, sp.sqrt(sp.factor(matrix.trace() ** 2 / 4 - matrix.det()))
    return tuple(sp.simplify(half + sign * root) for sign in (-1, 1))


def jacobian(game):
    """Return the Jacobian at the rest point as numbers, from its closed form.

    Returns
    -------
    (dim, dim) array
        Entry (i, j) is the derivative of coordinate i's velocity by coordinate j.

    Raises
    ------
    InputError
        If a parameter is an array or a symbol.
    NoEquilibrium
        As for `symbolic_jacobian`.

    Examples
    --------
    >>> from ganlab import R1, dirac_gan
    >>> jacobian(dirac_gan("saturating", R1(0.3))).tolist()
    [[0.0, -0.5], [0.5, -0.3]]
    """
    if "_jacobian" not in vars(game):  # the closed form takes SymPy a while, and every multiplier asks for it
        matrix = symbolic_jacobian(game).subs({s: v for s, v in game.parameters.items() if np.ndim(v) == 0})
        if matrix.free_symbols:
            names = ", ".join(sorted(map(str, matrix.free_symbols)))
            raise InputError(f"{game.name}: give {names} one number to get a numeric Jacobian")
        vars(game)["_jacobian"] = np.array(matrix.evalf(), dtype=float)
    return vars(game)["_jacobian"].copy()


def numeric_jacobian(game, at=None, step=1e-6):
    """Return the Jacobian by central differences of the compiled field: the check on the closed form.

    Parameters
    ----------
    at : (dim,) array_like, optional
        Where; the rest point by default.
    step : float
        Half the width of the difference.

    Returns
    -------
    (dim, dim) array

    Raises
    ------
    InputError
        If the step is not positive, or `at` is left out and the game has no rest point.

    Examples
    --------
    >>> from ganlab import bilinear
    >>> np.round(numeric_jacobian(bilinear(2.0)), 6).tolist()
    [[0.0, -2.0], [2.0, 0.0]]
    """
    z = np.array([float(v) for v in (game.rest if at is None else at)])
    shifts = number("step", step, 0, open_low=True) * np.eye(len(z))
    columns = [(np.array(game.field(*(z + d))) - np.array(game.field(*(z - d)))) / (2 * step) for d in shifts]
    return np.array(columns, dtype=float).T


def eigenvalues(game):
    """Return the eigenvalues of the Jacobian at the rest point, largest real part first.

    Returns
    -------
    (dim,) array, complex where one of them is

    Raises
    ------
    InputError, NoEquilibrium
        As for `jacobian`.

    Examples
    --------
    >>> from ganlab import pointwise
    >>> np.round(eigenvalues(pointwise("quadratic", p_d=2.5)), 6).tolist()
    [-0.5, -2.0]
    """
    return _ordered(np.linalg.eigvals(jacobian(game)))


def _ordered(values):
    return np.array(sorted(values, key=lambda v: (-round(v.real, 12), v.imag)))


def multipliers(game, method="simultaneous", lr=0.1, **options):
    """Return the eigenvalues of one training step, linearised at the rest point.

    Every method but Adam is linear in the field, so its step matrix is read off exactly by stepping
    the linearised game from the unit vectors (of the state and of what the method remembers). Walls are
    left out: they are never active at the rest point.

    Returns
    -------
    (dim,) array, or (2 dim,) where the method remembers something

    Raises
    ------
    InputError
        For Adam, whose step has no derivative at the rest point, and as `simulate` does.
    NoEquilibrium
        As for `symbolic_jacobian`.

    Examples
    --------
    >>> from ganlab import dirac_gan
    >>> np.round(multipliers(dirac_gan(), "simultaneous", lr=0.2), 6)
    array([1.-0.1j, 1.+0.1j])
    """
    chosen, h, play = prepare(game, method, lr, options)
    if not chosen.linear:
        raise InputError(f"{method} has no derivative at the rest point; measure its rate with simulate instead")
    A = jacobian(game)
    if method == "unrolled":
        A[game.generator[0]] += _slope_of(play.ahead, game)
        chosen, h, play = prepare(game, "simultaneous", lr, {})
    dim = len(h)
    basis = np.eye(dim if chosen.memory is None else 2 * dim)
    play = replace(play, project=tuple)
    memory = None if chosen.memory is None else tuple(basis[dim:])
    z, memory = chosen.step(tuple(basis[:dim]), memory, lambda *z: list(A @ np.array(z)), h, play)
    return _ordered(np.linalg.eigvals(np.array(z if memory is None else [*z, *memory])))


def _slope_of(function, game, step=1e-4):
    """Gradient of a scalar function of the state at the rest point, by central differences of fourth order."""
    z = np.array([float(v) for v in game.rest])

    def difference(d):
        return (function(z + d) - function(z - d)) / 2

    return [(4 * difference(d / 2) * 2 - difference(d)) / (3 * step) for d in step * np.eye(len(z))]


def spectral_radius(game, method="simultaneous", lr=0.1, **options):
    """Return the largest modulus of the multipliers: below 1 the method converges at that rate per step.

    Raises
    ------
    InputError, NoEquilibrium
        As for `multipliers`.

    Examples
    --------
    >>> from ganlab import R1, dirac_gan
    >>> round(spectral_radius(dirac_gan("saturating", R1(0.3)), lr=0.2), 4)
    0.9747
    """
    return float(np.max(np.abs(multipliers(game, method, lr, **options))))


def largest_stable_step(game, method="simultaneous", **options):
    """Return the step size below which the method is stable at the rest point.

    Returns
    -------
    float
        0.0 if it is unstable or marginal for all small steps, ``inf`` if it is stable up to 1000.

    Raises
    ------
    InputError, NoEquilibrium
        As for `multipliers`.

    Notes
    -----
    Simultaneous steps are stable for ``h < min 2 |Re| / |lambda|^2``; for the other methods the first
    crossing of the unit circle is bracketed on a grid and bisected.

    Examples
    --------
    >>> from ganlab import dirac_gan, R1
    >>> largest_stable_step(dirac_gan("saturating", R1(0.3)))
    1.2
    """
    from scipy.optimize import brentq

    if method in ("simultaneous", "euler") and not options:
        values = eigenvalues(game)
        return float(np.min(-2 * values.real / np.abs(values) ** 2)) if np.all(values.real < -ZERO) else 0.0

    def excess(log_lr):
        return spectral_radius(game, method, np.exp(log_lr), **options) - 1

    previous = None
    for log_lr in np.linspace(np.log(SMALLEST), np.log(LARGEST), 600):
        now = excess(log_lr)
        if now < -UNDECIDED:
            previous = log_lr
        elif now > UNDECIDED:
            return 0.0 if previous is None else float(np.exp(brentq(excess, previous, log_lr, xtol=1e-14)))
    return 0.0 if previous is None else float("inf")


@dataclass(frozen=True)
class Verdict:
    """What linearisation says of a rest point, or of a training method there.

    Attributes
    ----------
    kind : str
        "stable node", "stable spiral", "centre", "saddle", "unstable node", "unstable spiral",
        "degenerate", "no equilibrium", "not differentiable"; for a method "stable", "marginal" or "unstable".
    values : array
        Eigenvalues, or multipliers.
    why : str
        One line in words.
    """

    kind: str
    values: np.ndarray
    why: str

    @property
    def stable(self):
        """True only if linearisation proves convergence; a largest real part of zero never does."""
        return self.kind.startswith("stable")

    def __str__(self):
        return f"{self.kind}: {self.why}"


def verdict(game, method=None, lr=0.1, **options):
    """Judge the rest point of a game (in continuous time), or of a training method on it.

    Parameters
    ----------
    game : Game, Objective or str
        An objective stands for its pointwise field at ``p_d = 0.2``.
    method : str, optional
        A key of `METHODS`; without one the flow is judged.
    lr : float or pair
        The method's step size.

    Returns
    -------
    Verdict
        Without a rest point the kind is "no equilibrium": nothing is raised.

    Raises
    ------
    InputError
        For an unknown name or a bad number.

    Examples
    --------
    >>> from ganlab import dirac_gan
    >>> print(verdict(dirac_gan()))
    centre: eigenvalues ±0.5i
    >>> print(verdict(dirac_gan(), "simultaneous", lr=0.2))
    unstable: multipliers 1 ± 0.1i, modulus 1.0050
    """
    from ganlab.games import pointwise

    try:
        if isinstance(game, (Objective, str)):
            game = pointwise(game)
        if game.equilibrium is None:
            raise NoEquilibrium(f"{game.name} has no rest point")
        if not game.smooth:
            return Verdict("not differentiable", np.array([]), "the field jumps at the rest point")
        if method is None:
            values = eigenvalues(game)
            return Verdict(_kind(values), values, f"eigenvalues {written(values)}")
        values = multipliers(game, method, lr, **options)
    except NoEquilibrium as error:
        return Verdict("no equilibrium", np.array([]), str(error))
    rho = np.max(np.abs(values))
    kind = "stable" if rho < 1 - ZERO else "unstable" if rho > 1 + ZERO else "marginal"
    return Verdict(kind, values, f"multipliers {written(values)}, modulus {rho:.4f}")


def _kind(values):
    real, scale = values.real, max(1.0, np.max(np.abs(values)))
    spiral = np.any(np.abs(values.imag) > DOUBLE * scale)
    if np.min(np.abs(values)) <= ZERO * scale:
        return "degenerate"
    if np.max(real) < -ZERO * scale:
        return "stable spiral" if spiral else "stable node"
    if np.max(real) <= ZERO * scale:
        return "centre"
    if np.min(real) < -ZERO * scale:
        return "saddle"
    return "unstable spiral" if spiral else "unstable node"


def written(values, digits=4):
    """Write eigenvalues for reading: conjugate pairs as ``a ± bi``, zeros as 0.

    Examples
    --------
    >>> written(np.array([0.5j, -0.5j])), written(np.array([-1.0, -2.0]))
    ('±0.5i', '-1, -2')
    """

    def short(x):
        return f"{round(float(x), digits) + 0.0:.{digits}g}"

    parts = []
    for v in values:
        pair = abs(v.imag) > DOUBLE
        real = short(v.real) if round(v.real, digits) else ("" if pair else "0")
        height = short(abs(v.imag)).removesuffix("1" if short(abs(v.imag)) == "1" else "none")
        text = f"{real} ± {height}i" if pair and real else f"±{height}i" if pair else real
        if not (pair and text in parts):
            parts.append(text)
    return ", ".join(parts)
