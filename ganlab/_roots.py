"""Real roots of a SymPy expression in one variable: exact where it is algebraic in t or in exp(t), else numeric."""

import numpy as np
import sympy as sp

from ganlab import _symbolic

REACH, POINTS = 40.0, 4001  # the numeric search looks at this many scores between -REACH and REACH


def vanishes_near(slope, t, point):
    """Tell whether `slope` is zero on a whole neighbourhood of `point` (it may have kinks further out)."""
    if slope.free_symbols - {t}:
        return slope.expand() == 0
    values = [slope.subs(t, point + shift).evalf() for shift in (-0.02, -0.003, 0, 0.001, 0.013)]
    return all(v.is_number and v.is_finite is not False and abs(complex(v)) < 1e-12 for v in values)


def real_roots(slope, t):
    """Return the real roots of `slope`, nearest to zero first."""
    roots = _exact(slope, t)
    roots = _numeric(slope, t) if roots is None else [sp.simplify(root) for root in dict.fromkeys(roots)]
    return sorted(roots, key=lambda root: 0 if root.free_symbols else abs(float(root)))


def _exact(slope, t):
    """The roots of a slope that is rational in t or in exp(t); None for any other."""
    u = sp.Symbol("u", positive=True)
    in_t, in_u = (sp.numer(sp.cancel(e)) for e in (slope, sp.simplify(slope.rewrite(sp.exp).subs(t, sp.log(u)))))
    if in_t.is_polynomial(t):
        polynomial, back = sp.Poly(in_t, t), lambda root: root
    elif in_u.is_polynomial(u):
        polynomial, back = sp.Poly(in_u, u), sp.log
    else:
        return None
    if polynomial.free_symbols_in_domain:
        roots = [root for root in sp.roots(polynomial) if root.is_real is not False]
    elif polynomial.get_domain().is_Exact and not polynomial.get_domain().is_EX:
        roots = polynomial.real_roots()  # also where no formula in radicals exists
    else:
        return None
    return [back(root) for root in roots if back is not sp.log or root.is_positive is not False]


def _numeric(slope, t):
    """Sign changes (not poles) of `slope` on a grid of scores, and the middle of a stretch of zeros."""
    from scipy.optimize import brentq

    function = _symbolic.to_numpy((t,), slope)
    grid = np.linspace(-REACH, REACH, POINTS) + 1e-7
    with np.errstate(all="ignore"):
        values = np.broadcast_to(function(grid), grid.shape)
        change = np.flatnonzero(np.isfinite(values[:-1] * values[1:]) & (values[:-1] * values[1:] < 0))
        roots = [(brentq(function, grid[i], grid[i + 1], xtol=1e-15), abs(values[i : i + 2]).max()) for i in change]
        roots = [sp.Float(root) for root, ends in roots if abs(function(root)) <= ends]
    flat = grid[values == 0]
    return roots + ([sp.Rational(round(10 * np.median(flat)), 10)] if len(flat) > 1 else [])
