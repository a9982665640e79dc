"""What a picture says about a code: exact channels, clusters against classes, codes against factors.

`exact_information` and `exact_bound` are both sides of InfoGAN's bound where everything can be summed. The others hold
a learned code against a truth that training never saw: `matching` names clusters, `information_table` says which code
knows of which factor, and `information_gap` whether it is one code alone.
"""

from dataclasses import dataclass

import numpy as np

from ganlab._channels import exact_bound, exact_information, matching, matching_error
from ganlab._samples import generator
from ganlab.checks import InputError, numbers, whole

__all__ = ["Gap", "exact_bound", "exact_information", "information_gap", "information_table", "matching",
           "matching_error"]  # fmt: skip


@dataclass(frozen=True)
class Gap:
    """What `information_gap` found.

    Attributes
    ----------
    value : float in [0, 1]
        The mutual information gap, the mean of `by_factor`.
    by_factor : tuple of float
    chance : float
        The mean value of codes that were shuffled, and so know nothing.
    """

    value: float
    by_factor: tuple
    chance: float

    def __repr__(self):
        return f"MIG {self.value:.3f} (chance {self.chance:.3f})"


def information_table(codes, factors, bins=20):
    """Return the mutual information of each code with each factor, in nats, from samples.

    Whole numbers are taken as kinds; columns of other numbers are cut into bins that hold equally many samples, so that
    a monotone map of a code changes nothing.

    Parameters
    ----------
    codes, factors : sequence of (n,) arrays
        One array each, of whole numbers or of floats.
    bins : int
        At least 2. The estimate of two unrelated columns is about ``(bins - 1)^2 / 2n`` above 0.

    Returns
    -------
    array of shape (codes, factors)

    Raises
    ------
    InputError
        If a column is no row of finite numbers, they are not equally long, or there are more columns than samples.

    Examples
    --------
    >>> v = np.random.default_rng(0).random((2, 5000))
    >>> information_table([v[0] ** 3], v, bins=4).round(2)  # ln 4 = 1.39 of the one, nothing of the other
    array([[1.39, 0.  ]])
    """
    return _information(*_columns(codes, factors, bins))


def information_gap(codes, factors, bins=20, shuffles=20, rng=None):
    """Return the mutual information gap: how much more the best code knows of a factor than the second best.

    For each factor it is ``(I_1 - I_2) / H(factor)``, of the two largest entries in its column of `information_table`.
    It is 1 if every factor is known, each to one code alone, and 0 if the two best codes know as much as each other.

    Parameters
    ----------
    codes, factors, bins
        As for `information_table`.
    shuffles : int
        How often the samples of all codes are shuffled, for the level of chance.
    rng : numpy.random.Generator, optional
        By default one with seed 0.

    Returns
    -------
    Gap

    Raises
    ------
    InputError
        As `information_table` does, and if a factor never varies.

    References
    ----------
    R. T. Q. Chen, X. Li, R. Grosse, D. Duvenaud, *Isolating Sources of Disentanglement in Variational Autoencoders*,
    NeurIPS 2018. They take the information from the densities of an encoder; here it is counted in bins.

    Examples
    --------
    >>> v = np.random.default_rng(0).random((2, 5000))
    >>> information_gap(v, v)
    MIG 0.987 (chance 0.001)
    >>> information_gap([v[0] + v[1], v[0] - v[1]], v)  # the same two codes, turned
    MIG 0.005 (chance 0.001)
    """
    codes, factors = _columns(codes, factors, bins)
    entropies = np.array([exact_information(np.diag(np.bincount(f) / len(f))) for f in factors])
    if (entropies == 0).any():
        raise InputError(f"factors must vary, but number {int(np.argmin(entropies))} has one value only")
    rng, n = generator(np.random.default_rng(0) if rng is None else rng), len(factors[0])
    gaps = _gaps(_information(codes, factors)) / entropies
    orders = [rng.permutation(n) for _ in range(whole("shuffles", shuffles))]
    chance = [np.mean(_gaps(_information([c[order] for c in codes], factors)) / entropies) for order in orders]
    return Gap(float(gaps.mean()), tuple(gaps.tolist()), float(np.mean(chance)))


def _information(codes, factors):
    """The table of columns that are kinds already."""
    table = np.empty((len(codes), len(factors)))
    for i, c in enumerate(codes):
        for j, f in enumerate(factors):
            joint = np.zeros((c.max() + 1, f.max() + 1))
            np.add.at(joint, (c, f), 1 / len(c))
            table[i, j] = exact_information(joint)
    return table


def _gaps(table):
    """The largest entry of each column less the second largest; less 0 where there is one code."""
    best = np.sort(np.vstack([table, np.zeros((1, table.shape[1]))]), axis=0)
    return best[-1] - best[-2]


def _columns(codes, factors, bins):
    """All columns as kinds, numbered from 0."""
    bins = whole("bins", bins, 2)
    named = [[_kinds(name, column, bins) for column in columns]
             for name, columns in (("codes", codes), ("factors", factors))]  # fmt: skip
    lengths = {len(column) for columns in named for column in columns}
    if not all(named) or len(lengths) != 1:
        raise InputError(f"codes and factors must be one or more columns of one length each, got {len(named[0])} and "
                         f"{len(named[1])} of lengths {sorted(lengths)}")  # fmt: skip
    for name, columns in zip(("codes", "factors"), named, strict=True):  # an (n, d) for a (d, n) would take hours
        if len(columns) > len(columns[0]):
            raise InputError(f"{name} must be one array of samples each, got {len(columns)} arrays of "
                             f"{len(columns[0])}: if yours has shape (n, {name}), pass its transpose .T")  # fmt: skip
    return named


def _kinds(name, column, bins):
    column = np.asarray(column)
    if column.ndim != 1:
        raise InputError(f"{name} must be a list of columns (n,), got one of shape {column.shape}")
    if column.dtype.kind in "iu":
        return np.unique(column, return_inverse=True)[1]
    column = np.asarray(numbers(name, column), dtype=float)
    inner = np.quantile(column, np.arange(1, bins) / bins)
    return np.unique(np.searchsorted(inner, column), return_inverse=True)[1]
