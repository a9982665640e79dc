"""Closed forms: the conditions on f1, f2, f3, and the numbers that decide for a given objective."""

from dataclasses import dataclass
from functools import lru_cache

from ganlab.objectives import expressions, rest_score

__all__ = ["Conditions", "conditions", "constants", "curl"]


@dataclass(frozen=True)
class Conditions:
    """The stability conditions of the pointwise field, derived for unknown f1, f2, f3 (SymPy).

    `matrix` is the Jacobian at ``(D0, p_d)``, `polynomial` its characteristic polynomial in lambda with
    ``s = f1'' + f2''`` and ``Delta = -f2' f3'``, `eigenvalues` its roots; `tau_star`, `best` and `limit` are the
    discriminator rate with the fastest decay, the spectral abscissa there, and the one for ``tau -> oo``.
    """

    matrix: object
    polynomial: object
    eigenvalues: tuple
    tau_star: object
    best: object
    limit: object


@lru_cache(maxsize=1)
def conditions():
    """Derive the stability conditions from the field itself, for functions that are not known.

    Returns
    -------
    Conditions

    Examples
    --------
    >>> conditions().polynomial
    Delta*tau + lambda**2 - lambda*p_d*s*tau
    """
    import sympy as sp

    D, p_g, lam = sp.symbols("D p_g lambda")
    p, tau, delta = sp.symbols("p_d tau Delta", positive=True)
    s = sp.Symbol("s", negative=True)
    f1, f2, f3 = (sp.Function(name)(D) for name in ("f1", "f2", "f3"))
    field = sp.Matrix([tau * (p * f1.diff(D) + p_g * f2.diff(D)), f3])
    matrix = field.jacobian([D, p_g]).subs(p_g, p).applyfunc(sp.factor)
    polynomial = sp.expand(lam**2 - lam * matrix.trace() + matrix.det())
    polynomial = sp.expand(polynomial.subs(f1.diff(D, 2), s - f2.diff(D, 2)).subs(f2.diff(D), -delta / f3.diff(D)))
    roots = tuple(sp.solve(polynomial, lam))
    tau_star = sp.solve(sp.discriminant(polynomial, lam), tau)[-1]
    best = sp.simplify(p * s * tau_star / 2)
    slow = max(roots, key=lambda root: root.subs({p: 1, s: -1, delta: 1, tau: 100}).evalf())
    return Conditions(matrix, polynomial, roots, tau_star, best, sp.limit(slow, tau, sp.oo))


def constants(objective):
    """Return ``(D0, s, Delta)``: the critic's rest value, ``f1'' + f2''`` and ``-f2' f3'`` there.

    Returns
    -------
    tuple of SymPy numbers or expressions
        Derivatives are by ``D``, so a log loss and its score have different ``s`` and the same verdict.

    Raises
    ------
    InputError
        For an unknown name or a formula that takes no symbol.
    NoEquilibrium
        If there is no rest value.

    Examples
    --------
    >>> constants("saturating")
    (1/2, -8, 4)
    """
    from ganlab import _symbolic

    D, f1, f2, f3 = expressions(objective, "probability")
    rest = rest_score(objective).D

    def at_rest(expression):
        return _symbolic.closed(expression.subs(D, rest))

    return rest, at_rest((f1 + f2).diff(D, 2)), at_rest(-f2.diff(D) * f3.diff(D))


def curl(objective):
    """Return ``f3'(D) - f2'(D)``, the curl of the joint field; it is a gradient field only if this is zero.

    Raises
    ------
    InputError
        For an unknown name or a formula that takes no symbol.

    Examples
    --------
    >>> curl("wasserstein")
    2
    """
    import sympy as sp

    D, _, f2, f3 = expressions(objective, "probability")
    return sp.factor(sp.simplify((f3 - f2).diff(D)))
