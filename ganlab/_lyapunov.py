"""Lyapunov's test on a grid."""

from dataclasses import dataclass

import numpy as np

from ganlab.checks import InputError, numbers, whole


@dataclass(frozen=True)
class Lyapunov:
    """Outcome of Lyapunov's test on a region.

    `holds`: no point was found where V grows. `counterexample`: the worst point if there is one. `worst`: the
    largest dV/dt. `flat`: a point away from the rest point where dV/dt is zero (then V alone does not prove
    convergence, and LaSalle's principle is needed), or None.
    """

    holds: bool
    worst: float
    counterexample: np.ndarray | None
    flat: np.ndarray | None

    def __str__(self):
        if not self.holds:
            return f"fails: dV/dt = {self.worst:.4g} > 0 at {np.round(self.counterexample, 4).tolist()}"
        if self.flat is not None:
            return "holds, but dV/dt = 0 away from the rest point (needs LaSalle)"
        return "holds strictly"


def lyapunov(game, region, V=None, weights=(1, 1), points=201):
    """Test on a grid whether ``V`` never grows along the field.

    Parameters
    ----------
    region : ((low, high), (low, high))
        One interval for each coordinate.
    V : SymPy expression in the game's symbols and parameters, optional
        By default half the weighted squared distance from the rest point.
    weights : sequence of float
        The weight of each coordinate in the default V.
    points : int
        Grid points for each coordinate.

    Returns
    -------
    Lyapunov

    Raises
    ------
    InputError
        For a region outside the field's domain, the wrong number of intervals or weights, a symbol in V without a
        value, or a game with instance noise or consensus.

    Examples
    --------
    >>> from ganlab import pointwise
    >>> print(lyapunov(pointwise("quadratic"), ((-3, 3), (0, 3))))
    holds, but dV/dt = 0 away from the rest point (needs LaSalle)
    """
    whole("points", points, 3)
    if numbers("region", region).shape != (len(game.symbols), 2) or np.any(np.diff(region) <= 0):
        raise InputError(f"region must be one interval (low, high) for each of {game.symbols}, got {region!r}")
    if len(weights) != len(game.symbols):
        raise InputError(f"weights must be {len(game.symbols)} numbers, one for each coordinate, got {weights!r}")
    if game.noise is not None or game.consensus:
        raise InputError("Lyapunov's test is written for fields in closed form: leave out instance noise and consensus")
    if V is None:
        V = sum(w * (s - r) ** 2 for w, s, r in zip(weights, game.symbols, game.equilibrium, strict=True)) / 2
    rate = sum(V.diff(s) * row for s, row in zip(game.symbols, game.rows, strict=True))
    # the rest point's own coordinates are on the grid: dV/dt often vanishes on a line through it
    axes = [np.union1d(np.linspace(*interval, points), [r] if interval[0] <= r <= interval[1] else [])
            for interval, r in zip(region, np.array(game.rest, dtype=float), strict=True)]  # fmt: skip
    grid = np.array(np.meshgrid(*axes, indexing="ij")).reshape(len(axes), -1)
    with np.errstate(all="ignore"):
        values = np.broadcast_to(game._compile([rate])(*grid)[0], grid.shape[1:])
    if not np.isfinite(values).all():
        bad = grid[:, ~np.isfinite(values)][:, 0]
        raise InputError(f"region: the field is not defined at {bad.tolist()}; choose a region inside {game.domain}")
    tolerance = 1e-12 * max(1.0, np.max(np.abs(values)))
    away = np.linalg.norm(grid - np.array(game.rest, dtype=float)[:, None], axis=0) > 1e-6
    flat = away & (np.abs(values) <= tolerance)
    worst = int(np.argmax(values))
    holds = bool(values[worst] <= tolerance)
    return Lyapunov(holds, float(values[worst]), None if holds else grid[:, worst],
                    grid[:, np.argmax(flat)] if flat.any() else None)  # fmt: skip
