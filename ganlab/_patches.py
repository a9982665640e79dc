"""Sets of pictures compared patch by patch at every scale: the measure of ProGAN, written from its definition."""

from dataclasses import dataclass

import numpy as np

from ganlab._images import check_images
from ganlab._samples import generator
from ganlab._wasserstein import sliced_wasserstein
from ganlab.checks import InputError, choose, whole

__all__ = ["PatchDistance", "laplacian_pyramid", "patch_sliced_wasserstein"]

_BINOMIAL = np.array([1.0, 4, 6, 4, 1]) / 16  # Burt and Adelson's filter with a = 3/8
_SIDE = 7
_FLAT = 1e-6  # a smaller deviation is rounding: one step of an 8-bit picture is 8e-3


@dataclass(frozen=True)
class PatchDistance:
    """What `patch_sliced_wasserstein` found.

    Parameters
    ----------
    resolutions : tuple of int
        The levels of the pyramid, the finest first.
    values : tuple of float
        The sliced Wasserstein distance at each, in standard deviations of the real patches. ProGAN's tables show a
        thousand times as much.
    mean : float
        Of the values.
    n, m : int
        Real and fake pictures.
    standardise : str
        How the patches were scaled.
    """

    resolutions: tuple
    values: tuple
    mean: float
    n: int
    m: int
    standardise: str


def _blurred(x, gain=1.0):
    from scipy.ndimage import convolve1d

    for axis in (2, 3):
        x = convolve1d(x, gain * _BINOMIAL, axis=axis, mode="mirror")
    return x


def _expanded(x):
    """Twice the side: zeros between the pixels, then the filter with a gain of 2 along each axis."""
    wide = np.zeros((*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3]), dtype=x.dtype)
    wide[:, :, ::2, ::2] = x
    return _blurred(wide, gain=2.0)


def laplacian_pyramid(images, smallest=16):
    """Return what each halving of pictures takes away, the finest first, and the smallest pictures last.

    Parameters
    ----------
    images : (n, channels, r, r) array of floats in [-1, 1]
    smallest : int
        The side of the last level: r divided by a power of two.

    Returns
    -------
    list of (n, channels, side, side) arrays

    Raises
    ------
    InputError
        If `images` are no pictures (see `check_images`), or `smallest` is not r, r / 2, r / 4...

    Notes
    -----
    Burt and Adelson 1983. Doubling the last level and adding the one before it, and so on, gives the pictures back.

    Examples
    --------
    >>> [level.shape[-1] for level in laplacian_pyramid(np.zeros((1, 3, 64, 64)))]
    [64, 32, 16]
    """
    x, smallest = check_images(images).astype(float), whole("smallest", smallest, 2)
    ratio = x.shape[-1] / smallest
    if ratio < 1 or np.log2(ratio) % 1:
        raise InputError(f"smallest must be the side {x.shape[-1]} of the pictures divided by a power of two, got "
                         f"{smallest}")  # fmt: skip
    levels = []
    while x.shape[-1] > smallest:
        small = _blurred(x)[:, :, ::2, ::2]
        levels.append(x - _expanded(small))
        x = small
    return [*levels, x]


def _drawn(level, patches, rng):
    """Random 7 x 7 patches of every picture, (n * patches, channels, 7, 7)."""
    windows = np.lib.stride_tricks.sliding_window_view(level, (_SIDE, _SIDE), axis=(2, 3))
    n, places = len(level), windows.shape[2]
    rows, columns = rng.integers(places, size=(2, n * patches))
    return windows[np.repeat(np.arange(n), patches), :, rows, columns]


def _scaled(x, like):
    """Each channel minus the mean and over the standard deviation of that of another set."""
    mean, sd = (f(like, axis=(0, 2, 3), keepdims=True) for f in (np.mean, np.std))
    if (sd < _FLAT).any():
        raise InputError("a channel of the pictures is constant at one level of the pyramid and cannot be "
                         "standardised; leave that channel out, or use standardise='none'")  # fmt: skip
    return (x - mean) / sd


STANDARDISE = {
    "real": lambda real, fake: (_scaled(real, real), _scaled(fake, real)),
    "each": lambda real, fake: (_scaled(real, real), _scaled(fake, fake)),
    "none": lambda real, fake: (real, fake),
}


def patch_sliced_wasserstein(real, fake, rng, patches=128, directions=512, smallest=16, standardise="real"):
    """Return how far apart the 7 x 7 patches of two sets of pictures are, at each level of a Laplacian pyramid.

    Coarse levels tell of the large shapes, fine ones of the texture.

    Parameters
    ----------
    real : (n, channels, r, r) array of floats in [-1, 1]
    fake : (m, channels, r, r) array of floats in [-1, 1]
        m need not be n.
    rng : numpy.random.Generator
        Places the patches and turns the directions.
    patches : int
        Of each picture at each level.
    directions : int
        Random lines; they are taken 128 at a time, which bounds the memory.
    smallest : int
        The side of the coarsest level, r divided by a power of two and at least 7. For pictures of 8 x 8 say 8.
    standardise : str
        "real" scales both sets by mean and standard deviation of the *real* patches, channel by channel. "each" scales
        each set by its own, as the published program does: it is blind to a wrong colour cast, brightness or contrast,
        and is here for comparison with published numbers only. "none" leaves the patches as they are.

    Returns
    -------
    PatchDistance
        Never 0 between two sets of one law: compare with the value between two sets of real pictures of this size.

    Raises
    ------
    InputError
        If either are no pictures (see `check_images`), they differ in shape, a real channel is constant, or another
        argument is bad.

    Notes
    -----
    Karras et al. 2018, section 5, with 16,384 pictures, 128 patches and 512 directions. The article says only that
    patches are normalised by mean and standard deviation of each colour channel; it does not say whose.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> real = rng.uniform(-1, 1, size=(40, 1, 32, 32))
    >>> pale = real / 2
    >>> found = patch_sliced_wasserstein(real, pale, rng, patches=8, directions=64)
    >>> blind = patch_sliced_wasserstein(real, pale, rng, patches=8, directions=64, standardise="each")
    >>> found.resolutions, found.mean > 3 * blind.mean
    ((32, 16), True)
    """
    real = check_images(real, name="real")
    fake = check_images(fake, *real.shape[1:3], name="fake")
    rng, scale = generator(rng), choose("standardise", standardise, STANDARDISE)
    patches, directions = whole("patches", patches), whole("directions", directions)
    whole("smallest", smallest, _SIDE)
    levels = list(zip(*(laplacian_pyramid(z, smallest) for z in (real, fake)), strict=True))
    values = [_distance(*scale(*(_drawn(z, patches, rng) for z in pair)), directions, rng) for pair in levels]
    sides = tuple(pair[0].shape[-1] for pair in levels)
    return PatchDistance(sides, tuple(values), float(np.mean(values)), len(real), len(fake), standardise)


def _distance(real, fake, directions, rng):
    """The sliced distance, at most 128 lines at a time."""
    x, y = (z.reshape(len(z), -1) for z in (real, fake))
    counts = [min(128, directions - done) for done in range(0, directions, 128)]
    return float(sum(c * sliced_wasserstein(x, y, c, rng) for c in counts) / directions)
