"""The record of a game: a field kept as SymPy expressions, compiled once into numpy and once into Python floats."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from ganlab.checks import InputError

INFINITE = (-np.inf, np.inf)
NODES = 80  # Gauss-Hermite nodes for instance noise: the mean of a sigmoid is then exact to rounding


@dataclass(frozen=True)
class Game:
    """A game of two players in a few coordinates.

    Attributes
    ----------
    name : str
    symbols : tuple of sympy.Symbol
        The coordinates, in order.
    rows : tuple of sympy.Expr
        The velocity of each coordinate (before `consensus`), in `symbols`, `parameters` and `noise`.
    equilibrium : tuple or None
        The rest point as SymPy numbers or expressions in the parameters.
    generator : tuple of int
        Which coordinates the generator moves; the discriminator moves the others.
    parameters : dict
        Symbol to value (a number, or an array over starts).
    payoffs : tuple of sympy.Expr or None
        What the generator and the discriminator raise, where the field is their gradient.
    domain, admissible, walls : tuple of (low, high)
        Per coordinate: where the field is defined (open), where a start may lie (closed), and what
        a step is projected onto (closed).
    noise : (sympy.Symbol, float) or None
        Gaussian instance noise that `rows` are averaged over, and its standard deviation.
    consensus : float
        Weight of the consensus term, ``-consensus * J^T v``.
    proportional : tuple of int
        Coordinates that move in proportion to themselves: they never reach zero, and the flow keeps their
        relative accuracy so that rounding does not carry them across.
    smooth : bool
        False when the field jumps at the rest point, so that it has no Jacobian there.
    """

    name: str
    symbols: tuple
    rows: tuple
    equilibrium: tuple | None
    generator: tuple = (0,)
    parameters: dict = field(default_factory=dict)
    payoffs: tuple | None = None
    domain: tuple = ()
    admissible: tuple = ()
    walls: tuple = ()
    noise: tuple | None = None
    consensus: float = 0.0
    proportional: tuple = ()
    smooth: bool = True

    def __post_init__(self):
        for bounds in ("domain", "admissible", "walls"):
            if not getattr(self, bounds):
                object.__setattr__(self, bounds, (INFINITE,) * len(self.symbols))
        numeric = {s: np.asarray(v, dtype=float) if np.ndim(v) else float(v) for s, v in self.parameters.items()}
        object.__setattr__(self, "parameters", numeric)

    def __repr__(self):
        values = ", ".join(f"{s}={v:g}" for s, v in self.parameters.items() if np.ndim(v) == 0)
        return f"Game {self.name!r} in ({', '.join(map(str, self.symbols))})" + (f" with {values}" if values else "")

    @property
    def discriminator(self):
        """Indices of the coordinates that the discriminator moves."""
        return tuple(i for i in range(len(self.symbols)) if i not in self.generator)

    @property
    def rest(self):
        """The rest point as numbers: one per coordinate (arrays where a parameter is an array)."""
        if self.equilibrium is None:
            raise InputError(f"{self.name} has no equilibrium to measure from")
        return tuple(self._evaluate(e) for e in self.equilibrium)

    def _evaluate(self, expression):
        from ganlab import _symbolic

        return _symbolic.to_numpy(tuple(self.parameters), expression)(*self.parameters.values())

    def _compile(self, rows, floats=False):
        """Compile expressions in the coordinates, the parameters and the noise into a function of the state."""
        from ganlab import _symbolic

        noise = () if self.noise is None else (self.noise[0],)
        unknown = set().union(*(row.free_symbols for row in rows)) - {*noise, *self.parameters, *self.symbols}
        if unknown:
            names = ", ".join(sorted(map(str, unknown)))
            raise InputError(f"{self.name} cannot be computed before {names} is given a number")
        if floats:
            return _symbolic.to_floats(self.symbols, list(rows), self.parameters)
        function = _symbolic.to_numpy((*noise, *self.parameters, *self.symbols), list(rows))
        if not noise:
            return partial(function, *self.parameters.values())
        return partial(_noisy_mean, function, self.noise[1], tuple(self.parameters.values()))

    @cached_property
    def jacobian_rows(self):
        """The derivative of `rows` by the coordinates, as a SymPy matrix (without the consensus term)."""
        import sympy as sp

        return sp.Matrix(self.rows).jacobian(self.symbols)

    @cached_property
    def field(self) -> Callable:
        """The field on arrays: ``field(*state) -> [velocity, ...]``, one array for each coordinate."""
        return self._with_consensus()

    @cached_property
    def float_field(self) -> Callable:
        """The field on Python floats, for a single start (about twice as fast there as arrays)."""
        if self.noise is not None or any(np.ndim(v) for v in self.parameters.values()):
            return self.field
        return self._with_consensus(floats=True)

    def _with_consensus(self, floats=False):
        velocity = self._compile(self.rows, floats)
        if not self.consensus:
            return velocity
        size = len(self.symbols)
        jacobian = self._compile(list(self.jacobian_rows), floats)

        def regularised(*state):
            v, j = velocity(*state), jacobian(*state)
            # row-major j: entry (k, i) is the derivative of v_k by coordinate i
            return [v[i] - self.consensus * sum(j[k * size + i] * v[k] for k in range(size)) for i in range(size)]

        return regularised

    def derivatives(self, payoff, *orders):
        """Compile mixed partial derivatives of one player's payoff.

        Parameters
        ----------
        payoff : int
            0 for the generator's, 1 for the discriminator's.
        *orders : tuple of int
            Each names the coordinates to differentiate by, e.g. ``(1, 0)``.

        Raises
        ------
        InputError
            If the game's field is not the gradient of payoffs.
        """
        if self.payoffs is None:
            raise InputError(f"{self.name} has no payoffs to look ahead with; use a game whose field is their gradient")
        known = vars(self).setdefault("_derivatives", {})
        if (payoff, orders) not in known:
            rows = [self.payoffs[payoff].diff(*(self.symbols[i] for i in order)) for order in orders]
            known[payoff, orders] = self._compile(rows)
        return known[payoff, orders]


def _noisy_mean(function, sigma, parameters, *state):
    """Average the compiled rows over the noise, which is their first argument."""
    from ganlab import _symbolic

    nodes, weights = _symbolic.hermite(NODES, sigma)
    shape = (NODES,) + (1,) * max(np.ndim(s) for s in state)
    rows = function(nodes.reshape(shape), *parameters, *state)
    return [np.tensordot(weights, np.broadcast_to(row, np.broadcast_shapes(np.shape(row), shape)), 1) for row in rows]
