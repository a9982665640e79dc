"""A cartoon face: layers of shapes, painted from the back to the front, each within a window of its own."""

import numpy as np

from ganlab._face_layers import LAYERS, SKY
from ganlab._factors import Factor, settled
from ganlab._record import made
from ganlab._shapes import cover, library, placed, shown, size_of

__all__ = ["FACTORS", "draw_faces", "faces"]

FINEST = 48  # below it the rims of the glasses are thinner than a pixel

FACTORS = (
    Factor("pose", "the head turns, to the picture's right", (-1, 1), (-1, 1), 0.0),
    Factor("smile", "from sad to glad", (-1, 1), (-1, 1), 0.5),
    Factor("glasses", "no or yes", (0, 1), (0, 1), 0, whole=True),
    Factor("hat", "no or yes", (0, 1), (0, 1), 0, whole=True),
    Factor("hair", "colour: black, brown, red, blond, white", (0, 1), (0, 1), 0.25),
    Factor("length", "of the hair: short to long", (0, 1), (0, 1), 0.5),
    Factor("skin", "from light to dark", (0, 1), (0, 1), 0.25),
    Factor("light", "from the picture's left (-1) or right (1)", (-1, 1), (-1, 1), -0.3),
)


def _window(start, stop, side, flip=False):
    """The pixels between two coordinates, and one more each way; rows run downward."""
    if flip:
        start, stop = -stop, -start
    return slice(max(0, int((start + 1) / 2 * side) - 1), min(side, int(np.ceil((stop + 1) / 2 * side)) + 1))


def draw(f, x, y, pixel):
    """The colours of each pixel, (m, 3, h, w)."""
    xp, device = library(f["pose"])
    side, m = x.shape[-1], len(f["pose"])
    sky = placed(xp, SKY, device)[:, None, None] * (0.94 + 0.06 * y)
    image = xp.broadcast_to(sky, (m, 3, side, side)) + 0 * x
    for layer, (left, right, low, high) in LAYERS:
        rows, columns = _window(low, high, side, flip=True), _window(left, right, side)
        away, colour, *share = layer(xp, f, x[..., columns], y[:, rows])
        alpha = cover(away, pixel) * (share[0] if share else 1)
        for k, channel in enumerate(colour):
            under = image[:, k, rows, columns]
            image[:, k, rows, columns] = under + alpha * (channel - under)
    return image.clip(0, 1)


def faces(n, rng, resolution=64, like=None, **factors):
    """Make cartoon faces in colour: a data set with attributes that are there or not, and others that are continuous.

    A factor is drawn uniformly from its usual range, independently of the others, unless it is given: one value, a
    range ``(low, high)``, or one value a picture. No face belongs to a person.

    Data card, usual range (and what is allowed):

    - pose: -1 to 1 (-1 to 1), the head turns to the picture's right
    - smile: -1 to 1 (-1 to 1), from sad to glad; brows move with it, and above 0.5 the mouth opens
    - glasses: 0 to 1 (0 to 1), no or yes
    - hat: 0 to 1 (0 to 1), no or yes
    - hair: 0 to 1 (0 to 1), its colour: black, brown, red, blond, white
    - length: 0 to 1 (0 to 1), of the hair, from short to long
    - skin: 0 to 1 (0 to 1), from light to dark
    - light: -1 to 1 (-1 to 1), from the picture's left or right; the sky behind is not lit

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
        Pictures (n, 3, resolution, resolution).

    Raises
    ------
    InputError
        For an unknown factor or a value that is not allowed.

    Examples
    --------
    >>> faces(100, np.random.default_rng(0), 16, glasses=True).factors["glasses"].mean()
    np.float64(1.0)
    """
    return made("faces", FACTORS, draw_faces, n, rng, resolution, like, factors)


def draw_faces(factors, resolution=64):
    """Draw faces from their factors; those that are left out stand still.

    Parameters
    ----------
    factors : dict
        One value or (n,) values by name, as in the data card of `faces`.
    resolution : int

    Returns
    -------
    (n, 3, resolution, resolution) array or tensor
        float32 in [-1, 1].

    Raises
    ------
    InputError
        For an unknown factor, a value that is not allowed, or lengths that do not fit.

    Examples
    --------
    >>> draw_faces({"smile": np.linspace(-1, 1, 9), "hat": True}, 32).shape
    (9, 3, 32, 32)
    """
    return shown(draw, settled(FACTORS, factors), size_of(resolution), 3, FINEST)
