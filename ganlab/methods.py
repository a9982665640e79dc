"""Training methods: one short function each, from one state to the next.

Every step has the signature ``step(z, memory, f, h, p) -> (z, memory)``: the coordinates ``z`` (a tuple of
numbers or arrays), what the method remembers, the field ``f(*z)``, the step size ``h`` of every coordinate, and
the `Play` with who moves what. Both players ascend, so a step adds the field.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from operator import add, mul

import numpy as np

from ganlab.checks import InputError, choose, number, numbers, whole

__all__ = ["METHODS", "Method", "Play", "prepare"]


@dataclass(frozen=True)
class Play:
    """Who moves what, the method's options, and how a state is put back between the walls."""

    game: object
    generator: tuple
    discriminator: tuple
    project: Callable
    options: dict
    ahead: Callable | None = None


@dataclass(frozen=True)
class Method:
    """A step function, its options with their defaults, and what it remembers at the start.

    `linear` tells whether the step is linear in the field, so that its multipliers are exact.
    """

    step: Callable
    options: dict = field(default_factory=dict)
    memory: Callable | None = None
    linear: bool = True


def simultaneous(z, memory, f, h, p):
    """Both players step from the same state: ``z + h v(z)``, the explicit Euler method."""
    return p.project(map(add, z, map(mul, h, f(*z)))), memory  # map: twice as fast as a comprehension


def _move(z, f, h, p, who):
    v = f(*z)
    return p.project([a + h[i] * v[i] if i in who else a for i, a in enumerate(z)])


def alternating(z, memory, f, h, p):
    """`n_g` generator steps, then `n_d` discriminator steps that see the new generator (or the other way round)."""
    turns = [(p.generator, p.options["n_g"]), (p.discriminator, p.options["n_d"])]
    for who, times in turns if p.options["first"] == "generator" else turns[::-1]:
        for _ in range(times):
            z = _move(z, f, h, p, who)
    return z, memory


def extragradient(z, memory, f, h, p):
    """Step with the field met one trial step ahead (Korpelevich 1976): ``z + h v(z + h v(z))``."""
    ahead, _ = simultaneous(z, memory, f, h, p)
    return p.project([a + s * v for a, s, v in zip(z, h, f(*ahead), strict=True)]), memory


def optimistic(z, memory, f, h, p):
    """``z + 2 h v(z) - h v(previous z)`` (Daskalakis et al. 2018)."""
    v = f(*z)
    return p.project([a + s * (2 * new - old) for a, s, new, old in zip(z, h, v, memory, strict=True)]), v


def momentum(z, memory, f, h, p):
    """``z + h v(z) + beta (z - previous z)`` for both players at once (heavy ball)."""
    beta = p.options["beta"]
    return p.project([a + s * v + beta * (a - old) for a, s, v, old in zip(z, h, f(*z), memory, strict=True)]), z


def negative_momentum(z, memory, f, h, p):
    """Heavy-ball steps taken in turn, the generator first; a negative `beta` damps (Gidel et al. 2019)."""
    new = list(z)
    for who in (p.generator, p.discriminator):
        v = f(*new)
        for i in who:
            new[i] = z[i] + h[i] * v[i] + p.options["beta"] * (z[i] - memory[i])
        new = list(p.project(new))
    return tuple(new), z


def adam(z, memory, f, h, p):
    """Adam for both players at once (Kingma and Ba 2015, algorithm 1), ascending."""
    first, second, k = memory
    b1, b2, v, k = p.options["beta1"], p.options["beta2"], f(*z), k + 1
    first = [b1 * m + (1 - b1) * g for m, g in zip(first, v, strict=True)]
    second = [b2 * m + (1 - b2) * g * g for m, g in zip(second, v, strict=True)]
    step = [s * (m / (1 - b1**k)) / (np.sqrt(q / (1 - b2**k)) + p.options["eps"])
            for s, m, q in zip(h, first, second, strict=True)]  # fmt: skip
    return p.project([a + d for a, d in zip(z, step, strict=True)]), (first, second, k)


def unrolled(z, memory, f, h, p):
    """The generator ascends its payoff against a discriminator looked `K` steps ahead (Metz et al. 2017, eq. 10).

    The steps looked ahead know the payoffs only: neither `Clip` nor `Consensus` acts inside them.
    """
    v = list(f(*z))
    v[p.generator[0]] = v[p.generator[0]] + p.ahead(z)
    return p.project([a + s * g for a, s, g in zip(z, h, v, strict=True)]), memory


