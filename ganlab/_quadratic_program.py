"""Solvers of the linear program of transport, their checks, and the centre of its optimal potentials.

    maximise  mean_j H_j - mean_i H_i   subject to   H_j - H_i <= c_ij,

or ``|H_j - H_i| <= c_ij`` if two-sided, for any costs ``c_ij >= 0``. `ganlab._quadratic` has the costs of WGAN-QC.
"""

import numpy as np

from ganlab._plan import network
from ganlab.checks import NotConverged

__all__ = ["SOLVERS", "centre", "check", "highs", "simplex"]

TOLERANCE = 1e-9  # of the largest cost: what rounding may do to feasibility and to the gap


def simplex(costs):
    """Solve by POT's network simplex: potentials of fakes and data, and the plan; not yet checked."""
    (n, m), unit = costs.shape, _unit(costs)
    plan, real = network(costs / unit, np.full(n, 1 / n), np.full(m, 1 / m))
    return unit * (real - costs / unit).max(axis=1), unit * real, plan


def highs(costs, two_sided=False):
    """Solve the program itself by SciPy's HiGHS; its multipliers are the plan, and if two-sided the plan back."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_array, vstack

    n, m = costs.shape
    row, (i, j) = np.arange(n * m), np.indices((n, m)).reshape(2, -1)
    signs = np.repeat([-1.0, 1.0], n * m)
    edges = coo_array((signs, (np.tile(row, 2), np.concatenate([i, n + j]))), shape=(n * m, n + m)).tocsr()
    nailed = [(0, 0)] + [(None, None)] * (n + m - 1)  # one potential is free
    unit = _unit(costs)
    answer = linprog(np.repeat([1 / n, -1 / m], [n, m]), vstack([edges, -edges]) if two_sided else edges,
                     np.tile(costs.ravel() / unit, 1 + two_sided), bounds=nailed, method="highs-ds",
                     options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10})  # fmt: skip
    if answer.status != 0:
        raise NotConverged(f"HiGHS did not solve the program of {n} by {m} samples: {answer.message}")
    return unit * answer.x[:n], unit * answer.x[n:], *-answer.ineqlin.marginals.reshape(-1, n, m)


SOLVERS = {"simplex": simplex, "highs": highs}


def _unit(costs):
    """A power of two of the size of the costs: the solvers' tolerances are absolute."""
    return 2.0 ** np.floor(np.log2(costs.max())) if costs.max() > 0 else 1.0


def check(costs, fake, real, there, back=None):
    """Feasible plans and feasible potentials of the same value are both optimal, whoever found them.

    `back` is the mass that a two-sided program moves against the direction, from data to fakes.

    Raises
    ------
    NotConverged
        If feasibility, marginals or duality gap are off by more than 1e-9 (of the largest cost, of all mass).
    """
    n, m = costs.shape
    room, net, total = TOLERANCE * costs.max(), there, there
    differences = real - fake[:, None]
    if back is not None:
        net, total, differences = there - back, there + back, np.abs(differences)
    worst = float((costs - differences).min())
    gap = float((costs * total).sum() - real.mean() + fake.mean())
    off = max(np.abs(net.sum(1) - 1 / n).max(), np.abs(net.sum(0) - 1 / m).max(), -total.min())
    # written so that NaN fails, too
    if not (worst >= -room and abs(gap) <= room and off <= TOLERANCE):
        raise NotConverged(f"the solver's answer for {n} by {m} samples is not optimal: smallest slack {worst:.3g}, "
                         f"duality gap {gap:.3g}, masses off by {off:.3g}")  # fmt: skip


def centre(costs, fake, real, plan):
    """Return the mean of the extreme optimal potentials: those that are largest, and smallest, relative to one sample.

    Where the plan moves mass the difference of two potentials is fixed. So the samples fall into groups that mass
    connects, and a group moves as one: by at most the least slack of an arc, ``s_B - s_A <= w_AB``. The bounds are
    shortest paths d, and ``d(r, .)`` and ``-d(., r)`` are optimal for every root r. Their mean depends on no order and
    no solver, and an arc is tight in it only if it is tight in all optimal potentials.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, m = costs.shape
    i, j = np.nonzero(plan > 1e-7 / max(n, m))
    slack = np.maximum(costs + fake[:, None] - real, 0)
    if len(i) == n == m:  # a matching, whose groups are its pairs: the quick way
        groups, group, d = n, np.concatenate([i, np.argsort(j)]), slack.take(j, axis=1)
    else:
        arcs = coo_array((np.ones(len(i)), (i, n + j)), shape=(n + m, n + m))
        groups, group = connected_components(arcs, directed=False)
        d = np.full((groups, groups), np.inf)
        np.minimum.at(d, (group[:n, None], group[None, n:]), slack)
    np.fill_diagonal(d, 0.0)
    for k in range(groups):  # Floyd and Warshall; SciPy's takes a length of 0 for no arc
        np.minimum(d, d[:, k, None] + d[k], out=d)
    share = np.bincount(group) / (n + m)
    shift = (share @ d - d @ share)[group] / 2
    return fake + shift[:n], real + shift[n:]
