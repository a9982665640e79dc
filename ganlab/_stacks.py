"""Three handwritten digits of scikit-learn, one in each channel."""

import functools

import numpy as np

from ganlab._factors import Factor, drawn, known
from ganlab._record import record
from ganlab._shapes import affordable, library, placed, size_of
from ganlab.checks import InputError

__all__ = ["FACTORS", "draw_stacked_digits", "stacked_digits"]

FACTORS = (
    Factor("digit", "0 to 9 in each channel", (0, 9), (0, 9), 0, whole=True, slots=True),
    Factor("index", "which of the 1,797 pictures", (0, 1796), (0, 1796), 0, whole=True, slots=True),
)


@functools.cache
def digits():
    """The 1,797 pictures in [-1, 1], (1797, 8, 8), and the digit of each."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError("stacked digits need scikit-learn: pip install scikit-learn") from None
    stored = load_digits()
    return (stored.images / 8 - 1).astype(np.float32), stored.target


def pick(digit, u):
    """The index of a picture of each digit, equally likely among its own."""
    _, target = digits()
    order, count = np.argsort(target, kind="stable"), np.bincount(target)
    start = np.cumsum(count) - count
    return order[start[digit] + np.floor(u * count[digit]).astype(int)]


def stretch(resolution):
    """The weights that turn 8 pixels into `resolution`, (resolution, 8): how much of each lies under the new one."""
    edges = 8 * np.arange(resolution + 1) / resolution
    low, high = edges[:-1, None], edges[1:, None]
    overlap = (np.minimum(high, np.arange(1, 9)) - np.maximum(low, np.arange(8))).clip(0, None)
    return overlap / overlap.sum(1, keepdims=True)


def stacked_digits(n, rng, resolution=8, like=None, **factors):
    """Stack three of scikit-learn's handwritten digits as red, green and blue: 1,000 modes that can be counted.

    The idea is Stacked MNIST (Metz et al. 2017), on the digits that come with scikit-learn. Each channel's digit is
    uniform, and then its picture among those of that digit, so all modes are equally likely exactly.

    Data card (and what is allowed):

    - digit: 0 to 9 (0 to 9), (n, 3)
    - index: 0 to 1796 (0 to 1796), (n, 3), which of the 1,797 pictures; follows from the draw, cannot be asked for
    - mode: 0 to 999, ``100 d_0 + 10 d_1 + d_2``; follows from the digits

    Parameters
    ----------
    n : int
    rng : numpy.random.Generator
    resolution : int
        Pixels a side, 4 to 1024; 8 are real; others show those pixels as squares, averaged over the new ones.
    like : tensor, optional
        Make tensors, on the device of this one.
    **factors
        Only digit: one value, a range ``(low, high)``, or (n, 3).

    Returns
    -------
    Drawings
        Pictures (n, 3, resolution, resolution).

    Raises
    ------
    InputError
        For an unknown factor or a value that is not allowed.
    ImportError
        Without scikit-learn.

    Examples
    --------
    >>> stacked_digits(2, np.random.default_rng(0)).factors["mode"].tolist()
    [620, 89]
    """
    size_of(resolution)
    known(FACTORS[:1], factors)
    digit = drawn(FACTORS[:1], factors, n, rng, (3,))["digit"]
    values = {"digit": digit, "index": pick(digit, rng.random(digit.shape)), "mode": digit @ [100, 10, 1]}
    return record(
        "stacked digits", values, lambda f: draw_stacked_digits({"index": f["index"]}, resolution), like, values
    )


def draw_stacked_digits(factors, resolution=8):
    """Draw stacked digits from the indices of their pictures.

    Parameters
    ----------
    factors : dict
        ``{"index": (n, 3)}``, whole numbers from 0 to 1796.
    resolution : int

    Returns
    -------
    (n, 3, resolution, resolution) array or tensor
        float32 in [-1, 1].

    Raises
    ------
    InputError
        For an unknown factor, a missing or wrong index.

    Examples
    --------
    >>> draw_stacked_digits({"index": [[0, 1, 2]]}).shape
    (1, 3, 8, 8)
    """
    known(FACTORS[1:], factors)
    index = FACTORS[1].values(factors.get("index", ()))
    if index.ndim != 2 or index.shape[1] != 3:
        raise InputError(f"index must be of shape (n, 3), one picture a channel, got {tuple(index.shape)}")
    affordable(len(index), 3, size_of(resolution))
    xp, device = library(index)
    pictures, w = placed(xp, digits()[0], device), placed(xp, stretch(resolution), device)
    return (w @ pictures[placed(xp, index, device, "int64")] @ w.T).clip(-1, 1)
