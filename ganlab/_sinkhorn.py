"""Entropic transport: POT iterates, we check before and after."""

from dataclasses import dataclass

import numpy as np

from ganlab._samples import pair, powers, weights
from ganlab.checks import NotConverged, number, whole

__all__ = ["Sinkhorn", "sinkhorn", "sinkhorn_divergence"]


@dataclass(frozen=True, eq=False, repr=False)
class Sinkhorn:
    """An entropic plan.

    Attributes
    ----------
    cost : float
        ``sum gamma c``: what the plan costs to carry out, never less than the cheapest.
    objective : float
        ``cost + reg KL(gamma | a b^T)``, which is what the plan minimises.
    gamma : (n, m) array
    error : float
        How much mass is in the wrong place: the absolute errors of both marginals, summed.
    reg : float
    """

    cost: float
    objective: float
    gamma: np.ndarray
    error: float
    reg: float

    def __repr__(self):
        return f"Sinkhorn at reg {self.reg:g}: cost {self.cost:.6g}, objective {self.objective:.6g}"


def sinkhorn(x, y, reg, a=None, b=None, p=1, max_iter=10_000, tol=1e-9):
    """Return the plan that is cheapest after an entropy has been added to its cost.

    Parameters
    ----------
    x : (n, d) array
    y : (m, d) array
    reg : float
        Positive, in the units of the cost ``|x - y|^p``. Towards 0 the plan becomes the cheapest one, and slow.
    a, b : (n,) and (m,) array, optional
        Weights, none negative, with sum 1; equal if left out.
    p : float
    max_iter : int
    tol : float
        The largest mass that may be in the wrong place.

    Returns
    -------
    Sinkhorn

    Raises
    ------
    InputError
        For bad points or weights, or a `reg` that is not positive.
    NotConverged
        If the marginals are off by more than `tol` after `max_iter` rounds.

    Notes
    -----
    Cuturi 2013, in logarithms (Schmitzer 2019), so that a small `reg` is slow but never NaN.

    Examples
    --------
    >>> sinkhorn([0.0, 1.0], [0.0, 1.0], reg=1.0)
    Sinkhorn at reg 1: cost 0.268941, objective 0.379885
    """
    c, reg, a, b, max_iter, tol = _checked(x, y, reg, a, b, p, max_iter, tol)
    gamma = np.zeros(c.shape)
    some = np.ix_(a > 0, b > 0)  # a logarithm of 0 would make NaN
    gamma[some] = _iterate(c[some], a[a > 0], b[b > 0], reg, max_iter, tol)
    error = float(np.abs(gamma.sum(axis=1) - a).sum() + np.abs(gamma.sum(axis=0) - b).sum())
    if not error <= tol:
        raise _stopped(error, max_iter, tol)
    cost, sent = float(np.vdot(gamma, c)), gamma > 0
    entropy = np.sum(gamma[sent] * np.log(gamma[sent] / np.outer(a, b)[sent]))
    return Sinkhorn(cost, float(cost + reg * entropy), gamma, error, reg)


def _checked(x, y, reg, a, b, p, max_iter, tol):
    (x, y), p, reg = pair(x, y), number("p", p, 1), number("reg", reg, 0, open_low=True)
    a, b = weights("a", a, len(x)), weights("b", b, len(y))
    return powers(x, y, p), reg, a, b, whole("max_iter", max_iter), number("tol", tol, 0, open_low=True)


def _stopped(error, max_iter, tol):
    return NotConverged(f"after {max_iter} rounds {error:.3g} of the mass is in the wrong place, more than tol = "
                        f"{tol:g}; raise max_iter, reg or tol")  # fmt: skip


def _iterate(c, a, b, reg, max_iter, tol):
    import warnings

    import ot

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the marginals say whether it has converged
        # POT stops by the 2-norm of one marginal, we judge by the 1-norm.
        return ot.sinkhorn(a, b, c, reg, method="sinkhorn_log", numItermax=max_iter, stopThr=tol / np.sqrt(len(b)))


def _own(c, reg, a, max_iter, tol):
    """The objective of a law and itself: one potential, and the mean of two rounds goes straight where one swings."""
    c, a = c[np.ix_(a > 0, a > 0)], a[a > 0]
    f = np.zeros(len(a))
    for _ in range(max_iter):
        room = (f - c) / reg
        top = room.max(axis=1)
        row = np.exp(room - top[:, None]) @ a
        error = 2 * np.abs(a * (row * np.exp(f / reg + top) - 1)).sum()
        if error <= tol:
            return 2 * float(a @ f)
        f = (f - reg * (np.log(row) + top)) / 2
    raise _stopped(error, max_iter, tol)


def sinkhorn_divergence(x, y, reg, a=None, b=None, p=1, max_iter=10_000, tol=1e-9):
    """Return the debiased ``S(x, y) - S(x, x) / 2 - S(y, y) / 2``, with S the objective of `sinkhorn`.

    Parameters
    ----------
    x, y, reg, a, b, p, max_iter, tol
        As in `sinkhorn`.

    Returns
    -------
    float
        0 for two equal sets, which S alone is not.

    Raises
    ------
    InputError, NotConverged
        As `sinkhorn` does.

    Notes
    -----
    Feydy et al. 2019; the terms of one law by symmetric rounds, averaged.

    Examples
    --------
    >>> abs(sinkhorn_divergence([0.0, 1.0], [0.0, 1.0], reg=0.5)) < 1e-9
    True
    """
    c, *_ = _checked(x, y, reg, a, b, p, max_iter, tol)
    (x, y), (n, m) = pair(x, y), c.shape
    own = [_own(powers(z, z, p), reg, weights("weights", w, k), max_iter, tol) for z, w, k in ((x, a, n), (y, b, m))]
    return sinkhorn(x, y, reg, a, b, p, max_iter, tol).objective - sum(own) / 2
