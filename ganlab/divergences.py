"""How far apart two laws are when both are known: f-divergences, their bounds, and the critics that measure them.

All are in nats. `divergence` takes discrete laws, `on_line` laws on the line, `gaussian_kl` Gaussians, and
`on_segments` the two lines of Arjovsky et al. 2017; `variational_bound`, `sup_gain` and `criterion` say what a critic
measures. For two sets of samples see `ganlab.two_sample`.
"""

import numpy as np

from ganlab._best_critic import criterion, optimal_score, sup_gain
from ganlab._divergence import DIVERGENCES, Divergence, conjugate_at, derivative, get, masses, slope_at_zero, terms
from ganlab._fit import GaussianFit, fit_gaussian
from ganlab._line_divergence import on_line
from ganlab.checks import InputError, numbers

__all__ = ["DIVERGENCES", "Divergence", "GaussianFit", "best_T", "chi_square", "criterion", "disjoint", "divergence",
           "fit_gaussian", "gaussian_hellinger", "gaussian_kl", "get", "hellinger", "js", "kl", "on_line",
           "on_segments", "optimal_score", "reverse_kl", "sup_gain", "total_variation", "triangular",
           "variational_bound"]  # fmt: skip


def divergence(name, p, q, normalize=False):
    """Return ``D(p || q) = sum q f(p / q)`` of two discrete laws.

    Parameters
    ----------
    name : str or Divergence
        A key of `DIVERGENCES`, or your own.
    p, q : array of shape (...)
        The masses, each with sum 1.
    normalize : bool
        Divide by the sums instead of refusing others than 1.

    Returns
    -------
    float
        Infinite where it is by definition (KL with mass of p where q has none); never NaN.

    Raises
    ------
    InputError
        For an unknown name, negative mass, NaN, a sum that is not 1 (to 1e-8), empty arrays or unequal shapes.

    Examples
    --------
    >>> divergence("total_variation", [0.5, 0.5, 0.0], [0.0, 0.5, 0.5])
    0.5
    >>> divergence("kl", [0.5, 0.5], [1.0, 0.0])
    inf
    """
    name, (p, q) = get(name), masses(p, q, normalize)
    with np.errstate(divide="ignore"):
        return max(0.0, float(terms(name, p, q, np.log(p), np.log(q)).sum()))


