"""Every GAN is a row of one table: three functions of the critic's score, and a link.

The discriminator raises ``J = E_pd f1 + E_pg f2`` and the generator raises ``I = E_pg f3``: **both
players ascend**. The functions take the score ``t``, the critic's raw output; the sources' formulas
use ``D = link(t)``, which is a probability for the logarithmic losses and the score itself for the
others. The functions are written with `ganlab.primitives`, so the same row is a loss (pass tensors), a
curve (pass arrays) and a theorem (pass a symbol).
"""

from dataclasses import dataclass
from functools import lru_cache

from ganlab._objective import Objective, identity
from ganlab.checks import InputError, NoEquilibrium, choose, number_or_symbol
from ganlab.primitives import exp, relu, sigmoid, softplus

__all__ = ["OBJECTIVES", "Objective", "RestScore", "expressions", "get", "identity", "is_zero_sum", "label_smoothing",
           "least_squares", "rest_score"]  # fmt: skip


def least_squares(a=0, b=1, c=1):
    """Return the least-squares objective: fakes are labelled `a`, data `b`, and the generator wants `c`.

    Parameters
    ----------
    a, b, c : float or SymPy symbol
        The labels. ``(0, 1, 1)`` is the usual coding, ``(-1, 1, 0)`` the one of the chi-square theorem.

    Raises
    ------
    InputError
        If a label is neither a finite number nor an expression with symbols.

    Examples
    --------
    >>> float(rest_score(least_squares(0, 1, 1)).D)
    0.5
    """
    a, b, c = (number_or_symbol(name, value) for name, value in zip("abc", (a, b, c), strict=True))
    return Objective(
        f1=lambda t: -((t - b) ** 2) / 2, f2=lambda t: -((t - a) ** 2) / 2, f3=lambda t: -((t - c) ** 2) / 2,
        name=f"least_squares({a}, {b}, {c})", source="Mao et al. 2017, eq. 2")  # fmt: skip


def label_smoothing(alpha=0.9):
    """Return the non-saturating objective whose data carry the label `alpha` instead of 1 (one-sided).

    Parameters
    ----------
    alpha : float in (0, 1] or SymPy symbol
        The label of real samples; 1 is no smoothing.

    Raises
    ------
    InputError
        If `alpha` is outside (0, 1].

    Examples
    --------
    >>> round(float(rest_score(label_smoothing(0.9)).D), 6)
    0.45
    """
    alpha = number_or_symbol("alpha", alpha, 0, 1, open_low=True)
    return Objective(
        f1=lambda t: -alpha * softplus(-t) - (1 - alpha) * softplus(t), f2=lambda t: -softplus(t),
        f3=lambda t: -softplus(-t), link=sigmoid,
        name=f"label_smoothing({alpha})", source="Salimans et al. 2016, section 3.4")  # fmt: skip


OBJECTIVES = {
    "saturating": Objective(
        f1=lambda t: -softplus(-t), f2=lambda t: -softplus(t), f3=lambda t: softplus(t),
        link=sigmoid, name="saturating", source="Goodfellow et al. 2014, eq. 1"),
    "nonsaturating": Objective(
        f1=lambda t: -softplus(-t), f2=lambda t: -softplus(t), f3=lambda t: -softplus(-t),
        link=sigmoid, name="nonsaturating", source="Goodfellow et al. 2014, section 3"),
    "wasserstein": Objective(
        f1=lambda t: t, f2=lambda t: -t, f3=lambda t: t,
        name="wasserstein", source="Arjovsky et al. 2017, eq. 2"),
    "least_squares": least_squares(0, 1, 1),
    "quadratic": Objective(
        f1=lambda t: -(t**2) / 2, f2=lambda t: t, f3=lambda t: -t,
        name="quadratic", source="the vector-field article's own design"),
    "hinge": Objective(
        f1=lambda t: -relu(1 - t), f2=lambda t: -relu(1 + t), f3=lambda t: t,
        name="hinge", source="Lim and Ye 2017"),
    "maximum_likelihood": Objective(
        f1=lambda t: -softplus(-t), f2=lambda t: -softplus(t), f3=exp,
        link=sigmoid, name="maximum_likelihood", source="Goodfellow 2014, On distinguishability criteria"),
    "label_smoothing": label_smoothing(0.9),
}  # fmt: skip


def get(objective):
    """Return the objective of that name, or the objective itself.

    Raises
    ------
    InputError
        If the name is unknown (the message lists the known ones), or it is no objective.

    Examples
    --------
    >>> get("hinge").source
    'Lim and Ye 2017'
    """
    if isinstance(objective, Objective):
        return objective
    if not isinstance(objective, str):
        raise InputError(f"objective must be a name or an Objective, got {objective!r}")
    return choose("objective", objective, OBJECTIVES)


