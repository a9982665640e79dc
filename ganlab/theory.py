"""Closed forms: the conditions on f1, f2, f3, and a full report on any objective, a student's own included."""

from dataclasses import dataclass
from functools import lru_cache
from html import escape

from ganlab.checks import NoEquilibrium
from ganlab.objectives import expressions, get, is_zero_sum, rest_score

__all__ = ["Conditions", "Report", "conditions", "constants", "curl", "report"]


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


@dataclass(frozen=True)
class PlusMinus:
    """A pair ``centre +- root`` of eigenvalues, kept apart so that it prints as one formula."""

    centre: object
    root: object

    def __str__(self):
        return f"{self.centre} +- {self.root}" if self.centre != 0 else f"+- {self.root}"

    def _latex(self, printer):
        centre = "" if self.centre == 0 else printer.doprint(self.centre)
        return rf"{centre} \pm {printer.doprint(self.root)}"


@dataclass(frozen=True)
class Report:
    """Everything that linear theory says of an objective; printed as text, or as LaTeX in a notebook."""

    objective: object
    rows: tuple  # (label, SymPy object or string), in order

    def __str__(self):
        width = max(len(label) for label, _ in self.rows)
        return "\n".join([f"{self.objective.name}", *(f"  {label:<{width}}  {value}" for label, value in self.rows)])

    def __repr__(self):
        return str(self)

    def _repr_html_(self):
        import sympy as sp

        def cell(value):
            # the class lets the book's MathJax into the table; a notebook's needs no permission
            return escape(value) if isinstance(value, str) else rf"\({escape(sp.latex(value))}\)"

        rows = "".join(f'<tr><th scope="row">{LABELS.get(label, escape(label))}</th><td>{cell(value)}</td></tr>'
                       for label, value in self.rows)  # fmt: skip
        caption = f"<caption>{escape(self.objective.name)}</caption>"
        return f'<table class="tex2jax_process">{caption}<tbody>{rows}</tbody></table>'


# How the labels of a report look in a notebook; the plain ones are those of the printed report.
LABELS = {
    "curl f3' - f2'": r"curl \(f_3' - f_2'\)",
    "rest value D0": r"rest value \(D_0\)",
    "s = f1'' + f2''": r"\(s = f_1'' + f_2''\)",
    "Delta = -f2' f3'": r"\(\Delta = -f_2' f_3'\)",
    "verdict for p_d>0": r"verdict for \(p_d > 0\)",
    "best rate tau*": r"best rate \(\tau^*\)",
    "as tau -> oo": r"as \(\tau \to \infty\)",
}


def report(objective):
    """Report on an objective: rest value, eigenvalues, verdict, node threshold, best discriminator rate.

    Parameters
    ----------
    objective : str or Objective
        A name, or a student's own one-line `Objective`.

    Returns
    -------
    Report
        An objective without a rest value is reported too: the verdict says what is missing.

    Raises
    ------
    InputError
        For an unknown name, or a formula that takes no symbol.

    Examples
    --------
    >>> print(report("wasserstein"))
    wasserstein
      zero-sum           yes
      curl f3' - f2'     2
      rest value D0      free: any value will do, 0 is taken
      s = f1'' + f2''    0
      Delta = -f2' f3'   1
      eigenvalues        +- I
      verdict for p_d>0  centre: the linear theory proves nothing, the free field cycles
    """
    import sympy as sp

    objective = get(objective)
    rows = [("zero-sum", "yes" if is_zero_sum(objective) else "no"), ("curl f3' - f2'", curl(objective))]
    try:
        at_rest = rest_score(objective)
    except NoEquilibrium as error:
        return Report(objective, (*rows, ("verdict for p_d>0", f"no equilibrium: {error}")))
    rest, s, delta = constants(objective)
    rows += [("rest value D0", f"free: any value will do, {rest} is taken" if at_rest.free else rest),
             ("s = f1'' + f2''", s), ("Delta = -f2' f3'", delta)]  # fmt: skip
    rows += [("further roots", ", ".join(map(str, at_rest.others)))] if at_rest.others else []
    p = sp.Symbol("p_d", positive=True)
    rows.append(("eigenvalues", PlusMinus(p * s / 2, sp.sqrt(sp.factor_terms(sp.expand(p**2 * s**2 / 4 - delta))))))
    rows.append(("verdict for p_d>0", _in_words(s, delta)))
    if (s < 0) == True and (delta > 0) == True:  # noqa: E712 (SymPy's relations may be undecided)
        known = conditions()
        values = {"s": s, "Delta": delta}
        labels = {"best rate tau*": known.tau_star, "abscissa there": known.best, "as tau -> oo": known.limit}
        for label, value in labels.items():
            here = {x: values[x.name] for x in value.free_symbols if x.name in values}
            rows.append((label, sp.simplify(value.subs(here))))
    return Report(objective, tuple(rows))


def _in_words(s, delta):
    """The verdict of the two numbers for every p_d > 0 at once."""
    import sympy as sp

    if s.free_symbols or delta.free_symbols:
        return "stable iff s < 0 and Delta > 0"
    if delta == 0:
        return "degenerate: an eigenvalue is zero"
    if delta < 0:
        return "saddle: unstable"
    if s == 0:
        return "centre: the linear theory proves nothing, the free field cycles"
    if s > 0:
        return "unstable"
    return f"stable: a node for p_d >= {sp.simplify(2 * sp.sqrt(delta) / abs(s))}, a spiral below"
