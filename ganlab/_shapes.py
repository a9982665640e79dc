"""Shapes by their signed distance (negative inside), on arrays and tensors alike, and how they become pictures.

A picture is the square from -1 to 1 each way, x to the right and y up. A pixel takes the share of it that lies within
an edge's distance; where pixels are too coarse for that, the picture is drawn finer by a whole factor and averaged.
"""

import sys

import numpy as np

from ganlab.checks import InputError, whole
from ganlab.primitives import _kind

__all__ = ["affordable", "box", "capsule", "cover", "ellipse", "hypot", "library", "placed", "shown", "size_of",
           "square_and_triangle"]  # fmt: skip

LEAST, MOST, MOST_BYTES = 4, 1024, 2**33
# Pixels handled at once: what a core's cache holds, and what keeps an accelerator busy.
_BLOCK, _BLOCK_ON_DEVICE = 2**16, 2**23


def library(*values):
    """Return torch if one of the values is a tensor, else numpy, and where new values belong."""
    tensors = [value for value in values if _kind(value) == "torch"]
    return (sys.modules["torch"], tensors[0].device) if tensors else (np, None)


def placed(xp, value, device, dtype="float32"):
    """Return `value` as an array, or as a tensor on the device."""
    dtype = getattr(xp, dtype)
    return np.asarray(value, dtype=dtype) if xp is np else xp.as_tensor(value, dtype=dtype, device=device)


def size_of(resolution):
    """The number of pixels a side, checked.

    Raises
    ------
    InputError
        If it is no whole number from 4 to 1024.
    """
    if whole("resolution", resolution, LEAST) > MOST:
        raise InputError(f"resolution must be a whole number from {LEAST} to {MOST}, got {resolution}")
    return int(resolution)


def affordable(n, channels, resolution):
    """Refuse what would not fit into a usual machine's memory.

    Raises
    ------
    InputError
        If the pictures would take more than 8 GiB.
    """
    need = 4 * n * channels * resolution**2
    if need > MOST_BYTES:
        raise InputError(f"{n} pictures of {channels} x {resolution} x {resolution} would take {need / 2**30:.1f} GiB; "
                         f"draw them in parts of at most {MOST_BYTES * n // need}")  # fmt: skip


def shown(draw, factors, resolution, channels, finest):
    """Draw n pictures, some at a time, and return them as (n, channels, h, w) in [-1, 1].

    Parameters
    ----------
    draw : callable
        ``draw(factors, x, y, pixel)`` answers brightness in [0, 1], (m, channels, h, w), for factors of shape
        (m, 1, 1) or (m, slots, 1, 1), x of shape (1, 1, w), y of shape (1, h, 1) and the width of a pixel.
    factors : dict of (n,) or (n, slots) arrays or tensors
    resolution, channels : int
    finest : int
        Draw at this many pixels a side at least.
    """
    xp, device = library(*factors.values())
    n, fold = len(next(iter(factors.values()))), -(-finest // resolution)
    affordable(n, channels, resolution)
    side = fold * resolution
    line = placed(xp, (2 * np.arange(side) + 1) / side - 1, device)
    x, y = line[None, None, :], -line[None, :, None]
    rows = max(1, (_BLOCK if str(device) in ("None", "cpu") else _BLOCK_ON_DEVICE) // side**2)
    parts = []
    for start in range(0, n, rows):
        some = {name: value[start : start + rows][..., None, None] for name, value in factors.items()}
        fine = draw(some, x, y, 2 / side)
        if fold > 1:
            fine = fine.reshape(len(fine), channels, resolution, fold, resolution, fold).mean((3, 5))
        parts.append(2 * fine - 1)
    return xp.concatenate(parts)


def cover(distance, pixel):
    """The share of a pixel that lies inside an edge at this signed distance from its middle."""
    return (0.5 - distance / pixel).clip(0, 1)


def hypot(a, b):
    """The length of (a, b), with a derivative that is finite at 0."""
    return (a * a + b * b + 1e-12) ** 0.5


def ellipse(x, y, a, b):
    """Nearly the distance from an ellipse with half axes a and b: exact on it and for a circle."""
    k = hypot(x / a, y / b)
    return (k - 1) * k / hypot(x / a**2, y / b**2)


def box(x, y, a, b, corner):
    """The distance from a box with half sides a and b and round corners."""
    u, v = abs(x) - (a - corner), abs(y) - (b - corner)
    inside = u + (v - u).clip(0, None)  # the larger of both; max itself has another name in each library
    return hypot(u.clip(0, None), v.clip(0, None)) + inside.clip(None, 0) - corner


def capsule(x, y, a, b, radius):
    """The distance from a stroke with round ends, from (-a, -b) to (a, b)."""
    t = ((x * a + y * b) / (a * a + b * b)).clip(-1, 1)
    return hypot(x - t * a, y - t * b) - radius


def square_and_triangle(x, y, radius):
    """The distances from a square and from an equilateral triangle, both with corners at `radius`."""
    square = box(x, y, radius * 0.5**0.5, radius * 0.5**0.5, 0)
    # The triangle: three half planes, and near a corner the corner itself.
    third, away = 3**0.5 / 2, None
    for c, s in ((0.0, -1.0), (third, 0.5), (-third, 0.5)):
        side = c * x + s * y - radius / 2
        along = abs(-s * x + c * y) - radius * third
        edge = hypot(side, along.clip(0, None)), side
        away = edge if away is None else (_less(away[0], edge[0]), -_less(-away[1], -edge[1]))
    inside = away[1]
    return square, (inside < 0) * inside + (inside >= 0) * away[0]


def _less(a, b):
    return a + (b - a).clip(None, 0)
