"""The laws behind `ganlab.data`: mixtures of round Gaussians, and curves with noise around them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ganlab._samples import generator
from ganlab.checks import InputError, number, numbers, whole

__all__ = ["Curve", "Mixture"]

_BLOCK = 2**18  # numbers handled at once by a density: what a core's cache holds
_PANEL_SDS, _PANEL_NODES, _MOST_PANELS = 4, 16, 4096  # the quadrature along a curve


def _log_sum(x, centres, sds, weights):
    """The log of a weighted sum of round Gaussians at the points `x`."""
    from scipy.special import logsumexp

    constant = np.log(weights) - x.shape[1] * np.log(sds * np.sqrt(2 * np.pi))
    answer, rows = np.empty(len(x)), max(1, _BLOCK // centres.size)
    for start in range(0, len(x), rows):
        block = slice(start, start + rows)
        with np.errstate(over="ignore"):  # too far for floats: the log is -inf, and that is right
            squares = (((x[block, None] - centres) / sds[:, None]) ** 2).sum(axis=2)
        answer[block] = logsumexp(constant - squares / 2, axis=1)
    return answer


class _Law:
    """What every law answers; each kind says how in ``_draw`` and ``_log``."""

    def sample(self, n, rng):
        """Draw `n` independent samples.

        Parameters
        ----------
        n : int
        rng : numpy.random.Generator

        Returns
        -------
        (n, d) array of floats

        Raises
        ------
        InputError
            If `n` is not a positive whole number, or `rng` is no Generator.

        Examples
        --------
        >>> from ganlab.data import two_peaks
        >>> two_peaks().sample(2, np.random.default_rng(0)).shape
        (2, 1)
        """
        return self._draw(whole("n", n), generator(rng))

    def log_density(self, x):
        """Return ``log p`` at each point; finite far from all data, where the density itself is 0 in floats.

        Parameters
        ----------
        x : (n, d) array

        Returns
        -------
        (n,) array

        Raises
        ------
        InputError
            If `x` has another shape or is not finite, or the law has no density (a curve without noise).

        Examples
        --------
        >>> from ganlab.data import gaussian
        >>> gaussian(1).log_density([[100.0]]).round(3)
        array([-5000.919])
        """
        x = numbers("x", x)
        if np.ndim(x) != 2 or x.shape[1] != self.dim:
            hint = "; write x[:, None] for a row of numbers" if self.dim == 1 else ""
            raise InputError(f"x must have shape (n, {self.dim}), got {np.shape(x)}{hint}")
        return self._log(x)

    def density(self, x):
        """Return ``p`` at each point; in high dimensions, where it overflows, use `log_density`.

        Parameters
        ----------
        x : (n, d) array

        Returns
        -------
        (n,) array

        Raises
        ------
        InputError
            As `log_density` does.

        Examples
        --------
        >>> from ganlab.data import gaussian
        >>> gaussian(1).density([[0.0]]).round(6)
        array([0.398942])
        """
        return np.exp(self.log_density(x))


@dataclass(frozen=True, eq=False)
class Mixture(_Law):
    """A mixture of round Gaussians, ``p(x) = sum_k w_k N(x; m_k, s_k^2 I)``.

    Parameters
    ----------
    means : (K, d) array
        The centres, which are the modes.
    sds : float or (K,) array
        Standard deviation along each axis, one for all or one a mode.
    weights : (K,) array, optional
        Positive, with sum 1; equal if left out. They are not rescaled for you.
    name : str

    Raises
    ------
    InputError
        For a wrong shape, a number that is not finite, an `sds` or a weight that is not positive, or
        weights whose sum is not 1 (to 1e-8).

    Examples
    --------
    >>> law = Mixture([[0.0, 0.0], [3.0, 4.0]], 0.5, weights=[0.25, 0.75])
    >>> law
    Mixture 'mixture': 2 modes in 2-D, sd 0.5
    >>> law.sample(3, np.random.default_rng(0)).shape
    (3, 2)
    """

    means: np.ndarray
    sds: np.ndarray
    weights: np.ndarray | None = None
    name: str = "mixture"

    def __post_init__(self):
        means = numbers("means", self.means)
        if np.ndim(means) != 2:
            raise InputError(f"means must have shape (modes, dimension), got {np.shape(means)}; in 1-D use mixture_1d")
        modes = len(means)
        sds = numbers("sds", self.sds, 0, open_low=True)
        weights = numbers("weights", [1 / modes] * modes if self.weights is None else self.weights, 0, open_low=True)
        if np.shape(sds) not in ((), (modes,)):
            raise InputError(f"sds must be one number or {modes}, one a mode, got shape {np.shape(sds)}")
        if np.shape(weights) != (modes,):
            raise InputError(f"weights must be {modes} numbers, one a mode, got shape {np.shape(weights)}")
        if abs(np.sum(weights) - 1) > 1e-8:
            raise InputError(f"weights must sum to 1, got {np.sum(weights):.10g}; divide them by their sum")
        for name, value in (("means", means), ("sds", np.broadcast_to(sds, modes)), ("weights", weights)):
            own = np.array(value, dtype=float)  # a copy: the caller's array may change later
            own.setflags(write=False)
            object.__setattr__(self, name, own)

    def __repr__(self):
        low, high = self.sds.min(), self.sds.max()
        spread = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        plural = "" if len(self.means) == 1 else "s"
        return f"Mixture {self.name!r}: {len(self.means)} mode{plural} in {self.dim}-D, sd {spread}"

    @property
    def dim(self):
        """The dimension d of a sample."""
        return self.means.shape[1]

    @property
    def modes(self):
        """The centres, (K, d)."""
        return self.means

    @property
    def sd(self):
        """The standard deviation of each mode along each axis, (K,)."""
        return self.sds

    def _draw(self, n, rng):
        mode = rng.choice(len(self.weights), size=n, p=self.weights)
        return self.means[mode] + self.sds[mode, None] * rng.standard_normal((n, self.dim))

    def _log(self, x):
        return _log_sum(x, self.means, self.sds, self.weights)


@dataclass(frozen=True, eq=False)
class Curve(_Law):
    """A curve, run through by a uniform ``u``, with round Gaussian noise: ``x = path(u) + noise e``.

    The density is a quadrature along the curve: panels of at most 4 sd, 16 Gauss-Legendre nodes each. On the swiss
    roll its relative error is below 1e-10 up to 10 sd away from the curve; beyond 50 sd, where the density is 0 in
    floats, the *logarithm* keeps a relative error below 1e-3.

    Parameters
    ----------
    path : callable
        From an (n,) array of numbers in [0, 1] to the (n, d) points of the curve. Without noise it is the support.
    noise : float
        Standard deviation along each axis; with 0 all samples lie on the curve, and there is no density.
    name : str

    Raises
    ------
    InputError
        If `path` is no such function, or `noise` is negative or not finite.

    Examples
    --------
    >>> Curve(lambda u: np.stack([u, u**2], axis=1), noise=0.1, name="parabola")
    Curve 'parabola' in 2-D, noise 0.1
    """

    path: Callable
    noise: float
    name: str = "curve"

    def __post_init__(self):
        number("noise", self.noise, 0)
        if not callable(self.path):
            raise InputError(f"path must be a function from (n,) numbers to (n, d) points, got {self.path!r}")
        ends = np.shape(numbers("the ends of path", self.path(np.array([0.0, 1.0]))))
        if len(ends) != 2 or ends[0] != 2:
            raise InputError(f"path must turn (n,) numbers into (n, d) points; two numbers gave shape {ends}")

    def __repr__(self):
        return f"Curve {self.name!r} in {self.dim}-D, noise {self.noise:g}"

    @property
    def dim(self):
        """The dimension d of a sample."""
        return np.shape(self.path(np.zeros(1)))[1]

    @property
    def modes(self):
        """No points, (0, d): a curve has none."""
        return np.empty((0, self.dim))

    def _draw(self, n, rng):
        return self.path(rng.random(n)) + self.noise * rng.standard_normal((n, self.dim))

    def _log(self, x):
        if self.noise == 0:
            raise InputError(f"{self.name} has no density with respect to area, since all its mass lies on a curve: "
                             "compare samples (a transport distance), or give the law noise")  # fmt: skip
        speed = 4096 * np.linalg.norm(np.diff(self.path(np.linspace(0, 1, 4097)), axis=0), axis=1).max()
        enough = speed / (_PANEL_SDS * _MOST_PANELS)
        if self.noise < enough:
            raise InputError(f"noise must be at least {1.01 * enough:.3g} for the density of {self.name}, "
                             f"got {self.noise:g}; samples can be drawn with any noise")  # fmt: skip
        panels = max(1, int(np.ceil(speed / (_PANEL_SDS * self.noise))))
        node, weight = np.polynomial.legendre.leggauss(_PANEL_NODES)
        u = ((np.arange(panels)[:, None] + (node + 1) / 2) / panels).ravel()
        return _log_sum(x, self.path(u), np.full(u.size, self.noise), np.tile(weight / (2 * panels), panels))
