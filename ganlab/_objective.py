"""The record of an objective: three functions of the critic's score, and a link."""

from collections.abc import Callable
from dataclasses import dataclass

from ganlab.checks import InputError
from ganlab.primitives import sigmoid

__all__ = ["Objective", "identity"]


def identity(t):
    """Return `t`: the link of objectives whose critic is not a probability.

    Examples
    --------
    >>> identity(0.3)
    0.3
    """
    return t


@dataclass(frozen=True)
class Objective:
    """A GAN's objective: what each player raises, as functions of the critic's score.

    Parameters
    ----------
    f1, f2, f3 : callable
        Functions of the score ``t``, written with `ganlab.primitives` so that they answer in kind:
        the discriminator's gain on real samples and on fakes, and the generator's gain on fakes.
    link : callable
        ``D = link(t)``: `sigmoid` or `identity`.
    name, source : str
        What it is called and where it comes from.

    Raises
    ------
    InputError
        If one of the three is not callable, or `link` is neither `sigmoid` nor `identity`.

    Examples
    --------
    >>> Objective(f1=lambda t: t, f2=lambda t: -t, f3=lambda t: t, name="mine")
    Objective 'mine' (D = score)
    """

    f1: Callable
    f2: Callable
    f3: Callable
    link: Callable = identity
    name: str = "custom"
    source: str = ""
    compares = False  # the generator's gain does not look at the scores of the data

    def __post_init__(self):
        for name in ("f1", "f2", "f3"):
            if not callable(getattr(self, name)):
                raise InputError(f"{name} must be a function of the score t, got {getattr(self, name)!r}")
        if self.link not in (sigmoid, identity):
            raise InputError("link must be ganlab.primitives.sigmoid or ganlab.objectives.identity")

    def d_gain(self, real, fake):
        """Return what the discriminator raises, ``J``, averaged over the last axis of the two arrays of scores.

        Examples
        --------
        >>> import numpy as np
        >>> wasserstein = Objective(f1=lambda t: t, f2=lambda t: -t, f3=lambda t: t)
        >>> float(wasserstein.d_gain(np.array([2.0, 4.0]), np.array([1.0])))
        2.0
        """
        return self.f1(real).mean(-1) + self.f2(fake).mean(-1)

    def g_gain(self, real, fake):
        """Return what the generator raises, ``I``; the scores of the data are not used (see `ganlab.relativistic`).

        Examples
        --------
        >>> import numpy as np
        >>> wasserstein = Objective(f1=lambda t: t, f2=lambda t: -t, f3=lambda t: t)
        >>> float(wasserstein.g_gain(None, np.array([1.0, 2.0])))
        1.5
        """
        return self.f3(fake).mean(-1)

    def __repr__(self):
        return f"Objective {self.name!r} (D = {'sigmoid(score)' if self.link is sigmoid else 'score'})"
