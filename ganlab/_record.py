"""The record of made pictures, and how every maker fills one."""

from dataclasses import dataclass

import numpy as np

from ganlab._factors import drawn, known
from ganlab._shapes import library, placed, size_of
from ganlab.checks import InputError, whole

__all__ = ["Drawings", "made", "record"]


@dataclass(frozen=True, repr=False, eq=False)
class Drawings:
    """Pictures and what they show.

    Attributes
    ----------
    name : str
    images : (n, channels, h, w) array or tensor
        float32 in [-1, 1]; row 0 is the top.
    factors : dict of arrays or tensors
        The truth: (n,) each, or (n, slots) where a picture holds several things.

    Examples
    --------
    >>> from ganlab.drawings import glyphs
    >>> glyphs(10, np.random.default_rng(0))
    Drawings 'glyphs': 10 pictures of 1 x 32 x 32 with character, rotation, width, slant, thickness, x, y
    """

    name: str
    images: np.ndarray
    factors: dict

    def __len__(self):
        return len(self.images)

    def __repr__(self):
        size = " x ".join(map(str, self.images.shape[1:]))
        return f"Drawings '{self.name}': {len(self)} pictures of {size} with {', '.join(self.factors)}"


def record(name, factors, draw, like, discrete):
    """Draw from the factors, as tensors beside `like` if there is one; the discrete ones become int64."""
    if like is not None:
        xp, device = library(like)
        if xp is np:
            raise InputError(f"like must be a torch tensor on the device where the pictures shall be, got {like!r}")
        kinds = {key: "int64" if key in discrete else "float32" for key in factors}
        factors = {key: placed(xp, value, device, kinds[key]) for key, value in factors.items()}
    return Drawings(name, draw(factors), factors)


def made(name, table, draw, n, rng, resolution, like, given):
    """Draw n values of each factor, except where they are given, and the pictures from them."""
    size_of(resolution)
    known(table, given)
    values = drawn(table, given, whole("n", n), rng)
    return record(name, values, lambda f: draw(f, resolution), like, {f.name for f in table if f.whole})
