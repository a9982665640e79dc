"""Exact numbers to hold a learned code against: information of a discrete channel, the bound, and cluster errors."""

import numpy as np

from ganlab.checks import InputError, numbers

__all__ = ["exact_bound", "exact_information", "matching", "matching_error"]


def exact_information(joint):
    """Return the mutual information ``I(c; x) = H(c) - H(c | x)`` of a discrete channel, in nats.

    Parameters
    ----------
    joint : array of shape (K, M)
        ``P(c, x)``, which sums to 1.

    Raises
    ------
    InputError
        If it is no table of probabilities.

    Examples
    --------
    A bit that arrives wrong one time in five:

    >>> round(exact_information([[0.4, 0.1], [0.1, 0.4]]), 6)
    0.192745
    """
    joint = _table("joint", joint)
    c, x = joint.sum(1, keepdims=True), joint.sum(0, keepdims=True)
    there = joint > 0
    return float((joint[there] * np.log(joint[there] / (c * x)[there])).sum())


def exact_bound(joint, q):
    """Return ``L_I = E log Q(c | x) + H(c)`` of a discrete channel and a guess Q at its posterior, in nats.

    It is `exact_information` less the mean of ``KL(P(. | x) || Q(. | x))``: equal if Q is the posterior, perhaps
    negative if it is not.

    Parameters
    ----------
    joint : array of shape (K, M)
    q : array of shape (K, M)
        ``Q(c | x)``: every column sums to 1.

    Returns
    -------
    float
        Minus infinity if Q excludes what happens.

    Raises
    ------
    InputError
        If one of them is no table of probabilities, or their shapes differ.

    Examples
    --------
    Three messages with P = (0.5, 0.3, 0.2), and a Q that has learned nothing:

    >>> joint = np.diag([0.5, 0.3, 0.2])
    >>> round(exact_information(joint), 5), round(exact_bound(joint, np.full((3, 3), 1 / 3)), 5)
    (1.02965, -0.06896)
    """
    joint, q = _table("joint", joint), _table("q", q, axis=0)
    if joint.shape != q.shape:
        raise InputError(f"q must have the shape of joint, {joint.shape}, got {q.shape}")
    c, there = joint.sum(1), joint > 0
    c = c[c > 0]
    with np.errstate(divide="ignore"):
        return float((joint[there] * np.log(q[there])).sum() - (c * np.log(c)).sum())


def matching(found, labels):
    """Return the class that each cluster stands for: the one-to-one matching with the most samples in their place.

    Found on one set and used on another it names clusters without flattering: ``matching(train, y)[test]``.

    Parameters
    ----------
    found, labels : array of shape (n,)
        Cluster and true class of each sample: whole numbers from 0.

    Returns
    -------
    array of shape (clusters,)
        -1 for a cluster without a partner, where there are more clusters than classes.

    Raises
    ------
    InputError
        If they are no whole numbers from 0, or not equally many.

    Notes
    -----
    The optimal assignment is found by the Hungarian method (`scipy.optimize.linear_sum_assignment`).

    Examples
    --------
    >>> matching([1, 1, 0, 0, 0], [0, 0, 1, 1, 0])
    array([1, 0])
    """
    from scipy.optimize import linear_sum_assignment

    found, labels = _whole_numbers("found", found), _whole_numbers("labels", labels)
    if len(found) != len(labels):
        raise InputError(f"found and labels must be equally many, got {len(found)} and {len(labels)}")
    together = np.zeros((found.max() + 1, labels.max() + 1), dtype=int)
    np.add.at(together, (found, labels), 1)
    names = np.full(len(together), -1)
    clusters, classes = linear_sum_assignment(together, maximize=True)
    names[clusters] = classes
    return names


def matching_error(found, labels):
    """Return the share of samples in the wrong cluster, under the best one-to-one matching of clusters to labels.

    The matching needs labels, and with few samples it flatters: the best of all matchings is above chance.

    Parameters
    ----------
    found, labels : array of shape (n,)
        As for `matching`. Samples of a cluster without a partner are wrong.

    Returns
    -------
    float
        From 0 to below 1.

    Raises
    ------
    InputError
        As `matching` does.

    Examples
    --------
    >>> matching_error([1, 1, 0, 0, 0], [0, 0, 1, 1, 0])
    0.2
    """
    return float(np.mean(matching(found, labels)[np.asarray(found)] != np.asarray(labels)))


def _table(name, value, axis=None):
    """Check a table of probabilities, which sums to 1 as a whole or along an axis."""
    table = np.asarray(numbers(name, value, 0), dtype=float)
    if table.ndim != 2 or not np.allclose(table.sum(axis), 1, rtol=0, atol=1e-9):
        what = "all its entries" if axis is None else "each of its columns"
        raise InputError(f"{name} must be a table (K, M) of probabilities, {what} with sum 1, got shape {table.shape} "
                         f"and sums {np.round(table.sum(axis), 6)}")  # fmt: skip
    return table


def _whole_numbers(name, value):
    array = np.asarray(value)
    if array.ndim != 1 or not array.size or array.dtype.kind not in "iu" or array.min() < 0:
        raise InputError(f"{name} must be a row of whole numbers from 0, such as [0, 2, 1], got {value!r}")
    return array.astype(np.int64)
