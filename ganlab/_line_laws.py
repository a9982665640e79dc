"""Laws on the line: their distance by quadrature, and their best critic."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ganlab._laws import Mixture
from ganlab._samples import points, weights
from ganlab._wasserstein import wasserstein
from ganlab.checks import InputError, number

__all__ = ["LineCritic", "line_critic", "wasserstein_line"]

# Where the panels of a normal law end, in standard deviations; beyond 38 nothing is left in floats.
_ENDS = np.array([0, 0.5, 1, 2, 3, 4, 5, 7, 9, 12, 16, 24, 38])
_ENDS = np.append(-_ENDS[:0:-1], _ENDS)
_NODES, _SHARES = np.polynomial.legendre.leggauss(16)
_HALVINGS = 0.5 ** np.arange(1, 133)  # where the panels of a quantile end; those below 1e-40 are left out


class _Normals:
    """A mixture of normal laws: exact in both tails."""

    def __init__(self, m, s, w):
        self.m, self.s, self.w = m, s, w
        self.ends = np.unique(m[:, None] + s[:, None] * _ENDS)

    @cached_property
    def mirror(self):
        return _Normals(-self.m, self.s, self.w)

    def cdf(self, x):
        from scipy.special import ndtr

        return ndtr((x[..., None] - self.m) / self.s) @ self.w

    def quantile(self, u):
        return _bisect(lambda x: self.cdf(x) < u, np.full(u.shape, self.ends[0]), np.full(u.shape, self.ends[-1]))


class _Masses:
    """Masses at positions."""

    def __init__(self, at, mass):
        order = np.argsort(at, kind="stable")
        self.ends, self.mass = at[order], mass[order]
        self.below = np.append(0, np.cumsum(self.mass))

    @cached_property
    def mirror(self):
        return _Masses(-self.ends, self.mass)

    def cdf(self, x):
        return self.below[np.searchsorted(self.ends, x, side="right")]

    def quantile(self, u):
        return self.ends[np.searchsorted(self.below[1:-1], u)]


def _law(name, law):
    if isinstance(law, Mixture) and law.dim == 1:
        return _Normals(law.means[:, 0], law.sds, law.weights)
    if isinstance(law, tuple) and len(law) == 2:
        at = points(f"the positions of {name}", law[0], dim=1)[:, 0]
        return _Masses(at, weights(f"the masses of {name}", law[1], len(at)))
    raise InputError(f"{name} must be a Mixture of dimension 1 or a pair (positions, masses), got {law!r}")


def _bisect(left, low, high):
    """Where a predicate, true at the lower ends, turns false."""
    for _ in range(70):
        middle = (low + high) / 2
        go = left(middle)
        low, high = np.where(go, middle, low), np.where(go, high, middle)
    return (low + high) / 2


def _gap(P, Q, x):
    """F_Q - F_P, from the end where both are small: 1 - 1e-20 is no number."""
    low, high, R, S = P.cdf(x), Q.cdf(x), P.mirror, Q.mirror
    # A mass that lies exactly at x counts on its left, and must not count again on its right.
    return np.where(np.minimum(low, high) > 0.5, R.cdf(np.nextafter(-x, -np.inf)) - S.cdf(np.nextafter(-x, -np.inf)),
                    high - low)  # fmt: skip


def _panels(P, Q):
    """Edges between which F_Q - F_P is smooth and keeps its sign."""
    edges = np.unique(np.concatenate([P.ends, Q.ends]))
    inside = np.clip(np.linspace(0, 1, 18), 1e-9, 1 - 1e-9)  # not the ends, where masses jump
    x = edges[:-1, None] + np.diff(edges)[:, None] * inside
    sign = np.sign(_gap(P, Q, x))
    turn = np.nonzero(sign[:, :-1] != sign[:, 1:])
    roots = _bisect(lambda t: np.sign(_gap(P, Q, t)) == sign[:, :-1][turn], x[:, :-1][turn], x[:, 1:][turn])
    return np.unique(np.append(edges, roots))


def _integral(f, edges):
    """By 16 Gauss nodes a panel."""
    half = np.diff(edges) / 2
    return float((f(edges[:-1, None] + half[:, None] * (1 + _NODES)) @ _SHARES) @ half)


def _lower_half(P, Q, p):
    """The integral of ``|F_P^-1 - F_Q^-1|^p`` from 0 to 1/2, over log u, so that the tail is smooth."""
    at = _panels(P, Q)
    levels = np.concatenate([P.cdf(at), Q.cdf(at), _HALVINGS])
    edges = np.log(np.unique(np.clip(levels, _HALVINGS[-1], 0.5)))
    return _integral(lambda t: np.abs(P.quantile(np.exp(t)) - Q.quantile(np.exp(t))) ** p * np.exp(t), edges)


def wasserstein_line(p_law, q_law, p=1):
    """Return the Wasserstein distance between two laws on the line: no samples, no noise.

    Parameters
    ----------
    p_law, q_law : Mixture or (positions, masses)
        A `Mixture` of dimension 1 (`data.two_peaks`, `data.mixture_1d`, `data.gaussian(1)`), or a pair of two (n,)
        arrays, the masses not negative and with sum 1.
    p : float
        At least 1.

    Returns
    -------
    float
        Right to 1e-10 of the largest distance; `wasserstein` is the same for samples.

    Raises
    ------
    InputError
        For other laws, masses that are negative or do not sum to 1, or p below 1.

    Notes
    -----
    For p = 1 the integral of ``|F - G|`` (Vallender 1974), else that of ``|F^-1 - G^-1|^p``, both cut where the laws
    jump or cross, in panels of 16 Gauss-Legendre nodes. Two pairs are matched as in `wasserstein`.

    Examples
    --------
    >>> from ganlab.data import gaussian
    >>> round(wasserstein_line(gaussian(1), gaussian(1, mean=3.0)), 9)
    3.0
    >>> round(wasserstein_line(([0, 1], [0.5, 0.5]), ([0, 3], [0.5, 0.5]), p=2) ** 2, 9)
    2.0
    """
    P, Q, p = _law("p_law", p_law), _law("q_law", q_law), number("p", p, 1)
    if isinstance(P, _Masses) and isinstance(Q, _Masses):
        return wasserstein(P.ends, Q.ends, p, a=P.mass, b=Q.mass)
    if p == 1:
        return _integral(lambda x: np.abs(_gap(P, Q, x)), _panels(P, Q))
    return (_lower_half(P, Q, p) + _lower_half(P.mirror, Q.mirror, p)) ** (1 / p)


@dataclass(frozen=True, eq=False)
class LineCritic:
    """A best critic on the line: straight pieces of slope 1 and -1, or 0 where the distribution functions agree.

    Parameters
    ----------
    knots : (K,) array
        Where the slope changes.
    slopes : (K + 1,) array
        Left of the first knot, between them, and right of the last.

    Examples
    --------
    >>> LineCritic(np.array([1.0]), np.array([1.0, -1.0]))([0.0, 1.0, 3.0]).tolist()
    [0.0, 1.0, -1.0]
    """

    knots: np.ndarray
    slopes: np.ndarray

    def __call__(self, z):
        """Return f at the points of an array; ``f(0) = 0``."""
        grid = np.unique(np.append(self.knots, 0.0))
        f = np.append(0, np.cumsum(np.diff(grid) * self.slope((grid[:-1] + grid[1:]) / 2)))
        z = np.asarray(z, dtype=float)
        inside = np.interp(z, grid, f - f[np.searchsorted(grid, 0.0)])
        return inside + self.slopes[0] * np.minimum(z - grid[0], 0) + self.slopes[-1] * np.maximum(z - grid[-1], 0)

    def slope(self, z):
        """Return f' at the points of an array."""
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
        Callable, with ``f(0) = 0``. Beyond the outermost piece that matters it goes straight on.

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
    edges = _panels(P, Q)
    signs = np.sign(_gap(P, Q, (edges[:-1] + edges[1:]) / 2))
    matter = np.flatnonzero(signs)
    if not len(matter):
        return LineCritic(np.empty(0), np.zeros(1))
    edges, signs = edges[matter[0] : matter[-1] + 2], signs[matter[0] : matter[-1] + 1]
    changes = np.flatnonzero(np.diff(signs)) + 1
    return LineCritic(edges[changes], signs[np.append(0, changes)])
