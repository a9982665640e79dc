"""Scenes of exactly k discs, squares and triangles that do not touch: where they are put, and how they are drawn."""

import numpy as np

from ganlab._factors import Factor, drawn, known, settled
from ganlab._record import record
from ganlab._shapes import cover, hypot, library, shown, size_of, square_and_triangle
from ganlab.checks import InputError

__all__ = ["FACTORS", "SHAPES", "draw_scenes", "scenes"]

MOST = 9  # objects in a scene
GAP = 0.1  # between the circles around two objects, and to the frame, in half pictures
FINEST = 48
SHAPES = ("disc", "square", "triangle")
_TRIES, _STARTS = 60, 100  # for one object, then for the whole scene anew
_FULLEST = 0.53  # of the frame: discs that are put down one after the other jam at 0.547

FACTORS = (
    Factor("count", "objects", (0, MOST), (1, 6), 1, whole=True),
    Factor("shape", "disc, square or triangle", (0, 2), (0, 2), 0, SHAPES, whole=True, slots=True),
    Factor("size", "from middle to corner, in half pictures", (0.08, 0.6), (0.13, 0.2), 0.17, slots=True),
    Factor("angle", "radians, anticlockwise", (-np.pi, np.pi), (-np.pi, np.pi), 0.0, slots=True),
    Factor("colour", "hue, once around", (0, 1), (0, 1), 0.0, slots=True),
    Factor("x", "middle, in half pictures, right", (-1, 1), (-0.82, 0.82), 0.0, slots=True),
    Factor("y", "middle, in half pictures, up", (-1, 1), (-0.82, 0.82), 0.0, slots=True),
)


def put(size, rng):
    """Put circles of these radii, (n, slots), into the frame one after the other, and answer x and y.

    Each is uniform on what the ones before it leave free; where nothing was found, the scene begins anew.

    Raises
    ------
    InputError
        If they do not fit.
    """
    n, slots = size.shape
    if (np.pi * ((size + GAP / 2) ** 2).sum(axis=1)).max() > _FULLEST * 4:
        raise InputError(_too_many(slots, size))
    at, todo = np.zeros((n, slots, 2)), np.arange(n)
    for _ in range(_STARTS):
        bad = np.zeros(len(todo), dtype=bool)
        for slot in range(slots):
            bad |= ~_one(at, size, todo, slot, rng)
        todo = todo[bad]
        if not todo.size:
            return at[..., 0], at[..., 1]
    raise InputError(_too_many(slots, size[todo]))


def _too_many(slots, size):
    return (f"{slots} objects of size up to {size.max():.3g} do not fit beside each other: ask for a smaller size or "
            f"fewer of them")  # fmt: skip


def _one(at, size, scenes, slot, rng):
    """Find a free place for one object of each scene; says where it was found."""
    left = np.arange(len(scenes))
    for _ in range(_TRIES):
        k = scenes[left]
        room = 1 - GAP / 2 - size[k, slot]
        at[k, slot] = rng.uniform(-1, 1, (len(k), 2)) * room[:, None]
        between = np.hypot(*np.moveaxis(at[k, :slot] - at[k, slot, None], -1, 0))
        left = left[(between < size[k, :slot] + size[k, slot, None] + GAP).any(axis=1)]
        if not left.size:
            break
    free = np.ones(len(scenes), dtype=bool)
    free[left] = False
    return free


def _hue(hue, channel):
    """A bright colour's channel: red, green or blue, from pale to full."""
    # Each is a trapezium of the hue with its top a third of the circle wide.
    away = (hue + 0.5 - channel / 3) % 1 - 0.5
    return 0.25 + 0.75 * (2 - 6 * abs(away)).clip(0, 1)


def drawer(channels):
    """The function that draws in grey (1) or in colour (3)."""

    def draw(f, x, y, pixel):
        xp, _ = library(f["x"])
        planes = [0 * x + 0 * y + 0 * f["count"]] * channels
        for slot in range(int(f["count"].max())):
            one = {name: value[:, slot] for name, value in f.items() if name != "count"}
            alpha = _cover(xp, one, x, y, pixel) * (f["count"] > slot)
            planes = [plane + alpha * ((_hue(one["colour"], k) if channels == 3 else 1) - plane)
                      for k, plane in enumerate(planes)]  # fmt: skip
        return xp.stack(planes, 1)

    return draw


