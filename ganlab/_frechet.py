"""The Frechet distance of features (FID), what perfect samples would score, and its limit for many samples."""

from dataclasses import dataclass

import numpy as np

from ganlab._features import check_extractor
from ganlab._samples import generator, pair
from ganlab._wasserstein import gaussian_w2, spectrum
from ganlab.checks import InputError, numbers, whole

__all__ = ["ExtrapolatedFrechet", "Frechet", "frechet", "frechet_extrapolated", "frechet_floor"]


@dataclass(frozen=True)
class Frechet:
    """What `frechet` found.

    Parameters
    ----------
    value : float
        The squared distance, as FID has it, in squared units of the features.
    floor : float
        What two sets of n and m samples of *one* Gaussian are apart on average, to first order (`frechet_floor`).
    n, m, d : int
        Samples of each set, and features. Two values with other n are not comparable.
    extractor : str or None
        What made the features. Two values with other extractors are not comparable either.
    notes : tuple of str
        What the reader of the numbers must know.
    """

    value: float
    floor: float
    n: int
    m: int
    d: int
    extractor: str | None = None
    notes: tuple = ()


@dataclass(frozen=True)
class ExtrapolatedFrechet:
    """What `frechet_extrapolated` found.

    Parameters
    ----------
    value : float
        The line's height at 1 / k = 0; it may be negative when the laws are the same.
    slope : float
        The bias at k samples is about ``slope / k``.
    sizes : tuple of int
        The k that were looked at.
    values : tuple of float
        The mean Frechet distance at each.
    n, m, d : int
        Samples of each set, and features.
    extractor : str or None
        What made the features.
    notes : tuple of str
        What the reader of the numbers must know.
    """

    value: float
    slope: float
    sizes: tuple
    values: tuple
    n: int
    m: int
    d: int
    extractor: str | None = None
    notes: tuple = ()


