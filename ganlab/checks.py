"""Checks of what a user hands in: each error says what was given, what is allowed and what to do."""

from collections.abc import Mapping

import numpy as np


class InputError(ValueError):
    """Something that was handed in cannot be used; the message says what is allowed."""


class NoEquilibrium(ValueError):
    """The game has no rest point where one was looked for."""


class NotConverged(RuntimeError):
    """A solver stopped before its answer was good enough; the message says how far off it is and what to do."""


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
    try:
        return table[name]
    except (KeyError, TypeError):  # an unhashable name is an unknown one
        raise InputError(f"unknown {kind} {name!r}: choose one of {', '.join(sorted(map(str, table)))}") from None


def numbers(name, value, low=-np.inf, high=np.inf, open_low=False, open_high=False):
    """Return `value` if it is a finite real number, or an array of them, within the bounds.

    Raises
    ------
    InputError
        If `value` is text, a bool, empty, NaN or infinite, or lies outside the bounds.

    Examples
    --------
    >>> numbers("p_d", [0.1, 0.2], 0, open_low=True)
    array([0.1, 0.2])
    """
    left, right = "(" if open_low or low == -np.inf else "[", ")" if open_high or high == np.inf else "]"
    bounds = f"{left}{low:g}, {high:g}{right}"
    try:
        kind, array = np.asarray(value).dtype.kind, np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a number in {bounds}, got {value!r}") from None
    if kind in "bUS" or array.size == 0 or not np.isfinite(array).all():
        raise InputError(f"{name} must be a finite number in {bounds}, got {value!r}")
    below = array <= low if open_low else array < low
    above = array >= high if open_high else array > high
    if below.any() or above.any():
        raise InputError(f"{name} must lie in {bounds}, got {value!r}")
    return array if array.ndim else value


def number(name, value, low=-np.inf, high=np.inf, open_low=False, open_high=False):
    """Return `value` if it is one finite real number within the bounds.

    Raises
    ------
    InputError
        As `numbers` does, and for an array.

    Examples
    --------
    >>> number("lr", 0.1, 0, open_low=True)
    0.1
    """
    if np.ndim(numbers(name, value, low, high, open_low, open_high)):
        raise InputError(f"{name} must be one number, got an array of shape {np.shape(value)}")
    return value


def number_or_symbol(name, value, low=-np.inf, high=np.inf, open_low=False, open_high=False):
    """Return `value` if it is such a `number`, or a SymPy expression with symbols, which stands for an admissible one.

    Raises
    ------
    InputError
        As `number` does.

    Examples
    --------
    >>> import sympy
    >>> number_or_symbol("alpha", sympy.Symbol("alpha"), 0, 1)
    alpha
    """
    return value if getattr(value, "free_symbols", None) else number(name, value, low, high, open_low, open_high)


def whole(name, value, low=1):
    """Return `value` as an int if it is a whole number of at least `low`.

    Raises
    ------
    InputError
        If `value` is a bool, a fraction, or smaller than `low`.

    Examples
    --------
    >>> whole("steps", 500)
    500
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise InputError(f"{name} must be a whole number of at least {low}, got {value!r}")
    return int(value)
