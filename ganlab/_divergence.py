"""The record of an f-divergence, and the arithmetic that all of them share."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ganlab.checks import InputError, choose, numbers
from ganlab.primitives import exp, log, relu, sqrt

__all__ = ["DIVERGENCES", "Divergence", "get", "masses", "symbolic", "terms",
           "without_kinks"]  # fmt: skip

REACH = 300.0  # beyond a ratio of exp(REACH) a generator is continued by its growth, because exp(2 REACH) still fits


@dataclass(frozen=True)
class Divergence:
    """An f-divergence, ``D(p || q) = sum q f(p / q)``, with what it charges where only one of the laws has mass.

    Parameters
    ----------
    f : callable
        Convex on t >= 0 with ``f(1) = 0``, written with `ganlab.primitives` so that it answers in kind.
    at_zero : float, optional
        ``f(0)``: what each unit of q costs where p is 0. SymPy finds it if it is left out.
    slope : float, optional
        The limit of ``f(t) / t``: what each unit of p costs where q is 0. SymPy finds it if it is left out.
    conjugate : callable, optional
        ``f*(s) = sup over t >= 0 of s t - f(t)``, for s up to `slope`; infinite beyond. Found numerically if left out.
    name, source : str
        What it is called and where it comes from.

    Raises
    ------
    InputError
        If `f` is not callable, not convex or not 0 at 1, or a limit is neither given nor found.

    Examples
    --------
    >>> Divergence(f=lambda t: (t - 1) ** 2, name="mine")
    Divergence 'mine': f(0) = 1, slope inf
    """

    f: Callable
    at_zero: float | None = None
    slope: float | None = None
    conjugate: Callable | None = None
    name: str = "custom"
    source: str = ""

    def __post_init__(self):
        if not callable(self.f):
            raise InputError(f"f must be a function of the ratio t = p / q, got {self.f!r}")
        for name in ("at_zero", "slope"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, _limit(self.f, name))
        _check(self.f)

    def __repr__(self):
        return f"Divergence {self.name!r}: f(0) = {self.at_zero:.6g}, slope {self.slope:.6g}"


def _check(f):
    t = np.exp(np.linspace(-6.0, 6.0, 49))
    try:
        values, middle = (np.asarray(f(x), dtype=float) for x in (t, (t[:-1] + t[1:]) / 2))
    except (TypeError, ValueError) as error:
        raise InputError(f"f must accept an array of ratios; write it with ganlab.primitives ({error})") from None
    if not abs(values[24]) < 1e-9:
        raise InputError(f"f(1) must be 0, got {values[24]:g}: equal laws are 0 apart")
    if not (middle <= (values[:-1] + values[1:]) / 2 + 1e-9 * np.abs(values[1:])).all():
        raise InputError("f must be a convex function of t >= 0, or D(p || q) may be negative")


def symbolic(f):
    """Return a positive SymPy symbol t, and ``f(t)``.

    Raises
    ------
    InputError
        If `f` cannot take a symbol.
    """
    import sympy as sp

    t = sp.Symbol("t", positive=True)
    try:
        return t, sp.sympify(f(t), strict=True)
    except (TypeError, AttributeError, sp.SympifyError) as error:
        raise InputError("f must accept a SymPy symbol; write it with ganlab.primitives (log, sqrt, relu, ...) "
                         f"instead of numpy ({error})") from None  # fmt: skip


def without_kinks(expression, t, at):
    """Return the branch of `expression` that holds where `t` is `at`: SymPy finds no limits of a maximum."""
    import sympy as sp

    def value(argument):
        return argument.subs(t, at)

    branch = expression.replace(sp.Max, lambda *choices: max(choices, key=value))
    branch = branch.replace(sp.Min, lambda *choices: min(choices, key=value))
    return branch.replace(sp.Abs, lambda argument: argument if value(argument) >= 0 else -argument)


def _limit(f, name):
    import sympy as sp

    t, expression = symbolic(f)
    near, far = (without_kinks(expression, t, sp.Integer(10) ** power) for power in (-12, 12))
    try:
        return float(sp.limit(near, t, 0, "+") if name == "at_zero" else sp.limit(far / t, t, sp.oo))
    except (NotImplementedError, TypeError, ValueError) as error:
        raise InputError(f"SymPy does not find the limit {name} of f = {expression}: give it ({error})") from None


# Each generator is shifted by a multiple of t - 1, which no divergence notices, so that f'(1) = 0: f is nowhere
# negative, and the best critic of the variational bound is 0 where the laws agree.
DIVERGENCES = {
    "kl": Divergence(
        f=lambda t: t * log(t) - t + 1, at_zero=1.0, slope=np.inf, conjugate=lambda s: exp(s) - 1,
        name="kl", source="Kullback and Leibler 1951"),
    "reverse_kl": Divergence(
        f=lambda t: t - 1 - log(t), at_zero=np.inf, slope=1.0, conjugate=lambda s: -log(1 - s),
        name="reverse_kl", source="Kullback and Leibler 1951"),
    "js": Divergence(
        f=lambda t: (t * log(t) - (t + 1) * log((t + 1) / 2)) / 2, at_zero=np.log(2) / 2, slope=np.log(2) / 2,
        conjugate=lambda s: -log(2 - exp(2 * s)) / 2, name="js", source="Lin 1991"),
    "total_variation": Divergence(
        f=lambda t: (relu(t - 1) + relu(1 - t)) / 2, at_zero=0.5, slope=0.5,
        conjugate=lambda s: (relu(2 * s + 1) - 1) / 2, name="total_variation", source="half the L1 distance"),
    "chi_square": Divergence(
        f=lambda t: (t - 1) ** 2, at_zero=1.0, slope=np.inf, conjugate=lambda s: relu(s + 2) ** 2 / 4 - 1,
        name="chi_square", source="Pearson 1900"),
    "triangular": Divergence(
        f=lambda t: (t - 1) ** 2 / (t + 1), at_zero=1.0, slope=1.0,
        conjugate=lambda s: 7 - relu(s + 3) - 4 * sqrt(4 - relu(s + 3)), name="triangular", source="Topsøe 2000"),
    "hellinger": Divergence(
        f=lambda t: (sqrt(t) - 1) ** 2 / 2, at_zero=0.5, slope=0.5, conjugate=lambda s: s / (1 - 2 * s),
        name="hellinger", source="Hellinger 1909"),
}  # fmt: skip


def get(divergence):
    """Return the divergence of that name, or the divergence itself.

    Raises
    ------
    InputError
        If the name is unknown (the message lists the known ones), or it is no divergence.

    Examples
    --------
    >>> get("js").source
    'Lin 1991'
    """
    if isinstance(divergence, Divergence):
        return divergence
    if not isinstance(divergence, str):
        raise InputError(f"divergence must be a name or a Divergence, got {divergence!r}")
    return choose("divergence", divergence, DIVERGENCES)


def terms(divergence, p, q, log_p, log_q):
    """Return ``q f(p / q)`` at every point, infinite where it is, never NaN.

    `log_p` and `log_q` decide what is zero, and keep the far tails where `p` and `q` are 0 in floats.
    """
    p, q, log_p, log_q = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (p, q, log_p, log_q)))
    in_p, in_q = log_p > -np.inf, log_q > -np.inf
    ratio = np.where(in_p & in_q, log_p, 0.0) - np.where(in_p & in_q, log_q, 0.0)
    near, answer = in_p & in_q & (np.abs(ratio) <= REACH), np.zeros(ratio.shape)
    with np.errstate(all="ignore"):
        t = np.where((p > 0) & (q > 0), p / q, np.exp(ratio))
    answer[near] = q[near] * divergence.f(t[near])
    for only, far, mass, log_mass, limit, sign in (
        (in_p & ~in_q, ratio > REACH, p, log_p, divergence.slope, 1),
        (in_q & ~in_p, ratio < -REACH, q, log_q, divergence.at_zero, -1),
    ):
        answer[only] = np.inf if limit == np.inf else mass[only] * limit
        if far.any():
            answer[far] = (_continued(divergence.f, mass[far], log_mass[far], ratio[far], sign)
                           if limit == np.inf else mass[far] * limit)  # fmt: skip
    return answer


def _continued(f, mass, log_mass, ratio, sign):
    """Mass times ``f(t) / t`` (sign 1) or ``f(t)`` (-1), which has no limit, where `t` is too far from 1 for floats.

    There it grows as a power of t or as its logarithm; two values tell which.
    """
    t, beyond = np.exp(sign * np.array([REACH / 2, REACH])), sign * ratio - REACH
    before, last = f(t) / (t if sign > 0 else 1.0)
    if last > 4 * before:  # a power of t, to be added in logarithms before it can overflow
        with np.errstate(over="ignore"):
            return np.exp(log_mass + np.log(last) + beyond * np.log(last / before) / (REACH / 2))
    return mass * (last + beyond * (last - before) / (REACH / 2))


def masses(p, q, normalize=False, weights=None):
    """Check two discrete laws, or two densities on a grid with `weights`, and return them as arrays of masses.

    Raises
    ------
    InputError
        For negative mass, NaN, a sum that is not 1 unless `normalize`, empty arrays, or unequal shapes.
    """
    p, q = (np.atleast_1d(np.asarray(numbers(name, mass, 0), dtype=float)) for name, mass in (("p", p), ("q", q)))
    if p.shape != q.shape:
        raise InputError(f"p and q must have the same shape, got {p.shape} and {q.shape}")
    tolerance = 1e-8
    if weights is not None:
        weights, tolerance = numbers("weights", weights, 0), 1e-6
        if np.shape(weights) not in ((), p.shape):
            raise InputError(f"weights must be one number or have the shape of p, {p.shape}, got {np.shape(weights)}")
        p, q = p * weights, q * weights
    for name, mass in (("p", p), ("q", q)):
        total = mass.sum()
        if total == 0 or not (normalize or abs(total - 1) <= tolerance):
            raise InputError(f"{name} must sum to 1, got {total:.10g}; divide by the sum"
                             + ("" if total == 0 else " or say normalize=True"))  # fmt: skip
    return (p / p.sum(), q / q.sum()) if normalize else (p, q)
