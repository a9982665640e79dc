"""The best critic of two sets of points: the Kantorovich-Rubinstein programme, and its extension to all of space."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ganlab._plan import TIGHT
from ganlab._samples import distances, pair, points, weights
from ganlab.checks import InputError, NotConverged, choose, number, numbers

__all__ = ["KantorovichDual", "kantorovich_dual", "lipschitz_extension"]

MOST_POINTS = 512  # in all, off the line: 6 s


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
        For bad points or weights, or more than 512 points in all that do not lie on the line.
    NotConverged
        If HiGHS finds no optimum, or a critic that is too steep (by 1e-9 of the largest distance).

    Notes
    -----
    Kantorovich and Rubinstein 1958; Arjovsky et al. 2017, equation 2.

    Examples
    --------
    >>> kantorovich_dual([0.0, 1.0], [3.0, 4.0])
    KantorovichDual on 2 and 2 points: gain 3
    """
    x, y = pair(x, y)
    gains = np.concatenate([weights("a", a, len(x)), -weights("b", b, len(y))])
    z = np.concatenate([x, y])
    f = _solve(gains, *_neighbours(z))
    f -= gains[: len(x)] @ f[: len(x)]
    return KantorovichDual(float(gains @ f), f[: len(x)], f[len(x) :], lipschitz_extension(z, f))


def _neighbours(z):
    """Which pairs are constraints, and how far apart they are; on the line those that lie side by side imply all."""
    if z.shape[1] == 1:
        order = np.argsort(z[:, 0], kind="stable")
        return order[:-1], order[1:], np.diff(z[order, 0])
    if len(z) > MOST_POINTS:
        raise InputError(f"off the line x and y must hold at most {MOST_POINTS} points in all, got {len(z)}: every "
                         "pair is two constraints; take fewer, or use plan")  # fmt: skip
    i, j = np.triu_indices(len(z), 1)
    return i, j, distances(z, z)[i, j]


def _solve(gains, i, j, apart):
    """The values f that gain most with ``|f_i - f_j| <= apart``."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_array, vstack

    k, scale = np.arange(len(i)), apart.max() or 1.0
    ones = np.ones(len(i))
    steps = coo_array((np.append(ones, -ones), (np.append(k, k), np.append(i, j))), (len(i), len(gains))).tocsr()
    found = linprog(-gains, A_ub=vstack([steps, -steps]), b_ub=np.append(apart, apart) / scale, method="highs",
                    bounds=[(0, 0)] + [(None, None)] * (len(gains) - 1), options=TIGHT)  # fmt: skip
    if found.status != 0:
        raise NotConverged(f"HiGHS found no best critic: {found.message}")
    f, over = found.x * scale, np.abs(steps @ found.x) - apart / scale
    if over.max() > 1e-9:
        raise NotConverged(f"the critic of HiGHS is too steep: by {scale * over.max():.3g} between two points")
    return f


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
    apart = slope * distances(at, at)
    over = (np.abs(values[:, None] - values) - apart).max()
    if over > 1e-9 * max(apart.max(), np.abs(values).max()):
        raise InputError(f"values must not be steeper than slope = {slope:g}, got two too far apart by {over:.3g}; "
                         "raise slope")  # fmt: skip

    def extension(z):
        away = slope * distances(points("z", z, dim=at.shape[1]), at)
        return mix[0] * (values - away).max(axis=1) + mix[1] * (values + away).min(axis=1)

    return extension
