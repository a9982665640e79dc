"""Toy data whose truth is known: each law with its sampler, its density and its modes.

A law is a `Mixture` of round Gaussians or a `Curve` with noise around it, and both answer `sample`, `density`,
`log_density`, `modes` and `dim`. The published papers differ in radius and spread, which decides how hard a law is;
the docstrings say which keywords give which paper.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ganlab.checks import InputError, number, numbers, whole

__all__ = ["DATASETS", "Curve", "Mixture", "disjoint_lines", "gaussian", "grid", "mixture_1d", "ring", "swiss_roll",
           "two_peaks", "unequal"]  # fmt: skip

_BLOCK = 2**18  # numbers handled at once by a density: what a core's cache holds
_PANEL_SDS, _PANEL_NODES, _MOST_PANELS = 4, 16, 4096  # the quadrature along a curve
_HALVING = tuple(2.0**k / 255 for k in range(7, -1, -1))


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
        >>> two_peaks().sample(2, np.random.default_rng(0)).shape
        (2, 1)
        """
        n = whole("n", n)
        if not isinstance(rng, np.random.Generator):  # a seed would give the same points again at every call
            raise InputError(f"rng must be a numpy Generator, such as np.random.default_rng(0), got {rng!r}")
        return self._draw(n, rng)

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


def ring(modes=8, radius=2.0, sd=0.02):
    """Return `modes` equal Gaussians at equal angles on a circle, the first at ``(radius, 0)``.

    The angles are ``2 pi k / modes``. `np.linspace` from 0 to 2 pi with both ends, as in some published code,
    doubles one mode and loses another: `modes = 8` then gives 7 modes, one of weight 1/4.

    Published settings (from each paper's code, except Unrolled):

    - Unrolled GAN (Metz et al. 2017, as restated in the code of Nagarajan and Kolter 2017): ``ring(8, 2.0, 0.02)``,
      the default;
    - PacGAN (Lin et al. 2018) and Numerics of GANs (Mescheder et al. 2017): ``ring(8, 1.0, 0.01)``;
    - WGAN-GP (Gulrajani et al. 2017, gan_toy.py): ``ring(8, 2 / 1.414, 0.02 / 1.414)``;
    - PresGAN (Dieng et al. 2019): ``ring(10, 3.0, 0.05)``.

    Parameters
    ----------
    modes : int
    radius, sd : float
        Positive.

    Returns
    -------
    Mixture

    Raises
    ------
    InputError
        If `modes` is not a positive whole number, or `radius` or `sd` not a positive number.

    Examples
    --------
    >>> ring()
    Mixture 'ring': 8 modes in 2-D, sd 0.02
    """
    return Mixture(_on_circle(modes, radius), number("sd", sd, 0, open_low=True), name="ring")


def _on_circle(modes, radius):
    angle = 2 * np.pi * np.arange(whole("modes", modes)) / modes  # arange: 2 pi is 0 again and must not count twice
    return number("radius", radius, 0, open_low=True) * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def grid(side=5, spacing=2.0, sd=0.05):
    """Return ``side * side`` equal Gaussians on a square grid around the origin.

    Published settings (from each paper's code): PacGAN (Lin et al. 2018) and Dive into Deep Learning, the default;
    WGAN-GP (Gulrajani et al. 2017, gan_toy.py), ``grid(5, 2 / 2.828, 0.05 / 2.828)``.

    Parameters
    ----------
    side : int
    spacing, sd : float
        Positive.

    Returns
    -------
    Mixture

    Raises
    ------
    InputError
        If `side` is not a positive whole number, or `spacing` or `sd` not a positive number.

    Examples
    --------
    >>> grid().modes[[0, 1, -1]].tolist()
    [[-4.0, -4.0], [-4.0, -2.0], [4.0, 4.0]]
    """
    line = (np.arange(whole("side", side)) - (side - 1) / 2) * number("spacing", spacing, 0, open_low=True)
    means = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    return Mixture(means, number("sd", sd, 0, open_low=True), name="grid")


def unequal(weights=_HALVING, radius=2.0, sd=0.02):
    """Return Gaussians of unequal weight at equal angles on a circle: rare modes are the first to be lost.

    Parameters
    ----------
    weights : (K,) array
        Positive, with sum 1. As it stands, eight modes, each half as likely as the one before: 128/255 to 1/255.
    radius, sd : float
        Positive.

    Returns
    -------
    Mixture

    Raises
    ------
    InputError
        If `weights` are no such numbers, or `radius` or `sd` is not positive.

    Examples
    --------
    >>> unequal([0.7, 0.2, 0.1])
    Mixture 'unequal': 3 modes in 2-D, sd 0.02
    """
    modes = np.size(numbers("weights", weights, 0, open_low=True))
    return Mixture(_on_circle(modes, radius), number("sd", sd, 0, open_low=True), weights, name="unequal")


