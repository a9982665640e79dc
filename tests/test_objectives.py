"""Every row of the table is the published loss, rests where the critic rests, and mistakes are explained."""

import math

import numpy as np
import pytest
import sympy as sp
from lazy_torch import torch
from scipy.optimize import brentq

from ganlab import OBJECTIVES, InputError, NoEquilibrium, Objective, label_smoothing, least_squares
from ganlab.objectives import expressions, get, identity, is_zero_sum, rest_score
from ganlab.primitives import exp, log, relu, sigmoid, softplus, sqrt

# The triples as they are published, in D: probabilities where the critic ends in a sigmoid, else its plain output.
PUBLISHED = {
    "saturating": (math.log, lambda D: math.log(1 - D), lambda D: -math.log(1 - D)),
    "nonsaturating": (math.log, lambda D: math.log(1 - D), math.log),
    "wasserstein": (lambda D: D, lambda D: -D, lambda D: D),
    "quadratic": (lambda D: -(D**2) / 2, lambda D: D, lambda D: -D),
    "least_squares": (lambda D: -((D - 1) ** 2) / 2, lambda D: -(D**2) / 2, lambda D: -((D - 1) ** 2) / 2),
    "maximum_likelihood": (math.log, lambda D: math.log(1 - D), lambda D: D / (1 - D)),
    "hinge": (lambda D: min(0, D - 1), lambda D: min(0, -D - 1), lambda D: D),
    "label_smoothing": (lambda D: 0.9 * math.log(D) + 0.1 * math.log(1 - D), lambda D: math.log(1 - D), math.log),
}
PROBABILITIES = {"saturating", "nonsaturating", "maximum_likelihood", "label_smoothing"}
every = pytest.mark.parametrize("name", OBJECTIVES)


def mine(f1, f2, f3=identity, **more):
    return Objective(f1, f2, f3, **more)


def test_the_table_has_the_named_objectives():
    assert set(OBJECTIVES) == set(PUBLISHED)
    for name, row in OBJECTIVES.items():
        assert row.source, "every row says where it comes from"
        assert row.name.startswith(name)
        assert (row.link is sigmoid) == (name in PROBABILITIES)
        assert repr(row) == f"Objective {row.name!r} (D = {'sigmoid(score)' if name in PROBABILITIES else 'score'})"


@every
@pytest.mark.parametrize("score", [-4.0, -1.5, -0.25, 0.5, 2.0])
def test_a_row_is_the_published_triple_in_both_coordinates(name, score):
    D = 1 / (1 + math.exp(-score)) if name in PROBABILITIES else score
    truth = [f(D) for f in PUBLISHED[name]]
    row = OBJECTIVES[name]
    assert [float(f(score)) for f in (row.f1, row.f2, row.f3)] == pytest.approx(truth, rel=1e-14)
    for coordinate, value in (("score", score), ("probability", D)):
        x, *formulas = expressions(name, coordinate)
        assert [float(f.subs(x, value)) for f in formulas] == pytest.approx(truth, rel=1e-13)


@every
def test_the_probability_formulas_hold_no_trace_of_the_score(name):
    x, *formulas = expressions(name, "probability")
    assert x.name == "D"
    assert {f.name for formula in formulas for f in formula.atoms(sp.Function) if hasattr(f, "name")}.isdisjoint(
        {"softplus", "logit"}
    )


@every
def test_a_row_is_a_torch_loss_with_the_true_gradients(name):
    scores = torch.tensor([-30.0, -2.3, -0.4, 0.3, 1.7, 25.0], dtype=torch.float64, requires_grad=True)
    if name == "maximum_likelihood":
        scores = torch.tensor([-3.0, 0.2, 1.7], dtype=torch.float64, requires_grad=True)
    row = OBJECTIVES[name]
    for f in (row.f1, row.f2, row.f3):
        assert torch.autograd.gradcheck(f, scores)
        assert f(scores).shape == scores.shape


@every
def test_the_rest_score_is_where_finite_differences_say(name):
    at_rest, row = rest_score(name), OBJECTIVES[name]

    def slope(t, h=1e-5):
        return float(row.f1(t + h) - row.f1(t - h) + row.f2(t + h) - row.f2(t - h)) / (2 * h)

    if at_rest.free:
        assert [slope(t) for t in (-0.5, -0.1, 0.0, 0.3)] == pytest.approx([0] * 4, abs=1e-9)
        assert (at_rest.score, at_rest.D) == (0, 0)
    else:
        root = brentq(slope, -5, 5, xtol=1e-12)
        assert float(at_rest.score) == pytest.approx(root, abs=1e-9)
        assert float(at_rest.D) == pytest.approx(1 / (1 + math.exp(-root)) if name in PROBABILITIES else root, abs=1e-9)
    assert at_rest.others == ()


@every
def test_zero_sum_means_that_the_gains_cancel(name):
    row = OBJECTIVES[name]
    gains = [float(row.f2(t) + row.f3(t)) for t in (-3.0, -0.2, 0.1, 2.0)]
    assert is_zero_sum(name) == (max(gains) - min(gains) < 1e-12)


