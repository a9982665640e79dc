"""Relativistic objectives: the critic says which of two samples is the more real, not how real one is.

They pair a real sample with a fake and so do not fit the three functions of `ganlab.objectives.Objective`; this is
their own record, with the same two methods.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ganlab.checks import InputError, choose
from ganlab.objectives import OBJECTIVES, get
from ganlab.primitives import relu, softplus

__all__ = ["RELATIVISTIC", "Relativistic", "find"]


def _mean(scores):
    return scores.mean(-1)


@dataclass(frozen=True)
class Relativistic:
    """A relativistic objective: both players raise a function of the difference of two scores.

    Paired (RpGAN), the critic raises ``E f1(t(x) - t(y))`` over pairs of a real `x` and a fake `y`, and the generator
    raises the same with the roles exchanged. Averaged (RaGAN), each score is compared with the mean score of the other
    side: ``E f1(t(x) - mean t(y)) + E f2(t(y) - mean t(x))``.

    Parameters
    ----------
    f1, f2 : callable
        Gains of the difference, written with `ganlab.primitives`; `f2` is used by the averaged form only.
    averaged : bool
    mean : callable
        Averages scores over the last axis; with many processes, over all of them (`ganlab.neural.training` sees to it).
    name, source : str

    Raises
    ------
    InputError
        If `f1`, or `f2` of an averaged objective, is not callable.

    Examples
    --------
    >>> RELATIVISTIC["rpgan"]
    Relativistic 'rpgan' (paired)
    """

    f1: Callable
    f2: Callable | None = None
    averaged: bool = False
    mean: Callable = _mean
    name: str = "custom"
    source: str = ""
    compares = True  # the generator's gain looks at the scores of the data

    def __post_init__(self):
        for name in ("f1", "f2") if self.averaged else ("f1",):
            if not callable(getattr(self, name)):
                raise InputError(f"{name} must be a function of a difference of scores, got {getattr(self, name)!r}")

    def __repr__(self):
        return f"Relativistic {self.name!r} ({'averaged' if self.averaged else 'paired'})"

    def d_gain(self, real, fake):
        """Return what the discriminator raises, from the scores of real and fake samples along the last axis.

        Parameters
        ----------
        real, fake : array or tensor, shape (..., B)
            A paired objective compares ``real[i]`` with ``fake[i]``.

        Raises
        ------
        InputError
            If the objective is paired and the two batches differ in size.

        Examples
        --------
        >>> import numpy as np
        >>> round(float(RELATIVISTIC["rpgan"].d_gain(np.zeros(3), np.zeros(3))), 6)
        -0.693147
        """
        if self.averaged:
            return self.f1(real - self.mean(fake)[..., None]).mean(-1) + self.f2(
                fake - self.mean(real)[..., None]
            ).mean(-1)
        if real.shape != fake.shape:
            raise InputError(f"a paired objective needs as many fakes as real samples, got {tuple(fake.shape)} "
                             f"and {tuple(real.shape)}; draw equal batches or take 'ragan'")  # fmt: skip
        return self.f1(real - fake).mean(-1)

    def g_gain(self, real, fake):
        """Return what the generator raises: the discriminator's gain with real and fake exchanged.

        Examples
        --------
        >>> import numpy as np
        >>> round(float(RELATIVISTIC["ragan"].g_gain(np.zeros(3), np.zeros(3))), 6)
        -1.386294
        """
        return self.d_gain(fake, real)


RELATIVISTIC = {
    "rpgan": Relativistic(f1=lambda t: -softplus(-t), name="rpgan",
                          source="Jolicoeur-Martineau 2019, RSGAN; Huang et al. 2024"),
    "ragan": Relativistic(f1=lambda t: -softplus(-t), f2=lambda t: -softplus(t), averaged=True, name="ragan",
                          source="Jolicoeur-Martineau 2019, RaSGAN"),
    "rahinge": Relativistic(f1=lambda t: -relu(1 - t), f2=lambda t: -relu(1 + t),
                            averaged=True, name="rahinge", source="Jolicoeur-Martineau 2019, RaHinge"),
    "ralsgan": Relativistic(f1=lambda t: -((t - 1) ** 2), f2=lambda t: -((t + 1) ** 2), averaged=True, name="ralsgan",
                            source="Jolicoeur-Martineau 2019, RaLSGAN"),
}  # fmt: skip


def find(objective):
    """Return the objective of that name, relativistic or not, or the objective itself.

    Raises
    ------
    InputError
        If the name is unknown, or it is no objective.

    Examples
    --------
    >>> find("rpgan").name, find("hinge").name
    ('rpgan', 'hinge')
    """
    if isinstance(objective, Relativistic):
        return objective
    if isinstance(objective, str):
        return choose("objective", objective, {**OBJECTIVES, **RELATIVISTIC})
    return get(objective)
