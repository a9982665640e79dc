"""The best critic of two sets of points: the Kantorovich-Rubinstein programme, and its extension to all of space."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ganlab._samples import distances, pair, points, weights
from ganlab.checks import InputError, NotConverged, choose, number, numbers

__all__ = ["KantorovichDual", "kantorovich_dual", "lipschitz_extension"]

MOST_POINTS = 512


@dataclass(frozen=True, eq=False, repr=False)
class KantorovichDual:
    """The values of a best 1-Lipschitz critic on the points of both sets.

    Attributes
    ----------
    gain : float
        ``sum a f(x) - sum b f(y)``, which is W_1.
    fx, fy : (n,) and (m,) array
        f on both sets, with ``sum a f(x) = 0``.
    critic : callable
        f on all of space, ``critic(z)`` for an (N, d) array: `lipschitz_extension` of the values.
    """

    gain: float
    fx: np.ndarray
    fy: np.ndarray
    critic: Callable

    def __repr__(self):
        return f"KantorovichDual on {len(self.fx)} and {len(self.fy)} points: gain {self.gain:.6g}"


def kantorovich_dual(x, y, a=None, b=None):
    """Return the best 1-Lipschitz critic of two sets of weighted points: a linear programme over its values.

    Parameters
    ----------
    x : (n, d) array
        Where the critic wants to be high: data, in most papers.
    y : (m, d) array
    a, b : (n,) and (m,) array, optional
        Weights, none negative, with sum 1; equal if left out.

    Returns
    -------
    KantorovichDual
        ``max sum a f(x) - sum b f(y)`` with ``|f(s) - f(t)| <= |s - t|`` for all points s, t of both sets.

    Raises
    ------
    InputError
        For bad points or weights, or more than 512 points in all: every pair is a constraint.
    NotConverged
        If HiGHS finds no optimum.

    Notes
    -----
    Kantorovich and Rubinstein 1958; Arjovsky et al. 2017, equation 2.

    Examples
    --------
    >>> kantorovich_dual([0.0, 1.0], [3.0, 4.0])
    KantorovichDual on 2 and 2 points: gain 3
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    x, y = pair(x, y)
    a, b = weights("a", a, len(x)), weights("b", b, len(y))
    z = np.concatenate([x, y])
    N = len(z)
    if N > MOST_POINTS:
        raise InputError(f"the programme takes at most {MOST_POINTS} points in all, got {N}; use plan(p=1)")
    d = distances(z, z)
    scale = d.max() or 1.0
    i, j = np.nonzero(~np.eye(N, dtype=bool))
    k = np.arange(len(i))
    slopes = coo_array((np.repeat([1.0, -1.0], len(k)), (np.tile(k, 2), np.concatenate([i, j]))), (len(k), N))
    gain = np.concatenate([a, -b])
    found = linprog(-gain, A_ub=slopes.tocsr(), b_ub=d[i, j] / scale, bounds=[(0, 0)] + [(None, None)] * (N - 1))
    if found.status != 0:
        raise NotConverged(f"HiGHS found no optimum: {found.message}")
    f = found.x * scale
    f = f - a @ f[: len(x)]
    return KantorovichDual(float(gain @ f), f[: len(x)], f[len(x) :], lipschitz_extension(z, f))


def lipschitz_extension(at, values, slope=1.0, side="middle"):
    """Return a function on all of space that takes given values at given points and is nowhere steeper than `slope`.

    Parameters
    ----------
    at : (N, d) array
    values : (N,) array
        No two further apart than `slope` times the distance of their points.
    slope : float
    side : "lower", "upper" or "middle"
        The lowest such function ``max_i (f_i - slope |z - z_i|)``, the highest ``min_i (f_i + slope |z - z_i|)``, or
        their mean.

    Returns
    -------
    callable
        Takes an (M, d) array, returns an (M,) array.

    Raises
    ------
    InputError
        If the values are steeper than `slope`, or the shapes do not fit.

    Notes
    -----
    McShane 1934.

    Examples
    --------
    >>> f = lipschitz_extension([0.0, 1.0], [0.0, 1.0])
    >>> f([0.25, 3.0]).tolist()
    [0.25, 1.0]
    """
    at, values, slope = points("at", at), numbers("values", values), number("slope", slope, 0, open_low=True)
    mix = choose("side", side, {"lower": (1, 0), "upper": (0, 1), "middle": (0.5, 0.5)})
    if np.shape(values) != (len(at),):
        raise InputError(f"values must be {len(at)} numbers, one a point, got shape {np.shape(values)}")
    steepest = np.abs(values[:, None] - values) - slope * distances(at, at)
    if steepest.max() > 1e-7 * (np.ptp(values) or 1):
        raise InputError(f"values are steeper than slope = {slope:g} allows by {steepest.max():.3g}; raise slope")

    def extension(z):
        away = slope * distances(points("z", z, dim=at.shape[1]), at)
        return mix[0] * (values - away).max(axis=1) + mix[1] * (values + away).min(axis=1)

    return extension
