"""The report says what the claims' table says, in words and in formulas that are LaTeX."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
import sympy as sp
from matplotlib import mathtext

from ganlab import OBJECTIVES, Objective, eigenvalues, label_smoothing, least_squares, pointwise, report, simulate
from ganlab.objectives import identity
from ganlab.primitives import exp, softplus
from ganlab.reports import Report
from ganlab.theory import constants

A, B, C = sp.symbols("a b c", real=True)
ALPHA = sp.Symbol("alpha", positive=True)


@pytest.mark.parametrize(
    ("objective", "verdict"),
    [
        ("saturating", "stable: a node for p_d >= 1/2, a spiral below"),
        ("wasserstein", "centre: the linear theory proves nothing, the free field cycles"),
        (least_squares(-1, 1, 0), "degenerate: an eigenvalue is zero"),
        (least_squares(0, 1, 0), "saddle: unstable"),
        (least_squares(A, B, C), "stable iff s < 0 and Delta > 0"),
        (Objective(lambda t: t**2 - t, lambda t: -t, identity), "unstable"),
    ],
)
def test_the_report_gives_the_verdict_in_words(objective, verdict):
    assert dict(report(objective).rows)["verdict for p_d>0"] == verdict


def test_the_report_of_an_objective_without_a_rest_value_says_so():
    found = report(Objective(exp, softplus, identity, name="up"))
    assert "no equilibrium: up: f1'(t) + f2'(t) has no real root" in str(found)


def test_the_report_is_read_as_text():
    text = str(report("saturating"))
    assert text.splitlines()[0] == "saturating"
    for line in ("zero-sum           yes", "rest value D0      1/2", "s = f1'' + f2''    -8", "Delta = -f2' f3'   4",
                 "eigenvalues        -4*p_d +- 2*sqrt(4*p_d**2 - 1)"):  # fmt: skip
        assert f"  {line}" in text
    assert repr(report("saturating")) == text
    assert isinstance(report("saturating"), Report)


def test_further_rest_values_are_reported():
    rows = dict(report(Objective(lambda t: t**2 / 2 - t**4 / 4, lambda t: 0 * t, identity, name="two wells")).rows)
    assert rows["rest value D0"] == 0
    assert rows["further roots"] == "-1, 1"


MINE = Objective(lambda t: -(t**4) + t, lambda t: -exp(t), identity, name="mine")


@pytest.mark.parametrize("objective", [*OBJECTIVES, least_squares(A, B, C), label_smoothing(ALPHA), MINE])
def test_the_notebook_report_is_a_table_of_formulas_that_parse(objective):
    shown = report(objective)
    table = ElementTree.fromstring(shown._repr_html_())
    assert table.find("caption").text == shown.objective.name
    cells = ["".join(part.itertext()) for part in table.iter("td")]
    assert len(cells) == len(shown.rows)
    parser = mathtext.MathTextParser("agg")
    formulas = [re.fullmatch(r"\\\((.+)\\\)", cell) for cell in cells]
    for (_, value), cell, formula in zip(shown.rows, cells, formulas, strict=True):
        if isinstance(value, str):
            assert cell == value
        else:
            parser.parse(f"${formula[1].replace(chr(92) + 'middle', '')}$")
    assert sum(formula is not None for formula in formulas) >= 3


def test_the_notebook_report_escapes_what_a_student_calls_an_objective():
    mine = Objective(lambda t: t, lambda t: -t, identity, name="<script>alert(1)</script>")
    assert "<script>" not in report(mine)._repr_html_()


def test_the_eigenvalues_of_the_report_are_those_of_numpy():
    p = sp.Symbol("p_d", positive=True)
    for name in ("saturating", "least_squares", "maximum_likelihood", "quadratic", "wasserstein"):
        pair = dict(report(name).rows)["eigenvalues"]
        _, s, delta = (float(v) for v in constants(name))
        for value in (0.1, 0.9):
            truth = np.roots([1, -value * s, delta])
            found = [complex((pair.centre + sign * pair.root).subs(p, value)) for sign in (1, -1)]
            assert sorted(found, key=lambda v: (v.real, v.imag)) == pytest.approx(
                sorted(truth, key=lambda v: (v.real, v.imag)), abs=1e-9
            )


@pytest.mark.parametrize("name", ["saturating", "least_squares", "maximum_likelihood", "quadratic"])
@pytest.mark.parametrize("label", ["Euler, spiral: h<", "Euler, node: h <"])
def test_just_below_the_reported_step_euler_converges_and_just_above_it_does_not(name, label):
    _, s, delta = (float(v) for v in constants(name))
    threshold = 2 * delta**0.5 / -s
    p_d = threshold * (0.5 if "spiral" in label else 1.5)
    (p,) = (row := dict(report(name).rows)[label]).free_symbols
    h, game = float(row.subs(p, p_d)), pointwise(name, p_d)
    values = eigenvalues(game)
    assert h == pytest.approx(min(-2 * values.real / abs(values) ** 2))
    start = [float(game.rest[0]) + 1e-7, float(game.rest[1])]
    below, above = (simulate(game, start, lr=f * h, steps=3000, save_every=3000).radius[-1] for f in (0.97, 1.03))
    assert below < 1e-9
    assert above > 1e-6


def test_the_report_looks_beyond_the_linear_theory():
    rows = {name: dict(report(name).rows) for name in OBJECTIVES}
    assert rows["wasserstein"]["Euler's step"].startswith("none")
    assert rows["saturating"]["distance to rest"].startswith("never grows")
    assert rows["maximum_likelihood"]["distance to rest"].startswith("grows at")
    assert rows["nonsaturating"]["on the Dirac-GAN"] == "centre: eigenvalues ±0.5i"
    assert rows["maximum_likelihood"]["on the Dirac-GAN"] == "centre: eigenvalues ±0.7071i"
