"""The best critic of an objective, and what it leaves for the generator."""

from functools import lru_cache

import numpy as np

from ganlab import objectives
from ganlab._divergence import masses
from ganlab.checks import InputError, choose, numbers

__all__ = ["criterion", "optimal_score", "sup_gain"]

_FAR = 700.0  # the sigmoid of -700 is still a normal number
_GRID = np.sinh(np.linspace(-7.0, 7.0, 2001))


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
    try:
        roots = _roots.real_roots((p * f1 + q * f2).diff(t), t)
        closed = [_symbolic.closed(root) for root in roots if _is_best(objective, root, p, q)]
    except (TypeError, ValueError, NotImplementedError):  # a slope with kinks is no polynomial
        closed = []
    if len(closed) != 1:
        raise InputError(f"{objective.name}: the best score has no closed form in p and q; hand in numbers instead")
    return closed[0]


def _is_best(objective, root, p, q):
    """Compare a root with the numeric answer at two pairs of numbers."""
    import sympy as sp

    symbols = sorted(sp.sympify(p).free_symbols | sp.sympify(q).free_symbols, key=str)
    for numbers_ in ((0.3, 0.7), (0.6, 0.1)):
        known = dict(zip(symbols, numbers_, strict=False))
        at = [np.array(float(sp.sympify(x).subs(known))) for x in (p, q)]
        if not abs(complex(root.subs(known)) - _best(objective, *at)) < 1e-9:
            return False
    return True


@lru_cache
def _compiled(objective):
    """The slopes of f1 and f2 as numpy functions, and whether both only fall."""
    from ganlab import _symbolic

    t, f1, f2, _ = objectives.expressions(objective)
    slopes = [_symbolic.to_numpy((t,), f.diff(t)) for f in (f1, f2)]
    with np.errstate(all="ignore"):
        values = np.array([slope(_GRID) + 0.0 * _GRID for slope in slopes])
    falling = np.diff(values, axis=1) <= 1e-12 * np.maximum(1.0, np.abs(values[:, 1:]))
    return *slopes, bool(falling[np.isfinite(values[:, 1:])].all())


def _best(objective, p, q):
    """The best score at each point: between the brackets the slope of the gain changes sign once."""
    slope1, slope2, concave = _compiled(objective)
    shape, p, q = p.shape, p.ravel(), q.ravel()

    def slope(t):
        return p * slope1(t) + q * slope2(t)

    with np.errstate(all="ignore"):
        low, high = _brackets(slope, p.shape) if concave else _peaks(objective, p, q)
        left, right = _bisect(lambda t: slope(t) > 0, low, high), _bisect(lambda t: slope(t) >= 0, low, high)
    score = np.clip(0.0, left, np.maximum(left, right))
    return np.where((p == 0) & (q == 0), np.nan, score).reshape(shape)


def _brackets(slope, shape):
    """Scores around the root of a falling slope; both ends are infinite where it never changes sign."""
    ends = []
    for sign in (1.0, -1.0):
        far, end = np.full(shape, sign * _FAR), np.full(shape, np.nan)
        climbs = sign * slope(far) > 0  # beyond, a slope may be 0 only because it is too small for floats
        for _ in range(60):
            end = np.where(np.isnan(end) & (sign * slope(far) < 0), far, end)
            far = 2 * far
        ends.append((climbs & np.isnan(end), np.where(np.isnan(end), far, end)))
    (up, high), (down, low) = ends
    low, high = np.where(up, np.inf, low), np.where(up, np.inf, high)
    return np.where(down, -np.inf, low), np.where(down, -np.inf, high)


def _peaks(objective, p, q):
    """The cells of the grid around the highest gain, for a gain that may have several peaks."""
    gain = np.stack([_weighted(objective, _GRID, *pair) for pair in zip(p, q, strict=True)])
    best = np.where(np.isnan(gain), -np.inf, gain).argmax(axis=1)
    low, high = _GRID[np.maximum(best - 1, 0)], _GRID[np.minimum(best + 1, len(_GRID) - 1)]
    low, high = np.where(best == len(_GRID) - 1, np.inf, low), np.where(best == len(_GRID) - 1, np.inf, high)
    return np.where(best == 0, -np.inf, low), np.where(best == 0, -np.inf, high)


def _weighted(objective, t, p, q):
    return sum(mass * function(t) for mass, function in ((p, objective.f1), (q, objective.f2)) if mass > 0) + 0.0 * t


def _bisect(rising, low, high):
    for _ in range(140):
        middle = (low + high) / 2
        up = rising(middle)
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    return np.where(np.isfinite(low), (low + high) / 2, low)


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
    """J at the best scores; where they are infinite, from two scores so far out that only growth tells them apart."""
    score = np.where(np.isnan(score), 0.0, score)
    near, far = (
        _mean(objective.f1, t, p) + _mean(objective.f2, t, q)
        for t in (np.where(np.isinf(score), np.sign(score) * reach, score) for reach in (1e75, 1e150))
    )
    return np.inf if far > near + 1e-9 else far


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
