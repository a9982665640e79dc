"""Entropic transport: POT iterates, we check before and after."""

import warnings
from dataclasses import dataclass

import numpy as np

from ganlab._samples import distances, pair, weights
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
    from ot import sinkhorn as solve

    (x, y), p, reg = pair(x, y), number("p", p, 1), number("reg", reg, 0, open_low=True)
    a, b, tol = weights("a", a, len(x)), weights("b", b, len(y)), number("tol", tol, 0, open_low=True)
    x, y, a, b = x[a > 0], y[b > 0], a[a > 0], b[b > 0]
    c = distances(x, y) ** p
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gamma = solve(a, b, c, reg, method="sinkhorn_log", numItermax=whole("max_iter", max_iter),
                      stopThr=tol / np.sqrt(2 * (len(a) + len(b))), warn=False)  # fmt: skip
    error = np.abs(gamma.sum(axis=1) - a).sum() + np.abs(gamma.sum(axis=0) - b).sum()
    if not error <= tol:
        raise NotConverged(f"after {max_iter} rounds {error:.3g} of the mass is in the wrong place, tol is {tol:g}; "
                           "raise max_iter, tol or reg")  # fmt: skip
    cost, some = float((gamma * c).sum()), gamma > 0
    entropy = (gamma[some] * np.log(gamma[some] / np.outer(a, b)[some])).sum()
    return Sinkhorn(cost, float(cost + reg * entropy), gamma, float(error), reg)


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
    Feydy et al. 2019.

    Examples
    --------
    >>> round(sinkhorn_divergence([0.0, 1.0], [0.0, 1.0], reg=0.1), 9)
    0.0
    """
    options = {"p": p, "max_iter": max_iter, "tol": tol}
    own = sinkhorn(x, x, reg, a, a, **options).objective + sinkhorn(y, y, reg, b, b, **options).objective
    return sinkhorn(x, y, reg, a, b, **options).objective - own / 2