def rk4(z, memory, f, h, p):
    """The classical Runge-Kutta step of order four: the flow, not a training method."""

    def shifted(k, c):
        return f(*[a + c * s * d for a, s, d in zip(z, h, k, strict=True)])

    k1 = f(*z)
    k2 = shifted(k1, 0.5)
    k3 = shifted(k2, 0.5)
    k4 = shifted(k3, 1.0)
    mean = [(a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(k1, k2, k3, k4, strict=True)]
    return p.project([a + s * m for a, s, m in zip(z, h, mean, strict=True)]), memory


METHODS = {
    "simultaneous": Method(simultaneous),
    "alternating": Method(alternating, {"n_g": 1, "n_d": 1, "first": "generator"}),
    "extragradient": Method(extragradient),
    "optimistic": Method(optimistic, memory=lambda z, f: f(*z)),
    "momentum": Method(momentum, {"beta": 0.9}, memory=lambda z, f: z),
    "negative_momentum": Method(negative_momentum, {"beta": -0.5}, memory=lambda z, f: z),
    "adam": Method(adam, {"beta1": 0.5, "beta2": 0.999, "eps": 1e-8}, linear=False,
                   memory=lambda z, f: ([0.0 * a for a in z], [0.0 * a for a in z], 0)),
    "unrolled": Method(unrolled, {"K": 5, "eta": None, "through": True}),
    "rk4": Method(rk4),
}  # fmt: skip
METHODS["euler"] = METHODS["simultaneous"]

_CHECKS = {
    "n_g": whole, "n_d": whole, "K": lambda name, value: whole(name, value, 0),
    "beta": lambda name, value: number(name, value, -1, 1, True, True),
    "beta1": lambda name, value: number(name, value, 0, 1, open_high=True),
    "beta2": lambda name, value: number(name, value, 0, 1, open_high=True),
    "eps": lambda name, value: number(name, value, 0, open_low=True),
    "eta": lambda name, value: value if value is None else number(name, value, 0, open_low=True),
    "first": lambda name, value: choose(name, value, {"generator": "generator", "discriminator": "discriminator"}),
    "through": lambda name, value: choose(name, value, {True: True, False: False}),
}  # fmt: skip


def prepare(game, name, lr, options):
    """Look up a method, check its options and the step size, and say who moves what.

    Returns
    -------
    (Method, tuple of float, Play)
        The method, the step size of each coordinate, and the play.

    Raises
    ------
    InputError
        For an unknown method or option, or a step size that is not a positive number (or a pair of them).

    Examples
    --------
    >>> from ganlab import dirac_gan
    >>> method, h, play = prepare(dirac_gan(), "simultaneous", 0.1, {})
    >>> h, method.step((1.0, 1.0), None, lambda theta, psi: (-psi, theta), h, play)
    ((0.1, 0.1), ((0.9, 1.1), None))
    """
    method = choose("method", name, METHODS)
    for key in options:
        if key not in method.options:
            known = ", ".join(method.options) or "none"
            raise InputError(f"{name} has no option {key!r}; its options are: {known}")
    chosen = {key: _CHECKS[key](key, options.get(key, default)) for key, default in method.options.items()}
    if np.shape(numbers("lr", lr, 0, open_low=True)) not in ((), (2,)):
        raise InputError(f"lr must be one number or a pair (generator, discriminator), got {lr!r}")
    pair = np.broadcast_to(np.asarray(lr, dtype=float), 2).tolist()
    h = tuple(pair[0] if i in game.generator else pair[1] for i in range(len(game.symbols)))
    play = Play(game, game.generator, game.discriminator, _projection(game.walls), chosen)
    if name == "unrolled":
        play = replace(play, ahead=_look_ahead(game, chosen, pair[1]))
    return method, h, play


def _projection(walls):
    """A function that makes a state a tuple and puts it back between the walls (where there are any)."""
    walled = [(i, low, high) for i, (low, high) in enumerate(walls) if np.isfinite(low) or np.isfinite(high)]

    def project(z):
        z = list(z)
        for i, low, high in walled:
            z[i] = np.clip(z[i], low, high) if np.ndim(z[i]) else min(max(z[i], low), high)
        return tuple(z)

    return project if walled else tuple  # tuples: a tenth faster than lists for one start


def _look_ahead(game, options, lr):
    """What `K` looked-ahead ascent steps of the discriminator add to the generator's slope."""
    if len(game.symbols) != 2:
        raise InputError(f"unrolled needs one coordinate a player, {game.name} has {len(game.symbols)} in all")
    (g,), (d,) = game.generator, game.discriminator
    theirs = game.derivatives(1, (d,), (d, g), (d, d))
    ours = game.derivatives(0, (g,), (d,))
    eta = lr if options["eta"] is None else options["eta"]

    def slope(z):
        state, reaction = list(z), 0.0
        for _ in range(options["K"]):
            push, mixed, own = theirs(*state)
            reaction = reaction + eta * (mixed + own * reaction)  # d psi_k / d theta, by the chain rule
            state[d] = state[d] + eta * push
        direct, through_critic = ours(*state)
        gain = direct - ours(*z)[0]
        return gain + through_critic * reaction if options["through"] else gain

    return slope
