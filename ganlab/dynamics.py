"""Run a game: by a training method in discrete steps, or along its flow in continuous time."""

from dataclasses import dataclass

import numpy as np

from ganlab.checks import InputError, choose, number, whole
from ganlab.methods import METHODS, prepare

__all__ = ["METHODS", "Trajectory", "flow", "simulate"]

LIMIT = 1e9  # beyond this a trajectory counts as diverged, long before floats overflow
CHUNK, SINGLE_CHUNK = 128, 2048  # steps between two checks; a chunk that fails is replayed step by step
NEAR = 1e-3  # a flow that blows up this close to the end of the domain has reached that end
FINISHED, DIVERGED, LEFT = "finished", "diverged", "left the domain"


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
        "finished", "diverged" or "left the domain".
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
        return f"Trajectory of {self.game.name}, {self.method}: {count}, {len(self.times)} states to t={self.times[-1]:g} ({fate})"


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
    saved = np.unique(np.append(np.arange(0, steps + 1, save_every), steps))
    states, stopped, status = _march(game, chosen, h, play, z, single, steps, saved)
    scale = h[0] if np.ndim(lr) == 0 else 1.0  # with two step sizes there is no common time
    if single:
        states, stopped, status = states[:, 0], stopped[0].item(), str(status[0])
    return Trajectory(game, method, saved * scale, states, status, stopped * scale, saved)


def _coordinates(game, start):
    """Check a start and split it into its coordinates (arrays over starts); tell whether it was a single one."""
    points = np.asarray(number("start", start), dtype=float)
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
            many = np.broadcast_to(many, (*np.broadcast_shapes(many.shape[:1], np.shape(value)), dim))
    return [np.ascontiguousarray(many[:, i]) for i in range(dim)], points.ndim == 1 and len(many) == 1


def _inside(game, z):
    """For each start: is the state in the field's domain, and is it finite and not huge."""
    domain, finite = True, True
    for value, (low, high) in zip(z, game.domain, strict=True):
        domain = domain & (value > low) & (value < high)
        finite = finite & (np.abs(value) < LIMIT)
    return domain, finite


def _march(game, method, h, play, z, single, steps, saved):
    """Take all steps: in fast chunks until one fails, carefully (masking what stopped) from there on."""
    n = len(z[0])
    states = np.empty((len(saved), len(z), n))
    states[0] = z
    stopped, status = np.full(n, steps), np.full(n, FINISHED, dtype=object)
    fast = [float(a[0]) for a in z] if single else z
    f = game.float_field if single else game.field
    memory = method.memory(fast, f) if method.memory else None
    done, size = 0, SINGLE_CHUNK if single else CHUNK
    with np.errstate(all="ignore"):
        while done < steps:
            count = min(size, steps - done)
            result = _fast_chunk(game, method, h, play, fast, memory, f, count, done, saved, states)
            if result is None:
                break
            fast, memory, done = *result, done + count
        if done < steps:
            z = [np.atleast_1d(np.asarray(a, dtype=float)) for a in fast]
            _careful(game, method, h, play, z, memory, done, steps, saved, states, stopped, status)
    return np.moveaxis(states, 1, 2), stopped, status.astype(str)


def _fast_chunk(game, method, h, play, z, memory, f, count, done, saved, states):
    """Take `count` steps and store what is to be saved; None if any trajectory left the domain or diverged."""
    here = slice(*np.searchsorted(saved, [done, done + count], side="right"))
    wanted, single, step = saved[here] - done - 1, isinstance(z[0], float), method.step
    path, low, high = [], list(z), list(z)
    if single:
        try:
            for _ in range(count):
                z, memory = step(z, memory, f, h, play)
                path += z
        except (OverflowError, ValueError, ZeroDivisionError):  # floats raise where arrays turn to NaN
            return None
    else:
        bounded = [i for i in range(len(z)) if np.isfinite(game.domain[i]).any()]
        keep = set(wanted.tolist())
        for k in range(count):
            z, memory = step(z, memory, f, h, play)
            if k in keep:
                path.append(z)
            for i in bounded:  # the states are too many to keep, so only their extremes are
                low[i], high[i] = np.minimum(low[i], z[i]), np.maximum(high[i], z[i])
    met = np.reshape(path, (count, -1)) if single else np.array([low, high, z])
    good = all(np.all(part) for part in _inside(game, np.moveaxis(met, 1, 0)))
    if not good:
        return None
    if len(wanted):
        states[here] = met[wanted, :, None] if single else np.array(path)
    return z, memory


