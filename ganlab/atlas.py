"""The convergence atlas: every objective with every remedy under every training method, on the Dirac-GAN.

A cell has two rates. The *predicted* one is the spectral radius of one step, linearised at the rest point. The
*measured* one comes from running the method itself: from a full set of tiny starts, the states `k` steps later are the
columns of the k-step map, and the k-th root of its spectral radius is the rate per step. Unlike the slope of one
run's logarithmic radius, this does not wobble with the ellipse that the run turns on, nor with a double multiplier.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ganlab.checks import choose, whole
from ganlab.dirac import R1, R2, Clip, Consensus, GradientPenalty, InstanceNoise, dirac_gan
from ganlab.dynamics import simulate
from ganlab.methods import METHODS
from ganlab.stability import ZERO, spectral_radius

__all__ = ["LR", "RECIPES", "REMEDIES", "Cell", "cell", "fate", "game_of", "measured_rate"]

LR = 0.2
REMEDIES = {
    "none": (),
    "R1": (R1(0.3),),
    "R2": (R2(0.3),),
    "clipping": (Clip(1.0),),
    "WGAN-GP": (GradientPenalty(0.7),),
    "instance noise": (InstanceNoise(0.7),),
    "consensus": (Consensus(1.0),),
    "R1 + R2": (R1(0.3), R2(0.3)),
    "R1 + consensus": (R1(0.3), Consensus(1.0)),
}
RECIPES = {
    "simultaneous": ("simultaneous", {}),
    "alternating 1:1": ("alternating", {"n_d": 1}),
    "alternating 1:5": ("alternating", {"n_d": 5}),
    "extragradient": ("extragradient", {}),
    "optimistic": ("optimistic", {}),
    "momentum +0.5": ("momentum", {"beta": 0.5}),
    "momentum -0.5": ("momentum", {"beta": -0.5}),
    "negative momentum, in turn": ("negative_momentum", {"beta": -0.5}),
    "unrolled, K=1": ("unrolled", {"K": 1}),
    "unrolled, K=5": ("unrolled", {"K": 5}),
    "Adam": ("adam", {}),
}
TINY, TINY_NOISY = 1e-100, 1e-4  # a quadrature rounds at 1e-17, so noisy games cannot start arbitrarily near


@lru_cache(maxsize=128)
def game_of(objective, remedy):
    """Return the Dirac-GAN with an objective and a remedy of the atlas, by their names.

    Examples
    --------
    >>> game_of("hinge", "R1")
    Game 'Dirac-GAN hinge + R1(0.3)' in (theta, psi) with gamma_1=0.3
    """
    return dirac_gan(objective, *choose("remedy", remedy, REMEDIES))


def measured_rate(game, method="simultaneous", lr=LR, steps=None, **options):
    """Measure the rate per step of a method near the rest point of a planar game, by running it.

    Parameters
    ----------
    game : Game
        Resting at the origin, with a field that is differentiable there.
    method : str
    lr : float
    steps : int, optional
        How many steps lie between the two ends of the measurement (100, or 30 with instance noise).
    **options
        The method's own.

    Returns
    -------
    float
        Below 1 the runs shrink by this factor per step, above 1 they grow.

    Examples
    --------
    >>> from ganlab import dirac_gan
    >>> print(f"{measured_rate(dirac_gan(), lr=0.2):.6f}")
    1.004988
    """
    tiny = TINY if game.noise is None else TINY_NOISY
    k = (100 if game.noise is None else 30) if steps is None else whole("steps", steps)
    delays = 1 if choose("method", method, METHODS).memory is None else 2
    states = simulate(game, tiny * np.eye(2), method, lr, k + 2 * delays - 1, **options).states / tiny
    begin, end = (_window(states[shift:], delays) for shift in (0, k))
    return float(np.max(np.abs(np.linalg.eigvals(np.linalg.solve(begin.T, end.T)))) ** (1 / k))


def _window(states, delays):
    """Columns that span the method's state: the positions of both runs, with one delay where it remembers one."""
    return np.hstack([np.vstack([states[j + i].T for i in range(delays)]) for j in range(delays)])


def fate(game, method="simultaneous", lr=LR, start=(1.0, 1.0), steps=6000, **options):
    """Say in a word where a run from one start ends; no theory is asked.

    Returns
    -------
    str
        "rest" (its last quarter lies within a hundredth of its first distance), "stuck" (it stands still elsewhere),
        "away" (it diverged, or its farthest radius still grows by a twentieth from each quarter to the next) or "orbit"
        (none of these: it keeps moving, neither arriving nor leaving).

    Examples
    --------
    >>> from ganlab import R1, dirac_gan
    >>> fate(dirac_gan("saturating", R1(0.3))), fate(dirac_gan("wasserstein"), "alternating")
    ('rest', 'orbit')
    """
    run = simulate(game, start, method, lr, whole("steps", steps, 8), **options)
    if run.status != "finished":
        return "away"
    quarter = steps // 4
    _, second, third, last = (np.max(run.radius[k * quarter : (k + 1) * quarter]) for k in range(4))
    if last < run.radius[0] / 100:
        return "rest"
    if np.max(np.ptp(run.states[-quarter:], axis=0)) < 1e-9:
        return "stuck"
    return "away" if third > 1.05 * second and last > 1.05 * third else "orbit"


@dataclass(frozen=True)
class Cell:
    """One cell of the atlas.

    Attributes
    ----------
    objective, remedy, recipe : str
        Its coordinates: keys of `OBJECTIVES`, `REMEDIES` and `RECIPES`.
    kind : str
        "stable", "unstable", "marginal" (modulus 1: linearisation is silent), "jumps" (the field is not differentiable
        at the rest point) or "no linearisation" (Adam).
    predicted, measured : float
        The two rates per step; NaN where there is no linearisation.
    """

    objective: str
    remedy: str
    recipe: str
    kind: str
    predicted: float
    measured: float

    @property
    def differentiable(self):
        """True where linearisation exists, and so both rates do."""
        return self.predicted == self.predicted  # NaN is the one number that differs from itself

    def fate(self, start=(1.0, 1.0)):
        """Say in a word where the run from `start` ends, at the atlas's step size (see `fate`)."""
        method, options = RECIPES[self.recipe]
        game = game_of(self.objective, self.remedy)
        # near a stable rest point a short run is as good as a long one
        if self.kind == "stable" and fate(game, method, start=start, steps=400, **options) == "rest":
            return "rest"
        return fate(game, method, start=start, steps=6000 if game.noise is None else 2000, **options)


def cell(objective, remedy, recipe, lr=LR):
    """Compute one cell of the atlas.

    Examples
    --------
    >>> print(cell("saturating", "R1", "simultaneous").kind)
    stable
    """
    method, options = choose("recipe", recipe, RECIPES)
    game = game_of(objective, remedy)
    if not METHODS[method].linear or not game.smooth:
        kind = "jumps" if not game.smooth else "no linearisation"
        return Cell(objective, remedy, recipe, kind, np.nan, np.nan)
    predicted = spectral_radius(game, method, lr, **options)
    kind = "marginal" if abs(predicted - 1) <= ZERO else "stable" if predicted < 1 else "unstable"
    return Cell(objective, remedy, recipe, kind, predicted, measured_rate(game, method, lr, **options))