def _fit(x):
    """Mean and unbiased covariance, (d,) and (d, d)."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, cov = x.mean(axis=0), np.atleast_2d(np.cov(x, rowvar=False))
    if not np.isfinite(cov).all():
        raise InputError(f"features of size {np.abs(x).max():.1e} are too large to square; scale both sets down")
    return mean, cov


def _squared(x, y):
    return gaussian_w2(*_fit(x), *_fit(y)) ** 2


def frechet(x, y, extractor=None):
    """Return the squared Frechet distance between Gaussians fitted to two sets of features: FID's formula.

    It compares means and covariances only, and it is biased: too large, by about ``floor`` when the laws are the same,
    and by an amount that depends on the law when they are not. So quote n, compare only values with the same n and
    the same features, and see `kernel_distance` for few samples.

    Parameters
    ----------
    x : (n, d) array
    y : (m, d) array
        At least two of each; the distance is symmetric.
    extractor : str, optional
        The name or hash of what made the features; kept in the record.

    Returns
    -------
    Frechet

    Raises
    ------
    InputError
        For features that are not finite, of different dimensions, fewer than two samples, or too large to square.

    Notes
    -----
    Heusel et al. 2017, equation 6 (Dowson and Landau 1982). No root of a product of covariances is taken, which need
    not be symmetric: `gaussian_w2` needs only symmetric ones, so the value is real and never negative, also for
    n <= d and for features that are constant. Both are told in the notes.

    Examples
    --------
    >>> found = frechet([0.0, 2.0], [3.0, 5.0])
    >>> round(found.value, 6), found.floor, found.n, found.m, found.d
    (9.0, 4.0, 2, 2, 1)
    """
    x, y = pair(x, y, least=2)
    (mean_x, cov_x), (mean_y, cov_y) = _fit(x), _fit(y)
    value = gaussian_w2(mean_x, cov_x, mean_y, cov_y) ** 2
    floor = frechet_floor((cov_x + cov_y) / 2, len(x), len(y))
    return Frechet(value, floor, len(x), len(y), x.shape[1], check_extractor(extractor), _notes(x, y))


def _notes(x, y):
    d, notes = x.shape[1], []
    for name, z in (("x", x), ("y", y)):
        constant = int((z == z[0]).all(axis=0).sum())
        if constant:
            notes.append(f"{constant} of {d} features are constant in {name}")
        if len(z) <= d:
            notes.append(f"{name} has {len(z)} samples for {d} features: its covariance is singular, and the value is "
                         "mostly bias")  # fmt: skip
    return tuple(notes)


def frechet_floor(cov, n, m):
    """Return what two sets of samples of one Gaussian are apart on average, to first order in 1 / n and 1 / m.

    For ``cov = s^2 I`` it is about ``s^2 d (d + 5) / 4 (1 / n + 1 / m)``: it grows with the *square* of the number of
    features. The mean contributes ``d``, the covariance the rest.

    Parameters
    ----------
    cov : float or (d, d) array
        The covariance of the Gaussian.
    n, m : int
        Samples in each set, at least two.

    Returns
    -------
    float
        In the squared units of the features. The neglected part is smaller by about d / n.

    Raises
    ------
    InputError
        For a matrix that is no covariance, or n or m below 2.

    Notes
    -----
    Derived here. With errors A and B of the two covariances, the squared Bures distance is
    ``1/2 sum_ij (A - B)_ij^2 / (l_i + l_j)`` to second order in the basis where cov is diagonal (Bhatia, Jain and Lim
    2019), and ``E A_ij^2 = l_i l_j (1 + [i = j]) / (n - 1)`` (Wishart). The means add ``tr cov (1 / n + 1 / m)``.

    Examples
    --------
    >>> round(frechet_floor(np.eye(64), 10_001, 10_001), 3)  # n - 1 in the larger part
    0.221
    """
    n, m = whole("n", n, 2), whole("m", m, 2)
    cov = np.atleast_2d(numbers("cov", cov)).astype(float)
    lam, _ = spectrum("cov", cov, len(cov))
    lam = lam[lam > 1e-12 * lam[-1]]  # a direction without spread adds nothing
    bures = (np.outer(lam, lam) / np.add.outer(lam, lam)).sum() / 2 + lam.sum() / 4
    return float(lam.sum() * (1 / n + 1 / m) + bures * (1 / (n - 1) + 1 / (m - 1)))


def frechet_extrapolated(x, y, rng, points=8, repeats=4, extractor=None):
    """Return the Frechet distance extrapolated to infinitely many samples, by a line through its values over 1 / k.

    Parameters
    ----------
    x : (n, d) array
    y : (m, d) array
    rng : numpy.random.Generator
    points : int
        Sizes k, evenly spaced in 1 / k, from a quarter of the smaller set to all of it; at least two.
    repeats : int
        Random subsets at each size, whose values are averaged.
    extractor : str, optional
        As in `frechet`.

    Returns
    -------
    ExtrapolatedFrechet
        Without most of the bias, and with more spread: the subsets share samples, so that the line's own error says
        nothing about it. Only new samples do.

    Raises
    ------
    InputError
        As `frechet` does, for fewer than 16 samples a side, and for bad `rng`, `points` or `repeats`.

    Notes
    -----
    FID_infinity of Chong and Forsyth 2020, section 4, with both sets thinned. The bias is a line in 1 / k only while
    k is much larger than d.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(2, 2000, 8))
    >>> found = frechet_extrapolated(x, y, rng)
    >>> abs(found.value) < frechet(x, y).value / 2
    True
    """
    (x, y), rng = pair(x, y, least=16), generator(rng)
    points, repeats, n = whole("points", points, 2), whole("repeats", repeats), min(len(x), len(y))
    sizes = np.unique(np.round(1 / np.linspace(4 / n, 1 / n, points)).astype(int))
    values = [np.mean([_squared(_some(x, k, rng), _some(y, k, rng)) for _ in range(repeats)]) for k in sizes]
    slope, value = np.polyfit(1 / sizes, values, 1)
    notes, d = _notes(x, y), x.shape[1]
    if sizes[0] < 2 * d:
        notes += (f"the smallest subsets have {sizes[0]} samples for {d} features: the bias is no line in 1 / k yet",)
    return ExtrapolatedFrechet(float(value), float(slope), tuple(map(int, sizes)), tuple(map(float, values)), len(x),
                               len(y), d, check_extractor(extractor), notes)  # fmt: skip


def _some(x, k, rng):
    return x[rng.permutation(len(x))[:k]]