def _named(name, sentence, example):
    def function(p, q, normalize=False):
        return divergence(name, p, q, normalize)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""Return {sentence} of two discrete laws; as for `divergence`.

    Examples
    --------
    {example}
    """
    return function


kl = _named("kl", "``KL(p || q) = sum p log(p / q)``",
            ">>> round(kl([0.5, 0.5], [0.25, 0.75]), 6)\n    0.143841")  # fmt: skip
reverse_kl = _named("reverse_kl", "``KL(q || p) = sum q log(q / p)``",
                    ">>> round(reverse_kl([0.5, 0.5], [0.25, 0.75]), 6)\n    0.130812")  # fmt: skip
total_variation = _named("total_variation", "``sum |p - q| / 2``",
                         ">>> total_variation([0.5, 0.5], [0.25, 0.75])\n    0.25")  # fmt: skip
chi_square = _named("chi_square", "Pearson's ``sum (p - q)^2 / q``",
                    ">>> round(chi_square([0.5, 0.5], [0.25, 0.75]), 6)\n    0.333333")  # fmt: skip
triangular = _named("triangular", "``sum (p - q)^2 / (p + q)``, at most 2,",
                    ">>> triangular([1.0, 0.0], [0.0, 1.0])\n    2.0")  # fmt: skip
hellinger = _named("hellinger", "the squared Hellinger distance ``sum (sqrt p - sqrt q)^2 / 2``, at most 1,",
                   ">>> hellinger([1.0, 0.0], [0.0, 1.0])\n    1.0")  # fmt: skip


def js(p, q, normalize=False):
    """Return the Jensen-Shannon divergence ``KL(p || m) / 2 + KL(q || m) / 2`` with ``m = (p + q) / 2``, in nats.

    At most log 2. SciPy's `scipy.spatial.distance.jensenshannon` returns its square root.

    Examples
    --------
    >>> from scipy.spatial.distance import jensenshannon
    >>> p, q = [0.5, 0.5], [0.25, 0.75]
    >>> round(js(p, q), 6), round(float(jensenshannon(p, q)), 6), round(float(jensenshannon(p, q) ** 2), 6)
    (0.033822, 0.183908, 0.033822)
    """
    return divergence("js", p, q, normalize)


def disjoint(divergence):
    """Return the divergence of any two laws that share no mass, ``f(0) + slope``.

    Examples
    --------
    >>> disjoint("total_variation"), round(disjoint("js"), 6), disjoint("kl")
    (1.0, 0.693147, inf)
    """
    divergence = get(divergence)
    return float(divergence.at_zero + divergence.slope)


def on_segments(divergence, theta):
    """Return the divergence between ``data.disjoint_lines(0)`` and ``data.disjoint_lines(theta)``.

    Neither law has a density in the plane: they are the same when theta is 0 and share no mass when it is not
    (Arjovsky et al. 2017, example 1).

    Parameters
    ----------
    divergence : str or Divergence
    theta : float or array

    Returns
    -------
    float or array of the same shape

    Raises
    ------
    InputError
        For an unknown divergence, or a theta that is not finite.

    Examples
    --------
    >>> on_segments("total_variation", [-0.1, 0.0, 0.1]).tolist()
    [1.0, 0.0, 1.0]
    """
    apart = np.where(np.asarray(numbers("theta", theta)) == 0, 0.0, disjoint(divergence))
    return apart if apart.ndim else float(apart)


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
    gain = np.where(p > 0, p * np.where(p > 0, on_p, 0.0), 0.0).sum()
    cost = np.where(q > 0, q * np.where(q > 0, conjugate_at(divergence, on_q), 0.0), 0.0).sum()
    return float(-np.inf if cost == np.inf else gain - cost)


def gaussian_kl(mean_p, cov_p, mean_q, cov_q):
    """Return ``KL(N(mean_p, cov_p) || N(mean_q, cov_q))`` in closed form; swap the laws for the reverse.

    Parameters
    ----------
    mean_p, mean_q : float or (d,) array
    cov_p, cov_q : float or (d, d) array
        Covariances (variances in one dimension, not standard deviations).

    Returns
    -------
    float, in nats

    Raises
    ------
    InputError
        For shapes that do not fit, numbers that are not finite, or a covariance that is not symmetric and positive
        definite.

    Examples
    --------
    >>> gaussian_kl(0.0, 1.0, 3.0, 1.0)
    4.5
    """
    (m, a), (n, b) = _gaussian("p", mean_p, cov_p), _gaussian("q", mean_q, cov_q)
    if len(m) != len(n):
        raise InputError(f"both laws must have the same dimension, got {len(m)} and {len(n)}")
    trace, distance = np.trace(np.linalg.solve(b, a)), (n - m) @ np.linalg.solve(b, n - m)
    return float(max(0.0, trace + distance - len(m) + np.linalg.slogdet(b)[1] - np.linalg.slogdet(a)[1]) / 2)


def gaussian_hellinger(mean_p, cov_p, mean_q, cov_q):
    """Return the squared Hellinger distance of two Gaussians in closed form; as for `gaussian_kl`.

    Examples
    --------
    >>> round(gaussian_hellinger(0.0, 1.0, 2.0, 1.0), 6)  # 1 - exp(-1 / 2)
    0.393469
    """
    (m, a), (n, b) = _gaussian("p", mean_p, cov_p), _gaussian("q", mean_q, cov_q)
    if len(m) != len(n):
        raise InputError(f"both laws must have the same dimension, got {len(m)} and {len(n)}")
    c = (a + b) / 2
    logs = [np.linalg.slogdet(x)[1] for x in (a, b, c)]
    return float(-np.expm1((logs[0] + logs[1]) / 4 - logs[2] / 2 - (m - n) @ np.linalg.solve(c, m - n) / 8))


def _gaussian(name, mean, cov):
    mean = np.atleast_1d(np.asarray(numbers(f"mean_{name}", mean), dtype=float))
    cov = np.atleast_2d(np.asarray(numbers(f"cov_{name}", cov), dtype=float))
    if mean.ndim != 1 or cov.shape != (len(mean), len(mean)):
        raise InputError(f"mean_{name} must have shape (d,) and cov_{name} (d, d), got {mean.shape} and {cov.shape}")
    if not np.allclose(cov, cov.T, rtol=1e-10, atol=0) or np.linalg.eigvalsh(cov)[0] <= 0:
        raise InputError(f"cov_{name} must be symmetric and positive definite, got {cov.tolist()}")
    return mean, cov
