"""The best critic of an objective, and what it leaves for the generator."""

from functools import lru_cache

import numpy as np

from ganlab import objectives
from ganlab._divergence import masses
from ganlab.checks import InputError, choose, numbers

__all__ = ["criterion", "optimal_score", "sup_gain"]

_FAR = 600.0  # scores beyond count as infinite: the sigmoid of -600 is still a normal number


def optimal_score(objective, p, q):
    """Return the score ``t`` that raises ``p f1(t) + q f2(t)`` most: the best critic where data and fakes have p and q.

    Parameters
    ----------
    objective : str or Objective
    p, q : array of shape (...), or SymPy expressions
        Masses or densities of the data and of the generator at the same points, not negative. They need not sum to 1.

    Returns
    -------
    array of shape (...), or a SymPy expression
        The score; ``link(score)`` is D. Plus or minus infinity where the gain grows for ever or its supremum is only
        reached there, NaN where both densities vanish and no score is better than another. Where several are best, the
        one nearest to 0.

    Raises
    ------
    InputError
        For negative or NaN densities, unequal shapes, or symbols for which no closed form is found.

    Examples
    --------
    >>> optimal_score("saturating", [0.5, 0.5, 0.0], [0.5, 0.0, 0.5]).tolist()
    [0.0, inf, -inf]
    >>> import sympy
    >>> p, q = sympy.symbols("p q", positive=True)
    >>> optimal_score("least_squares", p, q)
    p/(p + q)
    """
    if getattr(p, "free_symbols", None) or getattr(q, "free_symbols", None):
        return _closed_score(objectives.get(objective), p, q)
    p, q = (np.asarray(numbers(name, value, 0), dtype=float) for name, value in (("p", p), ("q", q)))
    if p.shape != q.shape:
        raise InputError(f"p and q must have the same shape, got {p.shape} and {q.shape}")
    return _best(objectives.get(objective), p, q)


def _closed_score(objective, p, q):
    from ganlab import _roots, _symbolic

    t, f1, f2, _ = objectives.expressions(objective)
    roots = _roots.real_roots((p * f1 + q * f2).diff(t), t)
    if len(roots) != 1:
        raise InputError(f"{objective.name}: the best score has no closed form in p and q; hand in numbers instead")
    return _symbolic.closed(roots[0])


@lru_cache
def _compiled(objective):
    """The slopes of f1 and f2, as numpy functions."""
    from ganlab import _symbolic

    t, f1, f2, _ = objectives.expressions(objective)
    return [_symbolic.to_numpy((t,), f.diff(t)) for f in (f1, f2)]


def _best(objective, p, q):
    """Bisection on the slope of the gain, which only falls when f1 and f2 are concave."""
    slope1, slope2 = _compiled(objective)

    def slope(t):
        return p * slope1(t) + q * slope2(t)

    with np.errstate(all="ignore"):
        low, high = np.full(p.shape, -_FAR), np.full(p.shape, _FAR)
        at_low, at_high = slope(low), slope(high)
        for _ in range(100):
            middle = (low + high) / 2
            rising = slope(middle) > 0
            low, high = np.where(rising, middle, low), np.where(rising, high, middle)
        score = np.where(at_high > 0, np.inf, np.where(at_low < 0, -np.inf, low))
        score = np.where(slope(np.zeros(p.shape)) == 0, 0.0, score)
    return np.where((p == 0) & (q == 0), np.nan, score)


def sup_gain(objective, p, q, weights=None, normalize=False):
    """Return ``sup over all critics of J = sum p f1(t) + q f2(t)``.

    Parameters
    ----------
    objective : str or Objective
    p, q : array of shape (...)
        The masses of the data and of the generator, each with sum 1; with `weights`, densities on a grid.
    weights : float or array of shape (...), optional
        The length, area or quadrature weight of each cell.
    normalize : bool
        Divide by the sums instead of refusing others than 1.

    Returns
    -------
    float
        Infinite for a game that is unbounded, such as Wasserstein's without a constraint on the critic.

    Raises
    ------
    InputError
        As for `divergence`.

    Examples
    --------
    >>> round(sup_gain("saturating", [0.5, 0.5], [0.5, 0.5]), 6)
    -1.386294
    >>> sup_gain("wasserstein", [0.5, 0.5], [0.4, 0.6])
    inf
    """
    objective = objectives.get(objective)
    p, q = masses(p, q, normalize, weights)
    score = _best(objective, p, q)
    return _gain(objective, p, q, score)


def _mean(function, score, mass):
    with np.errstate(all="ignore"):
        return float(np.where(mass > 0, mass * function(np.where(mass > 0, score, 0.0)), 0.0).sum())


def _gain(objective, p, q, score):
    both = (p > 0) & (q > 0) & np.isinf(score)
    far = np.where(both, np.sign(score) * 1e6, score)
    gain = _mean(objective.f1, far, p) + _mean(objective.f2, far, q)
    farther = np.where(both, 2 * far, far)
    return np.inf if _mean(objective.f1, farther, p) + _mean(objective.f2, farther, q) > gain + 1e-9 else gain


def criterion(objective, p, q, on_data=None, weights=None, normalize=False):
    """Return ``C(G)``: what the generator minimises once the critic is the best one.

    Parameters
    ----------
    objective : str or Objective
    p, q : array of shape (...)
        The masses of the data and of the generator, each with sum 1; with `weights`, densities on a grid.
    on_data : {"critic", "generator", "nothing"}, optional
        What is averaged over the data and added to the generator's own ``-E_q f3(t*)``: ``f1`` as the critic has it
        (then a zero-sum game's C is `sup_gain`), ``-f3`` as in the chi-square theorem of LSGAN, or nothing. If left
        out, "critic" for a zero-sum game and "nothing" for any other.
    weights, normalize
        As for `sup_gain`.

    Returns
    -------
    float

    Raises
    ------
    InputError
        As for `sup_gain`, and for an unknown `on_data`.

    Examples
    --------
    >>> round(criterion("saturating", [1.0, 0.0], [0.0, 1.0]), 6)  # -log 4 + 2 log 2
    0.0
    >>> criterion("nonsaturating", [1.0, 0.0], [0.0, 1.0])
    inf
    """
    objective = objectives.get(objective)
    zero_sum = objectives.is_zero_sum(objective)
    terms = {"critic": objective.f1, "generator": lambda t: -objective.f3(t), "nothing": None}
    term = choose("on_data", ("critic" if zero_sum else "nothing") if on_data is None else on_data, terms)
    p, q = masses(p, q, normalize, weights)
    score = _best(objective, p, q)
    if zero_sum and term is objective.f1:
        return _gain(objective, p, q, score)
    return -_mean(objective.f3, score, q) + (0.0 if term is None else _mean(term, score, p))
