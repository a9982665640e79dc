"""The conditions follow from the field, the report says what the claims' table says, and its formulas are LaTeX."""

import math
import re

import numpy as np
import pytest
import sympy as sp

from ganlab import InputError, Objective, conditions, label_smoothing, least_squares, report
from ganlab.objectives import identity
from ganlab.theory import constants, curl

A, B, C = sp.symbols("a b c", real=True)
ALPHA = sp.Symbol("alpha", positive=True)
R = sp.Rational
# D0, s = f1'' + f2'', Delta = -f2' f3' and the node threshold in p_d, by hand from the published triples
TABLE = [
    ("saturating", R(1, 2), -8, 4, R(1, 2)),
    ("nonsaturating", R(1, 2), -8, 4, R(1, 2)),
    ("maximum_likelihood", R(1, 2), -8, 8, 1 / sp.sqrt(2)),
    ("quadratic", 1, -1, 1, 2),
    ("least_squares", R(1, 2), -2, R(1, 4), R(1, 2)),
    ("wasserstein", 0, 0, 1, None),
    ("hinge", 0, 0, 1, None),
    ("label_smoothing", R(9, 20), -8 / (R(9, 10) * R(11, 10)), 4 / (R(9, 10) * R(11, 10)), sp.sqrt(R(99, 100)) / 2),
    (least_squares(A, B, C), (A + B) / 2, -2, (B - A) * (2 * C - A - B) / 4, None),
    (label_smoothing(ALPHA), ALPHA / 2, -8 / (ALPHA * (2 - ALPHA)), 4 / (ALPHA * (2 - ALPHA)), None),
    (least_squares(-1, 1, 0), 0, -2, 0, None),
]
CURLS = {
    "saturating": lambda D: 2 / (1 - D),
    "nonsaturating": lambda D: 1 / (D * (1 - D)),
    "wasserstein": lambda D: 2,
    "quadratic": lambda D: -2,
    "least_squares": lambda D: 1,
    "maximum_likelihood": lambda D: 1 / (1 - D) ** 2 + 1 / (1 - D),
}


def test_the_conditions_are_the_hand_derivation():
    """lambda^2 - tau p_d s lambda + tau Delta = 0, with s = f1'' + f2'' and Delta = -f2' f3'."""
    known = conditions()
    lam = sp.Symbol("lambda")
    p, tau, delta = sp.symbols("p_d tau Delta", positive=True)
    s = sp.Symbol("s", negative=True)
    assert sp.expand(known.polynomial - (lam**2 - tau * p * s * lam + tau * delta)) == 0
    for root in known.eigenvalues:
        assert sp.simplify(known.polynomial.subs(lam, root)) == 0
    assert len(set(known.eigenvalues)) == 2
    assert sp.simplify(known.tau_star - 4 * delta / (p * s) ** 2) == 0
    assert sp.simplify(known.best - 2 * delta / (p * s)) == 0
    assert sp.simplify(known.limit - delta / (p * s)) == 0


def test_the_derived_matrix_is_the_jacobian_for_functions_that_are_not_known():
    D, p, tau = sp.Symbol("D"), sp.Symbol("p_d", positive=True), sp.Symbol("tau", positive=True)
    f1, f2, f3 = (sp.Function(n)(D) for n in ("f1", "f2", "f3"))
    truth = sp.Matrix([[tau * p * (f1.diff(D, 2) + f2.diff(D, 2)), tau * f2.diff(D)], [f3.diff(D), 0]])
    assert (conditions().matrix - truth).applyfunc(sp.expand) == sp.zeros(2)


@pytest.mark.parametrize(("objective", "rest", "s", "delta", "node"), TABLE, ids=lambda x: getattr(x, "name", str(x)))
def test_the_constants_are_those_of_the_table(objective, rest, s, delta, node):
    for found, truth in zip(constants(objective), (rest, s, delta), strict=True):
        assert sp.simplify(found - truth) == 0
    if node is not None:
        text = dict(report(objective).rows)["verdict for p_d>0"]
        threshold = sp.sympify(re.search(r"p_d >= (.*), a spiral", text)[1])
        assert sp.simplify(threshold - node) == 0


@pytest.mark.parametrize("name", CURLS)
def test_the_curl_is_the_published_one(name):
    D = sp.Symbol("D", real=True)
    assert sp.simplify(curl(name) - CURLS[name](D)) == 0


def test_the_best_rate_of_the_discriminator_is_the_published_one():
    p = sp.Symbol("p_d", positive=True)
    for name, tau, best, limit in [
        ("saturating", 1 / (4 * p**2), -1 / p, -1 / (2 * p)),
        ("quadratic", 4 / p**2, -2 / p, -1 / p),
        ("maximum_likelihood", 1 / (2 * p**2), -2 / p, -1 / p),
        ("least_squares", 1 / (4 * p**2), -1 / (4 * p), -1 / (8 * p)),
    ]:
        rows = dict(report(name).rows)
        for label, truth in (("best rate tau*", tau), ("abscissa there", best), ("as tau -> oo", limit)):
            assert sp.simplify(rows[label] - truth) == 0


@pytest.mark.parametrize("call", [lambda: report("gan"), lambda: constants(3), lambda: curl(None)])
def test_bad_input_is_named(call):
    with pytest.raises(InputError, match="objective"):
        call()
    with pytest.raises(InputError, match=r"ganlab\.primitives"):
        report(Objective(np.tanh, identity, identity))
    assert math.isfinite(float(constants("saturating")[1]))
