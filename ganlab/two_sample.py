"""How far apart two sets of samples are, when no density is known: distances, quality and variety, memorisation.

All of them take `(n, d)` arrays, or `(n,)` for points on the line. Those that compare every pair hold n times m numbers
and refuse more than `MOST_PAIRS`.
"""

from dataclasses import dataclass

import numpy as np

from ganlab.checks import InputError, choose, number, whole
from ganlab.metrics import generator, points, success_interval

__all__ = ["Memorisation", "density_coverage", "memorisation", "mmd", "permutation_test", "precision_recall",
           "sliced_wasserstein", "wasserstein"]  # fmt: skip

MOST_PAIRS = 2**26  # distances held at once: half a gigabyte


def _pair(x, y, names=("x", "y"), least=1):
    """Both sets as arrays of the same dimension."""
    x = points(names[0], x, least=least)
    return x, points(names[1], y, dim=x.shape[1], least=least)


def _distances(x, y):
    """All distances, (n, m)."""
    from scipy.spatial.distance import cdist

    if len(x) * len(y) > MOST_PAIRS:
        size = len(x) * len(y) / 2**27
        raise InputError(f"{len(x)} times {len(y)} distances would take {size:.1f} GiB; take at most "
                         f"{int(MOST_PAIRS**0.5)} samples a side, or use sliced_wasserstein")  # fmt: skip
    return cdist(x, y)


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
    x, y = _pair(x, y, least=2 if unbiased else 1)
    tables = _distances(x, x), _distances(y, y), _distances(x, y)
    if isinstance(bandwidth, str):
        bandwidth = choose("bandwidth", bandwidth, {"median": _median_distance})(x, y)
    bandwidth = number("bandwidth", bandwidth, 0, open_low=True)
    with np.errstate(over="ignore"):  # too far for floats: the kernel is 0, and that is right
        xx, yy, xy = (np.exp(-((table / bandwidth) ** 2) / 2) for table in tables)
    if not unbiased:
        return float(xx.mean() + yy.mean() - 2 * xy.mean())
    within = ((k.sum() - len(k)) / (len(k) * (len(k) - 1)) for k in (xx, yy))
    return float(sum(within) - 2 * xy.mean())


def _median_distance(x, y):
    from scipy.spatial.distance import pdist

    median = np.median(pdist(np.concatenate([x, y])))
    if median == 0:
        raise InputError("the median distance is 0, since most samples are the same point: give a bandwidth")
    return float(median)


