"""Transport plans with their potentials: three solvers, one validation before them and one proof after them."""

from dataclasses import dataclass

import numpy as np

from ganlab._samples import distances, pair, weights
from ganlab.checks import InputError, NotConverged, choose, number, numbers

__all__ = ["SOLVERS", "Plan", "plan", "plan_of_costs"]

MOST_LP_PAIRS = 2**18  # above, HiGHS takes minutes: the network simplex does not


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
        For bad points or weights, before any solver is called.
    NotConverged
        If the solver stops early, or its answer does not pass the proof (marginals and duality gap to 1e-9).

    Examples
    --------
    >>> found = plan([0.0, 1.0], [1.0, 3.0])
    >>> found
    Plan by network: 2 to 2 points over 2 routes, cost 1.5
    """
    (x, y), p = pair(x, y), number("p", p, 1)
    return plan_of_costs(distances(x, y) ** p, a, b, solver)


def plan_of_costs(c, a=None, b=None, solver="network"):
    """Return a cheapest plan for any table of costs.

    Parameters
    ----------
    c : (n, m) array
    a, b : (n,) and (m,) array, optional
    solver : "network", "lp" or "assignment"

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
    solve = choose("solver", solver, SOLVERS)
    c = np.asarray(numbers("c", c), dtype=float)
    if c.ndim != 2:
        raise InputError(f"c must have shape (n, m), got {c.shape}")
    a, b = weights("a", a, c.shape[0]), weights("b", b, c.shape[1])
    scale = np.abs(c).max() or 1.0
    gamma, v = np.zeros(c.shape), None
    rows, columns = a > 0, b > 0
    part, v = solve(c[np.ix_(rows, columns)] / scale, a[rows], b[columns])
    gamma[np.ix_(rows, columns)] = part
    u = (c[:, columns] - scale * v).min(axis=1)
    v = (c - u[:, None]).min(axis=0)
    u, v = u - a @ u, v + a @ u
    cost = float((gamma * c).sum())
    _prove(gamma, a, b, cost - (a @ u + b @ v), scale, solver)
    return Plan(cost, gamma, u, v, c, a, b, solver)


def _prove(gamma, a, b, gap, scale, solver):
    error = max(np.abs(gamma.sum(axis=1) - a).max(), np.abs(gamma.sum(axis=0) - b).max())
    if not (error <= 1e-9 and abs(gap) <= 1e-9 * scale and gamma.min() >= 0):
        raise NotConverged(f"the plan by {solver} is no proof: marginals are off by {error:.3g}, the gap is {gap:.3g}")


def _network(c, a, b):
    from ot.lp import emd

    gamma, log = emd(a, b, c, numItermax=10**7, log=True)
    if log["warning"] is not None:
        raise NotConverged(f"POT's network simplex stopped early: {log['warning']}")
    return gamma, log["v"]


def _lp(c, a, b):
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    n, m = c.shape
    if c.size > MOST_LP_PAIRS:
        raise InputError(f"the LP takes at most {MOST_LP_PAIRS} pairs of points, got {c.size}; use solver='network'")
    marginals = vstack([kron(eye_array(n), np.ones((1, m))), kron(np.ones((1, n)), eye_array(m))])
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(c.ravel(), A_eq=marginals.tocsr(), b_eq=np.concatenate([a, b]), method="highs", options=tight)
    if found.status != 0:
        raise NotConverged(f"HiGHS found no optimum: {found.message}")
    return np.maximum(found.x, 0).reshape(n, m), found.eqlin.marginals[n:]


def _assignment(c, a, b):
    from scipy.optimize import linear_sum_assignment

    n, m = c.shape
    if n != m or np.ptp(a) > 1e-12 or np.ptp(b) > 1e-12:
        raise InputError(f"an assignment needs as many points on both sides and equal weights, got {n} and {m} points; "
                         "use solver='network'")  # fmt: skip
    rows, columns = linear_sum_assignment(c)
    gamma = np.zeros((n, n))
    gamma[rows, columns] = a
    # v_j <= v_sigma(i) + c_ij - c_i,sigma(i): shortest paths, found by Bellman and Ford.
    extra, v = c - c[rows, columns][:, None], np.zeros(n)
    for _ in range(n):
        shorter = np.minimum(v, (v[columns][:, None] + extra).min(axis=0))
        if np.allclose(shorter, v, rtol=0, atol=1e-15):
            break
        v = shorter
    return gamma, v


SOLVERS = {"network": _network, "lp": _lp, "assignment": _assignment}
