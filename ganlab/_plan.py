"""Transport plans with their potentials: three solvers, one validation before them and one proof after them."""

from dataclasses import dataclass

import numpy as np

from ganlab._samples import pair, powers, weights
from ganlab.checks import InputError, NotConverged, choose, number, numbers

__all__ = ["SOLVERS", "TIGHT", "Plan", "plan", "plan_of_costs"]

MOST_LP_PAIRS = 2**18  # HiGHS then takes 15 s, POT 0.1
EXACT = 1e-9  # what a marginal may be off by, and the gap in units of the largest cost
TIGHT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}  # 1e-7 loses small masses
ROUNDS = 10_000_000  # of the network simplex; it needs some thousands


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """A cheapest plan of transport and the potentials that prove it.

    Attributes
    ----------
    cost : float
        ``sum gamma c``.
    gamma : (n, m) array
        How much goes from where to where: rows sum to the first weights, columns to the second.
    u, v : (n,) and (m,) array
        Kantorovich potentials: ``u_i + v_j <= c_ij``, with equality wherever something is sent, and
        ``sum a u + sum b v = cost``. They are unique at best up to a constant; it is fixed by ``sum a u = 0``.
    c : (n, m) array
        The costs.
    a, b : (n,) and (m,) array
        The weights.
    solver : str
    """

    cost: float
    gamma: np.ndarray
    u: np.ndarray
    v: np.ndarray
    c: np.ndarray
    a: np.ndarray
    b: np.ndarray
    solver: str

    def __repr__(self):
        n, m = self.gamma.shape
        return (
            f"Plan by {self.solver}: {n} to {m} points over {np.count_nonzero(self.gamma)} routes, cost {self.cost:.6g}"
        )


def plan(x, y, a=None, b=None, p=1, solver="network"):
    """Return a cheapest plan to carry one set of weighted points to another, with its potentials.

    Parameters
    ----------
    x : (n, d) array
    y : (m, d) array
    a, b : (n,) and (m,) array, optional
        Weights, none negative, with sum 1; equal if left out.
    p : float
        The cost is ``|x_i - y_j|^p``.
    solver : "network", "lp" or "assignment"
        POT's network simplex; SciPy's HiGHS on the linear programme; SciPy's assignment, for n = m and equal weights.

    Returns
    -------
    Plan
        Its cost is ``W_p^p``.

    Raises
    ------
    InputError
        For bad points or weights, or too many points, before any solver is called.
    NotConverged
        If the solver stops early, or its answer does not pass the proof (marginals and duality gap to 1e-9).

    Notes
    -----
    Where several plans are equally cheap, a solver returns a corner (at most n + m - 1 routes), and the same one for
    the same input in the same order; two solvers may return different ones. The potentials are each other's best
    answer, ``v_j = min_i c_ij - u_i``, also at points without weight. Memory: five tables of n times m numbers.

    Examples
    --------
    >>> found = plan([0.0, 1.0], [1.0, 3.0])
    >>> found
    Plan by network: 2 to 2 points over 2 routes, cost 1.5
    """
    (x, y), p = pair(x, y), number("p", p, 1)
    return plan_of_costs(powers(x, y, p), a, b, solver)


def plan_of_costs(c, a=None, b=None, solver="network"):
    """Return a cheapest plan for any table of costs, such as ``|x - y|^2 / 2``.

    Parameters
    ----------
    c : (n, m) array
        May be negative.
    a, b : (n,) and (m,) array, optional
        Weights, as in `plan`.
    solver : "network", "lp" or "assignment"
        As in `plan`.

    Returns
    -------
    Plan

    Raises
    ------
    InputError, NotConverged
        As `plan` does.

    Examples
    --------
    >>> plan_of_costs([[0, 2], [1, 4]]).gamma.tolist()
    [[0.0, 0.5], [0.5, 0.0]]
    """
    solve, c = choose("solver", solver, SOLVERS), np.asarray(numbers("c", c), dtype=float)
    if c.ndim != 2:
        raise InputError(f"c must have shape (n, m), got {c.shape}")
    a, b = weights("a", a, c.shape[0]), weights("b", b, c.shape[1])
    rows, columns, scale = np.flatnonzero(a), np.flatnonzero(b), np.abs(c).max() or 1.0
    gamma = np.zeros(c.shape)
    # The solvers see no empty place and costs of at most 1, since their tolerances are absolute.
    gamma[np.ix_(rows, columns)], v = solve(c[np.ix_(rows, columns)] / scale, a[rows], b[columns])
    u = (c[:, columns] - scale * v).min(axis=1)
    v = (c - u[:, None]).min(axis=0)
    u, v = u - a @ u, v + a @ u
    found = Plan(float(np.vdot(gamma, c)), gamma, u, v, c, a, b, solver)
    _prove(found, scale)
    return found


def _prove(found, scale):
    """Whoever is feasible on both sides at one price is optimal, however the solver came there."""
    gamma, gap = found.gamma, found.cost - found.a @ found.u - found.b @ found.v
    error = max(np.abs(gamma.sum(axis=1) - found.a).max(), np.abs(gamma.sum(axis=0) - found.b).max(), -gamma.min())
    if not (error <= EXACT and abs(gap) <= EXACT * scale):  # NaN fails too
        raise NotConverged(f"the plan by {found.solver} is not optimal: its marginals are off by {error:.3g}, its "
                           f"duality gap is {gap:.3g}; try another of {', '.join(SOLVERS)}")  # fmt: skip


def network(c, a, b):
    """POT; returns the plan and the second potential."""
    import warnings

    from ot.lp import emd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it warns of is in the log
        gamma, log = emd(a, b, np.ascontiguousarray(c), numItermax=ROUNDS, log=True)
    if log["warning"]:
        raise NotConverged(f"POT's network simplex found no plan from {len(a)} to {len(b)} points: {log['warning']}")
    return gamma, log["v"]


def _lp(c, a, b):
    """SciPy's HiGHS: the programme as it is written in the books."""
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    n, m = c.shape
    if c.size > MOST_LP_PAIRS:
        raise InputError(f"solver 'lp' takes at most {MOST_LP_PAIRS} pairs of points, got {n} times {m}; use 'network'")
    marginals = vstack([kron(eye_array(n), np.ones((1, m))), kron(np.ones((1, n)), eye_array(m))])
    found = linprog(c.ravel(), A_eq=marginals.tocsr(), b_eq=np.append(a, b), method="highs", options=TIGHT)
    if found.status != 0:
        raise NotConverged(f"HiGHS found no plan: {found.message}")
    return np.maximum(found.x, 0).reshape(n, m), found.eqlin.marginals[n:]


def _assignment(c, a, b):
    """SciPy's assignment, and shortest paths by Bellman and Ford for the potential that it does not return."""
    from scipy.optimize import linear_sum_assignment

    n, m = c.shape
    if n != m or np.ptp(a) > 1e-12 or np.ptp(b) > 1e-12:
        raise InputError("solver 'assignment' needs as many points on both sides, all of the same weight, got "
                         f"{n} and {m} points; use 'network'")  # fmt: skip
    rows, columns = linear_sum_assignment(c)
    gamma = np.zeros((n, n))
    gamma[rows, columns] = a
    # Room for v: whoever is sent to s may not go to j for less, v_j - v_s <= c_ij - c_is.
    room, v = c - c[rows, columns][:, None], np.zeros(n)
    for _ in range(n):
        v, before = np.minimum(v, (v[columns][:, None] + room).min(axis=0)), v
        if (v > before - 1e-15).all():
            break
    return gamma, v


SOLVERS = {"network": network, "lp": _lp, "assignment": _assignment}
