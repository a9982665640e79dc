"""Quadratic transport between two samples as a linear program: potentials, plan, map and the critic they make.

The program of WGAN-QC (Liu, Gu and Samaras, ICCV 2019), with fakes ``x_i``, data ``y_j`` and the cost
``c_ij = K/2 |x_i - y_j|^2``:

    maximise  mean_j H_j - mean_i H_i   subject to   H_j - H_i <= c_ij.

Its optimum is the transport cost ``K/2 W_2^2``. ``H_i`` and ``H_j`` are what a critic should answer at ``x_i`` and
``y_j``.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from ganlab._samples import distances, pair, points
from ganlab.checks import InputError, choose, number

__all__ = ["NotOptimal", "Potentials", "TransportCritic", "critic_from_potentials", "quadratic_potentials",
           "quadratic_slack", "transport_map"]  # fmt: skip

TOLERANCE = 1e-9  # of the largest cost: what rounding may do to feasibility and to the gap
ROUNDS = 10_000_000  # of the network simplex; it needs some thousands


class NotOptimal(ArithmeticError):
    """A solver stopped before the optimum, or its answer does not pass the checks of optimality."""


@dataclass(frozen=True, eq=False, repr=False)
class Potentials:
    """What the linear program of WGAN-QC answers; made by `quadratic_potentials`.

    Parameters
    ----------
    fake : (n,) array
        ``H_i``, what the critic should answer at ``x_i``.
    real : (m,) array
        ``H_j``, what it should answer at ``y_j``. The mean of all n + m numbers is 0.
    value : float
        ``mean(real) - mean(fake)``: the transport cost ``K/2 W_2^2``, K included (smaller if two-sided).
    plan : (n, m) array or None
        Mass that goes from ``x_i`` to ``y_j``; rows sum to 1/n, columns to 1/m. None if two-sided.
    scale : float
        The K of the cost.
    """

    fake: np.ndarray
    real: np.ndarray
    value: float
    plan: np.ndarray | None
    scale: float

    def __repr__(self):
        return f"Potentials of {len(self.fake)} fakes and {len(self.real)} data, cost {self.value:.6g}"


def quadratic_potentials(x, y, scale=1.0, one_sided=True, solver="simplex", choice="centre"):
    """Solve the linear program of WGAN-QC: what a critic should answer at fakes `x` and data `y`.

    Parameters
    ----------
    x : (n, d) array
        Fakes.
    y : (m, d) array
        Data; m need not be n.
    scale : float
        Positive, the K of the cost ``K/2 |x_i - y_j|^2``; the authors take 1/d.
    one_sided : bool
        ``H_j - H_i <= c_ij``, the dual of quadratic transport (and the authors' code). False gives what the course's
        source prints, ``|H_j - H_i| <= c_ij``: transport at the cost of the cheapest path, which is less.
    solver : {"simplex", "highs"}
        POT's network simplex on the plan, or SciPy's HiGHS on the program itself (slow; always if two-sided).
    choice : {"centre", "vertex"}
        Which of the optimal potentials. There are many whenever a part of the fakes holds exactly as much mass as a
        part of the data, so always if ``n = m > 1``. "vertex" is what the solver happens to end at, as in the authors'
        code. "centre" is the mean of the extreme ones, the same for every solver and order of samples; there only
        partners are tight. If two-sided, always the vertex.

    Returns
    -------
    Potentials

    Raises
    ------
    InputError
        For samples that are empty, not finite or of different dimensions, and for bad `scale`, `solver` or `choice`.
    NotOptimal
        If the solver does not reach the optimum, or feasibility, marginals or duality gap are off by more than 1e-9.

    Notes
    -----
    Liu, Gu and Samaras 2019, Wasserstein GAN with quadratic transport cost.

    Examples
    --------
    >>> x, y = [0, 0.5, 2], [1, 2.5, 3]
    >>> h = quadratic_potentials(x, y)
    >>> round(h.value, 6), round(quadratic_potentials(x, y, one_sided=False).value, 6)
    (1.0, 0.583333)
    >>> h.plan.argmax(axis=1)
    array([0, 1, 2])
    """
    (x, y), scale = pair(x, y), float(number("scale", scale, 0, open_low=True))
    solve = choose("solver", solver, {"simplex": _simplex, "highs": _highs})
    pick = choose("choice", choice, {"centre": _centre, "vertex": lambda costs, fake, real, plan: (fake, real)})
    costs = _costs(x, y, scale)
    if not one_sided:
        fake, real, _ = _highs(costs, two_sided=True)
        return _potentials(fake, real, None, scale)
    fake, real, plan = solve(costs)
    _check(costs, fake, real, plan)
    fake, real = pick(costs, fake, real, plan)
    _check(costs, fake, real, plan)
    return _potentials(fake, real, plan, scale)


def _costs(x, y, scale):
    with np.errstate(over="ignore"):
        costs = scale / 2 * distances(x, y) ** 2
    if not np.isfinite(costs).all():
        raise InputError("the samples are too far apart: their squared distances overflow; rescale them")
    return costs


def _potentials(fake, real, plan, scale):
    """The record, with the constant fixed as the authors fix it."""
    middle = np.concatenate([fake, real]).mean()
    return Potentials(fake - middle, real - middle, float(real.mean() - fake.mean()), plan, scale)


def _simplex(costs):
    """The plan by POT's network simplex, and the potentials of its last tree."""
    import ot

    n, m = costs.shape
    unit = 2.0 ** np.floor(np.log2(costs.max())) if costs.max() > 0 else 1.0  # its tolerance is absolute
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its warning becomes our error
        plan, log = ot.emd(np.full(n, 1 / n), np.full(m, 1 / m), costs / unit, numItermax=ROUNDS, log=True)
    if log["warning"] is not None:
        raise NotOptimal(f"the network simplex stopped early on {n} by {m} samples: {log['warning']}")
    return -unit * log["u"], unit * log["v"], plan


def _highs(costs, two_sided=False):
    """The program itself by HiGHS; the multipliers of its constraints are the plan."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_array, vstack

    n, m = costs.shape
    row, (i, j) = np.arange(n * m), np.indices((n, m)).reshape(2, -1)
    signs = np.repeat([-1.0, 1.0], n * m)
    edges = coo_array((signs, (np.tile(row, 2), np.concatenate([i, n + j]))), shape=(n * m, n + m)).tocsr()
    gains = np.repeat([1 / n, -1 / m], [n, m])
    bounds = [(0, 0)] + [(None, None)] * (n + m - 1)  # one potential is free: nail it down
    unit = costs.max() or 1.0
    c = costs.ravel() / unit
    answer = linprog(gains, vstack([edges, -edges]) if two_sided else edges, np.tile(c, 1 + two_sided), bounds=bounds,
                     method="highs-ds", options={"primal_feasibility_tolerance": 1e-10,
                                                 "dual_feasibility_tolerance": 1e-10})  # fmt: skip
    if answer.status != 0:
        raise NotOptimal(f"HiGHS did not solve the program of {n} by {m} samples: {answer.message}")
    plan = -answer.ineqlin.marginals[: n * m].reshape(n, m)
    return unit * answer.x[:n], unit * answer.x[n:], plan


def _check(costs, fake, real, plan):
    """Optimality needs no trust: a feasible plan and feasible potentials of the same value are both optimal."""
    n, m = costs.shape
    room = TOLERANCE * costs.max()
    worst = float((costs + fake[:, None] - real).min())
    gap = float((costs * plan).sum() - real.mean() + fake.mean())
    marginal = max(np.abs(plan.sum(1) - 1 / n).max(), np.abs(plan.sum(0) - 1 / m).max(), -plan.min())
    # written so that NaN fails, too
    if not (worst >= -room and abs(gap) <= room and marginal <= TOLERANCE):
        raise NotOptimal(f"the solver's answer for {n} by {m} samples is not optimal: smallest slack {worst:.3g}, "
                         f"duality gap {gap:.3g}, marginals off by {marginal:.3g}")  # fmt: skip


def _centre(costs, fake, real, plan):
    """The mean of all extreme potentials: for every sample, those that are largest and smallest relative to it.

    Optimal potentials are those with ``H_j - H_i <= c_ij``, and equality where the plan moves mass. So differences are
    bounded by shortest paths in a graph with an arc from i to j of length c_ij, and back of length -c_ij where mass
    moves. ``d(r, .)`` and ``-d(., r)`` are optimal for every root r, and only what must be tight is tight in them all.
    """
    n, m = costs.shape
    moved = plan > 1e-7 / max(n, m)
    d = np.full((n + m, n + m), np.inf)
    d[:n, n:] = costs + fake[:, None] - real  # lengths less the potentials we have: none is negative
    d[n:, :n] = np.where(moved, 0.0, np.inf).T
    d[:n, n:][moved] = 0.0
    np.fill_diagonal(d, 0.0)
    np.maximum(d, 0.0, out=d)
    for k in range(n + m):
        np.minimum(d, d[:, k, None] + d[k], out=d)
    shift = (d.mean(0) - d.mean(1)) / 2
    return fake + shift[:n], real + shift[n:]


def quadratic_slack(x, y, potentials):
    """Return how much room every constraint has: ``c_ij + H_i - H_j``, 0 between partners.

    Parameters
    ----------
    x, y : (n, d) and (m, d) arrays
        What the potentials were made of.
    potentials : Potentials

    Returns
    -------
    (n, m) array
        Never negative, but for rounding.

    Raises
    ------
    InputError
        If the samples do not fit the potentials.

    Examples
    --------
    >>> x, y = [0, 0.5, 2], [1, 2.5, 3]
    >>> h = quadratic_potentials(x, y)
    >>> bool(np.abs(np.diag(quadratic_slack(x, y, h))).max() < 1e-12)
    True
    """
    x, y = pair(x, y)
    if (len(x), len(y)) != (len(potentials.fake), len(potentials.real)):
        raise InputError(f"these are potentials of {len(potentials.fake)} fakes and {len(potentials.real)} data, and "
                         f"x and y hold {len(x)} and {len(y)}; pass the samples they were made of")  # fmt: skip
    return _costs(x, y, potentials.scale) + potentials.fake[:, None] - potentials.real


def transport_map(y, potentials, form="partner"):
    """Return where each fake should go: (n, d) points.

    Parameters
    ----------
    y : (m, d) array
        The data that the potentials were made of.
    potentials : Potentials
    form : {"partner", "barycentre"}
        "partner" is the datum ``y_sigma(i)`` that gets most of the fake's mass (the authors' choice), the first of
        several; "barycentre" is the mean of all data that get some, weighted. The same where every fake has one
        partner.

    Returns
    -------
    (n, d) array

    Raises
    ------
    InputError
        If `y` does not fit the potentials, these are two-sided and so have no plan, or `form` is unknown.

    Examples
    --------
    >>> transport_map([1, 2.5, 3], quadratic_potentials([0, 0.5, 2], [1, 2.5, 3])).ravel()
    array([1. , 2.5, 3. ])
    """
    y, plan = points("y", y), potentials.plan
    choose("form", form, {"partner": 0, "barycentre": 1})
    if plan is None:
        raise InputError("two-sided potentials have no plan, so no map: solve with one_sided=True")
    if len(y) != plan.shape[1]:
        raise InputError(f"these are potentials of {plan.shape[1]} data, and y holds {len(y)}")
    if form == "barycentre":
        return plan @ y / plan.sum(1, keepdims=True)
    most = plan.max(1, keepdims=True)
    return y[(plan >= most * (1 - 1e-6)).argmax(1)]  # the first of the largest, not the largest by rounding


@dataclass(frozen=True, eq=False, repr=False)
class TransportCritic:
    """The critic ``D(x) = max_j (H_j - K/2 |x - y_j|^2)``; made by `critic_from_potentials`.

    Called with (k, d) points it answers (k,) scores.
    """

    y: np.ndarray
    real: np.ndarray
    scale: float

    def __call__(self, x):
        return (self.real - _costs(points("x", x, dim=self.y.shape[1]), self.y, self.scale)).max(1)

    def gradient(self, x):
        """Return its gradient ``K (y_sigma - x)``, (k, d); where several data reach the maximum, that of the first."""
        x = points("x", x, dim=self.y.shape[1])
        return self.scale * (self.y[(self.real - _costs(x, self.y, self.scale)).argmax(1)] - x)

    def __repr__(self):
        return f"TransportCritic of {len(self.y)} data in {self.y.shape[1]}-D"


def critic_from_potentials(y, potentials):
    """Return the critic that the potentials make of all space: ``D(x) = max_j (H_j - K/2 |x - y_j|^2)``.

    It answers ``H_i`` at every fake, and its gradient there is K times the arrow to the partner.

    Parameters
    ----------
    y : (m, d) array
        The data that the potentials were made of.
    potentials : Potentials

    Returns
    -------
    TransportCritic
        A function of (k, d) points, with a method `gradient`.

    Raises
    ------
    InputError
        If `y` does not fit the potentials.

    Examples
    --------
    >>> x, y = [0, 0.5, 2], [1, 2.5, 3]
    >>> h = quadratic_potentials(x, y)
    >>> D = critic_from_potentials(y, h)
    >>> np.allclose(D(x), h.fake), D.gradient(x).ravel()
    (True, array([1., 2., 1.]))
    """
    y = points("y", y)
    if len(y) != len(potentials.real):
        raise InputError(f"these are potentials of {len(potentials.real)} data, and y holds {len(y)}")
    return TransportCritic(y, potentials.real, potentials.scale)
