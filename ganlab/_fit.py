"""The Gaussian that is nearest to a law on the line, by one divergence or another."""

from dataclasses import dataclass

import numpy as np

from ganlab._divergence import get, symbolic, terms
from ganlab._laws import Mixture
from ganlab._line_divergence import coordinate, nodes
from ganlab.checks import InputError, number

__all__ = ["GaussianFit", "fit_gaussian"]


@dataclass(frozen=True)
class GaussianFit:
    """The best ``N(mean, sd^2)``, its divergence from the law, and every local minimum that was found.

    `minima` holds them as ``(mean, sd, value)``, the best first; between equals, the one on the right.
    """

    mean: float
    sd: float
    value: float
    minima: tuple = ()


def fit_gaussian(divergence, law, start=None, symmetric=False):
    """Return the ``N(m, s^2)`` with the least ``D(law || N(m, s^2))``.

    Parameters
    ----------
    divergence : str or Divergence
        "kl" is forward KL, data against model, which must cover; "reverse_kl" is KL(model || data).
    law : Mixture
        In one dimension.
    start : (mean, sd), optional
        Look for the local minimum below this one only. If left out, the search starts at the law's own mean and sd, at
        each of its modes, and between.
    symmetric : bool
        Keep the mean where the law has its own, and fit the sd only.

    Returns
    -------
    GaussianFit

    Notes
    -----
    BFGS on the mean and the logarithm of the sd, from each start; where the slope vanishes without a minimum, it goes
    on along the descent. Means and sds are right to about 1e-6, values to 1e-11.

    Raises
    ------
    InputError
        If `law` is no mixture on the line, `start` no such pair, the divergence is infinite for every Gaussian that was
        tried, or its `f` has a kink (total variation): the quadrature would see it.

    Examples
    --------
    >>> from ganlab.data import mixture_1d
    >>> best = fit_gaussian("kl", mixture_1d([-2.0, 2.0], 1.0))
    >>> round(abs(best.mean), 6), round(best.sd, 6), round(best.value, 6)
    (0.0, 2.236068, 0.171999)
    """
    divergence = get(divergence)
    if not isinstance(law, Mixture) or law.dim != 1:
        raise InputError(f"law must be a Mixture on the line, got {law!r}")
    _smooth(divergence)
    centre, spread = _moments(law)
    loss = _loss(divergence, law)
    if start is None:
        means = law.means[:, 0]
        starts = [(centre, spread), *zip(means, law.sds, strict=True),
                  *zip((centre + means) / 2, (spread + law.sds) / 2, strict=True)]  # fmt: skip
    else:
        if np.shape(start) != (2,):
            raise InputError(f"start must be a pair (mean, sd), got {start!r}")
        starts = [(number("start[0]", start[0]), number("start[1]", start[1], 0, open_low=True))]
    found = [_descend(loss, centre if symmetric else m, s, symmetric) for m, s in starts]
    minima = _distinct([minimum for minimum in found if minimum is not None])
    if not minima:
        raise InputError(f"no Gaussian has a finite {divergence.name} divergence from {law!r}")
    return GaussianFit(*minima[0], minima=tuple(minima))


def _smooth(divergence):
    import sympy as sp

    if symbolic(divergence.f)[1].has(sp.Max, sp.Min, sp.Abs):
        raise InputError(f"{divergence.name} cannot be fitted: its f has a kink; take a divergence with a smooth f")


def _moments(law):
    means = law.means[:, 0]
    centre = law.weights @ means
    return float(centre), float(np.sqrt(law.weights @ (law.sds**2 + (means - centre) ** 2)))


def _loss(divergence, law):
    """The divergence as a function of m and s, on nodes that reach over the whole line and stay the same."""
    x_of, slope_of, edges = coordinate((law,))
    u, weights = nodes(edges[:-1], edges[1:])
    x, weights = x_of(u).ravel(), (weights * slope_of(u)).ravel()
    log_p = law.log_density(x[:, None])
    p = np.exp(log_p)

    def loss(m, s):
        log_q = -(((x - m) / s) ** 2) / 2 - np.log(s * np.sqrt(2 * np.pi))
        return float(weights @ terms(divergence, p, np.exp(log_q), log_p, log_q))

    return loss


def _descend(loss, m, s, symmetric):
    """The local minimum below ``(m, s)``; a saddle, where a symmetric start may end, is left along its descent."""
    from scipy.optimize import minimize

    def of(z):
        sd = np.exp(np.clip(z[-1], -300.0, 300.0))  # a line search may try a step far too long
        return loss(m if symmetric else z[0], sd)

    z = np.array([np.log(s)] if symmetric else [m, np.log(s)])
    if not np.isfinite(of(z)):
        return None
    for _ in range(2):
        z = minimize(of, z, jac="3-point", method="BFGS", options={"gtol": 1e-9}).x
        curvature, directions = np.linalg.eigh(_hessian(of, z))
        if curvature[0] > 0:
            break
        z = z + 0.1 * s * directions[:, 0]
    return (float(m) if symmetric else float(z[0]), float(np.exp(z[-1])), of(z))


def _hessian(of, z, h=1e-3):
    steps = h * np.eye(len(z))
    return np.array([[of(z + a + b) - of(z + a - b) - of(z - a + b) + of(z - a - b) for a in steps] for b in steps])


def _distinct(minima):
    kept = []
    for minimum in sorted(minima, key=lambda found: (round(found[2], 9), -found[0])):
        if all(abs(minimum[0] - other[0]) + abs(minimum[1] - other[1]) > 1e-4 * other[1] for other in kept):
            kept.append(minimum)
    return kept
