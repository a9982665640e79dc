"""Small games: a vector field that both players follow, its rest point, and its parameters.

A game keeps its field as SymPy expressions and compiles them, once, into numpy (for many starts) and
into Python floats (for one). Both players ascend: a coordinate's velocity is the derivative of its
owner's payoff. A state is a tuple of coordinates, each a number or an array over starts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from ganlab.checks import InputError, choose, number, numbers
from ganlab.objectives import expressions, get, identity, rest_score

__all__ = ["Game", "bilinear", "pointwise", "quadratic"]

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


REPAIRS = {None: INFINITE, "project": (0.0, np.inf), "multiply": INFINITE}


def pointwise(objective, p_d=0.2, coordinate="probability", tau=1, damping=0, repair=None):
    """Return the planar field of one point x: the critic's value there against the generator's density.

    ``D' = tau (p_d f1'(D) + p_g f2'(D) - damping (D - D0))`` and ``p_g' = f3(D) - f3(D0)``.

    Parameters
    ----------
    objective : str or Objective
    p_d : float or array
        The data's density at the point, positive; an array gives one field for each start.
    coordinate : {"probability", "score"}
        Whether the critic's value is followed as ``D = link(t)`` or as the score ``t``.
    tau : float
        The discriminator's rate over the generator's.
    damping : float
        Pulls the critic towards ``D0``.
    repair : {None, "project", "multiply"}
        The free field does not keep ``p_g >= 0``: cut at zero, or use ``p_g' = p_g (f3(D) - f3(D0))``.

    Returns
    -------
    Game
        In the coordinates ``(D, p_g)`` or ``(t, p_g)``, with its rest point at ``(D0, p_d)``.

    Raises
    ------
    InputError
        For ``p_d <= 0``, ``tau <= 0``, negative damping or an unknown name.
    NoEquilibrium
        If the critic has no rest value.

    Examples
    --------
    >>> game = pointwise("saturating", p_d=0.2)
    >>> game, [round(float(v), 4) for v in game.field(0.75, 0.9)]
    (Game 'pointwise saturating' in (D, p_g) with p_d=0.2, [-3.3333, 0.6931])
    """
    import sympy as sp

    objective = get(objective)
    walls = choose("repair", repair, REPAIRS)
    p = sp.Symbol("p_d", positive=True)
    density = sp.Symbol("p_g", real=True)
    parameters = {p: numbers("p_d", p_d, 0, open_low=True)}
    if np.ndim(p_d) > 1:
        raise InputError(f"p_d must be one number or one for each start, got an array of shape {np.shape(p_d)}")
    rate, friction = sp.Integer(1), sp.Integer(0)
    if number("tau", tau, 0, open_low=True) != 1:
        rate = sp.Symbol("tau", positive=True)
        parameters[rate] = tau
    if number("damping", damping, 0) != 0:
        friction = sp.Symbol("gamma", positive=True)
        parameters[friction] = damping
    x, f1, f2, f3 = expressions(objective, coordinate)
    at_rest = rest_score(objective)
    rest = at_rest.score if coordinate == "score" else at_rest.D
    push = f3 - f3.subs(x, rest)
    critic = rate * (p * f1.diff(x) + density * f2.diff(x) - friction * (x - rest))
    bounded = coordinate == "probability" and objective.link is not identity
    gain = critic.integrate(x) if friction else rate * (p * f1 + density * f2)
    return Game(
        name=f"pointwise {objective.name}", symbols=(x, density),
        rows=(critic, density * push if repair == "multiply" else push), equilibrium=(rest, p), generator=(1,),
        parameters=parameters,
        payoffs=None if repair == "multiply" else (density * push, gain),
        domain=((0.0, 1.0) if bounded else INFINITE, INFINITE),
        admissible=(INFINITE, (0.0, np.inf)), walls=(INFINITE, walls),
        proportional=(1,) if repair == "multiply" else ())  # fmt: skip


def bilinear(strength=1.0):
    """Return the planar game in which x lowers ``strength * x * y`` and y raises it.

    Raises
    ------
    InputError
        If `strength` is not one finite number.

    Examples
    --------
    >>> [float(v) for v in bilinear(2.0).field(1.0, 0.5)]
    [-1.0, 2.0]
    """
    return quadratic([[0.0]], [[number("strength", strength)]], [[0.0]], name="bilinear")


def quadratic(P, A, Q, name="quadratic"):
    """Return the game ``L(x, y) = x'Px/2 + x'Ay - y'Qy/2`` that x lowers and y raises.

    Parameters
    ----------
    P : (n, n) array
        The generator's own curvature (symmetrised).
    A : (n, m) array
        The coupling.
    Q : (m, m) array
        The discriminator's own curvature (symmetrised).

    Returns
    -------
    Game
        In the coordinates ``x_1 ... x_n`` (the generator's) and ``y_1 ... y_m``, with its rest point at 0.

    Raises
    ------
    InputError
        If the shapes do not fit or an entry is not finite.

    Examples
    --------
    >>> quadratic([[0.0]], [[1.0]], [[0.5]])
    Game 'quadratic' in (x_1, y_1)
    """
    import sympy as sp

    P, A, Q = (np.atleast_2d(np.asarray(numbers(k, v), dtype=float)) for k, v in zip("PAQ", (P, A, Q), strict=True))
    if A.ndim != 2 or P.shape != A.shape[:1] * 2 or Q.shape != A.shape[1:] * 2:
        shapes = f"{A.shape}, {P.shape}, {Q.shape}"
        raise InputError(f"an (n, m) matrix A needs an (n, n) matrix P and an (m, m) matrix Q, got {shapes}")
    n, m = A.shape
    x = sp.Matrix(sp.symbols(f"x_1:{n + 1}", real=True))
    y = sp.Matrix(sp.symbols(f"y_1:{m + 1}", real=True))
    loss = (x.T * sp.Matrix(P) * x / 2 + x.T * sp.Matrix(A) * y - y.T * sp.Matrix(Q) * y / 2)[0]
    rows = tuple(-loss.diff(s) for s in x) + tuple(loss.diff(s) for s in y)
    return Game(name=name, symbols=(*x, *y), rows=rows, equilibrium=(sp.Integer(0),) * (n + m),
                generator=tuple(range(n)), payoffs=(-loss, loss))  # fmt: skip
