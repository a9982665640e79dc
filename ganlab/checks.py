"""Checks of what a user hands in: each error says what was given, what is allowed and what to do."""

from collections.abc import Mapping

import numpy as np


class InputError(ValueError):
    """Something that was handed in cannot be used; the message says what is allowed."""


class NoEquilibrium(ValueError):
    """The game has no rest point where one was looked for."""


def choose(kind, name, table: Mapping):
    """Look up `name` in `table`; an unknown name lists the known ones.

    Raises
    ------
    InputError
        If `name` is not a key of `table`.

    Examples
    --------
    >>> choose("colour", "red", {"red": 1, "blue": 2})
    1
    """
    if name in table:
        return table[name]
    raise InputError(f"unknown {kind} {name!r}: choose one of {', '.join(sorted(table))}")


def number(name, value, low=-np.inf, high=np.inf, open_low=False, open_high=False):
    """Return `value` if it is a finite real number (or an array of them, or a symbol) within the bounds.

    SymPy expressions pass unchecked: a symbol stands for an admissible value.

    Raises
    ------
    InputError
        If `value` is not a number, is NaN or infinite, or lies outside the bounds.
    """
    if hasattr(value, "free_symbols"):
        return value
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a number, got {value!r}") from None
    bounds = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
    if isinstance(value, bool) or array.size == 0 or not np.isfinite(array).all():
        raise InputError(f"{name} must be a finite number in {bounds}, got {value!r}")
    below = array <= low if open_low else array < low
    above = array >= high if open_high else array > high
    if below.any() or above.any():
        raise InputError(f"{name} must lie in {bounds}, got {value!r}")
    return value


def whole(name, value, low=1):
    """Return `value` as an int if it is a whole number of at least `low`.

    Raises
    ------
    InputError
        If `value` is a bool, a fraction, or smaller than `low`.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise InputError(f"{name} must be a whole number of at least {low}, got {value!r}")
    return int(value)
