"""Laws on the line: their distances by quadrature, and their best critic."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ganlab._laws import Mixture
from ganlab._samples import points, weights
from ganlab.checks import InputError, number

__all__ = ["LineCritic", "line_critic", "wasserstein_line"]

_REACH = np.array([-38, -24, -16, -12, -9, -7, -5, -4, -3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 4, 5, 7, 9, 12, 16, 24, 38])


class _Normal:
    def __init__(self, law):
        self.m, self.s, self.w = law.means[:, 0], law.sds, law.weights
        self.breaks = (self.m[:, None] + self.s[:, None] * _REACH).ravel()

    def cdf(self, x):
        from scipy.special import ndtr

        return ndtr((np.asarray(x)[..., None] - self.m) / self.s) @ self.w

    def sf(self, x):
        from scipy.special import ndtr

        return ndtr((self.m - np.asarray(x)[..., None]) / self.s) @ self.w


class _Masses:
    def __init__(self, at, mass):
        order = np.argsort(at, kind="stable")
        self.at, self.mass = at[order], mass[order]
        self.below = np.append(0, np.cumsum(self.mass))
        self.above = np.append(np.cumsum(self.mass[::-1])[::-1], 0)
        self.breaks = self.at

    def cdf(self, x):
        return self.below[np.searchsorted(self.at, x, side="right")]

    def sf(self, x):
        return self.above[np.searchsorted(self.at, x, side="right")]


def _law(name, law):
    if isinstance(law, Mixture):
        if law.dim != 1:
            raise InputError(f"{name} must be a law on the line, got {law!r}")
        return _Normal(law)
    if isinstance(law, tuple) and len(law) == 2:
        at = points(f"the positions of {name}", law[0], dim=1)[:, 0]
        return _Masses(at, weights(f"the masses of {name}", law[1], len(at)))
    raise InputError(f"{name} must be a Mixture on the line or a pair (positions, masses), got {type(law).__name__}")


def _gap(P, Q, x):
    """F_Q - F_P, each taken from the end where it is small."""
    low, high = P.cdf(x), Q.cdf(x)
    return np.where(np.minimum(low, high) > 0.5, P.sf(x) - Q.sf(x), high - low)


def _pieces(P, Q):
    """Edges between which F_Q - F_P is smooth and keeps its sign."""
    from scipy.optimize import brentq

    edges = np.unique(np.concatenate([P.breaks, Q.breaks]))
    roots = []
    for left, right in pairwise(edges):
        x = np.linspace(left, right, 18)[1:-1]
        g = _gap(P, Q, x)
        for k in np.flatnonzero(g[:-1] * g[1:] < 0):
            roots.append(brentq(lambda t: float(_gap(P, Q, np.array([t]))[0]), x[k], x[k + 1], xtol=1e-14))
    return np.unique(np.concatenate([edges, roots]))


def wasserstein_line(p_law, q_law, p=1):
    """Return the Wasserstein distance between two laws on the line, by quadrature of ``|F - G|``.

    Parameters
    ----------
    p_law, q_law : Mixture or (positions, masses)
        A `Mixture` of dimension 1 (`data.two_peaks`, `data.mixture_1d`, `data.gaussian(1)`), or a pair of arrays.
    p : float
        At least 1.

    Returns
    -------
    float
        Of the laws themselves; `wasserstein` is that of samples.

    Raises
    ------
    InputError
        For other laws, masses that are negative or do not sum to 1, or p below 1.

    Notes
    -----
    Vallender 1974.

    Examples
    --------
    >>> from ganlab.data import gaussian
    >>> round(wasserstein_line(gaussian(1), gaussian(1, mean=3.0)), 9)
    3.0
    >>> round(wasserstein_line(([0, 1], [0.5, 0.5]), ([0, 2], [0.5, 0.5])), 9)
    0.5
    """
    P, Q, p = _law("p_law", p_law), _law("q_law", q_law), number("p", p, 1)
    if p != 1:
        raise NotImplementedError("p > 1 comes in a moment")
    edges = _pieces(P, Q)
    nodes, weight = np.polynomial.legendre.leggauss(16)
    half = np.diff(edges) / 2
    x = (edges[:-1] + half)[:, None] + half[:, None] * nodes
    return float((np.abs(_gap(P, Q, x)) @ weight) @ half)


@dataclass(frozen=True, eq=False)
class LineCritic:
    """A best critic on the line: piecewise straight, with slopes 1, -1 and (where the laws agree) 0.

    Attributes
    ----------
    knots : (K,) array
        Where the slope changes.
    slopes : (K + 1,) array
        Left of the first knot, between them, and right of the last.
    """

    knots: np.ndarray
    slopes: np.ndarray

    def __call__(self, z):
        """Return f at the points of an array; ``f(0) = 0``."""
        grid = np.unique(np.append(self.knots, 0.0))
        slopes = self.slope((grid[:-1] + grid[1:]) / 2)
        f = np.append(0, np.cumsum(slopes * np.diff(grid)))
        f = f - f[np.searchsorted(grid, 0.0)]
        z = np.asarray(z, dtype=float)
        left, right = np.minimum(z - grid[0], 0), np.maximum(z - grid[-1], 0)
        return np.interp(z, grid, f) + self.slopes[0] * left + self.slopes[-1] * right

    def slope(self, z):
        """Return f' at the points of an array: ``sign(F_q - F_p)``."""
        return self.slopes[np.searchsorted(self.knots, z)]


def line_critic(p_law, q_law):
    """Return the best 1-Lipschitz critic of two laws on the line: its slope is ``sign(F_q - F_p)``.

    Parameters
    ----------
    p_law, q_law : Mixture or (positions, masses)
        As in `wasserstein_line`. The critic is high on `p_law`: ``E_p f - E_q f = W_1``.

    Returns
    -------
    LineCritic
        Callable; ``f(0) = 0``.

    Raises
    ------
    InputError
        As `wasserstein_line` does.

    Examples
    --------
    >>> from ganlab.data import gaussian
    >>> f = line_critic(gaussian(1, mean=3.0), gaussian(1))
    >>> f([-1.0, 0.0, 2.0]).tolist()
    [-1.0, 0.0, 2.0]
    """
    P, Q = _law("p_law", p_law), _law("q_law", q_law)
    edges = _pieces(P, Q)
    signs = np.sign(_gap(P, Q, (edges[:-1] + edges[1:]) / 2))
    if len(signs) == 0:
        return LineCritic(np.empty(0), np.zeros(1))
    changes = np.flatnonzero(np.diff(signs))
    return LineCritic(edges[1:-1][changes], signs[np.append(0, changes + 1)])
