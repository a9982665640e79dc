"""Run a game: by a training method in discrete steps, or along its flow in continuous time."""

from dataclasses import dataclass

import numpy as np

from ganlab._march import march
from ganlab.checks import InputError, choose, number, numbers, whole
from ganlab.methods import METHODS, prepare

__all__ = ["METHODS", "Trajectory", "flow", "simulate"]

LARGEST = 2**31  # bytes of saved states: beyond this the run is refused before the computer runs out of memory


@dataclass(frozen=True)
class Trajectory:
    """Where a game went.

    Attributes
    ----------
    game : Game
    method : str
    times : (m,) array
        Time of each saved state: step times step size, or the flow's time.
    states : (m, dim) or (m, n, dim) array
        Saved states, of one start or of `n`. A trajectory that stopped early stays at its last good state.
    status : str or (n,) array of str
        "finished", "diverged", "left the domain", or (the flow) "too stiff" for an explicit solver.
    stopped : float or (n,) array
        When it stopped (its last good time).
    steps : (m,) array or None
        The step number of each saved state; None for the flow.
    """

    game: object
    method: str
    times: np.ndarray
    states: np.ndarray
    status: object
    stopped: object
    steps: np.ndarray | None = None

    @property
    def last(self):
        """The last state, of shape (dim,) or (n, dim)."""
        return self.states[-1]

    @property
    def radius(self):
        """Distance from the rest point at each saved time, of shape (m,) or (m, n)."""
        rest = np.stack(np.broadcast_arrays(*self.game.rest), axis=-1)
        return np.linalg.norm(self.states - rest, axis=-1)

    def __repr__(self):
        many = self.states.ndim == 3
        count = f"{self.states.shape[1]} trajectories" if many else "1 trajectory"
        fate = ", ".join(f"{np.sum(self.status == s)} {s}" for s in np.unique(self.status)) if many else self.status
        length = f"{len(self.times)} states to t={self.times[-1]:g}"
        return f"Trajectory of {self.game.name}, {self.method}: {count}, {length} ({fate})"


def simulate(game, start, method="simultaneous", lr=0.1, steps=500, save_every=1, **options):
    """Train: take `steps` steps of a method from one start or many at once.

    Parameters
    ----------
    game : Game
    start : (dim,) or (n, dim) array_like
        One start or `n` of them.
    method : str
        A key of `METHODS`.
    lr : float or (float, float)
        The step size, or one for the generator and one for the discriminator.
    steps : int
        How many steps.
    save_every : int
        Keep every so many states (the first and the last are always kept).
    **options
        The method's own: ``n_g, n_d, first`` (alternating), ``beta`` (momentum), ``K, eta, through`` (unrolled),
        ``beta1, beta2, eps`` (adam).

    Returns
    -------
    Trajectory

    Raises
    ------
    InputError
        For an unknown name, a bad number, or a start outside the domain.

    Examples
    --------
    >>> from ganlab import dirac_gan
    >>> path = simulate(dirac_gan(), (1, 1), lr=0.2, steps=500)
    >>> path
    Trajectory of Dirac-GAN saturating, simultaneous: 1 trajectory, 501 states to t=100 (finished)
    >>> print(f"{path.radius[-1]:.6f}")
    3.096949
    """
    steps, save_every = whole("steps", steps), whole("save_every", save_every)
    chosen, h, play = prepare(game, method, lr, options)
    z, single = _coordinates(game, start)
    saved = np.append(np.arange(0, steps, save_every), steps)
    _check_size(len(saved), z, "save_every")
    states, stopped, status = march(game, chosen, h, play, z, single, steps, saved)
    scale = h[0] if np.ndim(lr) == 0 else 1.0  # with two step sizes there is no common time
    if single:
        states, stopped, status = states[:, 0], stopped[0].item(), str(status[0])
    return Trajectory(game, method, saved * scale, states, status, stopped * scale, saved)


def _coordinates(game, start):
    """Check a start and split it into its coordinates (arrays over starts); tell whether it was a single one."""
    points = np.asarray(numbers("start", start), dtype=float)
    dim = len(game.symbols)
    if points.ndim not in (1, 2) or points.shape[-1] != dim:
        raise InputError(f"start must have shape ({dim},) or (n, {dim}) for {game.name}, got {points.shape}")
    for i, symbol in enumerate(game.symbols):
        (low, high), (least, most) = game.domain[i], game.admissible[i]
        column = points[..., i]
        if not (np.all((column > low) & (column < high)) and np.all((column >= least) & (column <= most))):
            allowed = f"({low:g}, {high:g})" if np.isfinite(low) or np.isfinite(high) else f"[{least:g}, {most:g}]"
            raise InputError(f"start: {symbol} must lie in {allowed}, got {column}")
    many = np.atleast_2d(points)
    for value in game.parameters.values():
        if np.ndim(value):  # one field for each start
            if 1 != len(many) != len(value) != 1:
                raise InputError(f"start: {len(many)} starts do not fit the game's {len(value)} parameter values")
            many = np.broadcast_to(many, (*np.broadcast_shapes(many.shape[:1], np.shape(value)), dim))
    single = points.ndim == 1 and not any(np.ndim(value) for value in game.parameters.values())
    return tuple(np.ascontiguousarray(many[:, i]) for i in range(dim)), single


def _check_size(rows, z, remedy):
    size = 8 * rows * len(z) * len(z[0])
    if size > LARGEST:
        kept = f"{rows} states of {len(z[0])} starts would fill {size / 1e9:.1f} GB"
        raise InputError(f"{kept}: choose a {remedy} that keeps fewer")


def flow(game, start, T=10.0, points=201, method="adaptive", rtol=1e-9, atol=1e-12, dt=None):
    """Follow the field in continuous time; all starts are stacked into one adaptive solve.

    Parameters
    ----------
    game : Game
    start : (dim,) or (n, dim) array_like
    T : float
        Final time.
    points : int
        How many equally spaced times to keep, both ends included.
    method : {"adaptive", "rk4", "euler"}
        SciPy's DOP853, or fixed steps of size `dt`.
    rtol, atol : float
        Tolerances of the adaptive solver.
    dt : float
        Step of the fixed-step methods, which end at the whole number of steps nearest to `T` and keep about `points`.

    Raises
    ------
    InputError
        For an unknown name, a bad number, a fixed step without `dt`, or a start outside the domain.

    Returns
    -------
    Trajectory
        A trajectory that reaches the end of the field's domain stops there; `stopped` is the time.

    Examples
    --------
    >>> from ganlab import pointwise
    >>> path = flow(pointwise("saturating", p_d=0.2), (0.75, 0.9), T=40)
    >>> [round(float(v), 4) for v in path.last]
    [0.5, 0.2]
    """
    number("T", T, 0, open_low=True), whole("points", points, 2)
    choose("method", method, {"adaptive": 0, "rk4": 0, "euler": 0})
    if method != "adaptive":
        number("dt (the fixed step)", np.nan if dt is None else dt, 0, T, open_low=True)
        every = max(1, round(T / dt / (points - 1)))
        return simulate(game, start, method, lr=dt, steps=round(T / dt), save_every=every)
    number("rtol", rtol, 0, open_low=True), number("atol", atol, 0, open_low=True)
    z, single = _coordinates(game, start)
    _check_size(points, z, "points")
    from ganlab._solve import solve

    states, stopped, status = solve(game, np.array(z), np.linspace(0.0, T, points), rtol, atol)
    if single:
        states, stopped, status = states[:, 0], stopped[0].item(), str(status[0])
    return Trajectory(game, method, np.linspace(0.0, T, points), states, status, stopped)