def test_the_rest_value_of_least_squares_and_smoothing_is_a_formula_in_their_labels():
    a, b, c = sp.symbols("a b c")
    alpha = sp.Symbol("alpha", positive=True)
    assert sp.simplify(rest_score(least_squares(a, b, c)).D - (a + b) / 2) == 0
    assert sp.simplify(rest_score(label_smoothing(alpha)).D - alpha / 2) == 0
    assert not rest_score(least_squares(a, b, c)).free
    assert sp.Rational(2, 5) == rest_score(label_smoothing(0.8)).D, "0.8 is read as 4/5"


def test_labels_are_used_where_they_belong():
    row = least_squares(a=-1.0, b=2.0, c=0.5)
    assert [float(f(3.0)) for f in (row.f1, row.f2, row.f3)] == [-0.5, -8.0, -3.125]
    assert row.name == "least_squares(-1.0, 2.0, 0.5)"
    assert least_squares().name == "least_squares(0, 1, 1)"
    assert label_smoothing().name == "label_smoothing(0.9)"


def test_a_student_writes_an_objective_in_one_line():
    row = Objective(f1=lambda t: t, f2=lambda t: -exp(t - 1), f3=lambda t: t, name="KL")  # f-GAN, Nowozin et al. 2016
    assert rest_score(row).score == 1
    assert get(row) is row
    assert is_zero_sum(row) is False


@pytest.mark.parametrize(
    ("slope_parts", "roots"),
    [
        ((lambda t: t**2 / 2 - t**4 / 4, lambda t: 0 * t), [0, -1, 1]),
        (
            (lambda t: -(t**4) / 4 + 3 * t**2 / 2, lambda t: -t),
            [2 * math.cos(k) for k in (4 * math.pi / 9, 2 * math.pi / 9, 8 * math.pi / 9)],
        ),
        ((lambda t: t**6 / 6 - t**2 / 2, lambda t: t), [-1.1673039782614187]),  # x^5 - x + 1: no formula in radicals
        ((log, lambda t: -t), [1]),  # the pole at zero is no root
        ((sqrt, lambda t: -t), [0.25]),
        ((lambda t: -exp(-t), lambda t: -exp(2 * t)), [-math.log(2) / 3]),
        ((lambda t: exp(t + 1), lambda t: -t), [-1]),
        ((lambda t: -softplus(-t) - t**2 / 10, lambda t: -softplus(t) + t / 5), [0.2871115472335017]),
    ],
)
def test_all_rest_scores_are_found_nearest_to_zero_first(slope_parts, roots):
    found = rest_score(mine(*slope_parts))
    values = [float(v) for v in (found.score, *found.others)]
    assert sorted(values) == pytest.approx(sorted(roots), abs=1e-12)
    assert [abs(v) for v in values] == sorted(abs(v) for v in values)
    assert not found.free


def test_a_hinge_with_other_margins_rests_inside_them():
    found = rest_score(mine(lambda t: -relu(3 - t), lambda t: -relu(t - 1)))
    assert found.free
    assert float(found.score) == 2


@pytest.mark.parametrize(
    "slope_parts",
    [
        (lambda t: t, lambda t: t),
        (exp, lambda t: t),
        (log, lambda t: t),
        (lambda t: t**3 + t, lambda t: 0 * t),
        (softplus, softplus),
    ],
)
def test_an_objective_without_a_rest_score_says_what_to_change(slope_parts):
    with pytest.raises(NoEquilibrium, match=r"bad: f1'\(t\) \+ f2'\(t\) has no real root.*change f1 or f2"):
        rest_score(mine(*slope_parts, name="bad"))


@pytest.mark.parametrize(
    "wrong",
    [
        np.log,
        np.exp,
        math.exp,
        lambda t: torch.nn.functional.softplus(t),
        lambda t: torch.exp(t),
        lambda t: t.exp(),
        lambda t: abs(t) > 0,
        lambda t: "t",
    ],
)
def test_numpy_or_torch_inside_a_formula_is_explained(wrong):
    with pytest.raises(
        InputError, match=r"mine: f1, f2 and f3 must accept a SymPy symbol; write them with ganlab\.primitives"
    ):
        expressions(mine(wrong, identity, name="mine"))


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: Objective(1, identity, identity), ("f1", "function of the score", "1")),
        (lambda: Objective(identity, identity, "x"), ("f3", "'x'")),
        (lambda: Objective(identity, identity, identity, link=np.tanh), ("link", "sigmoid", "identity")),
        (lambda: get("bce"), ("'bce'", ", ".join(sorted(OBJECTIVES)))),
        (lambda: get(["hinge"]), ("a name or an Objective", "['hinge']")),
        (lambda: get(None), ("a name or an Objective", "None")),
        (lambda: expressions("hinge", "logit"), ("coordinate", "'logit'", "probability, score")),
        (lambda: least_squares(float("nan"), 1, 1), ("a must be a finite number", "nan")),
        (lambda: least_squares(0, "1", 1), ("b must be a finite number", "'1'")),
        (lambda: least_squares(0, 1, [1, 2]), ("c must be one number", "(2,)")),
        (lambda: label_smoothing(0), ("alpha", "(0, 1]", "0")),
        (lambda: label_smoothing(1.2), ("alpha", "(0, 1]", "1.2")),
        (lambda: label_smoothing(True), ("alpha", "True")),
    ],
)
def test_bad_input_is_named(make, parts):
    with pytest.raises(InputError) as error:
        make()
    for part in parts:
        assert part in str(error.value)
