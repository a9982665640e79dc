"""The record of an f-divergence, and the arithmetic that all of them share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ganlab.checks import InputError, choose, numbers
from ganlab.primitives import exp, log, relu, sqrt

__all__ = ["DIVERGENCES", "Divergence", "conjugate_at", "derivative", "get", "masses", "slope_at_zero", "terms"]

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
        If `f` is not callable, ``f(1)`` is not 0, or a limit is neither given nor found.

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
        for name, limit in (("at_zero", _at_zero), ("slope", _slope)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, limit(self.f))
        if not abs(float(self.f(np.float64(1.0)))) < 1e-9:
            raise InputError(f"f(1) must be 0, got {float(self.f(np.float64(1.0))):g}: equal laws are 0 apart")

    def __repr__(self):
        return f"Divergence {self.name!r}: f(0) = {self.at_zero:.6g}, slope {self.slope:.6g}"


def _symbolic_f(f):
    import sympy as sp

    t = sp.Symbol("t", positive=True)
    try:
        return t, sp.sympify(f(t), strict=True)
    except (TypeError, AttributeError, sp.SympifyError) as error:
        raise InputError("f must accept a SymPy symbol; write it with ganlab.primitives (log, sqrt, relu, ...) "
                         f"instead of numpy ({error})") from None  # fmt: skip


def _at_zero(f):
    import sympy as sp

    t, expression = _symbolic_f(f)
    return float(sp.limit(expression, t, 0, "+"))


def _slope(f):
    import sympy as sp

    t, expression = _symbolic_f(f)
    return float(sp.limit(expression / t, t, sp.oo))


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
        conjugate=lambda s: (relu(2 * s + 1) - 1) / 2, name="total_variation", source="Csiszár 1967"),
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
    p, q, log_p, log_q = (np.asarray(x, dtype=float) for x in (p, q, log_p, log_q))
    only_p, only_q, both = log_q == -np.inf, log_p == -np.inf, (log_p > -np.inf) & (log_q > -np.inf)
    ratio = np.where(both, log_p, 0.0) - np.where(both, log_q, 0.0)
    answer = np.zeros(ratio.shape)
    near = both & (np.abs(ratio) <= REACH)
    with np.errstate(all="ignore"):
        t = np.where(near, np.where((p > 0) & (q > 0), p / q, np.exp(ratio)), 1.0)
        answer = np.where(near, q * divergence.f(t), answer)
        right, left = both & (ratio > REACH), both & (ratio < -REACH)
        if right.any():
            answer = np.where(right, _continued(divergence.slope, p, log_p, ratio, divergence.f, True), answer)
        if left.any():
            answer = np.where(left, _continued(divergence.at_zero, q, log_q, -ratio, divergence.f, False), answer)
        answer = np.where(only_p & ~only_q, p * divergence.slope, answer)
        return np.where(only_q & ~only_p, q * divergence.at_zero, answer)


def _continued(limit, mass, log_mass, distance, f, right):
    """Mass times ``f(t) / t`` (right) or ``f(t)`` (left) where `t` is too far from 1 for floats.

    Where the limit is infinite, it is reached as a power of t or as its logarithm; two values tell which.
    """
    if np.isfinite(limit):
        return mass * limit
    ends = np.exp(np.array([REACH - 1, REACH]) * (1 if right else -1))
    before, last = f(ends) / (ends if right else 1.0)
    if last > 2 * before:  # a power of t, to be added in logarithms before it can overflow
        return np.exp(log_mass + np.log(last) + (distance - REACH) * np.log(last / before))
    return mass * (last + (distance - REACH) * (last - before))


@lru_cache
def derivative(divergence):
    """Return ``f'`` as a numpy function of t > 0 (at a kink, the middle of its slopes)."""
    from ganlab import _symbolic

    t, expression = _symbolic_f(divergence.f)
    return _symbolic.to_numpy((t,), expression.diff(t))


@lru_cache
def slope_at_zero(divergence):
    """Return ``f'(0)``, minus infinity for most."""
    import sympy as sp

    t, expression = _symbolic_f(divergence.f)
    return float(sp.limit(expression.diff(t), t, 0, "+"))


def ratio_at(divergence, s):
    """Return the t with ``f'(t) = s`` by bisection in ``log t``: f is convex, so its slope only grows."""
    slope, s = derivative(divergence), np.asarray(s, dtype=float)
    low, high = np.full(s.shape, -REACH), np.full(s.shape, REACH)
    for _ in range(80):
        middle = (low + high) / 2
        below = slope(np.exp(middle)) < s
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.exp(low)


def conjugate_at(divergence, s):
    """Return ``f*(s)`` as an array: infinite above `slope`, ``-f(0)`` at minus infinity."""
    s = np.asarray(s, dtype=float)
    with np.errstate(all="ignore"):
        inside = np.where(np.isfinite(s) & (s <= divergence.slope), s, 0.0)
        if divergence.conjugate is not None:
            value = divergence.conjugate(inside) + 0.0 * inside
        else:
            t = ratio_at(divergence, inside)
            value = np.maximum(inside * t - divergence.f(t), -divergence.at_zero)
    value = np.where((s > divergence.slope) | (s == np.inf), np.inf, value)
    return np.where(s == -np.inf, -divergence.at_zero, value)


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
