"""Continuous time: all starts in one adaptive solve, and the ones that blow up taken out of it."""

import numpy as np
from scipy.integrate import DOP853

from ganlab._march import DIVERGED, FINISHED, LEFT, LIMIT, STIFF

TINY = 1e-300  # an absolute tolerance that is never felt
PATIENCE = 50_000  # solver steps between two losses; a smooth field needs hundreds
NEAR = 1e-3  # a flow that blows up this close to the end of the domain has reached that end


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


def solve(game, z, times, rtol, atol):
    """One stacked solve, restarted without a trajectory whenever that one blows up or reaches the domain's end."""
    states = np.empty((len(times), *z.shape))
    states[0] = z
    active, stopped = np.ones(z.shape[1], dtype=bool), np.full(z.shape[1], times[-1])
    status = np.full(z.shape[1], FINISHED, dtype=object)
    atol = np.repeat([TINY if i in game.proportional else atol for i in range(len(z))], z.shape[1])
    now, row = times[0], 1
    while row < len(times) and active.any():
        with np.errstate(all="ignore"):  # trial steps may look outside the domain
            solver = DOP853(_velocity(game, active), now, z.ravel(), times[-1], rtol=rtol, atol=atol)
            row, gone, stiff = _advance(game, solver, times, states, row, active)
        now, z = solver.t, solver.y.reshape(z.shape)
        stopped[gone] = now
        room = [np.minimum(a - low, high - a) for a, (low, high) in zip(z, game.domain, strict=True)]
        near = np.min(room, axis=0) < NEAR
        status[gone] = STIFF if stiff else np.where(near, LEFT, DIVERGED)[gone]
        active &= ~gone
    states[row:] = z
    for i, wall in enumerate(game.walls):  # the solver oversteps a wall by its tolerance
        states[1:, i] = np.clip(states[1:, i], *wall)
    return np.moveaxis(states, 1, 2), stopped, status.astype(str)


def _advance(game, solver, times, states, row, active):
    """Step until the end or until a trajectory is lost, and store the wanted times; say which, and if to stiffness."""
    gone, shape = np.zeros_like(active), states.shape[1:]
    for _ in range(PATIENCE):
        solver.step()
        if solver.status == "failed":  # the step size shrank to nothing: the fastest trajectory blows up here
            gone[_most(solver.fun(solver.t, solver.y).reshape(shape), active)] = True
            return row, gone, False
        ready = np.searchsorted(times, solver.t, side="right")
        if ready > row:
            dense = solver.dense_output()(times[row:ready])
            states[row:ready] = np.moveaxis(dense.reshape(*shape, -1), -1, 0)
            row = ready
        gone = active & (np.max(np.abs(solver.y.reshape(shape)), axis=0) > LIMIT)
        if gone.any() or solver.status == "finished":
            return row, gone, False
    # An explicit solver's step is bounded by the largest rate of the field: that trajectory holds up all others.
    z = solver.y.reshape(shape)
    rates = game._compile(list(game.jacobian_rows))(*z)
    gone[_most(np.array([np.broadcast_to(rate, z[0].shape) for rate in rates]), active)] = True
    return row, gone, True


def _most(values, active):
    """Index of the active trajectory with the largest of all `values`."""
    return np.argmax(np.where(active, np.max(np.abs(values), axis=0), -1.0))
