"""A full report on any objective, a student's own included: as text, and as typeset formulas in a notebook."""

from dataclasses import dataclass
from html import escape

import numpy as np

from ganlab.checks import NoEquilibrium
from ganlab.dirac import dirac_gan
from ganlab.games import pointwise
from ganlab.objectives import get, identity, is_zero_sum, rest_score
from ganlab.stability import lyapunov, verdict
from ganlab.theory import conditions, constants, curl

__all__ = ["Report", "report"]

P_D = 0.2  # where a number is needed, the sources' own


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
    "Euler, spiral: h<": r"Euler, as a spiral: \(h &lt;\)",
    "Euler, node: h <": r"Euler, as a node: \(h &lt;\)",
    "verdict for p_d>0": r"verdict for \(p_d > 0\)",
    "best rate tau*": r"best rate \(\tau^*\)",
    "as tau -> oo": r"as \(\tau \to \infty\)",
}


def report(objective):
    """Report on an objective: all that theory says of it, at one point and on the Dirac-GAN.

    Rest value, eigenvalues, verdict and node threshold, Euler's largest step, best discriminator rate, Lyapunov's test
    with the distance from the rest point, and the verdict on the Dirac-GAN.

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
      Euler's step       none: every step, however small, moves outwards
      distance to rest   never grows (p_d = 0.2, 0 <= p_g <= 3)
      on the Dirac-GAN   centre: eigenvalues ±i
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
    rows += [("verdict for p_d>0", _in_words(s, delta)), *_largest_steps(s, delta, p)]
    if (s < 0) == True and (delta > 0) == True:  # noqa: E712 (SymPy's relations may be undecided)
        known = conditions()
        values = {"s": s, "Delta": delta}
        labels = {"best rate tau*": known.tau_star, "abscissa there": known.best, "as tau -> oo": known.limit}
        for label, value in labels.items():
            here = {x: values[x.name] for x in value.free_symbols if x.name in values}
            rows.append((label, sp.simplify(value.subs(here))))
    return Report(objective, (*rows, *_elsewhere(objective, rest, s, delta)))


def _largest_steps(s, delta, p):
    """Rows for the step below which Euler's method converges: ``min -2 Re / |lambda|^2`` over the eigenvalues."""
    import sympy as sp

    if s == 0 and (delta > 0) == True:  # noqa: E712 (SymPy's relations may be undecided)
        return [("Euler's step", "none: every step, however small, moves outwards")]
    if not ((s < 0) == True and (delta > 0) == True):  # noqa: E712
        return []
    node = sp.simplify(2 / (sp.sqrt(sp.factor_terms(sp.expand(p**2 * s**2 / 4 - delta))) - p * s / 2))
    return [("Euler, spiral: h<", -p * s / delta), ("Euler, node: h <", node)]


def _elsewhere(objective, rest, s, delta):
    """Rows beyond the linear theory of one point: Lyapunov's test with the distance, and the Dirac-GAN."""
    if s.free_symbols or delta.free_symbols:
        return []
    D0 = float(rest)
    critic = (0.01, 0.99) if objective.link is not identity else (D0 - 2, D0 + 2)
    distance = lyapunov(pointwise(objective, p_d=P_D), (critic, (0, 3)), points=61)
    words = "never grows" if distance.holds else f"grows at {np.round(distance.counterexample, 2).tolist()}"
    return [
        ("distance to rest", f"{words} (p_d = {P_D}, 0 <= p_g <= 3)"),
        ("on the Dirac-GAN", str(verdict(dirac_gan(objective)))),
    ]


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
