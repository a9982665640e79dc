"""What a made picture depends on: the range of each factor, how it is drawn and how it is checked."""

from dataclasses import dataclass

import numpy as np

from ganlab._samples import generator
from ganlab._shapes import library, placed
from ganlab.checks import InputError, choose, numbers, whole

__all__ = ["Factor", "drawn", "known", "settled"]

_ROUNDING = 1e-6  # a bound that went through float32 is still within it


@dataclass(frozen=True)
class Factor:
    """One factor: what is allowed, what is drawn when nothing is asked for, and what stands when it is left out."""

    name: str
    meaning: str
    allowed: tuple
    usual: tuple
    default: float
    names: tuple = ()  # of its values 0, 1, ...
    whole: bool = False
    slots: bool = False  # one value an object, (n, slots), not one a picture

    def values(self, given):
        """Return `given` as checked numbers: names become their numbers, a tensor stays one."""
        if library(given)[0] is not np:
            return self._tensor(given)
        try:
            kind = np.asarray(given).dtype.kind
        except ValueError:  # rows of different length: numbers says so
            kind = ""
        if self.names and kind == "U":
            given = self._numbers(given)
        elif kind == "b" and self.whole and self.allowed == (0, 1):
            given = np.asarray(given).astype(int)
        value = np.asarray(numbers(self.name, given), dtype=float)
        near = value.clip(*self.allowed)
        if (abs(value - near) > _ROUNDING).any():
            numbers(self.name, given, *self.allowed)
        value = near
        return self._whole(value, bool((value == value.round()).all()))

    def _tensor(self, value):
        plain = value.detach()
        if value.numel() == 0 or not bool((plain >= self.allowed[0] - _ROUNDING).all()
                                          and (plain <= self.allowed[1] + _ROUNDING).all()):  # fmt: skip
            raise InputError(f"{self.name} must be finite numbers in {list(self.allowed)}, got a tensor of shape "
                             f"{tuple(value.shape)} with others, or none")  # fmt: skip
        return self._whole(value, bool((plain == plain.round()).all()))

    def _whole(self, value, fits):
        if self.whole and not fits:
            raise InputError(f"{self.name} must be whole numbers in {list(self.allowed)}, got a fraction among them")
        return value

    def _numbers(self, given):
        table = {name: k for k, name in enumerate(self.names)}
        if isinstance(given, str):
            # "A" is one value; "A7" is two, if each letter is a name
            return table[given] if given in table else [choose(self.name, c, table) for c in given]
        return np.vectorize(lambda name: choose(self.name, str(name), table))(given)

    def between(self, u, given):
        """Turn uniform numbers into values: from the usual range, or from what was asked for."""
        if given is None or _is_range(given):
            low, high = self.usual if given is None else self.values(list(given)).tolist()
            if low > high:
                raise InputError(f"{self.name} must go from low to high, got {given!r}")
            return low + np.floor(u * (high - low + 1)).astype(int) if self.whole else low + u * (high - low)
        if self.names and isinstance(given, (str, tuple)):
            choices = np.atleast_1d(self.values(given if isinstance(given, str) else list(given)))
            return choices[np.floor(u * len(choices)).astype(int)].astype(int)
        value = self.values(given)
        if value.shape not in ((), (1,), u.shape):
            raise InputError(f"{self.name} must be one value, a range (low, high) or values of shape {u.shape}, "
                             f"got shape {value.shape}")  # fmt: skip
        return np.broadcast_to(value, u.shape).astype(int if self.whole else float)


def _is_range(given):
    return isinstance(given, tuple) and len(given) == 2 and not any(isinstance(end, str) for end in given)


def drawn(factors, given, n, rng, slots=()):
    """Draw n values of each factor, independently; each picture's draws do not depend on n or on what was asked for."""
    u = generator(rng).random((whole("n", n), *slots, len(factors)))
    return {f.name: f.between(u[..., k], given.get(f.name)) for k, f in enumerate(factors)}


def known(factors, given):
    """Refuse a factor that does not exist."""
    if not isinstance(given, dict):
        raise InputError(f"factors must be a dict of values by name, got {type(given).__name__}")
    table = {f.name: f for f in factors}
    for name in given:
        choose("factor", name, table)


def settled(factors, given, slots=None):
    """Return every factor as float32 of the same length, in the kind of those that were given; others stand still.

    Raises
    ------
    InputError
        For an unknown factor, a value that is not allowed, or lengths that do not fit.
    """
    known(factors, given)
    xp, device = library(*given.values())
    values = {f.name: placed(xp, f.values(given.get(f.name, f.default)), device) for f in factors}
    lengths = {name: value.shape[0] for name, value in values.items() if value.ndim and value.shape[0] != 1}
    if len(set(lengths.values())) > 1:
        raise InputError(f"factors must have one length, or be single values, got {lengths}")
    n = max(lengths.values(), default=1)
    for f in factors:
        shape = (n, slots) if f.slots else (n,)
        if values[f.name].ndim not in (0, len(shape)):
            raise InputError(f"{f.name} must be one value or of shape {shape}, got {tuple(values[f.name].shape)}")
        values[f.name] = xp.broadcast_to(values[f.name], shape)
    return values
