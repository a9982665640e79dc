"""Digits and letters by their signed distance: outlines in font units, a table of distances, and how it is read."""

import functools
import json
from pathlib import Path

import numpy as np

from ganlab._factors import Factor, settled
from ganlab._record import made
from ganlab._shapes import cover, library, placed, shown, size_of

__all__ = ["CHARACTERS", "FACTORS", "draw_glyphs", "glyphs"]

CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CAP, STEM = 1493 / 2048, 202 / 2048  # of DejaVu Sans, in ems: the height of an H and the width of its stems
EM = 1.5  # the em in half pictures: capitals are 0.55 of the picture high
FINEST = 48  # below it a pixel is too coarse for thin strokes and corners
# The table: so many points a side, from -REACH to REACH ems around the middle of each character.
SIDE, REACH = 192, 0.64

FACTORS = (
    Factor("character", "which of 0-9, A-Z", (0, 35), (0, 35), 0, tuple(CHARACTERS), whole=True),
    Factor("rotation", "radians, anticlockwise", (-np.pi, np.pi), (-0.35, 0.35), 0.0),
    Factor("width", "times the font's width", (0.5, 1.5), (0.75, 1.2), 1.0),
    Factor("slant", "shear, to the right of upright", (-0.6, 0.6), (-0.3, 0.3), 0.0),
    Factor("thickness", "of strokes, in capital heights", (0.06, 0.24), (0.09, 0.2), round(STEM / CAP, 3)),
    Factor("x", "middle, in half pictures, right", (-0.5, 0.5), (-0.12, 0.12), 0.0),
    Factor("y", "middle, in half pictures, up", (-0.5, 0.5), (-0.12, 0.12), 0.0),
)


@functools.cache
def outlines():
    """The polygons of each character in ems, around its own middle and that of the capitals' height."""
    path = Path(__file__).parent / "_data" / "outlines.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    answer = []
    for character in CHARACTERS:
        rings = [np.array(ring, dtype=float) / stored["em"] for ring in stored["outlines"][character]]
        x = np.concatenate(rings)[:, 0]
        answer.append([ring - [(x.min() + x.max()) / 2, CAP / 2] for ring in rings])
    return answer


def distance(rings, x, y):
    """The signed distance of points (x, y) from closed polygons, in float32: exact, negative inside."""
    x, y = (np.asarray(v, dtype=np.float32) for v in (x, y))
    nearest, inside = np.full(np.broadcast(x, y).shape, np.inf, dtype=np.float32), np.zeros((), dtype=bool)
    for ring in rings:
        for (ax, ay), (bx, by) in zip(ring.tolist(), np.roll(ring, -1, axis=0).tolist(), strict=True):
            u, v, dx, dy = x - ax, y - ay, bx - ax, by - ay
            t = ((u * dx + v * dy) / (dx * dx + dy * dy)).clip(0, 1)
            nearest = np.minimum(nearest, (u - t * dx) ** 2 + (v - t * dy) ** 2)
            if dy:  # a point is inside when a ray to the right crosses the outline an odd number of times
                inside = inside ^ (((ay <= y) != (by <= y)) & (u < v * (dx / dy)))
    return np.where(inside, -1, 1) * np.sqrt(nearest)


@functools.cache
def table():
    """The distances of all characters in ems, (36, SIDE, SIDE) in float32, y upward."""
    line = np.linspace(-REACH, REACH, SIDE, dtype=np.float32)
    return np.stack([distance(rings, line[None, :], line[:, None]) for rings in outlines()]).astype(np.float32)


def draw(f, x, y, pixel):
    """The brightness of each pixel: ink 1 on ground 0."""
    xp, device = library(f["x"])
    cos, sin = xp.cos(f["rotation"]), xp.sin(f["rotation"])
    right, up = x - f["x"], y - f["y"]
    v = (cos * up - sin * right) / EM
    u = (cos * right + sin * up) / EM
    u = (u - f["slant"] * v) / f["width"]
    away = lookup(xp, placed(xp, table(), device), f["character"], u, v)
    # Stretched with the width, a distance is off by a factor; its mean over directions is the best single one. Strokes
    # are as thick as they should be after that, so that width and thickness are two factors and not one.
    mean = f["width"] ** 0.5
    return cover((away * mean - (f["thickness"] * CAP - STEM * mean) / 2) * EM, pixel)[:, None]


