"""One formula, three kinds: numpy arrays, torch tensors and SymPy expressions agree, also far out."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from lazy_torch import torch

from ganlab import _numeric, _symbolic, primitives
from ganlab.primitives import exp, log, logit, relu, sigmoid, softplus, sqrt

T = sp.Symbol("t", real=True)
EVERYWHERE = [-30.5, -3.25, -1.0, -0.125, 0.375, 1.0, 2.5, 17.0]
POSITIVE = [1e-6, 0.125, 0.5, 1.0, 2.5, 40.0]
UNIT = [1e-6, 0.125, 0.5, 0.75, 1 - 1e-6]
CASES = [
    (softplus, EVERYWHERE, lambda t: mpmath.log(1 + mpmath.exp(t))),
    (sigmoid, EVERYWHERE, lambda t: 1 / (1 + mpmath.exp(-t))),
    (logit, UNIT, lambda p: mpmath.log(p / (1 - p))),
    (relu, EVERYWHERE, lambda t: t if t > 0 else mpmath.mpf(0)),
    (exp, EVERYWHERE, mpmath.exp),
    (log, POSITIVE, mpmath.log),
    (sqrt, POSITIVE, mpmath.sqrt),
]
named = pytest.mark.parametrize(("function", "points", "truth"), CASES, ids=lambda c: getattr(c, "__name__", ""))


@pytest.fixture(autouse=True)
def _many_digits():
    with mpmath.workdps(40):
        yield


@named
def test_the_three_kinds_have_the_true_value(function, points, truth):
    expected = [float(truth(mpmath.mpf(x))) for x in points]
    np.testing.assert_allclose(function(np.array(points)), expected, rtol=4e-15)
    np.testing.assert_allclose(function(torch.tensor(points, dtype=torch.float64)).numpy(), expected, rtol=4e-15)
    np.testing.assert_allclose(
        [float(sp.sympify(function(T)).subs(T, sp.Float(x, 30)).evalf()) for x in points], expected, rtol=4e-15
    )


@named
def test_the_derivatives_of_torch_and_sympy_are_true(function, points, truth):
    expected = [float(mpmath.diff(truth, mpmath.mpf(x), h=mpmath.mpf("1e-14"))) for x in points]
    x = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(function(x).sum(), x)
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=2e-11, atol=1e-15)
    slope = function(T).diff(T)
    np.testing.assert_allclose(
        [float(slope.subs(T, sp.Float(p, 30)).evalf()) for p in points], expected, rtol=2e-11, atol=1e-15
    )


@pytest.mark.parametrize("compiler", ["numpy", "floats"])
def test_compiled_expressions_equal_the_true_values(compiler):
    t = sp.Symbol("t", real=True)
    rows = [
        softplus(t),
        sigmoid(t),
        softplus(t).diff(t, 2),
        relu(t),
        relu(t).diff(t),
        logit(sigmoid(t / 10)),
        sp.log(2) * t,
        abs(t).diff(t),
    ]
    f = _symbolic.to_numpy((t,), rows) if compiler == "numpy" else _symbolic.to_floats((t,), rows, {})
    for x in EVERYWHERE:
        m = mpmath.mpf(x)
        s = 1 / (1 + mpmath.exp(-m))
        truth = [
            mpmath.log(1 + mpmath.exp(m)),
            s,
            s * (1 - s),
            max(m, 0),
            float(x > 0),
            m / 10,
            mpmath.log(2) * m,
            mpmath.sign(m),
        ]
        np.testing.assert_allclose([float(v) for v in f(x)], [float(v) for v in truth], rtol=1e-12, atol=1e-14)


def test_compiled_floats_know_their_constants():
    p, t = sp.symbols("p t")
    assert _symbolic.to_floats((t,), [p * t, t / p], {p: 0.25})(2.0) == (0.5, 8.0)


def test_kinks_have_their_middle_slope_and_no_curvature():
    t = sp.Symbol("t", real=True)
    rows = [relu(t).diff(t), relu(t).diff(t, 2), abs(t).diff(t)]
    assert [float(v) for v in _symbolic.to_numpy((t,), rows)(0.0)] == [0.5, 0.0, 0.0]
    assert _symbolic.to_floats((t,), rows, {})(0.0) == (0.5, 0.0, 0.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_out_scores_are_finite_and_right(dtype):
    t = np.array([-800.0, 800.0], dtype=dtype)
    for kind in (np.asarray, torch.from_numpy):
        np.testing.assert_allclose(np.asarray(softplus(kind(t))), [0, 800], atol=1e-300)
        np.testing.assert_array_equal(np.asarray(sigmoid(kind(t))), [0, 1])
        np.testing.assert_array_equal(np.asarray(relu(kind(t))), [0, 800])
    assert [_numeric.FLOATS["softplus"](x) for x in (-800.0, 800.0)] == [0.0, 800.0]
    assert [_numeric.FLOATS["sigmoid"](x) for x in (-800.0, 800.0)] == [0.0, 1.0]


@pytest.mark.parametrize("x", [-700.5, -699.5, -300.0, -40.0])
def test_small_tails_keep_their_relative_accuracy(x):
    tail = float(mpmath.exp(x) / (1 + mpmath.exp(x)))
    assert float(sigmoid(x)) == pytest.approx(tail, rel=1e-13)
    assert _numeric.FLOATS["sigmoid"](x) == pytest.approx(tail, rel=1e-13)
    assert float(softplus(x)) == pytest.approx(float(mpmath.log1p(mpmath.exp(x))), rel=1e-13)
    assert _numeric.FLOATS["softplus"](x) == pytest.approx(float(mpmath.log1p(mpmath.exp(x))), rel=1e-13)


def test_the_ends_of_the_probabilities_are_infinite_scores_not_nan():
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(logit(np.array([0.0, 1.0])), [-np.inf, np.inf])
    assert logit(torch.tensor([0.0, 1.0])).tolist() == [-np.inf, np.inf]


def test_nan_stays_nan():
    for function in (softplus, sigmoid, logit, relu, exp, log, sqrt):
        with np.errstate(invalid="ignore"):
            assert np.isnan(function(np.array([np.nan]))).all()
        assert torch.isnan(function(torch.tensor([float("nan")]))).all()


@named
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_and_shape_are_kept(function, points, truth, dtype):
    x = np.array(points[:4], dtype=dtype).reshape(2, 1, 2)
    assert function(x).dtype == x.dtype
    assert function(x).shape == x.shape
    y = torch.from_numpy(x)
    assert function(y).dtype == y.dtype
    assert function(y).shape == y.shape
    assert isinstance(function(sp.Symbol("q")), sp.Basic)


@named
def test_python_numbers_and_lists_are_accepted(function, points, truth):
    assert float(function(0.5)) == pytest.approx(float(truth(mpmath.mpf("0.5"))), rel=1e-15)
    np.testing.assert_allclose(function(points), function(np.array(points)))
    if function is not logit:
        assert float(function(1)) == pytest.approx(float(truth(mpmath.mpf(1))), rel=1e-15)


@pytest.mark.parametrize("function", [softplus, sigmoid])
def test_second_derivatives_of_torch_are_right_also_beyond_the_threshold_of_its_own_softplus(function):
    x = torch.tensor([-40.0, -21.0, -1.5, 0.0, 0.5, 19.5, 21.0, 40.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, x)
    assert torch.autograd.gradgradcheck(function, x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_second_derivatives_of_torch_are_never_nan(dtype):
    """A loss that is differentiated twice (unrolled GANs) meets scores of any size."""
    x = torch.tensor([-800.0, -100.0, 0.0, 100.0, 800.0], dtype=getattr(torch, dtype), requires_grad=True)
    (first,) = torch.autograd.grad(softplus(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert second.tolist() == pytest.approx([0, 0, 0.25, 0, 0], abs=1e-30)


def test_symbols_know_their_inverses_and_special_values():
    p = sp.Symbol("p", real=True)
    assert softplus(sp.Integer(0)) == sp.log(2)
    assert sigmoid(sp.Integer(0)) == sp.Rational(1, 2)
    assert logit(sp.Rational(1, 2)) == 0
    assert sigmoid(logit(p)) == p
    assert sp.simplify(sigmoid(-logit(p)) - (1 - p)) == 0
    assert sp.simplify(softplus(logit(p)) + sp.log(1 - p)) == 0
    assert sp.simplify(softplus(-logit(p)) + sp.log(p)) == 0
    assert sp.latex(sigmoid(T) ** 2) == r"\sigma^{2}\left(t\right)"


def test_every_primitive_is_documented_and_listed():
    assert sorted(primitives.__all__) == sorted(f.__name__ for f, _, _ in CASES)
    for function, _, _ in CASES:
        assert "in the kind of" in function.__doc__


@pytest.mark.parametrize(("power", "moment"), [(0, 1), (1, 0), (2, 1), (3, 0), (4, 3), (5, 0), (6, 15)])
def test_gaussian_means_of_powers_are_the_moments(power, moment):
    n, s = sp.symbols("n sigma", positive=True)
    assert _symbolic.gaussian_mean(7 * n**power, n, s) == 7 * moment * s**power
    nodes, weights = _symbolic.hermite(20, 0.5)
    assert weights @ nodes**power == pytest.approx(moment * 0.5**power, abs=1e-14)