def _line(x, y, p):
    """W_p to the power p between the columns of two arrays, each a set of equally heavy points on the line."""
    x, y, n, m = np.sort(x, axis=0), np.sort(y, axis=0), len(x), len(y)
    # Both quantile functions are steps. In units of 1 / (n m) the edges are whole numbers, so nothing is rounded.
    edges = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)
    shares = np.diff(edges) / (n * m)
    return shares @ np.abs(x[edges[:-1] // m] - y[edges[:-1] // n]) ** p


def wasserstein(x, y, p=1):
    """Return the Wasserstein distance between two sets of equally heavy points, exactly.

    Parameters
    ----------
    x : (n, d) array
    y : (m, d) array
        With m = n, except on the line.
    p : float
        The power of the Euclidean distance, at least 1.

    Returns
    -------
    float
        Of the samples. It exceeds the distance of the laws: two sets from one law are never 0 apart.

    Raises
    ------
    InputError
        For samples that are empty, not finite or of different dimensions or (off the line) numbers, p below 1, or more
        than about 8,000 samples: the memory grows as n squared and the time as n cubed (1 s at 2,500).

    Notes
    -----
    On the line the sorted samples are matched; elsewhere SciPy solves the assignment (Jonker and Volgenant 1987).

    Examples
    --------
    >>> wasserstein([0.0, 1.0], [1.0, 2.0]), wasserstein([[0, 0], [0, 1]], [[3, 5], [3, 4]])
    (1.0, 5.0)
    """
    (x, y), p = _pair(x, y), number("p", p, 1)
    if x.shape[1] == 1:
        return float(_line(x, y, p)[0] ** (1 / p))
    if len(x) != len(y):
        raise InputError(f"x and y must hold equally many points in {x.shape[1]}-D, got {len(x)} and {len(y)}; take "
                         "the first of the longer, or use sliced_wasserstein")  # fmt: skip
    from scipy.optimize import linear_sum_assignment

    costs = _distances(x, y) ** p
    return float(costs[linear_sum_assignment(costs)].mean() ** (1 / p))


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
    (x, y), p = _pair(x, y), number("p", p, 1)
    theta = generator(rng).standard_normal((x.shape[1], whole("directions", directions)))
    theta /= np.linalg.norm(theta, axis=0)
    return float(_line(x @ theta, y @ theta, p).mean() ** (1 / p))


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
    (x, y), rng = _pair(x, y), generator(rng)
    pool, n, observed = np.concatenate([x, y]), len(x), statistic(x, y)
    if np.isnan(observed):
        raise InputError("statistic must be a number for these samples, got NaN")
    shuffles = (rng.permutation(pool) for _ in range(whole("draws", draws)))
    # A hair of slack: the same split in another order may round differently.
    extreme = sum(statistic(z[:n], z[n:]) >= observed - 1e-12 * abs(observed) for z in shuffles)
    return float((1 + extreme) / (1 + draws))


def _radii(x, k):
    """Distance from each point to the k-th nearest of the others."""
    return np.partition(_distances(x, x), k, axis=1)[:, k]  # place 0 is the point itself


def _real_and_fake(real, fake, k):
    """Both sets, each with enough points for a k-th neighbour."""
    return *_pair(real, fake, ("real", "fake"), least=whole("k", k) + 1), k


def precision_recall(real, fake, k=3):
    """Return the share of fakes near the data, and the share of data near the fakes.

    Near is: inside the ball around a point of the other set that reaches to its k-th nearest neighbour in that set.

    Parameters
    ----------
    real : (n, d) array
    fake : (m, d) array
    k : int
        Fewer than n and m.

    Returns
    -------
    (precision, recall)
        Quality and variety. Two sets from one law score less than 1, and more for larger k.

    Raises
    ------
    InputError
        For samples that are not finite or of different dimensions, at most k of either, or too many pairs.

    Notes
    -----
    Kynkäänniemi et al. 2019, section 2; the balls are closed.

    Examples
    --------
    >>> precision_recall([0.0, 1, 2, 10], [0.5, 0.6, 1.4, 1.5], k=1)
    (1.0, 0.0)
    """
    real, fake, k = _real_and_fake(real, fake, k)
    between = _distances(real, fake)
    precision = (between <= _radii(real, k)[:, None]).any(axis=0).mean()
    return float(precision), float((between <= _radii(fake, k)).any(axis=1).mean())


def density_coverage(real, fake, k=5):
    """Return how densely the fakes lie among the data, and the share of data with a fake near.

    Both look only at balls around real points, to their k-th nearest real neighbour, so that an outlier among the
    fakes cannot claim much room as it can in `precision_recall`.

    Parameters
    ----------
    real : (n, d) array
    fake : (m, d) array
    k : int
        Fewer than n and m.

    Returns
    -------
    (density, coverage)
        For two sets from one law, whatever it is, they are on average 1 and
        ``1 - (n-1)...(n-k) / ((n+m-1)...(n+m-k))``. The density may exceed 1.

    Raises
    ------
    InputError
        As `precision_recall` does.

    Notes
    -----
    Naeem et al. 2020, section 3; the balls are open, as in the authors' code.

    Examples
    --------
    >>> density_coverage([0.0, 1, 2, 10], [0.5, 0.6, 1.4, 1.5], k=1)
    (2.0, 0.75)
    """
    real, fake, k = _real_and_fake(real, fake, k)
    inside = _distances(real, fake) < _radii(real, k)[:, None]
    return float(inside.sum() / (k * len(fake))), float(inside.any(axis=1).mean())


@dataclass(frozen=True)
class Memorisation:
    """What `memorisation` found; `expected` is the share of a model that has not seen `train`."""

    share: float
    low: float
    high: float
    expected: float
    p_value: float
    n: int
    ties: int = 0

    def __repr__(self):
        share, low, high, expected = (100 * v for v in (self.share, self.low, self.high, self.expected))
        return (f"{share:.1f} % nearer to train ({low:.1f} to {high:.1f}; {expected:.1f} expected), "
                f"p = {self.p_value:.2g}")  # fmt: skip


def memorisation(samples, train, holdout, rng, level=0.95, draws=999):
    """Test whether samples lie closer to the training set than to data of the same law that the model never saw.

    Parameters
    ----------
    samples : (n, d) array
    train, holdout : (m, d), (k, d) arrays
        Best equally many.
    rng : numpy.random.Generator
        Draws the relabellings of the test.
    level : float in (0, 1)
        Of the interval.
    draws : int

    Returns
    -------
    Memorisation
        The share of samples whose nearest point is a training point, with its exact binomial interval given these two
        sets, the share expected without memorisation, m / (m + k), and a one-sided p-value. Samples equally near to
        both sets are left out, and counted in `ties`.

    Raises
    ------
    InputError
        For samples that are empty, not finite or of different dimensions, for bad `rng`, `level` or `draws`, and if
        every sample is a tie, as when both sets are the same.

    Notes
    -----
    Judge by the p-value, which is exact: it deals the training labels anew among the points of both sets. The
    interval takes the samples as independent, but many samples share their nearest point, so it is too narrow when
    they outnumber the points (5,000 samples against 200 points miss 1/2 in three cases of ten instead of one in 20).
    The idea is that of Meehan, Chaudhuri and Dasgupta 2020, who compare distances by ranks.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> train, holdout = rng.normal(size=(2, 200, 2))
    >>> memorisation(train + 1e-3, train, holdout, rng)
    100.0 % nearer to train (98.2 to 100.0; 50.0 expected), p = 0.001
    """
    from scipy.spatial import cKDTree

    samples, train = _pair(samples, train, ("samples", "train"))
    holdout = points("holdout", holdout, dim=samples.shape[1])
    (to_train, i), (to_holdout, j) = (cKDTree(data).query(samples) for data in (train, holdout))
    decided = to_train != to_holdout
    if not decided.any():
        raise InputError("every sample is equally near to train and holdout: are they the same points?")
    nearer = (to_train < to_holdout)[decided]
    low, high = success_interval(int(nearer.sum()), len(nearer), level)
    owner = np.where(nearer, i[decided], len(train) + j[decided])
    return Memorisation(
        float(nearer.mean()), low, high, len(train) / (len(train) + len(holdout)),
        _relabelled(np.bincount(owner, minlength=len(train) + len(holdout)), len(train), generator(rng), draws),
        len(samples), int((~decided).sum()))  # fmt: skip


def _relabelled(counts, m, rng, draws):
    """How often m points drawn at random have as many samples near them as the first m have."""
    extreme = sum(rng.permutation(counts)[:m].sum() >= counts[:m].sum() for _ in range(whole("draws", draws)))
    return float((1 + extreme) / (1 + draws))