def lookup(xp, distances, character, u, v):
    """The distance at (u, v), linear between the four points of the table around it."""
    scale = (SIDE - 1) / (2 * REACH)
    u, v = (((w + REACH) * scale).clip(0, SIDE - 1.001) for w in (u, v))
    left, low = xp.floor(u), xp.floor(v)
    s, t = u - left, v - low
    first = (character * SIDE + low) * SIDE + left + 0.5
    first = first.astype(np.int32) if xp is np else first.int()
    flat = distances.reshape(-1)
    a, b, c, d = (flat[first + k] for k in (0, 1, SIDE, SIDE + 1))
    a = a + s * (b - a)
    return a + t * (c + s * (d - c) - a)


def glyphs(n, rng, resolution=32, like=None, **factors):
    """Make digits and letters in white on black: a data set with one factor of 36 kinds and six that are continuous.

    The outlines are those of DejaVu Sans, which matplotlib ships. A factor is drawn uniformly from its usual range,
    independently of the others, unless it is given: one value, a range ``(low, high)``, or one value a picture.
    Characters may be named: ``character="0123456789"`` draws among the ten digits.

    Data card, usual range (and what is allowed):

    - character: 0 to 35 (0 to 35), the place in `CHARACTERS`
    - rotation: -0.35 to 0.35 (-3.14159 to 3.14159), radians anticlockwise
    - width: 0.75 to 1.2 (0.5 to 1.5), times the font's
    - slant: -0.3 to 0.3 (-0.6 to 0.6), shear
    - thickness: 0.09 to 0.2 (0.06 to 0.24), of strokes, in capital heights (the font's is 0.135): stems times
      the root of width, bars divided by it
    - x: -0.12 to 0.12 (-0.5 to 0.5) and y: -0.12 to 0.12 (-0.5 to 0.5), the middle, in half pictures

    Some factors imitate each other, and no method can tell them apart there: a 6 turned by pi is nearly a 9, an
    M a W; a wide 0 is nearly an O; and an I hides width behind thickness.

    Parameters
    ----------
    n : int
    rng : numpy.random.Generator
    resolution : int
        Pixels a side, 4 to 1024.
    like : tensor, optional
        Make tensors, on the device of this one.
    **factors
        As above.

    Returns
    -------
    Drawings
        Pictures (n, 1, resolution, resolution).

    Raises
    ------
    InputError
        For an unknown factor or a value that is not allowed.

    Examples
    --------
    >>> digits = glyphs(5, np.random.default_rng(0), 16, character="0123456789", rotation=0.0)
    >>> digits.images.shape, digits.factors["character"].tolist()
    ((5, 1, 16, 16), [6, 7, 7, 1, 6])
    """
    return made("glyphs", FACTORS, draw_glyphs, n, rng, resolution, like, factors)


def draw_glyphs(factors, resolution=32):
    """Draw characters from their factors; those that are left out stand still.

    Parameters
    ----------
    factors : dict
        One value or (n,) values by name, as in the data card of `glyphs`; ``"A7"`` names two characters.
    resolution : int

    Returns
    -------
    (n, 1, resolution, resolution) array or tensor
        float32 in [-1, 1].

    Raises
    ------
    InputError
        For an unknown factor, a value that is not allowed, or lengths that do not fit.

    Examples
    --------
    >>> draw_glyphs({"character": "A", "rotation": np.linspace(-1, 1, 9)}, 28).shape
    (9, 1, 28, 28)
    """
    return shown(draw, settled(FACTORS, factors), size_of(resolution), 1, FINEST)
