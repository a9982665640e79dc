"""Small games: a vector field that both players follow, its rest point, and its parameters.

A game keeps its field as SymPy expressions and compiles them, once, into numpy (for many starts) and
into Python floats (for one). Both players ascend: a coordinate's velocity is the derivative of its
owner's payoff. A state is a tuple of coordinates, each a number or an array over starts.
"""

import numpy as np

from ganlab._game import INFINITE, Game
from ganlab.checks import InputError, choose, number, numbers
from ganlab.objectives import expressions, get, identity, rest_score

__all__ = ["Game", "bilinear", "pointwise", "quadratic"]

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
