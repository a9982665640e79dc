"""Divergences of Gaussians in closed form."""

import numpy as np

from ganlab.checks import InputError, numbers

__all__ = ["gaussian_hellinger", "gaussian_kl"]


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
