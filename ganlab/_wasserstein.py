"""Wasserstein distances of weighted points and of Gaussians, by sorting, assignment and matrix roots."""

import numpy as np

from ganlab._plan import plan_of_costs
from ganlab._samples import generator, pair, powers, weights
from ganlab.checks import InputError, number, numbers, whole

__all__ = ["gaussian_w2", "quadratic_cost", "sliced_wasserstein", "spectrum", "wasserstein"]


def _line(x, y, p):
    """W_p to the power p between the columns of two arrays, each a set of equally heavy points on the line."""
    x, y, n, m = np.sort(x, axis=0), np.sort(y, axis=0), len(x), len(y)
    if n == m:
        return (np.abs(x - y) ** p).mean(axis=0)
    # Both quantile functions are steps. In units of 1 / (n m) the edges are whole numbers, so nothing is rounded.
    edges = np.sort(np.concatenate([np.arange(n) * m, np.arange(m) * n, [n * m]]), kind="stable")  # merges two runs
    left, shares = edges[:-1], np.diff(edges) / (n * m)
    return shares @ np.abs(x[left // m] - y[left // n]) ** p


def _weighted_line(x, y, a, b, p):
    """The same for two rows of points with weights."""
    rows, columns = np.argsort(x), np.argsort(y)
    x, y, below_a, below_b = x[rows], y[columns], np.cumsum(a[rows])[:-1], np.cumsum(b[columns])[:-1]
    edges = np.sort(np.concatenate([[0.0], below_a, below_b, [1.0]]), kind="stable")
    middle = (edges[:-1] + edges[1:]) / 2  # a rounded edge belongs to either side; a middle does not
    i, j = np.searchsorted(below_a, middle), np.searchsorted(below_b, middle)
    return np.diff(edges) @ np.abs(x[i] - y[j]) ** p


def wasserstein(x, y, p=1, *, a=None, b=None):
    """Return the Wasserstein distance between two sets of points, exactly.

    Parameters
    ----------
    x : (n, d) array
    y : (m, d) array
    p : float
        The power of the Euclidean distance, at least 1.
    a, b : (n,) and (m,) array, optional
        Weights, none negative, with sum 1; equal if left out.

    Returns
    -------
    float
        ``min (sum gamma |x - y|^p)^(1/p)``, of the samples. It exceeds the distance of the laws: two sets from one
        law are never 0 apart.

    Raises
    ------
    InputError
        For samples that are empty, not finite or of different dimensions, weights that are negative or do not sum to
        1, p below 1, or more than about 8,000 samples off the line.

    Notes
    -----
    On the line the sorted samples are matched; as many equally heavy points are assigned by SciPy (Jonker and
    Volgenant 1987); all else is solved by POT (see `plan`).

    Examples
    --------
    >>> wasserstein([0.0, 1.0], [1.0, 2.0]), wasserstein([[0, 0], [0, 1]], [[3, 5], [3, 4]])
    (1.0, 5.0)
    >>> wasserstein([0.0, 1.0], [0.0, 1.0], a=[0.25, 0.75])
    0.25
    """
    (x, y), p = pair(x, y), number("p", p, 1)
    equal = a is None and b is None
    a, b = weights("a", a, len(x)), weights("b", b, len(y))
    if x.shape[1] == 1:
        power = _line(x, y, p)[0] if equal else _weighted_line(x[:, 0], y[:, 0], a, b, p)
    elif equal and len(x) == len(y):
        from scipy.optimize import linear_sum_assignment

        costs = powers(x, y, p)
        power = costs[linear_sum_assignment(costs)].mean()
    else:
        power = plan_of_costs(powers(x, y, p), a, b).cost
    return float(power ** (1 / p))


def quadratic_cost(x, y, a=None, b=None):
    """Return the quadratic transport COST ``W_2^2 / 2`` that WGAN-QC minimises; not the distance ``W_2``.

    Parameters
    ----------
    x : (n, d) array
    y : (m, d) array
    a, b : (n,) and (m,) array, optional
        Weights as in `wasserstein`.

    Returns
    -------
    float

    Raises
    ------
    InputError
        As `wasserstein` does.

    Notes
    -----
    Liu, Gu and Samaras 2019.

    Examples
    --------
    >>> quadratic_cost([0.0], [3.0]), wasserstein([0.0], [3.0], p=2)
    (4.5, 3.0)
    """
    return wasserstein(x, y, 2, a=a, b=b) ** 2 / 2


def sliced_wasserstein(x, y, directions, rng, p=1):
    """Return the Wasserstein distance of the shadows on random lines, ``(mean over lines of W_p^p)^(1 / p)``.

    Parameters
    ----------
    x : (n, d) array
    y : (m, d) array
        m need not be n.
    directions : int
        How many lines; 200 give about 5 % in the plane. The same `rng` state gives the same lines.
    rng : numpy.random.Generator
    p : float
        At least 1.

    Returns
    -------
    float
        At most `wasserstein`, and smaller by a factor that depends on d.

    Raises
    ------
    InputError
        For samples that are empty, not finite or of different dimensions, and for bad `directions`, `rng` or `p`.

    Notes
    -----
    Bonneel et al. 2015.

    Examples
    --------
    >>> square = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    >>> moved = sliced_wasserstein(square, square + [3, 0], 2000, np.random.default_rng(0))
    >>> abs(moved - 3 * 2 / np.pi) < 0.05  # the mean of |cos|
    True
    """
    (x, y), p = pair(x, y), number("p", p, 1)
    theta = generator(rng).standard_normal((x.shape[1], whole("directions", directions)))
    theta /= np.linalg.norm(theta, axis=0)
    return float(_line(x @ theta, y @ theta, p).mean() ** (1 / p))


def gaussian_w2(mean_p, cov_p, mean_q, cov_q):
    """Return the distance ``W_2`` between two Gaussians, in closed form (not its square, not the cost ``W_2^2 / 2``).

    Parameters
    ----------
    mean_p, mean_q : float or (d,) array
    cov_p, cov_q : float or (d, d) array
        Symmetric, no eigenvalue negative; a singular one is allowed. On the line the variance.

    Returns
    -------
    float
        ``sqrt(|m_p - m_q|^2 + tr(C_p + C_q - 2 (C_p^(1/2) C_q C_p^(1/2))^(1/2)))``

    Raises
    ------
    InputError
        For shapes that do not fit, or a matrix that is no covariance.

    Notes
    -----
    Olkin and Pukelsheim 1982. The trace is the squared distance between the roots of the two matrices, the second
    turned as near to the first as it goes, so that no difference of large numbers is taken and no root is complex.

    Examples
    --------
    >>> gaussian_w2(0, 1, 4, 16), gaussian_w2([0, 0], np.eye(2), [3, 4], np.eye(2))
    (5.0, 5.0)
    """
    m, n = (np.atleast_1d(numbers(name, mean)) for name, mean in (("mean_p", mean_p), ("mean_q", mean_q)))
    if m.ndim != 1 or m.shape != n.shape:
        raise InputError(f"the means must be two rows of as many numbers, got shapes {m.shape} and {n.shape}")
    P, Q = _root("cov_p", cov_p, len(m)), _root("cov_q", cov_q, len(m))
    left, _, right = np.linalg.svd(Q @ P)
    return float(np.hypot(np.linalg.norm(m - n), np.linalg.norm(P - Q @ left @ right)))


def _root(name, cov, dim):
    """The symmetric root of a covariance."""
    values, vectors = spectrum(name, cov, dim)
    return (vectors * np.sqrt(values)) @ vectors.T


def spectrum(name, cov, dim):
    """Eigenvalues, none negative, and eigenvectors of a covariance, which is checked."""
    cov = np.atleast_2d(numbers(name, cov)).astype(float)
    wanted = f"{name} must be a symmetric ({dim}, {dim}) matrix, got"
    if cov.shape != (dim, dim):
        raise InputError(f"{wanted} shape {cov.shape}")
    if not np.allclose(cov, cov.T, rtol=1e-8, atol=1e-12 * np.abs(cov).max()):
        raise InputError(f"{wanted} entries that differ by {np.abs(cov - cov.T).max():.3g} across the diagonal")
    values, vectors = np.linalg.eigh(cov)
    if values[0] < -1e-10 * max(values[-1], 0):
        raise InputError(f"{name} must have no negative eigenvalue, got {values[0]:.3g}")
    return np.maximum(values, 0), vectors
