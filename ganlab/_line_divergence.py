"""Divergences of two laws on the line, by adaptive quadrature."""

import numpy as np

from ganlab._divergence import get, terms
from ganlab._laws import Mixture
from ganlab.checks import InputError, numbers

__all__ = ["coordinate", "nodes", "on_line"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_FAR = 32.0  # sinh(_FAR) is 4e13: how far out the real line is searched, in standard deviations
_TOLERANCE, _MOST_PANELS = 1e-12, 2**13


def on_line(divergence, p, q, limits=None):
    """Return the divergence of two laws on the line, to about 1e-10.

    Parameters
    ----------
    divergence : str or Divergence
    p, q : Mixture or callable
        A mixture in one dimension, or a function that gives the log density at an array of shape (n,): -inf where
        there is none.
    limits : (float, float), optional
        Where to integrate; the whole line if left out. The laws must have all their mass there.

    Returns
    -------
    float
        Infinite where the integral diverges; never NaN.

    Raises
    ------
    InputError
        For laws that are neither, whose density does not integrate to 1 (to 1e-8) within the limits, or whose integral
        does not settle.

    Notes
    -----
    Gauss-Legendre panels of 20 nodes, halved until they agree, on ``x = c + s sinh(u)`` if there are no limits. The
    ratio is taken from the logarithms, so that tails where both densities are 0 in floats count as they should.

    Examples
    --------
    >>> from ganlab.data import gaussian
    >>> round(on_line("kl", gaussian(1), gaussian(1, mean=100.0)), 6)
    5000.0
    >>> on_line("chi_square", gaussian(1, sd=1.5), gaussian(1))
    inf
    """
    divergence = get(divergence)
    logs = [_log_density(name, law) for name, law in (("p", p), ("q", q))]
    x_of, slope_of, edges = coordinate((p, q), limits)

    def integrand(u):
        x, (shape, dx) = x_of(u).ravel(), (u.shape, slope_of(u))
        log_p, log_q = (log(x).reshape(shape) for log in logs)
        mass_p, mass_q = np.exp(log_p), np.exp(log_q)
        with np.errstate(over="ignore"):  # an integrand beyond floats belongs to an integral that diverges
            return np.stack([mass_p, mass_q, terms(divergence, mass_p, mass_q, log_p, log_q)]) * dx

    masses, value = _integrate(integrand, edges, endless=limits is None)
    for name, mass in zip("pq", masses, strict=True):
        if not abs(mass - 1) <= 1e-8:
            raise InputError(f"the density of {name} integrates to {mass:.9g} instead of 1: give limits that hold its "
                             "mass, or a log density that is normalised")  # fmt: skip
    return max(0.0, float(value))


def _log_density(name, law):
    if isinstance(law, Mixture):
        if law.dim != 1:
            raise InputError(f"{name} must be a law on the line, got {law!r}")
        return lambda x: law.log_density(x[:, None])
    if not callable(law):
        raise InputError(f"{name} must be a Mixture on the line or a function that gives a log density, got {law!r}")

    def log_density(x):
        value = np.broadcast_to(np.asarray(law(x), dtype=float), x.shape)
        if np.isnan(value).any() or (value == np.inf).any():
            raise InputError(f"{name} must give a log density, a number or -inf, at every x; got {value.max()} "
                             f"at x = {x[np.argmax(~(value < np.inf))]:g}")  # fmt: skip
        return value

    return log_density


def coordinate(laws, limits=None):
    """Return the map ``x(u)`` from where panels are laid to the line, its derivative, and the first panels' edges."""
    marks = [law.means + law.sds[:, None] * np.arange(-8, 9, 2) for law in laws if isinstance(law, Mixture)]
    marks = np.concatenate([mark.ravel() for mark in marks]) if marks else np.empty(0)
    if limits is not None:
        low, high = _limits(limits)
        inside = marks[(low < marks) & (marks < high)]
        return lambda u: u, np.ones_like, np.union1d(np.linspace(low, high, 33), inside)
    centre, scale = (marks.mean(), marks.std()) if len(marks) else (0.0, 1.0)
    edges = np.union1d(np.linspace(-_FAR, _FAR, 129), np.arcsinh((marks - centre) / scale))
    return lambda u: centre + scale * np.sinh(u), lambda u: scale * np.cosh(u), edges


def _limits(limits):
    if np.shape(numbers("limits", limits)) != (2,) or not limits[0] < limits[1]:
        raise InputError(f"limits must be (low, high) with low < high, got {limits!r}")
    return float(limits[0]), float(limits[1])


def nodes(left, right):
    """Return the Gauss-Legendre nodes and weights of panels, a row for each."""
    half = ((right - left) / 2)[:, None]
    return (left + right)[:, None] / 2 + half * _NODES, half * _WEIGHTS


def _panels(integrand, left, right):
    u, weights = nodes(left, right)
    return (integrand(u) * weights).sum(axis=2)


def _integrate(integrand, edges, endless):
    """Integrate three rows: two masses, which are finite, and the divergence, which may not be.

    Panels are halved where the halves disagree with the whole. On an endless line the last integral is infinite if
    its far ends, 1e13 standard deviations out, still count.
    """
    left, right, total, infinite = edges[:-1], edges[1:], np.zeros(3), False
    whole = _panels(integrand, left, right)
    ends = np.abs(whole[2, [0, -1]]).max() if endless else 0.0
    while len(left):
        middle = (left + right) / 2
        first, second = _panels(integrand, left, middle), _panels(integrand, middle, right)
        infinite = infinite or bool(np.isinf([whole[2], first[2], second[2]]).any())
        if infinite:  # settled; go on for the masses
            whole[2], first[2], second[2] = 0.0, 0.0, 0.0
        both = first + second
        scale = np.maximum(1.0, np.abs(total + both.sum(axis=1)))[:, None]
        rough = (np.abs(both - whole) > _TOLERANCE * scale).any(axis=0) & (middle > left) & (middle < right)
        total += both[:, ~rough].sum(axis=1)
        if rough.sum() > _MOST_PANELS:
            raise InputError("the integral does not settle: give limits, or log densities that are smooth on each side "
                             "of a few jumps")  # fmt: skip
        left, right = np.append(left[rough], middle[rough]), np.append(middle[rough], right[rough])
        whole = np.append(first[:, rough], second[:, rough], axis=1)
    return total[:2], np.inf if infinite or ends > 1e-9 * max(1.0, total[2]) else total[2]