def _cover(xp, f, x, y, pixel):
    u, v, shape = x - f["x"], y - f["y"], f["shape"]
    cos, sin = xp.cos(f["angle"]), xp.sin(f["angle"])
    square, triangle = square_and_triangle(cos * u + sin * v, cos * v - sin * u, f["size"])
    away = (shape == 0) * (hypot(u, v) - f["size"]) + (shape == 1) * square + (shape == 2) * triangle
    return cover(away, pixel)


def _slots(factors):
    """The slots that the given values have: the first of shape (n, slots) says."""
    try:
        return next((np.shape(value)[1] for value in factors.values() if np.ndim(value) == 2), 1)
    except ValueError:  # rows of different length: the check of values says so
        return 1


def _channels(value):
    if value not in (1, 3) or isinstance(value, bool):
        raise InputError(f"channels must be 1 (grey) or 3 (red, green, blue), got {value!r}")
    return int(value)


def scenes(n, rng, resolution=64, channels=3, like=None, **factors):
    """Make scenes of exactly k discs, squares and triangles on black, which do not touch.

    Factors are drawn uniformly from their usual range, unless they are given: one value, a range ``(low, high)``, or
    values of shape (n,) for count and (n, slots) for the others, with as many slots as the largest count that was
    asked for. Slot k is drawn if k < count. All slots are put down whatever the count, so where an object stands and
    how large it is does not tell how many there are; the amount of ink does, and a counter may cheat by it.

    Data card, usual range (and what is allowed):

    - count: 1 to 6 (0 to 9)
    - shape: 0 to 2 (0 to 2), the place in `SHAPES`
    - size: 0.13 to 0.2 (0.08 to 0.6), from middle to corner, in half pictures
    - angle: -3.14159 to 3.14159 (-3.14159 to 3.14159), radians anticlockwise; a disc has none to see
    - colour: 0 to 1 (0 to 1), the hue, once around; not seen in grey
    - x and y: drawn so that the circles around two objects are 0.1 half pictures apart, and 0.05 from the frame

    Below 32 pixels that gap is less than 1.6 pixels, and neighbours may seem to touch.

    Parameters
    ----------
    n : int
    rng : numpy.random.Generator
    resolution : int
        Pixels a side, 4 to 1024.
    channels : int
        1 for grey, 3 for colour.
    like : tensor, optional
        Make tensors, on the device of this one.
    **factors
        As above, but not x and y.

    Returns
    -------
    Drawings
        Pictures (n, channels, resolution, resolution).

    Raises
    ------
    InputError
        For an unknown factor, a value that is not allowed, or objects that do not fit.

    Examples
    --------
    >>> three = scenes(4, np.random.default_rng(0), 32, count=3, shape=("disc", "square"))
    >>> three.images.shape, three.factors["count"].tolist()
    ((4, 3, 32, 32), [3, 3, 3, 3])
    """
    size_of(resolution)
    _channels(channels)
    known(FACTORS[:5], factors)
    count = factors.get("count", FACTORS[0].usual)
    slots = max(1, int(np.max(FACTORS[0].values(list(count) if isinstance(count, tuple) else count))))
    values = drawn(FACTORS[:1], factors, n, rng) | drawn(FACTORS[1:5], factors, n, rng, (slots,))
    values["x"], values["y"] = put(values["size"], rng)
    discrete = {f.name for f in FACTORS if f.whole}
    return record("scenes", values, lambda f: draw_scenes(f, resolution, channels), like, discrete)


def draw_scenes(factors, resolution=64, channels=3):
    """Draw scenes from their factors; those that are left out stand still. Objects may lie over each other here.

    Parameters
    ----------
    factors : dict
        By name, as in the data card of `scenes`: count is one value or (n,), the others one value or (n, slots).
    resolution, channels : int

    Returns
    -------
    (n, channels, resolution, resolution) array or tensor
        float32 in [-1, 1].

    Raises
    ------
    InputError
        For an unknown factor, a value that is not allowed, lengths that do not fit, or fewer slots than objects.

    Examples
    --------
    >>> draw_scenes({"count": 2, "x": [[-0.5, 0.5]], "shape": [["disc", "square"]]}, 16, channels=1).shape
    (1, 1, 16, 16)
    """
    known(FACTORS, factors)
    values = settled(FACTORS, factors, _slots(factors))
    slots = values["x"].shape[1]
    if int(values["count"].max()) > slots:
        raise InputError(f"count asks for {int(values['count'].max())} objects, but the factors have {slots} slots")
    return shown(drawer(_channels(channels)), values, size_of(resolution), channels, FINEST)
