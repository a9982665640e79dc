"""How far apart two sets of samples are, when no density is known: distances, quality and variety, memorisation.

All of them take `(n, d)` arrays, or `(n,)` for points on the line. Those that compare every pair hold n times m numbers
and refuse more than 2^26.
"""

import numpy as np

from ganlab._kernels import mmd_of_kernels
from ganlab._neighbours import Memorisation, density_coverage, memorisation, precision_recall
from ganlab._samples import distances, generator, pair
from ganlab._wasserstein import sliced_wasserstein, wasserstein
from ganlab.checks import InputError, choose, number, whole

__all__ = ["Memorisation", "density_coverage", "memorisation", "mmd", "permutation_test", "precision_recall",
           "sliced_wasserstein", "wasserstein"]  # fmt: skip


def mmd(x, y, bandwidth="median", unbiased=True):
    """Return the squared maximum mean discrepancy with the kernel ``exp(-|a - b|^2 / (2 bandwidth^2))``.

    Parameters
    ----------
    x : (n, d) array
    y : (m, d) array
    bandwidth : float or "median"
        "median" is the median distance between two of all samples; give a number where results are to be compared,
        since the median moves with the samples.
    unbiased : bool
        Leave out the pairs of a sample with itself: right on average, and so negative half of the time when both
        laws are the same. Otherwise never negative, and too large.

    Returns
    -------
    float

    Raises
    ------
    InputError
        For samples that are empty, not finite or of different dimensions, fewer than two where `unbiased`, a bandwidth
        that is not positive (also a median of 0), or too many pairs.

    Notes
    -----
    Gretton et al. 2012, lemma 6 (unbiased) and equation 5.

    Examples
    --------
    >>> x = np.arange(4.0)
    >>> round(mmd(x, x + 100, bandwidth=1.0, unbiased=False), 4)
    1.0253
    """
    x, y = pair(x, y, least=2 if unbiased else 1)
    tables = distances(x, x), distances(y, y), distances(x, y)
    if isinstance(bandwidth, str):
        bandwidth = choose("bandwidth", bandwidth, {"median": _median_distance})(x, y)
    bandwidth = number("bandwidth", bandwidth, 0, open_low=True)
    with np.errstate(over="ignore"):  # too far for floats: the kernel is 0, and that is right
        xx, yy, xy = (np.exp(-((table / bandwidth) ** 2) / 2) for table in tables)
    return mmd_of_kernels(xx, yy, xy, unbiased)


def _median_distance(x, y):
    from scipy.spatial.distance import pdist

    median = np.median(pdist(np.concatenate([x, y])))
    if median == 0:
        raise InputError("the median distance is 0, since most samples are the same point: give a bandwidth")
    return float(median)


def permutation_test(x, y, statistic, rng, draws=199):
    """Return the p-value of the hypothesis that two sets of samples come from one law, whatever the statistic.

    Parameters
    ----------
    x : (n, d) array
    y : (m, d) array
    statistic : callable
        ``statistic(x, y)``, large when the sets differ: `mmd`, `wasserstein`, a `lambda`.
    rng : numpy.random.Generator
    draws : int
        Random relabellings; the p-value is a multiple of ``1 / (draws + 1)``.

    Returns
    -------
    float in (0, 1]
        Below a with probability at most a if the laws are the same.

    Raises
    ------
    InputError
        For bad samples, `rng` or `draws`, or a statistic that is NaN.

    Notes
    -----
    Phipson and Smyth 2010: the observed labelling counts as one of the draws, so the p-value is never 0.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> permutation_test(rng.normal(0, 1, 50), rng.normal(2, 1, 50), mmd, rng)
    0.005
    """
    (x, y), rng = pair(x, y), generator(rng)
    pool, n, observed = np.concatenate([x, y]), len(x), statistic(x, y)
    if np.isnan(observed):
        raise InputError("statistic must be a number for these samples, got NaN")
    shuffles = (rng.permutation(pool) for _ in range(whole("draws", draws)))
    # A hair of slack: the same split in another order may round differently.
    extreme = sum(statistic(z[:n], z[n:]) >= observed - 1e-12 * abs(observed) for z in shuffles)
    return float((1 + extreme) / (1 + draws))