def _careful(game, method, h, play, z, memory, done, steps, saved, states, stopped, status):
    """Step with a mask: a trajectory that leaves or diverges stays at its last good state, the others go on."""
    active, f = np.ones(len(z[0]), dtype=bool), game.field
    row = np.searchsorted(saved, done, side="right")
    for k in range(done + 1, steps + 1):
        if active.any():
            new, memory = method.step(z, memory, f, h, play)
            domain, finite = _inside(game, new)
            failed = active & ~(domain & finite)
            stopped[failed] = k - 1
            status[failed] = np.where(finite | ~np.isnan(np.sum(new, axis=0)) & ~domain, LEFT, DIVERGED)[failed]
            active &= ~failed
            z = [np.where(active, b, a) for a, b in zip(z, new, strict=True)]
        if row < len(saved) and k == saved[row]:
            states[row] = z
            row += 1


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
        Step of the fixed-step methods.

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
        number("dt (the fixed step)", np.nan if dt is None else dt, 0, open_low=True)
        every = max(1, round(T / dt / (points - 1)))
        return simulate(game, start, method, lr=dt, steps=round(T / dt), save_every=every)
    number("rtol", rtol, 0, open_low=True), number("atol", atol, 0, open_low=True)
    z, single = _coordinates(game, start)
    times = np.linspace(0.0, T, points)
    with np.errstate(all="ignore"):
        states, stopped, status = _solve(game, np.array(z), times, rtol, atol)
    if single:
        states, stopped, status = states[:, 0], stopped[0].item(), str(status[0])
    return Trajectory(game, method, times, states, status, stopped)


def _velocity(game, active):
    """The stacked right-hand side: what stopped stands still, walls stop what pushes outwards, NaN is outside."""
    shape = (len(game.symbols), len(active))

    def velocity(t, flat):
        z = flat.reshape(shape)
        v = np.array(np.broadcast_arrays(*game.field(*z), z[0])[:-1])
        for i, ((low, high), (least, most)) in enumerate(zip(game.walls, game.domain, strict=True)):
            if np.isfinite(low) or np.isfinite(high):
                v[i] = np.where((z[i] <= low) & (v[i] < 0) | (z[i] >= high) & (v[i] > 0), 0.0, v[i])
            if np.isfinite(least) or np.isfinite(most):  # a step that would cross the end is refused by its NaN
                v[i] = np.where((z[i] > least) & (z[i] < most), v[i], np.nan)
        return v.ravel() if active.all() else np.where(active, v, 0.0).ravel()

    return velocity


def _solve(game, z, times, rtol, atol):
    """One stacked solve, restarted without a trajectory whenever that one blows up or reaches the domain's end."""
    from scipy.integrate import DOP853

    states = np.empty((len(times), *z.shape))
    states[0] = z
    active, stopped = np.ones(z.shape[1], dtype=bool), np.full(z.shape[1], times[-1])
    status = np.full(z.shape[1], FINISHED, dtype=object)
    now, row = times[0], 1
    while row < len(times) and active.any():
        solver = DOP853(_velocity(game, active), now, z.ravel(), times[-1], rtol=rtol, atol=atol)
        row, gone = _advance(solver, times, states, row, active)
        now, z = solver.t, solver.y.reshape(z.shape)
        stopped[gone] = now
        near = np.any([(a - low < NEAR) | (high - a < NEAR) for a, (low, high) in zip(z, game.domain, strict=True)], axis=0)
        status[gone] = np.where(near, LEFT, DIVERGED)[gone]
        active &= ~gone
    states[row:] = z
    return np.moveaxis(states, 1, 2), stopped, status.astype(str)


def _advance(solver, times, states, row, active):
    """Step the solver to the end or until a trajectory is lost; store the wanted times; say which was lost."""
    gone, shape = np.zeros_like(active), states.shape[1:]
    while solver.status == "running":
        solver.step()
        if solver.status == "failed":  # the step size shrank to nothing: the fastest trajectory blows up here
            speed = np.max(np.abs(solver.fun(solver.t, solver.y).reshape(shape)), axis=0)
            gone[np.argmax(np.where(active, speed, -1.0))] = True
            break
        ready = np.searchsorted(times, solver.t, side="right")
        if ready > row:
            dense = solver.dense_output()(times[row:ready])
            states[row:ready] = np.moveaxis(dense.reshape(*shape, -1), -1, 0)
            row = ready
        gone = active & (np.max(np.abs(solver.y.reshape(shape)), axis=0) > LIMIT)
        if gone.any():
            break
    return row, gone
