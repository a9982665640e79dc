"""Intervals for tables over many seeds."""

import numpy as np

from ganlab.checks import InputError, number, numbers, whole

__all__ = ["mean_interval", "success_interval"]


def success_interval(successes, n, level=0.95):
    """Return the exact interval of Clopper and Pearson (1934) for the probability behind a count of successes.

    Parameters
    ----------
    successes, n : int
        So many of so many, such as seeds that found all modes.
    level : float in (0, 1)
        The interval holds the truth at least so often.

    Returns
    -------
    (low, high)

    Raises
    ------
    InputError
        If a count is not a whole number, there are more successes than trials, or `level` lies outside (0, 1).

    Examples
    --------
    >>> low, high = success_interval(18, 20)
    >>> round(low, 3), round(high, 3)
    (0.683, 0.988)
    """
    from scipy.special import betaincinv

    s, n = whole("successes", successes, 0), whole("n", n)
    if s > n:
        raise InputError(f"successes must be at most n, got {s} of {n}")
    tail = _tail(level)
    low = betaincinv(s, n - s + 1, tail) if s else 0.0
    return float(low), float(betaincinv(s + 1, n - s, 1 - tail) if s < n else 1.0)


def mean_interval(values, level=0.95):
    """Return Student's interval for the mean of independent values, such as one result a seed.

    Parameters
    ----------
    values : (n,) array
        At least two.
    level : float in (0, 1)
        The interval holds the true mean so often, if the values are normal.

    Returns
    -------
    (low, high)

    Raises
    ------
    InputError
        For fewer than two values, a NaN (drop a diverged run openly, not here), or a `level` outside (0, 1).

    Examples
    --------
    >>> low, high = mean_interval([7, 8, 8, 8, 7])
    >>> round(low, 2), round(high, 2)
    (6.92, 8.28)
    """
    from scipy.special import stdtrit

    values = numbers("values", values)
    if np.ndim(values) != 1 or len(values) < 2:
        raise InputError(f"values must be a row of at least 2 numbers, got shape {np.shape(values)}")
    tail = _tail(level)
    half = stdtrit(len(values) - 1, 1 - tail) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def _tail(level):
    """The probability on either side of an interval."""
    return (1 - number("level", level, 0, 1, open_low=True, open_high=True)) / 2
