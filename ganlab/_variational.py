"""The variational form of an f-divergence: what a critic T can measure, and which one measures all of it."""

from functools import lru_cache

import numpy as np

from ganlab._divergence import get, masses, symbolic, without_kinks
from ganlab.checks import InputError, numbers

__all__ = ["best_T", "variational_bound"]

_REACH = 300.0  # the logarithm of the largest ratio p / q that a conjugate looks at


@lru_cache
def derivative(divergence):
    """Return ``f'`` as a numpy function of t > 0 (at a kink, the middle of its slopes)."""
    from ganlab import _symbolic

    t, expression = symbolic(divergence.f)
    return _symbolic.to_numpy((t,), expression.diff(t))


@lru_cache
def slope_at_zero(divergence):
    """Return ``f'(0)``, minus infinity for most."""
    import sympy as sp

    t, expression = symbolic(divergence.f)
    near = without_kinks(expression, t, sp.Integer(10) ** -12)
    return float(sp.limit(near.diff(t), t, 0, "+"))


def ratio_at(divergence, s):
    """Return the t with ``f'(t) = s`` by bisection in ``log t``: f is convex, so its slope only grows."""
    slope, s = derivative(divergence), np.asarray(s, dtype=float)
    low, high = np.full(s.shape, -_REACH), np.full(s.shape, _REACH)
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


def best_T(divergence, p, q):
    """Return the critic ``T = f'(p / q)`` for which `variational_bound` is tight.

    Parameters
    ----------
    divergence : str or Divergence
    p, q : array of shape (...)
        Masses or densities at the same points, not negative.

    Returns
    -------
    array of shape (...)
        ``f'(0)`` where p is 0 (minus infinity for KL), `slope` where q is 0, and 0 where both are.

    Raises
    ------
    InputError
        For negative or NaN masses, or unequal shapes.

    Examples
    --------
    >>> best_T("kl", [0.5, 0.5, 0.0], [0.5, 0.25, 0.25]).round(6).tolist()
    [0.0, 0.693147, -inf]
    """
    divergence = get(divergence)
    p, q = (np.asarray(numbers(name, value, 0), dtype=float) for name, value in (("p", p), ("q", q)))
    if p.shape != q.shape:
        raise InputError(f"p and q must have the same shape, got {p.shape} and {q.shape}")
    with np.errstate(all="ignore"):
        T = derivative(divergence)(np.where((p > 0) & (q > 0), p / q, 1.0)) + 0.0 * p
    top = divergence.slope  # which rounding may reach, or pass, where the ratio is large; f* may be infinite there
    T = np.minimum(T, top if conjugate_at(divergence, top) < np.inf else top * (1 - 4 * np.finfo(float).eps))
    if (p == 0).any():
        T = np.where((p == 0) & (q > 0), slope_at_zero(divergence), T)
    return np.where(q > 0, T, np.where(p > 0, divergence.slope, 0.0))


def variational_bound(divergence, T, p, q):
    """Return ``E_p T - E_q f*(T)``, which no critic T can raise above ``D(p || q)``.

    Parameters
    ----------
    divergence : str or Divergence
    T : array of shape (...) or callable
        The critic's values on the support, or a function of an array of samples.
    p, q : array
        Masses with sum 1 if `T` is an array; samples, `(n, d)` or `(n,)`, if it is a function.

    Returns
    -------
    float
        Minus infinity where T leaves the domain of ``f*`` (above `slope`).

    Raises
    ------
    InputError
        For masses as in `divergence`, or a T of another shape or with NaN.

    Notes
    -----
    Nguyen, Wainwright and Jordan 2010; Nowozin et al. 2016 (f-GAN), whose generators differ from ours by a multiple of
    ``t - 1``, which shifts T by a constant and leaves the bound as it is.

    Examples
    --------
    >>> p, q = [0.5, 0.5], [0.25, 0.75]
    >>> round(variational_bound("kl", best_T("kl", p, q), p, q), 6), variational_bound("kl", [0.0, 0.0], p, q)
    (0.143841, 0.0)
    """
    divergence = get(divergence)
    if callable(T):
        on_p, on_q = (np.asarray(T(np.asarray(x, dtype=float)), dtype=float) for x in (p, q))
        p, q = np.full(on_p.shape, 1 / on_p.size), np.full(on_q.shape, 1 / on_q.size)
    else:
        p, q = masses(p, q)
        on_p = on_q = np.asarray(T, dtype=float)
        if on_p.shape != p.shape:
            raise InputError(f"T must have the shape of p, {p.shape}, got {on_p.shape}")
    if np.isnan(on_p).any() or np.isnan(on_q).any():
        raise InputError("T must give numbers, got NaN")
    if (on_p[p > 0] > divergence.slope).any():  # f*(T) is infinite there, also where q has nothing to weigh it with
        return -np.inf
    gain, cost = p[p > 0] @ on_p[p > 0], q[q > 0] @ conjugate_at(divergence, on_q[q > 0])
    return float(-np.inf if cost == np.inf else gain - cost)