def two_peaks(distance=6.0, sd=1.0):
    """Return two equal Gaussians on a line, at ``-distance / 2`` and ``distance / 2``.

    As it stands, ``N(-3, 1) / 2 + N(3, 1) / 2``.

    Parameters
    ----------
    distance, sd : float
        Positive.

    Returns
    -------
    Mixture
        In one dimension: samples have shape (n, 1).

    Raises
    ------
    InputError
        If `distance` or `sd` is not a positive number.

    Examples
    --------
    >>> two_peaks().modes.tolist()
    [[-3.0], [3.0]]
    """
    half = number("distance", distance, 0, open_low=True) / 2
    return Mixture([[-half], [half]], number("sd", sd, 0, open_low=True), name="two_peaks")


def mixture_1d(means, sds, weights=None):
    """Return a mixture of Gaussians on the line.

    Parameters
    ----------
    means : (K,) array
    sds : float or (K,) array
        Positive.
    weights : (K,) array, optional
        Positive, with sum 1; equal if left out.

    Returns
    -------
    Mixture
        In one dimension: samples have shape (n, 1).

    Raises
    ------
    InputError
        As `Mixture` does.

    Examples
    --------
    >>> mixture_1d([-1.0, 2.0], [0.5, 1.0], [0.3, 0.7])
    Mixture 'mixture_1d': 2 modes in 1-D, sd 0.5 to 1
    """
    means = numbers("means", means)
    if np.ndim(means) != 1:
        raise InputError(f"means must be a row of numbers, got shape {np.shape(means)}; else use Mixture")
    return Mixture(means[:, None], sds, weights, name="mixture_1d")


def gaussian(dim=2, mean=0.0, sd=1.0):
    """Return one round Gaussian.

    Parameters
    ----------
    dim : int
    mean : float or (dim,) array
    sd : float
        Positive.

    Returns
    -------
    Mixture

    Raises
    ------
    InputError
        If `dim` is not a positive whole number, `sd` not a positive number, or `mean` has another shape.

    Examples
    --------
    >>> gaussian(3, mean=[1.0, 0.0, 0.0], sd=0.5)
    Mixture 'gaussian': 1 mode in 3-D, sd 0.5
    """
    if np.shape(numbers("mean", mean)) not in ((), (whole("dim", dim),)):
        raise InputError(f"mean must be one number or {dim}, one an axis, got shape {np.shape(mean)}")
    centre = np.broadcast_to(np.asarray(mean, dtype=float), (1, dim))
    return Mixture(centre, number("sd", sd, 0, open_low=True), name="gaussian")


def swiss_roll(noise=0.02, radius=1.0):
    """Return a spiral with noise: ``x = radius t (cos t, sin t) / (4.5 pi)`` with t uniform on [1.5 pi, 4.5 pi].

    The curve is the one of scikit-learn's `make_swiss_roll` without its flat axis: one and a half turns, the next
    one ``4 / 9 radius`` farther out. WGAN-GP (Gulrajani et al. 2017, gan_toy.py: noise 0.25, all divided by 7.5) is
    ``swiss_roll(0.25 / 7.5, 4.5 * np.pi / 7.5)``.

    Parameters
    ----------
    noise : float
        Standard deviation along each axis; with 0 there is no density.
    radius : float
        Where the outer end lies, from the origin.

    Returns
    -------
    Curve

    Raises
    ------
    InputError
        If `noise` is negative or `radius` not positive.

    Examples
    --------
    >>> swiss_roll().density([[-2 / 3, 0.0]]).round(3)
    array([3.157])
    """
    return Curve(partial(_spiral, radius=number("radius", radius, 0, open_low=True)), noise, name="swiss_roll")


def _spiral(u, radius):
    t = 1.5 * np.pi * (1 + 2 * u)
    return radius / (4.5 * np.pi) * t[:, None] * np.stack([np.cos(t), np.sin(t)], axis=1)


def disjoint_lines(theta=1.0):
    """Return the law of ``(theta, U)``, U uniform on [0, 1]: a vertical segment beside the one at 0.

    Between ``disjoint_lines(0.0)`` and ``disjoint_lines(theta)`` the Wasserstein distance is ``|theta|``, while for
    every theta but 0 the Jensen-Shannon divergence is log 2 (Arjovsky et al. 2017, example 1).

    Parameters
    ----------
    theta : float

    Returns
    -------
    Curve
        Without noise: `path` is the support, and a density raises `InputError`.

    Raises
    ------
    InputError
        If `theta` is not a finite number.

    Examples
    --------
    >>> disjoint_lines(0.5).path(np.array([0.0, 1.0])).tolist()
    [[0.5, 0.0], [0.5, 1.0]]
    """
    return Curve(partial(_segment, theta=number("theta", theta)), 0.0, name="disjoint_lines")


def _segment(u, theta):
    return np.stack([np.full_like(u, theta), u], axis=1)


DATASETS = {law.__name__: law for law in (ring, grid, swiss_roll, two_peaks, unequal, disjoint_lines)}
