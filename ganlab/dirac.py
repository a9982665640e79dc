"""The Dirac-GAN: two numbers that play the GAN game, and every remedy that was proposed for it.

The data are the point 0, the generator owns ``theta`` and draws ``x = theta``, the critic owns ``psi``
and answers ``psi x`` (Mescheder, Geiger, Nowozin 2018, definition 2.1). As in that paper a positive answer
means **fake**, so the score that an `Objective` expects is ``-psi x``, plus the rest score of the objective
(0 for all the classical losses), which a real critic's bias would learn.
"""

from dataclasses import dataclass
from typing import ClassVar

from ganlab.checks import InputError, number, number_or_symbol
from ganlab.games import INFINITE, Game
from ganlab.objectives import expressions, get, rest_score

__all__ = ["R1", "R2", "Clip", "Consensus", "GradientPenalty", "InstanceNoise", "dirac_gan"]


@dataclass(frozen=True)
class _Weighted:
    """A remedy with one positive number, checked on arrival."""

    weight: float
    letter: ClassVar[str] = "gamma"

    def __post_init__(self):
        number(f"{type(self).__name__}'s {self.letter}", self.weight, 0, open_low=True)

    def loss(self, theta, psi, weight, curvature):
        """What the critic's payoff loses, as a SymPy expression."""
        return 0


class R1(_Weighted):
    """``gamma / 2`` times the squared slope of the critic at the data (Mescheder et al. 2018, eq. 9).

    Examples
    --------
    >>> [float(v) for v in dirac_gan("wasserstein", R1(0.5)).field(0.0, 1.0)]
    [-1.0, -0.5]
    """

    def loss(self, theta, psi, weight, curvature):
        return weight * psi**2 / 2


class R2(_Weighted):
    """``gamma / 2`` times the squared slope of the critic at the fakes (Mescheder et al. 2018, eq. 10).

    Examples
    --------
    >>> [float(v) for v in dirac_gan("wasserstein", R2(0.5)).field(0.0, 1.0)]
    [-1.0, -0.5]
    """

    def loss(self, theta, psi, weight, curvature):
        return weight * (psi + curvature * theta) ** 2 / 2


class Consensus(_Weighted):
    """``gamma / 2`` times the squared speed of both players, descended by both (Mescheder et al. 2017, eq. 10).

    Examples
    --------
    >>> [float(v) for v in dirac_gan("wasserstein", Consensus(0.5)).field(0.0, 1.0)]
    [-1.0, -0.5]
    """


class InstanceNoise(_Weighted):
    """Gaussian noise of standard deviation `sigma` on the data and on the fakes (Sonderby et al. 2017).

    Examples
    --------
    >>> [round(float(v), 6) for v in dirac_gan("wasserstein", InstanceNoise(0.7)).field(0.0, 1.0)]
    [-1.0, 0.0]
    """

    letter = "sigma"


class Clip(_Weighted):
    """Keep ``|psi| <= c`` after every step (Arjovsky et al. 2017, algorithm 1).

    Examples
    --------
    >>> dirac_gan("wasserstein", Clip(1.0)).walls[1]
    (-1.0, 1.0)
    """

    letter = "c"


@dataclass(frozen=True)
class GradientPenalty(_Weighted):
    """``gamma / 2`` times ``(|slope| - target)^2`` (Gulrajani et al. 2017; the paper's lambda is gamma / 2).

    Examples
    --------
    >>> [float(v) for v in dirac_gan("wasserstein", GradientPenalty(0.5)).field(0.0, 3.0)]
    [-3.0, -1.0]
    """

    target: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        number("GradientPenalty's target", self.target, 0)

    def loss(self, theta, psi, weight, curvature):
        # the critic's slope is the same everywhere, so the segment between real and fake does not matter
        return weight * (abs(psi) - self.target) ** 2 / 2


def dirac_gan(objective="saturating", *remedies, tau=1, curvature=0):
    """Return the Dirac-GAN with any objective and any sum of remedies, in the coordinates (theta, psi).

    Parameters
    ----------
    objective : str or Objective
    *remedies : R1, R2, Clip, GradientPenalty, InstanceNoise, Consensus
        They add up.
    tau : float
        The discriminator's rate over the generator's.
    curvature : float or SymPy symbol
        ``epsilon`` of the critic ``psi x + epsilon x^2 / 2``: a discriminator that is not quite flat.

    Returns
    -------
    Game

    Raises
    ------
    InputError
        For an unknown objective, a remedy that is none, a repeated noise or clip, a bad number, or a
        gradient penalty on a critic with a curvature.
    NoEquilibrium
        If the objective has no rest score.

    Examples
    --------
    >>> dirac_gan("saturating", R1(0.3))
    Game 'Dirac-GAN saturating + R1(0.3)' in (theta, psi) with gamma_1=0.3
    """
    import sympy as sp

    objective = get(objective)
    single = _sorted_remedies(remedies)
    theta, psi, n = sp.symbols("theta psi n", real=True)
    bend = sp.sympify(number_or_symbol("curvature", curvature))
    if bend != 0 and any(isinstance(r, GradientPenalty) for r in remedies):
        raise InputError("GradientPenalty needs a flat critic: with a curvature its slope differs from point to point")
    noise = (n, single[InstanceNoise].weight) if InstanceNoise in single else None
    parameters, penalty = {}, sp.Integer(0)
    for k, remedy in enumerate((r for r in remedies if type(r).loss is not _Weighted.loss), start=1):
        weight = sp.Symbol(f"gamma_{k}", positive=True)
        parameters[weight] = remedy.weight
        penalty += remedy.loss(theta, psi, weight, bend)
    rate = sp.Integer(1)
    if number("tau", tau, 0, open_low=True) != 1:
        rate = sp.Symbol("tau", positive=True)
        parameters[rate] = tau
    t, f1, f2, f3 = expressions(objective)
    shift, bias = n if noise else sp.Integer(0), rest_score(objective).score
    real, fake = (bias - psi * x - bend * x**2 / 2 for x in (shift, theta + shift))
    gain_d = f1.subs(t, real) + f2.subs(t, fake) - penalty
    gain_g = f3.subs(t, fake)
    reach = (-single[Clip].weight, single[Clip].weight) if Clip in single else INFINITE
    return Game(
        name=f"Dirac-GAN {objective.name}" + "".join(f" + {_label(r)}" for r in remedies),
        symbols=(theta, psi), rows=(gain_g.diff(theta), rate * gain_d.diff(psi)),
        equilibrium=(sp.Integer(0), sp.Integer(0)), parameters=parameters, payoffs=(gain_g, rate * gain_d),
        walls=(INFINITE, reach), noise=noise, consensus=single[Consensus].weight if Consensus in single else 0.0,
        smooth=not any(isinstance(r, GradientPenalty) and r.target > 0 for r in remedies))  # fmt: skip


def _label(remedy):
    extra = f", {remedy.target:g}" if isinstance(remedy, GradientPenalty) else ""
    return f"{type(remedy).__name__}({remedy.weight:g}{extra})"


def _sorted_remedies(remedies):
    """The remedies that occur at most once, by type."""
    single = {}
    for remedy in remedies:
        if not isinstance(remedy, _Weighted):
            raise InputError(f"a remedy must be one of {', '.join(__all__[:-1])}, got {remedy!r}")
        if isinstance(remedy, (InstanceNoise, Clip, Consensus)):
            if type(remedy) in single:
                raise InputError(f"{type(remedy).__name__} was given twice; add their effects into one")
            single[type(remedy)] = remedy
    return single
