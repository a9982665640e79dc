"""The primitives as SymPy functions, and the way from a SymPy formula to fast numbers."""

from functools import lru_cache

import numpy as np
import sympy as sp

from ganlab._numeric import ARRAYS, FLOATS
from ganlab.checks import InputError


class softplus(sp.Function):
    """``log(1 + exp(t))``; its derivative is the sigmoid."""

    is_real = True

    @classmethod
    def eval(cls, t):
        if t.is_zero:
            return sp.log(2)
        if isinstance(t, logit):
            return -sp.log(1 - t.args[0])
        if isinstance(-t, logit):
            return -sp.log((-t).args[0])

    def fdiff(self, argindex=1):
        return sigmoid(self.args[0])

    def _eval_rewrite_as_exp(self, t, **kwargs):
        return sp.log(1 + sp.exp(t))

    def _eval_evalf(self, prec):
        return self.rewrite(sp.exp)._eval_evalf(prec)


class sigmoid(sp.Function):
    """``1 / (1 + exp(-t))``; its derivative is ``sigmoid (1 - sigmoid)``."""

    is_positive = True

    @classmethod
    def eval(cls, t):
        if t.is_zero:
            return sp.Rational(1, 2)
        if isinstance(t, logit):
            return t.args[0]
        if isinstance(-t, logit):
            return 1 - (-t).args[0]

    def fdiff(self, argindex=1):
        return self * (1 - self)

    def _eval_rewrite_as_exp(self, t, **kwargs):
        return 1 / (1 + sp.exp(-t))

    def _eval_evalf(self, prec):
        return self.rewrite(sp.exp)._eval_evalf(prec)

    def _latex(self, printer, exp=None):
        power = "" if exp is None else "^{" + exp + "}"
        return rf"\sigma{power}\left({printer._print(self.args[0])}\right)"


class logit(sp.Function):
    """``log(p / (1 - p))``, the inverse of the sigmoid."""

    is_real = True

    @classmethod
    def eval(cls, p):
        if p == sp.Rational(1, 2):
            return sp.Integer(0)

    def fdiff(self, argindex=1):
        p = self.args[0]
        return 1 / (p * (1 - p))

    def _eval_rewrite_as_exp(self, p, **kwargs):
        return sp.log(p / (1 - p))

    def _eval_evalf(self, prec):
        return self.rewrite(sp.exp)._eval_evalf(prec)


def relu(t):
    """``max(t, 0)``; SymPy differentiates it to a Heaviside step."""
    return sp.Max(t, 0)


def _folded(expressions):
    """Replace constants such as log(2) by numbers, so that they are not computed again at every step."""

    def fold(expression):
        constants = [part for part in sp.preorder_traversal(expression) if part.is_Function and not part.free_symbols]
        return expression.xreplace({part: part.evalf(17) for part in constants})

    if isinstance(expressions, list):
        return [fold(sp.sympify(e)) for e in expressions]
    return fold(sp.sympify(expressions))


def to_numpy(arguments, expressions):
    """Compile SymPy `expressions` of the symbols `arguments` into one vectorised numpy function."""
    return sp.lambdify(arguments, _folded(expressions), modules=[ARRAYS, "numpy"], cse=True)


def to_floats(arguments, expressions, constants):
    """Compile SymPy `expressions` of the symbols `arguments` and of known `constants` into a function of floats."""
    known = {symbol.name: value for symbol, value in constants.items()}
    return sp.lambdify(arguments, tuple(_folded(expressions)), modules=[known, FLOATS, "math"], cse=True)


def closed(expression):
    """Simplify `expression` with every sigmoid and softplus written out in exponentials."""
    return sp.simplify(sp.sympify(expression).rewrite(sp.exp))


def gaussian_mean(expression, noise, sigma):
    """Average a polynomial in the symbol `noise` over ``N(0, sigma^2)``.

    Raises
    ------
    InputError
        If `expression` is not a polynomial in `noise`.
    """
    try:
        terms = sp.Poly(sp.expand(expression), noise).terms()
    except sp.PolynomialError:
        raise InputError(f"{expression} has no closed mean over the noise: use ganlab.numeric_jacobian") from None
    return sp.simplify(sum(c * sigma**k * sp.factorial2(k - 1) for (k,), c in terms if k % 2 == 0))


@lru_cache
def _rule(nodes):  # an eigenvalue problem, and a noisy field asks for it at every step
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    return x, w / w.sum()


def hermite(nodes, sigma):
    """Nodes and weights of the Gauss-Hermite rule for the mean over ``N(0, sigma^2)``."""
    x, w = _rule(nodes)
    return sigma * x, w
