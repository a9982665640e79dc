"""Toy data whose truth is known: each law with its sampler, its density and its modes.

A law is a `Mixture` of round Gaussians or a `Curve` with noise around it, and both answer `sample`, `density`,
`log_density`, `modes` and `dim`. The published papers differ in radius and spread, which decides how hard a law is;
the docstrings say which keywords give which paper.
"""

from functools import partial

import numpy as np

from ganlab._laws import Curve, Mixture
from ganlab.checks import InputError, number, numbers, whole

__all__ = ["DATASETS", "Curve", "Mixture", "disjoint_lines", "gaussian", "grid", "mixture_1d", "ring", "swiss_roll",
           "two_peaks", "unequal"]  # fmt: skip

_HALVING = tuple(2.0**k / 255 for k in range(7, -1, -1))


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
