"""What the nearest neighbours of samples tell: quality and variety, and whether a model repeats what it saw."""

from dataclasses import dataclass

import numpy as np

from ganlab._intervals import success_interval
from ganlab._samples import distances, generator, pair, points
from ganlab.checks import InputError, whole

__all__ = ["Memorisation", "density_coverage", "memorisation", "precision_recall"]


def _radii(x, k):
    """Distance from each point to the k-th nearest of the others."""
    return np.partition(distances(x, x), k, axis=1)[:, k]  # place 0 is the point itself


def _real_and_fake(real, fake, k):
    """Both sets, each with enough points for a k-th neighbour."""
    return *pair(real, fake, ("real", "fake"), least=whole("k", k) + 1), k


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
    between = distances(real, fake)
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
    inside = distances(real, fake) < _radii(real, k)[:, None]
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

    samples, train = pair(samples, train, ("samples", "train"))
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
