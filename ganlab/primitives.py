"""Elementary functions that answer in kind: array for array, tensor for tensor, expression for expression.

One formula written with them is a torch loss, a numpy curve and a SymPy theorem at once, so no
objective is ever written twice. SymPy and torch are never imported here unless the caller already
did (a tensor cannot exist without torch); SymPy gets three functions of its own, because
``log(1 + exp(t))`` overflows when it is turned into numpy and ``softplus(t)`` does not.
"""

import sys

import numpy as np

from ganlab import _numeric

__all__ = ["exp", "log", "logit", "relu", "sigmoid", "softplus", "sqrt"]


def _kind(t):
    """Name the family of `t`: "torch", "sympy" or "numpy"."""
    torch, sympy = sys.modules.get("torch"), sys.modules.get("sympy")
    if torch is not None and isinstance(t, torch.Tensor):
        return "torch"
    if sympy is not None and isinstance(t, sympy.Basic):
        return "sympy"
    return "numpy"


def _symbolic():
    # SymPy takes 0.3 s to import; only symbols need it
    from ganlab import _symbolic

    return _symbolic


def softplus(t):
    """Return ``log(1 + exp(t))`` without overflow, in the kind of `t`.

    Parameters
    ----------
    t : float, array, tensor or SymPy expression
        Any shape.

    Examples
    --------
    >>> round(float(softplus(0.0)), 6)
    0.693147
    """
    kind = _kind(t)
    if kind == "torch":
        # its softplus is linear beyond a threshold; beyond 40 the rest is lost in rounding, beyond its 20 it is not
        return sys.modules["torch"].nn.functional.softplus(t, threshold=40)
    return _symbolic().softplus(t) if kind == "sympy" else _numeric.softplus(t)


def sigmoid(t):
    """Return ``1 / (1 + exp(-t))``, in the kind of `t`.

    Examples
    --------
    >>> float(sigmoid(0.0))
    0.5
    """
    kind = _kind(t)
    if kind == "torch":
        return t.sigmoid()
    return _symbolic().sigmoid(t) if kind == "sympy" else _numeric.sigmoid(t)


def logit(p):
    """Return ``log(p / (1 - p))``, the inverse of `sigmoid`, in the kind of `p`.

    Examples
    --------
    >>> float(logit(0.5))
    0.0
    """
    kind = _kind(p)
    if kind == "torch":
        return p.logit()
    return _symbolic().logit(p) if kind == "sympy" else _numeric.logit(p)


def relu(t):
    """Return ``max(t, 0)``, in the kind of `t`.

    Examples
    --------
    >>> float(relu(-2.0))
    0.0
    """
    kind = _kind(t)
    if kind == "torch":
        return t.relu()
    return _symbolic().relu(t) if kind == "sympy" else np.maximum(t, 0.0)


def _elementary(name, example):
    def function(t):
        kind = _kind(t)
        return getattr(np if kind == "numpy" else sys.modules[kind], name)(t)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""Return the {name} of `t`, in the kind of `t` (array, tensor or SymPy expression).

    Examples
    --------
    >>> {example}
    """
    return function


exp = _elementary("exp", "float(exp(0.0))\n    1.0")
log = _elementary("log", "float(log(1.0))\n    0.0")
sqrt = _elementary("sqrt", "float(sqrt(9.0))\n    3.0")
