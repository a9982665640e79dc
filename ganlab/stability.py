"""Is the rest point stable? Multipliers of the training methods, verdicts, and Lyapunov's test."""

from dataclasses import dataclass, replace

import numpy as np

from ganlab._lyapunov import Lyapunov, lyapunov
from ganlab.checks import InputError, NoEquilibrium
from ganlab.jacobians import eigenvalues, jacobian, ordered
from ganlab.methods import prepare
from ganlab.objectives import Objective

__all__ = ["Lyapunov", "Verdict", "largest_stable_step", "lyapunov", "multipliers", "spectral_radius", "verdict",
           "written"]  # fmt: skip

ZERO = 1e-9  # real parts and distances from the unit circle below this count as zero
DOUBLE = 1e-7  # a double eigenvalue splits by the root of rounding: this much is no rotation
UNDECIDED = 1e-13  # rounding of a spectral radius: an excess below this is neither stable nor unstable
SMALLEST, LARGEST = 1e-6, 1e3  # the step sizes that are looked at


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
    return ordered(np.linalg.eigvals(np.array(z if memory is None else [*z, *memory])))


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