def expressions(objective, coordinate="score"):
    """Write an objective as three SymPy expressions.

    Parameters
    ----------
    objective : str or Objective
    coordinate : {"score", "probability"}
        As functions of the score ``t``, or of ``D = link(t)``.

    Returns
    -------
    (symbol, f1, f2, f3)
        The SymPy symbol ``t`` or ``D`` and the three expressions in it.

    Raises
    ------
    InputError
        If a function cannot take a symbol (it uses numpy where it should use `ganlab.primitives`).

    Examples
    --------
    >>> D, f1, f2, f3 = expressions("saturating", "probability")
    >>> f1, f2
    (log(D), log(1 - D))
    """
    choose("coordinate", coordinate, {"score": 0, "probability": 1})
    return _expressions(get(objective), coordinate)


@lru_cache
def _expressions(objective, coordinate):
    import sympy as sp

    from ganlab import _symbolic

    t = variable = sp.Symbol("t", real=True)
    if coordinate == "probability":
        variable = sp.Symbol("D", real=True)
        t = _symbolic.logit(variable) if objective.link is sigmoid else variable
    try:
        functions = [_exact(sp.sympify(f(t), strict=True)) for f in (objective.f1, objective.f2, objective.f3)]
    except (TypeError, AttributeError, sp.SympifyError) as error:
        raise InputError(f"{objective.name}: f1, f2 and f3 must accept a SymPy symbol; write them with "
                         f"ganlab.primitives (softplus, log, ...) instead of numpy ({error})") from None  # fmt: skip
    if coordinate == "probability":  # exp(logit(D)) is D / (1 - D)
        functions = [sp.simplify(f.rewrite(sp.exp)) if f.has(_symbolic.logit) else f for f in functions]
    return variable, *functions


def _exact(expression):
    """Turn the floats of a formula (a label of 0.9) into fractions, so that closed forms stay closed."""
    import sympy as sp

    if not isinstance(expression, sp.Expr):
        raise TypeError(f"got {expression}")
    return expression.xreplace({x: sp.nsimplify(x, rational=True) for x in expression.atoms(sp.Float)})


def is_zero_sum(objective):
    """Tell whether ``f3 = -f2`` up to a constant, so that one player's gain is the other's loss.

    Raises
    ------
    InputError
        As for `expressions`.

    Examples
    --------
    >>> is_zero_sum("saturating"), is_zero_sum("nonsaturating")
    (True, False)
    """
    from ganlab import _symbolic

    t, _, f2, f3 = expressions(objective)
    return _symbolic.closed((f2 + f3).diff(t)) == 0


@dataclass(frozen=True)
class RestScore:
    """Where the critic rests when the generator is right: ``f1'(t) + f2'(t) = 0``.

    `score` and `D` are the rest value in both coordinates (SymPy numbers or expressions); `free` is
    True when every value near it would do as well (Wasserstein, hinge), and then it is 0 where 0 is one of
    them; `others` are further roots (scores).
    """

    score: object
    D: object
    free: bool = False
    others: tuple = ()


def rest_score(objective):
    """Solve ``f1'(t) + f2'(t) = 0`` for the critic's rest value ``D0``.

    Parameters
    ----------
    objective : str or Objective

    Returns
    -------
    RestScore

    Raises
    ------
    NoEquilibrium
        If the sum has no real root.

    Examples
    --------
    >>> rest_score("saturating").D, rest_score("wasserstein").free
    (1/2, True)
    """
    return _rest_score(get(objective))


@lru_cache
def _rest_score(objective):
    import sympy as sp

    from ganlab import _roots, _symbolic

    t, f1, f2, _ = expressions(objective)
    slope = (f1 + f2).diff(t)
    roots = [0] if _roots.vanishes_near(slope, t, 0) else _roots.real_roots(slope, t)
    # log(t) has no business below zero
    roots = [root for root in roots if (f1 + f2).subs(t, root).is_real is not False]
    if not roots:
        raise NoEquilibrium(f"{objective.name}: f1'(t) + f2'(t) has no real root, so the critic has no rest value D0 "
                            "at p_g = p_d; change f1 or f2 so that the two slopes cancel somewhere")  # fmt: skip
    probabilities = [_symbolic.closed(objective.link(sp.sympify(root))) for root in roots]
    return RestScore(roots[0], probabilities[0], _roots.vanishes_near(slope, t, roots[0]), tuple(roots[1:]))
