"""Sets of samples: how they are checked, drawn from and compared point by point."""

import numpy as np

from ganlab.checks import InputError, numbers

__all__ = ["MOST_PAIRS", "check_pairs", "distances", "generator", "pair", "points", "powers", "weights"]

MOST_PAIRS = 2**26  # distances held at once: half a gigabyte


def points(name, value, dim=None, least=1, finite=True):
    """Return `value` as an (n, d) array of floats; a row of numbers is n points on the line.

    Parameters
    ----------
    name : str
        What the messages call it.
    value : (n, d) or (n,) array
    dim : int, optional
        The dimension it must have.
    least : int
        The smallest n that is allowed.
    finite : bool
        Refuse NaN and infinity.

    Raises
    ------
    InputError
        If it is no such array.

    Examples
    --------
    >>> points("x", [1, 2, 3]).shape
    (3, 1)
    """
    try:
        x = np.asarray(value)
    except ValueError:  # rows of different length
        x = np.empty(0, dtype=object)
    if x.dtype.kind not in "iuf" or x.ndim not in (1, 2) or x.size == 0:
        hint = "; of pictures take features (ganlab.neural.features), or flatten them" if x.ndim > 2 else ""
        raise InputError(f"{name} must be numbers of shape (n, d), not empty, got {type(value).__name__} of shape "
                         f"{x.shape} and kind {x.dtype}{hint}")  # fmt: skip
    x = np.asarray(x[:, None] if x.ndim == 1 else x, dtype=float)
    if dim is not None and x.shape[1] != dim:
        raise InputError(f"{name} must have dimension {dim}, got shape {x.shape}")
    if len(x) < least:
        raise InputError(f"{name} must hold at least {least} points, got {len(x)}")
    if finite and not np.isfinite(x).all():
        bad = np.count_nonzero(~np.isfinite(x).all(axis=1))
        raise InputError(f"{name} must be finite, got NaN or infinity in {bad} of {len(x)} rows: has the run diverged?")
    return x


def generator(rng):
    """Return `rng` if it is a numpy Generator; a bare seed would give the same draws at every call.

    Raises
    ------
    InputError
        If it is not.

    Examples
    --------
    >>> generator(np.random.default_rng(0)).random(2).shape
    (2,)
    """
    if not isinstance(rng, np.random.Generator):
        raise InputError(f"rng must be a numpy Generator, such as np.random.default_rng(0), got {rng!r}")
    return rng


def pair(x, y, names=("x", "y"), least=1):
    """Both sets as arrays of the same dimension."""
    x = points(names[0], x, least=least)
    return x, points(names[1], y, dim=x.shape[1], least=least)


def check_pairs(x, y, what="distances", instead="sliced_wasserstein"):
    """Refuse two sets whose table of all pairs would not fit."""
    if len(x) * len(y) > MOST_PAIRS:
        size = len(x) * len(y) / 2**27
        raise InputError(f"{len(x)} times {len(y)} {what} would take {size:.1f} GiB; take at most "
                         f"{int(MOST_PAIRS**0.5)} samples a side, or use {instead}")  # fmt: skip


def distances(x, y):
    """All distances, (n, m)."""
    from scipy.spatial.distance import cdist

    check_pairs(x, y)
    return cdist(x, y)


def powers(x, y, p):
    """The costs ``|x - y|^p``, (n, m)."""
    with np.errstate(over="ignore"):
        c = distances(x, y) ** p
    if not np.isfinite(c).all():
        raise InputError(f"some of the costs |x - y|^{p:g} are too large for a float; scale x and y down")
    return c


def weights(name, value, n):
    """Return `value` as n weights with sum 1, or n equal ones for None; only rounding is scaled away.

    Raises
    ------
    InputError
        If they are negative, not finite, another number than n, or do not sum to 1 (to 1e-8).

    Examples
    --------
    >>> weights("a", None, 4)
    array([0.25, 0.25, 0.25, 0.25])
    """
    if value is None:
        return np.full(n, 1 / n)
    a = np.asarray(numbers(name, value, 0), dtype=float)
    if a.shape != (n,):
        raise InputError(f"{name} must be {n} weights, one a point, got shape {a.shape}")
    if abs(a.sum() - 1) > 1e-8:
        raise InputError(f"{name} must sum to 1, got {a.sum():.10g}; divide it by its sum")
    return a / a.sum()
