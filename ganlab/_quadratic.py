"""Quadratic transport between two samples as a linear program: potentials, plan, map and the critic they make.

The program of WGAN-QC (Liu, Gu and Samaras, ICCV 2019), with fakes ``x_i``, data ``y_j`` and the cost
``c_ij = K/2 |x_i - y_j|^2``:

    maximise  mean_j H_j - mean_i H_i   subject to   H_j - H_i <= c_ij.

The optimum is the transport cost ``K/2 W_2^2``; ``H_i`` and ``H_j`` are what a critic should answer at the samples.
"""

from dataclasses import dataclass

import numpy as np

from ganlab._quadratic_program import SOLVERS, centre, check, highs
from ganlab._samples import distances, pair, points
from ganlab.checks import InputError, choose, number

__all__ = ["Potentials", "TransportCritic", "critic_from_potentials", "quadratic_potentials",
           "quadratic_slack", "transport_map"]  # fmt: skip


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

    @property
    def partner(self):
        """Index of the datum that gets most of each fake's mass, (n,): the sigma of WGAN-QC; the first of several."""
        if self.plan is None:
            raise InputError("two-sided potentials have no plan, so no map: solve with one_sided=True")
        most = self.plan.max(1, keepdims=True)
        return (self.plan >= most * (1 - 1e-6)).argmax(1)  # the first of the largest, not the largest by rounding

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
    NotConverged
        If the solver does not reach the optimum, or feasibility, marginals or duality gap are off by more than 1e-9.

    Notes
    -----
    Liu, Gu and Samaras 2019, Wasserstein GAN with quadratic transport cost.

    Examples
    --------
    >>> x, y = [0, 0.5, 2], [1, 2.5, 3]
    >>> round(quadratic_potentials(x, y).value, 6), round(quadratic_potentials(x, y, one_sided=False).value, 6)
    (1.0, 0.583333)
    """
    (x, y), scale = pair(x, y), float(number("scale", scale, 0, open_low=True))
    solve = choose("solver", solver, SOLVERS)
    choose("choice", choice, {"centre": 0, "vertex": 0})
    costs = _costs(x, y, scale)
    fake, real, *plans = solve(costs) if one_sided else highs(costs, two_sided=True)
    if one_sided and choice == "centre":
        fake, real = centre(costs, fake, real, *plans)
    check(costs, fake, real, *plans)  # whatever the solver says of itself
    middle = np.concatenate([fake, real]).mean()  # the constant is free; the authors fix it so
    plan = plans[0] if one_sided else None
    return Potentials(fake - middle, real - middle, float(real.mean() - fake.mean()), plan, scale)


def _costs(x, y, scale):
    with np.errstate(over="ignore"):
        costs = scale / 2 * distances(x, y) ** 2
    if not np.isfinite(costs).all():
        raise InputError("the samples are too far apart: their squared distances overflow; rescale them")
    return costs


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
    _fits(potentials, x, y)
    return _costs(x, y, potentials.scale) + potentials.fake[:, None] - potentials.real


def _fits(potentials, x, y):
    if not isinstance(potentials, Potentials):
        raise InputError(f"potentials must come from quadratic_potentials(x, y), got {potentials!r}")
    n, m = len(potentials.fake), len(potentials.real)
    if (n if x is None else len(x), len(y)) != (n, m):
        given = f"{len(y)} data" if x is None else f"{len(x)} fakes and {len(y)} data"
        raise InputError(f"these are potentials of {n} fakes and {m} data, and they are given {given}: pass the "
                         "samples they were made of")  # fmt: skip


def transport_map(y, potentials, form="partner"):
    """Return where each fake should go: (n, d) points.

    Parameters
    ----------
    y : (m, d) array
        The data that the potentials were made of.
    potentials : Potentials
    form : {"partner", "barycentre"}
        "partner" is the datum ``y_sigma(i)`` that gets most of the fake's mass (the authors' choice), the first of
        several; "barycentre" the weighted mean of all that get some. The same where every fake has one partner.

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
    y = points("y", y)
    _fits(potentials, None, y)
    sigma = potentials.partner
    choose("form", form, {"partner": 0, "barycentre": 1})
    return y[sigma] if form == "partner" else potentials.plan @ y * len(sigma)


@dataclass(frozen=True, eq=False, repr=False)
class TransportCritic:
    """The critic ``D(x) = max_j (H_j - K/2 |x - y_j|^2)``: (k,) scores of (k, d) points."""

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
    _fits(potentials, None, y)
    return TransportCritic(y, potentials.real, potentials.scale)
